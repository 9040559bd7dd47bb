//! The tokens that callers hand back: where a page begins, where a stream resumes. Opaque to them; a check sum tells ours
//! from anything else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::parse::ListFilter;
use crate::store::PageKey;

const CHECK_LENGTH: usize = 6;

/// The token that resumes a stream after the event `seq`.
pub(crate) fn resume_token(seq: u64) -> String {
    seal("stream", &seq.to_be_bytes())
}

/// The event that a token resumes after; `None` if it is not one of ours.
pub(crate) fn read_resume_token(token: &str) -> Option<u64> {
    let bytes = unseal("stream", token)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// The token of the page after `key` in the list that `filter` gives.
pub(crate) fn page_token(key: &PageKey, filter: &ListFilter) -> String {
    let body = serde_json::to_vec(key).expect("a time and an ID can be written as JSON");
    seal(&purpose(filter), &body)
}

/// Where the page of a token begins; `None` if the token is not of a list with this filter.
pub(crate) fn read_page_token(token: &str, filter: &ListFilter) -> Option<PageKey> {
    let body = unseal(&purpose(filter), token)?;
    serde_json::from_slice(&body).ok()
}

// A token fits the list that it came from: the check sum covers the filters.
fn purpose(filter: &ListFilter) -> String {
    format!("page {:?} {:?} {:?}", filter.states, filter.systems, filter.incident_id)
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

    fn filter(states: Vec<State>) -> ListFilter {
        ListFilter { states, ..ListFilter::default() }
    }

    #[test]
    fn a_page_token_is_read_back_for_the_same_filters_alone() {
        let key = PageKey { created_at: Timestamp::UNIX_EPOCH, id: "0197".to_owned() };
        let token = page_token(&key, &filter(vec![State::Failed]));
        assert_eq!(read_page_token(&token, &filter(vec![State::Failed])), Some(key));
        assert_eq!(read_page_token(&token, &filter(vec![])), None);
        assert_eq!(read_resume_token(&token), None);
    }

    #[test]
    fn a_token_that_was_tampered_with_is_not_ours() {
        let mut token = resume_token(41);
        assert_eq!(read_resume_token(&token), Some(41));
        token.pop();
        assert_eq!(read_resume_token(&token), None);
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_token(text in "\\PC{0,60}") {
            prop_assert_eq!(read_resume_token(&text), None);
            prop_assert_eq!(read_page_token(&text, &filter(vec![])), None);
        }

        #[test]
        fn every_place_in_the_stream_has_a_token(seq in any::<u64>()) {
            prop_assert_eq!(read_resume_token(&resume_token(seq)), Some(seq));
        }
    }
}
