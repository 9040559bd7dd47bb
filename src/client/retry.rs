use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::error::is_from_client;

/// With the delays between them they last about 6 s, as long as a restart of the server may take.
pub(super) const DEFAULT_RETRIES: u32 = 5;
/// The delay after the first failure; it doubles with each further one.
const MIN_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// The delay before a retry; `None` if the failure is permanent.
pub(super) fn delay(status: &Status, failures: u32) -> Option<Duration> {
    let requested = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::Unavailable => {}
        Code::ResourceExhausted if requested.is_some_and(|requested| !requested.is_zero()) => {}
        // A broken connection.
        Code::Unknown | Code::Internal | Code::Cancelled if is_from_client(status) => {}
        _ => return None,
    }
    Some(backoff(requested.unwrap_or_default(), failures))
}

/// Exponential backoff, at least the delay that the server requested. Its jitter of 20 % keeps clients from reconnecting
/// simultaneously.
pub(super) fn backoff(requested: Duration, failures: u32) -> Duration {
    let doubled = MIN_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let percent = 80 + u32::try_from(RandomState::new().hash_one(failures) % 41).unwrap_or(0);
    requested.max(doubled.min(MAX_DELAY) * percent / 100)
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn delays_double_and_respect_server_delay() {
        let unavailable = Status::unavailable("");
        for (failures, seconds) in [(1, 0.2), (2, 0.4), (5, 3.2), (6, 5.0), (4_000_000_000, 5.0)] {
            let delay = delay(&unavailable, failures).unwrap().as_secs_f64();
            assert!((0.8 * seconds - 1e-6..=1.2 * seconds + 1e-6).contains(&delay), "{failures}: {delay}");
        }
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "", details);
        assert_eq!(delay(&busy, 1), Some(Duration::from_secs(9)));
    }

    #[test]
    fn permanent_failures_are_not_retried() {
        for status in [Status::resource_exhausted(""), Status::internal(""), Status::cancelled("")] {
            assert_eq!(delay(&status, 1), None, "{status}");
        }
    }
}
