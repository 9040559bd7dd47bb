//! Headers, and tokens that callers return.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_retry::retry_after;
use ticketing_server::fuzzing;

pub(super) fn retry_after_seeds() -> Vec<Vec<u8>> {
    ["120", "0", "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 9998 23:59:59 GMT", "99999999999999999999"]
        .map(Vec::from)
        .to_vec()
}

pub(super) fn retry_after(input: &[u8]) {
    let header = String::from_utf8_lossy(input);
    for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
        let wait = retry_after::parse(&header, now);
        assert!(wait.is_none_or(|wait| wait <= retry_after::MAX_WAIT), "{wait:?}");
    }
}

pub(super) fn deadline_seeds() -> Vec<Vec<u8>> {
    ["1H", "30S", "500m", "99999999H", "1u", "0n"].map(Vec::from).to_vec()
}

pub(super) fn deadline(input: &[u8]) {
    let wait = fuzzing::deadline(input);
    assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(99_999_999 * 3_600)), "{wait:?}");
}

pub(super) fn tokens_seeds() -> Vec<Vec<u8>> {
    fuzzing::tokens().into_iter().map(String::into_bytes).collect()
}

/// The checksum has 48 bits, so a mutation does not forge one within any realistic time.
pub(super) fn tokens(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let ours = fuzzing::tokens().iter().any(|token| token == text);
    assert_eq!(fuzzing::is_token(text), ours, "{text}");
}
