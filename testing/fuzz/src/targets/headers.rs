//! Headers of replies.

use jiff::Timestamp;
use ticketing_retry::retry_after;

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
