//! Opaque tokens: where a page begins, where a stream resumes. A check sum detects foreign tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use ticketing_store::{DeliveryFilter, PageKey, StreamName};

use super::parse::ListFilter;

const CHECK_LENGTH: usize = 6;

/// The position of a resume token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeAt {
    /// After this event.
    Event(u64),
    /// After an event that was lost when the store was restored from a backup: the last common event.
    Lost { kept: u64 },
}

/// The token that resumes the stream `stream_id` after the event `seq`.
pub(crate) fn resume_token(stream_id: &str, seq: u64) -> String {
    encode_token(&format!("stream {stream_id}"), &seq.to_be_bytes())
}

/// Parses a resume token; `None` if it is not of this stream. A token of a former stream ID is valid as long as its
/// event still exists.
pub(crate) fn read_resume_token(stream: &StreamName, token: &str) -> Option<ResumeAt> {
    if let Some(seq) = read_token_of(&stream.current, token) {
        return Some(ResumeAt::Event(seq));
    }
    let mut former = stream.former.iter();
    former.find_map(|(name, kept)| {
        let seq = read_token_of(name, token)?;
        let kept = *kept;
        Some(if seq <= kept { ResumeAt::Event(seq) } else { ResumeAt::Lost { kept } })
    })
}

fn read_token_of(stream_id: &str, token: &str) -> Option<u64> {
    let bytes = decode_token(&format!("stream {stream_id}"), token)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// The token of the page after `key` in the list of `filter` in an installation.
pub(crate) fn page_token(installation_id: &str, key: &PageKey, filter: &ListFilter) -> String {
    let body = serde_json::to_vec(key).expect("a time and an ID can be written as JSON");
    encode_token(&purpose(installation_id, filter), &body)
}

/// Parses a page token; `None` if it is not of a list of this installation with this filter.
pub(crate) fn read_page_token(installation_id: &str, token: &str, filter: &ListFilter) -> Option<PageKey> {
    let body = decode_token(&purpose(installation_id, filter), token)?;
    serde_json::from_slice(&body).ok()
}

/// The token of the page after `key` in a bulk retry of `filter` in an installation.
pub(crate) fn retry_token(installation_id: &str, key: &PageKey, filter: &DeliveryFilter) -> String {
    let body = serde_json::to_vec(key).expect("a time and an ID can be written as JSON");
    encode_token(&format!("retry {installation_id} {filter:?}"), &body)
}

/// Parses a retry token; `None` if it is not of a bulk retry in this installation with this filter.
pub(crate) fn read_retry_token(
    installation_id: &str,
    token: &str,
    filter: &DeliveryFilter,
) -> Option<PageKey> {
    serde_json::from_slice(&decode_token(&format!("retry {installation_id} {filter:?}"), token)?).ok()
}

/// The token of the audit page before the entry `seq`.
pub(crate) fn audit_token(installation_id: &str, seq: u64) -> String {
    encode_token(&format!("audit {installation_id}"), &seq.to_be_bytes())
}

/// Parses an audit token; `None` if it is not of this audit log.
pub(crate) fn read_audit_token(installation_id: &str, token: &str) -> Option<u64> {
    let bytes = decode_token(&format!("audit {installation_id}"), token)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

// The check sum covers installation and filters, so a token is valid only for its list.
fn purpose(installation_id: &str, filter: &ListFilter) -> String {
    format!("page {installation_id} {:?}", filter.deliveries)
}

fn encode_token(purpose: &str, body: &[u8]) -> String {
    let mut bytes = check_sum(purpose, body).to_vec();
    bytes.extend_from_slice(body);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode_token(purpose: &str, token: &str) -> Option<Vec<u8>> {
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
    use proptest::sample::{Index, select};
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
    fn page_token_is_bound_to_store_and_filters() {
        let key = PageKey { created_at: Timestamp::UNIX_EPOCH, id: "0197".to_owned() };
        let token = page_token("here", &key, &filter(vec![State::Failed]));
        assert_eq!(read_page_token("here", &token, &filter(vec![State::Failed])), Some(key));
        assert_eq!(read_page_token("here", &token, &filter(vec![])), None);
        assert_eq!(read_page_token("there", &token, &filter(vec![State::Failed])), None);
        assert_eq!(read_resume_token(&here(), &token), None);
    }

    #[test]
    fn accepts_resume_token_of_former_stream() {
        let stream = StreamName { former: vec![("before".to_owned(), 40)], ..here() };
        let read = |seq| read_resume_token(&stream, &resume_token("before", seq));
        assert_eq!(read(40), Some(ResumeAt::Event(40)));
        assert_eq!(read(41), Some(ResumeAt::Lost { kept: 40 }));
    }

    #[test]
    fn rejects_tampered_and_foreign_token() {
        let mut token = resume_token("here", 41);
        assert_eq!(read_resume_token(&here(), &token), Some(ResumeAt::Event(41)));
        let there = StreamName { current: "there".to_owned(), ..here() };
        assert_eq!(read_resume_token(&there, &token), None);
        token.pop();
        assert_eq!(read_resume_token(&here(), &token), None);
    }

    /// A token of each kind, and of a former stream.
    fn tokens() -> Vec<String> {
        let key = PageKey { created_at: Timestamp::UNIX_EPOCH, id: "0197".to_owned() };
        vec![
            resume_token("here", 41),
            resume_token("before", 40),
            page_token("here", &key, &filter(vec![])),
            retry_token("here", &key, &DeliveryFilter::default()),
            audit_token("here", 7),
        ]
    }

    fn is_accepted(text: &str) -> bool {
        let stream = StreamName { former: vec![("before".to_owned(), 40)], ..here() };
        read_resume_token(&stream, text).is_some()
            || read_page_token("here", text, &filter(vec![])).is_some()
            || read_retry_token("here", text, &DeliveryFilter::default()).is_some()
            || read_audit_token("here", text).is_some()
    }

    #[test]
    fn accepts_token_of_every_kind() {
        assert!(tokens().iter().all(|token| is_accepted(token)));
    }

    proptest! {
        #[test]
        fn rejects_arbitrary_text_as_token(text in prop_oneof!["\\PC{0,60}", "[A-Za-z0-9_-]{0,60}"]) {
            prop_assert!(!is_accepted(&text));
        }

        /// The check sum has 48 bits, so no case forges one.
        #[test]
        fn rejects_altered_token_of_every_kind(
            token in select(tokens()),
            (from, to) in (any::<Index>(), any::<Index>()),
            put in prop_oneof!["[A-Za-z0-9_=-]{0,8}", "\\PC{0,4}"],
        ) {
            let one = from.index(token.len() + 1);
            let other = to.index(token.len() + 1);
            let altered = [&token[..one.min(other)], &put, &token[one.max(other)..]].concat();
            prop_assert_eq!(is_accepted(&altered), tokens().contains(&altered));
        }

        #[test]
        fn encodes_every_stream_position(seq in any::<u64>()) {
            let token = resume_token("here", seq);
            prop_assert_eq!(read_resume_token(&here(), &token), Some(ResumeAt::Event(seq)));
        }
    }
}
