//! Helpers for settings.

use rhythmx_ticketing::v1;

/// Retry settings in milliseconds.
pub fn retry(base: i32, max: i32, interval: i32) -> v1::RetrySettings {
    let span = |millis: i32| {
        let seconds = i64::from(millis / 1_000);
        let nanos = millis % 1_000 * 1_000_000;
        Some(prost_types::Duration { seconds, nanos })
    };
    v1::RetrySettings {
        base_delay: span(base),
        max_delay: span(max),
        processor_interval: span(interval),
        ..Default::default()
    }
}

/// A text that is given.
pub fn text(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}
