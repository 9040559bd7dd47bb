//! Small readings of text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// The title of an HTML page: all that is worth repeating of one.
#[must_use]
pub fn title_of_page(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let from = start + lower[start..].find('>')? + 1;
    let to = from + lower[from..].find("</title")?;
    let title = ticketing_core::text::single_line(&html[from..to]);
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_a_page_is_found_in_any_case_and_may_be_missing() {
        assert_eq!(title_of_page("<HTML><Title lang=en> Log\n in </TITLE>").as_deref(), Some("Log in"));
        for page in ["", "<title>", "<title></title>", "plain"] {
            assert_eq!(title_of_page(page), None, "{page}");
        }
    }
}
