//! The tokens that callers hand back: where a page begins, where a stream resumes. Opaque to them; a check sum tells ours
//! from anything else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::parse::ListFilter;
use crate::store::{DeliveryFilter, PageKey, StreamName};

const CHECK_LENGTH: usize = 6;

/// Where a token leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeAt {
    /// After this event.
    Event(u64),
    /// After an event that was lost when the store was put back from a copy: this is the last one before that is still there.
    Lost { kept: u64 },
}

/// The token that resumes the stream of a store, named by its `stream_id`, after the event `seq`.
pub(crate) fn resume_token(stream_id: &str, seq: u64) -> String {
    seal(&format!("stream {stream_id}"), &seq.to_be_bytes())
}

/// Where a token resumes; `None` if it is not a token of this stream. One of an earlier name of the stream is good as long
/// as its event is still there.
pub(crate) fn read_resume_token(stream: &StreamName, token: &str) -> Option<ResumeAt> {
    if let Some(seq) = read_token_of(&stream.current, token) {
        return Some(ResumeAt::Event(seq));
    }
    let mut former = stream.former.iter();
    former.find_map(|(name, kept)| {
        let (seq, kept) = (read_token_of(name, token)?, *kept);
        Some(if seq <= kept { ResumeAt::Event(seq) } else { ResumeAt::Lost { kept } })
    })
}

fn read_token_of(stream_id: &str, token: &str) -> Option<u64> {
    let bytes = unseal(&format!("stream {stream_id}"), token)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// The token of the page after `key` in the list that `filter` gives in an installation.
pub(crate) fn page_token(installation_id: &str, key: &PageKey, filter: &ListFilter) -> String {
    let body = serde_json::to_vec(key).expect("a time and an ID can be written as JSON");
    seal(&purpose(installation_id, filter), &body)
}

/// Where the page of a token begins; `None` if the token is not of a list of this installation with this filter.
pub(crate) fn read_page_token(installation_id: &str, token: &str, filter: &ListFilter) -> Option<PageKey> {
    let body = unseal(&purpose(installation_id, filter), token)?;
    serde_json::from_slice(&body).ok()
}

/// The token of the page after `key` of a retry of what fits `filter` in an installation.
pub(crate) fn retry_token(installation_id: &str, key: &PageKey, filter: &DeliveryFilter) -> String {
    let body = serde_json::to_vec(key).expect("a time and an ID can be written as JSON");
    seal(&format!("retry {installation_id} {filter:?}"), &body)
}

/// Where the page of a token begins; `None` if the token is not of a retry in this installation with this filter.
pub(crate) fn read_retry_token(
    installation_id: &str,
    token: &str,
    filter: &DeliveryFilter,
) -> Option<PageKey> {
    serde_json::from_slice(&unseal(&format!("retry {installation_id} {filter:?}"), token)?).ok()
}

/// The token of the page of the audit before the entry `seq`.
pub(crate) fn audit_token(installation_id: &str, seq: u64) -> String {
    seal(&format!("audit {installation_id}"), &seq.to_be_bytes())
}

/// Before which entry the page of a token ends; `None` if it is not a token of this audit.
pub(crate) fn read_audit_token(installation_id: &str, token: &str) -> Option<u64> {
    let bytes = unseal(&format!("audit {installation_id}"), token)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

// A token fits the list that it came from: the check sum covers the installation and the filters.
fn purpose(installation_id: &str, filter: &ListFilter) -> String {
    format!("page {installation_id} {:?}", filter.deliveries)
}

fn seal(purpose: &str, body: &[u8]) -> String {
    let mut bytes = check_sum(purpose, body).to_vec();
    bytes.extend_from_slice(body);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unseal(purpose: &str, token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (check, body) = bytes.split_at_checked(CHECK_LENGTH)?;
    (check == check_sum(purpose, body)).then(|| body.to_vec())
}

fn check_sum(purpose: &str, body: &[u8]) -> [u8; CHECK_LENGTH] {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(body).finalize();
    let mut check = [0; CHECK_LENGTH];
    check.copy_from_slice(&digest[..CHECK_LENGTH]);
    check
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use ticketing_core::delivery::State;

    use super::*;

    fn here() -> StreamName {
        StreamName { current: "here".to_owned(), former: vec![] }
    }

    fn filter(states: Vec<State>) -> ListFilter {
        let deliveries = DeliveryFilter { states, ..DeliveryFilter::default() };
        ListFilter { deliveries, ..ListFilter::default() }
    }

    #[test]
    fn a_page_token_is_read_back_for_the_same_store_and_filters_alone() {
        let key = PageKey { created_at: Timestamp::UNIX_EPOCH, id: "0197".to_owned() };
        let token = page_token("here", &key, &filter(vec![State::Failed]));
        assert_eq!(read_page_token("here", &token, &filter(vec![State::Failed])), Some(key));
        assert_eq!(read_page_token("here", &token, &filter(vec![])), None);
        assert_eq!(read_page_token("there", &token, &filter(vec![State::Failed])), None);
        assert_eq!(read_resume_token(&here(), &token), None);
    }

    #[test]
    fn a_token_of_an_earlier_name_leads_to_its_event_if_that_was_not_lost() {
        let stream = StreamName { former: vec![("before".to_owned(), 40)], ..here() };
        let read = |seq| read_resume_token(&stream, &resume_token("before", seq));
        assert_eq!(read(40), Some(ResumeAt::Event(40)));
        assert_eq!(read(41), Some(ResumeAt::Lost { kept: 40 }));
    }

    #[test]
    fn a_token_that_was_tampered_with_or_is_of_another_store_is_not_ours() {
        let mut token = resume_token("here", 41);
        assert_eq!(read_resume_token(&here(), &token), Some(ResumeAt::Event(41)));
        let there = StreamName { current: "there".to_owned(), ..here() };
        assert_eq!(read_resume_token(&there, &token), None);
        token.pop();
        assert_eq!(read_resume_token(&here(), &token), None);
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_token(text in "\\PC{0,60}") {
            prop_assert_eq!(read_resume_token(&here(), &text), None);
            prop_assert_eq!(read_page_token("here", &text, &filter(vec![])), None);
        }

        #[test]
        fn every_place_in_the_stream_has_a_token(seq in any::<u64>()) {
            let token = resume_token("here", seq);
            prop_assert_eq!(read_resume_token(&here(), &token), Some(ResumeAt::Event(seq)));
        }
    }
}
