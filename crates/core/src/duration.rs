//! Durations as an operator writes them.

use std::time::Duration;

use jiff::SignedDuration;

/// Minimum.
const MIN: Duration = Duration::from_millis(1);
/// Maximum: ten years.
const MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Parses a duration such as 250ms, 30s or "1h 30m": from a millisecond to ten years.
///
/// # Errors
/// What is wrong with it, and how to write it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.trim().parse().map_err(|_| "write it like 250ms, 30s, 15m or 24h".to_owned())?;
    let duration = Duration::try_from(parsed).map_err(|_| "must not be negative".to_owned())?;
    let is_possible = (MIN..=MAX).contains(&duration);
    if is_possible { Ok(duration) } else { Err("must be 1ms to 87600h".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_invalid_duration() {
        for text in ["", "soon", "-1s", "0s", "30", "1 fortnight", "87601h"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
