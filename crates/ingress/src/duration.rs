//! Durations in flags.

use std::time::Duration;

use jiff::SignedDuration;

const MIN: Duration = Duration::from_millis(1);
/// Ten years.
const MAX: Duration = Duration::from_secs(87_600 * 3_600);

/// Parses a duration such as 250ms, 30s or "1h 30m": from a millisecond to ten years.
///
/// # Errors
/// If it has another format or is out of range; the message says how to write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.trim().parse().map_err(|_| "write it like 250ms, 30s, 15m or 24h".to_owned())?;
    let duration = Duration::try_from(parsed).map_err(|_| "must not be negative".to_owned())?;
    if (MIN..=MAX).contains(&duration) { Ok(duration) } else { Err("must be 1ms to 87600h".to_owned()) }
}
