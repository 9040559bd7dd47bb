//! Limits of texts that are stored from a ticket system.
//!
//! A ticket system, or whatever answers in its place, can send text of any length. Stored text is part of the
//! delivery's row, its events and every response that contains it, so each text is cut on entry. Then no
//! message about one delivery exceeds the default limit of gRPC clients.

use crate::text::shorten;

/// Maximum length of a ticket's ID and key, in characters.
pub const MAX_TICKET_NAME: usize = 255;
/// Maximum length of a ticket's URL, in characters.
pub const MAX_TICKET_URL: usize = 2_048;
/// Maximum length of the name of a field, a person, a group or a project, in characters.
pub const MAX_NAME: usize = 255;
/// Maximum length of an adjustment's reason, a check's detail, and a hint, in characters.
pub const MAX_REASON: usize = 1_000;
/// Maximum number of adjustments of one ticket.
pub const MAX_ADJUSTMENTS: usize = 50;
/// Maximum number of further tickets of one delivery.
pub const MAX_DUPLICATES: usize = 50;

/// `text` if it has at most `limit` characters, else its beginning and an ellipsis. The cost depends on
/// `limit`, not on the length of the text.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(4 * limit) {
        None => shorten(text, limit),
        Some((end, _)) => shorten(&text[..end], limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_long_text_and_keeps_short_text() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut(&"x".repeat(4_000_000), 5), "xxxx…");
        assert_eq!(cut("too long", 5), "too…");
    }
}
