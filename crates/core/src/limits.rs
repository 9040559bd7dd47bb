//! Limits of texts that are stored from a ticket system.
//!
//! A ticket system, or whatever answers in its place, can send text of any length. Stored text is part of the
//! delivery's row, its events and every response that contains it, so each text is cut on entry. Then no
//! message about one delivery exceeds the default limit of gRPC clients.

use crate::system::{Adjustment, TicketRef};
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

/// At most [`MAX_ADJUSTMENTS`], each within its limits; the last one counts those that are not listed.
#[must_use]
pub fn adjustments(all: Vec<Adjustment>) -> Vec<Adjustment> {
    let (count, kept) =
        (all.len(), if all.len() > MAX_ADJUSTMENTS { MAX_ADJUSTMENTS - 1 } else { all.len() });
    let mut listed: Vec<_> =
        all.into_iter().take(kept).map(|given| Adjustment::new(&given.field, given.reason)).collect();
    if count > kept {
        listed.push(Adjustment::new("", format!("{} more adjustments are not listed", count - kept)));
    }
    listed
}

// === impl TicketRef ===

impl TicketRef {
    /// The reference within its limits, for display. A reference stored by an older version may exceed them.
    #[must_use]
    pub fn bounded(self) -> Self {
        let url = if self.url.chars().nth(MAX_TICKET_URL).is_none() { self.url } else { String::new() };
        Self { id: cut(&self.id, MAX_TICKET_NAME), key: cut(&self.key, MAX_TICKET_NAME), url }
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

    #[test]
    fn bounds_every_text_of_an_adjustment_and_a_ticket() {
        let huge = "é".repeat(1_000_000);
        let adjustment = Adjustment::new(&huge, huge.clone());
        assert_eq!(adjustment.field.chars().count(), MAX_NAME);
        assert_eq!(adjustment.reason.chars().count(), MAX_REASON);
        let ticket = TicketRef { id: huge.clone(), key: huge.clone(), url: huge }.bounded();
        assert_eq!((ticket.id.chars().count(), ticket.key.chars().count()), (255, 255));
        assert_eq!(ticket.url, "");
    }

    #[test]
    fn lists_at_most_fifty_adjustments_and_counts_the_rest() {
        let of = |count: usize| adjustments(vec![Adjustment::new("labels", "not sent"); count]);
        assert_eq!(of(50).len(), 50);
        let many = of(1_000);
        assert_eq!(many.len(), MAX_ADJUSTMENTS);
        assert_eq!(many[49].reason, "951 more adjustments are not listed");
    }
}
