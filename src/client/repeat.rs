use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::error::is_unanswered;

/// With the pauses between, a call is sent for about 6 s, which is as long as a restart may take.
pub(super) const RETRIES: u32 = 5;
/// After the first failure; it doubles with each.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait before the same call may succeed; `None` if it will not.
pub(super) fn pause(status: &Status, failures: u32) -> Option<Duration> {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::Unavailable => {}
        Code::ResourceExhausted if asked.is_some_and(|asked| !asked.is_zero()) => {}
        // A connection that broke.
        Code::Unknown | Code::Internal | Code::Cancelled if is_unanswered(status) => {}
        _ => return None,
    }
    Some(at_least(asked.unwrap_or_default(), failures))
}

/// Not less than the server asked for. Spread by a fifth, so that clients that lost one server do not come back as one.
pub(super) fn at_least(asked: Duration, failures: u32) -> Duration {
    let doubled = SHORTEST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let spread = 80 + u32::try_from(RandomState::new().hash_one(failures) % 41).unwrap_or(0);
    asked.max(doubled.min(MAX_PAUSE) * spread / 100)
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn pauses_double_up_to_their_longest_and_heed_what_the_server_asks_for() {
        let away = Status::unavailable("");
        for (failures, seconds) in [(1, 0.2), (2, 0.4), (5, 3.2), (6, 5.0), (4_000_000_000, 5.0)] {
            let pause = pause(&away, failures).unwrap().as_secs_f64();
            assert!((0.8 * seconds - 1e-6..=1.2 * seconds + 1e-6).contains(&pause), "{failures}: {pause}");
        }
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "", details);
        assert_eq!(pause(&busy, 1), Some(Duration::from_secs(9)));
    }

    #[test]
    fn what_a_repetition_does_not_mend_is_not_repeated() {
        for status in [Status::resource_exhausted(""), Status::internal(""), Status::cancelled("")] {
            assert_eq!(pause(&status, 1), None, "{status}");
        }
    }
}
