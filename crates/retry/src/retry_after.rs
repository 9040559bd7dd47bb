//! Parses how long a server asks to wait: `Retry-After` (seconds, or an HTTP date) or `X-RateLimit-Reset`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Maximum wait: a day. The retry policy may cap it further.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// The wait that `header` asks for, from `now`, at most [`MAX_WAIT`]; `None` if it is invalid. A date in the past
/// means no wait.
#[must_use]
pub fn parse(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        return Some(header.parse().map_or(MAX_WAIT, Duration::from_secs).min(MAX_WAIT));
    }
    let wait = http_date(header)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(MAX_WAIT))
}

/// The wait until the rate limit reset in `header`, from `now`, at most [`MAX_WAIT`]; `None` if it is invalid or in
/// the past. ServiceNow sends Unix seconds, Jira ISO 8601.
#[must_use]
pub fn parse_reset(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let reset = match !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        true => {
            let seconds = header.parse().ok();
            seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
        }
        false => header.parse().ok()?,
    };
    let wait = Duration::try_from(reset.duration_since(now)).ok()?;
    Some(wait.min(MAX_WAIT)).filter(|wait| !wait.is_zero())
}

/// Parses the only date format that may still be sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let (_weekday, rest) = text.split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = i8::try_from(MONTHS.iter().position(|name| name == month)? + 1).ok()?;
    let clock: Vec<i8> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = clock.as_slice() else { return None };
    let date =
        DateTime::new(year.parse().ok()?, month, day.parse().ok()?, *hour, *minute, *second, 0).ok()?;
    Offset::UTC.to_timestamp(date).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "1994-11-06T08:49:07Z".parse().unwrap()
    }

    #[test]
    fn parses_seconds_and_dates() {
        let table = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999999", Some(86_400)),
            ("Fri, 31 Dec 9998 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ];
        for (header, seconds) in table {
            assert_eq!(parse(header, now()), seconds.map(Duration::from_secs), "{header:?}");
        }
    }

    #[test]
    fn parses_rate_limit_reset() {
        let table = [
            ("784111777", Some(30)),
            ("1994-11-06T08:49:37Z", Some(30)),
            ("1994-11-06T08:50Z", Some(53)),
            ("1994-11-06T08:00Z", None),
            ("1", None),
            ("99999999999999999999999", Some(86_400)),
            ("9998-12-31T23:59:59Z", Some(86_400)),
            ("", None),
            ("-5", None),
            ("soon", None),
        ];
        for (header, seconds) in table {
            assert_eq!(parse_reset(header, now()), seconds.map(Duration::from_secs), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn limits_wait_of_any_header(header in "\\PC{0,60}") {
            prop_assert!(parse(&header, now()).is_none_or(|wait| wait <= MAX_WAIT));
            prop_assert!(parse_reset(&header, now()).is_none_or(|wait| wait <= MAX_WAIT));
        }
    }
}
