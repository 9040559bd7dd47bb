//! Tells pages for people from answers of an API.

use ticketing_core::text::single_line;

use crate::Reply;

/// What an HTML page begins with, after whatever may stand before it.
const BEGINNINGS: [&str; 8] = ["!doctype html", "html", "head", "body", "title", "meta", "script", "center"];

/// Whether a body is a JSON object or list, by how it begins.
pub(crate) fn is_json(body: &str) -> bool {
    start(body).starts_with(['{', '['])
}

/// Whether a reply is a page for people. What the body is counts for more than what its type says: pages come without a type
/// or as JSON, and JSON comes as HTML.
pub(crate) fn is_page(reply: &Reply) -> bool {
    if is_json(&reply.body) {
        return false;
    }
    let kind = reply.header("content-type").to_ascii_lowercase();
    let announced = ["text/html", "application/xhtml"].iter().any(|html| kind.trim_start().starts_with(html));
    // Words alone are no page, whatever their type says.
    let body = start(&reply.body);
    announced && (body.is_empty() || body.starts_with('<')) || begins_as_page(body)
}

/// The title of an HTML page: all that is worth repeating of one.
#[must_use]
pub fn title_of_page(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let from = start + lower[start..].find('>')? + 1;
    let to = from + lower[from..].find("</title")?;
    let title = single_line(&html[from..to]);
    (!title.is_empty()).then_some(title)
}

/// Looks behind comments, processing instructions and other declarations.
fn begins_as_page(body: &str) -> bool {
    let mut rest = start(body);
    loop {
        let after = match rest.strip_prefix('<') {
            None => return false,
            Some(_) if rest.starts_with("<!--") => rest.split_once("-->"),
            Some(_) if rest.starts_with("<?") => rest.split_once("?>"),
            Some(tag) => return BEGINNINGS.iter().any(|name| begins_with_word(tag, name)),
        };
        let Some((_, after)) = after else { return false };
        rest = start(after);
    }
}

fn begins_with_word(text: &str, word: &str) -> bool {
    let Some(begin) = text.get(..word.len()) else { return false };
    let next = text[word.len()..].chars().next();
    begin.eq_ignore_ascii_case(word) && !next.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | ':'))
}

/// A body without the byte order marks and white space that it begins with.
fn start(body: &str) -> &str {
    body.trim_start_matches(|c: char| c == '\u{feff}' || c == '\0' || c.is_whitespace())
}
