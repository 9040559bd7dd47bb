//! Single values.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::risk::Severity;
use ticketing_core::system::System;

pub(crate) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    // Before 1970, jiff's nanoseconds are negative; those of the contract are always positive.
    let nanos = time.as_nanosecond();
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

pub(crate) fn system(system: System) -> v1::TicketSystem {
    match system {
        System::Jira => v1::TicketSystem::Jira,
        System::ServiceNow => v1::TicketSystem::Servicenow,
    }
}

pub(crate) fn severity(severity: Severity) -> v1::Severity {
    match severity {
        Severity::Low => v1::Severity::Low,
        Severity::Medium => v1::Severity::Medium,
        Severity::High => v1::Severity::High,
        Severity::Critical => v1::Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_time_before_1970() {
        let time = timestamp("1969-12-31T23:59:59.25Z".parse().unwrap());
        assert_eq!(time, prost_types::Timestamp { seconds: -1, nanos: 250_000_000 });
    }

    #[test]
    fn converts_extreme_durations() {
        assert_eq!(duration(Duration::MAX).seconds, i64::MAX);
        assert_eq!(duration(Duration::from_nanos(1)), prost_types::Duration { seconds: 0, nanos: 1 });
    }
}
