//! How much of a ticket system's text is kept.
//!
//! A ticket system, or whatever answers in its place, can say anything of any length. What is taken over into a delivery
//! goes into its row, its events and every answer that shows it, so each text is cut where it enters. No message about one
//! delivery can then exceed what any gRPC client takes by default.

use crate::text::shorten;

/// The longest ID and key of a ticket, in characters.
pub const MAX_TICKET_NAME: usize = 255;
/// The longest address of a ticket, in characters.
pub const MAX_TICKET_URL: usize = 2_048;
/// The longest name of a field, a person, a group or a project, in characters.
pub const MAX_NAME: usize = 255;
/// The longest reason of an adjustment, detail of a check, and hint, in characters.
pub const MAX_REASON: usize = 1_000;
/// The most adjustments of one ticket.
pub const MAX_ADJUSTMENTS: usize = 50;
/// The most further tickets that one delivery names.
pub const MAX_DUPLICATES: usize = 50;

/// `text` if it has at most `limit` characters, else its start and an ellipsis. The work depends on `limit` and not on the
/// length of the text.
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
