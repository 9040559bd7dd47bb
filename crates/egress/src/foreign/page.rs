//! Distinguishes HTML pages from API replies.

use ticketing_core::text::single_line;

use crate::Reply;

/// How an HTML page begins, after comments and declarations.
const BEGINNINGS: [&str; 8] = ["!doctype html", "html", "head", "body", "title", "meta", "script", "center"];

/// Whether a body is a JSON object or list, by how it begins.
pub(crate) fn is_json(body: &str) -> bool {
    start(body).starts_with(['{', '['])
}

/// Whether a reply is an HTML page. The body counts more than the content type: pages come without a type or as JSON,
/// and JSON comes as HTML.
pub(crate) fn is_page(reply: &Reply) -> bool {
    if is_json(&reply.body) {
        return false;
    }
    let kind = reply.header("content-type").to_ascii_lowercase();
    let announced = ["text/html", "application/xhtml"].iter().any(|html| kind.trim_start().starts_with(html));
    // Plain text is not a page, whatever its content type.
    let body = start(&reply.body);
    announced && (body.is_empty() || body.starts_with('<')) || begins_as_page(body)
}

/// The title of an HTML page: the only part worth repeating.
#[must_use]
pub fn title_of_page(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let from = start + lower[start..].find('>')? + 1;
    let to = from + lower[from..].find("</title")?;
    let title = single_line(&html[from..to]);
    (!title.is_empty()).then_some(title)
}

/// Skips comments, processing instructions and other declarations.
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

/// The body without leading byte order marks and white space.
fn start(body: &str) -> &str {
    body.trim_start_matches(|c: char| c == '\u{feff}' || c == '\0' || c.is_whitespace())
}
