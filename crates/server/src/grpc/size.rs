//! Limits the size of responses.
//!
//! gRPC clients refuse messages above 4 MiB by default, and would refuse the same page every time. So pages end by
//! size as well as by count. The size of one entry is limited where it is presented.

use prost::Message;

/// Maximum size of a sent message, in bytes.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;
/// Size of a page without its entries: its token.
const PAGE_OVERHEAD: usize = 4 * 1024;
/// Overhead of an entry: tag and length.
const ENTRY_OVERHEAD: usize = 8;

/// The first entries that fit in one message, at least one, and whether others are left out.
pub(crate) fn fitting<T: Message>(mut entries: Vec<T>) -> (Vec<T>, bool) {
    let mut room = MAX_MESSAGE - PAGE_OVERHEAD;
    let mut count = 0;
    for entry in &entries {
        let Some(left) = room.checked_sub(entry.encoded_len() + ENTRY_OVERHEAD) else { break };
        room = left;
        count += 1;
    }
    let is_cut = count < entries.len();
    entries.truncate(count.max(1));
    (entries, is_cut)
}

#[cfg(test)]
mod tests {
    use ticketing_contract::v1;

    use super::*;

    fn entry(size: usize) -> v1::AuditEntry {
        v1::AuditEntry { detail: "x".repeat(size), ..Default::default() }
    }

    #[test]
    fn ends_a_page_before_it_exceeds_a_message() {
        let (entries, is_cut) = fitting(vec![entry(100_000); 500]);
        assert!(is_cut && entries.len() == 10, "{}", entries.len());
        let page = v1::ListAuditEntriesResponse { entries, next_page_token: "x".repeat(1_000) };
        assert!(page.encoded_len() <= MAX_MESSAGE);
    }

    #[test]
    fn keeps_a_page_that_fits() {
        let (entries, is_cut) = fitting(vec![entry(1_000); 500]);
        assert_eq!((entries.len(), is_cut), (500, false));
        assert_eq!(fitting(Vec::<v1::AuditEntry>::new()), (vec![], false));
    }
}
