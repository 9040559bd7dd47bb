//! Dates and periods of JQL.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Parses a JQL time in UTC: a date, a date and time, or a period relative to `now`.
pub(super) fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(period) = period(text) {
        return now.checked_add(period).ok();
    }
    let dashed = text.replace('/', "-");
    let at: DateTime = match dashed.split_once(' ') {
        Some(_) => DateTime::strptime("%Y-%m-%d %H:%M", &dashed).ok()?,
        None => Date::strptime("%Y-%m-%d", &dashed).ok()?.at(0, 0, 0, 0),
    };
    at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn period(text: &str) -> Option<SignedDuration> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let minutes = match digits.char_indices().last()? {
        (end, 'm') => digits[..end].parse::<i64>().ok()?,
        (end, 'h') => digits[..end].parse::<i64>().ok()?.checked_mul(60)?,
        (end, 'd') => digits[..end].parse::<i64>().ok()?.checked_mul(1_440)?,
        (end, 'w') => digits[..end].parse::<i64>().ok()?.checked_mul(10_080)?,
        _ => return None,
    };
    Some(SignedDuration::from_secs(minutes.checked_mul(60 * sign)?))
}
