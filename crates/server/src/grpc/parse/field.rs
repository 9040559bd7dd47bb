//! Single fields, from the contract to the domain.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::incident;
use ticketing_core::risk::Severity;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_vendor::contract;
use url::Url;

/// Maximum length of a list of enum values; no enum has as many.
const MAX_CHOICES: usize = 100;
const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// A required message.
pub(super) fn required<T>(path: &str, message: Option<T>, violations: &mut Violations) -> Option<T> {
    violations.require(message.is_some(), path, "is required");
    message
}

/// A required time.
pub(super) fn timestamp(
    path: &str,
    message: Option<prost_types::Timestamp>,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let message = required(path, message, violations)?;
    // The contract begins with year 1; the end is that of jiff, a day before year 10000.
    const YEAR_1: i64 = -62_135_596_800;
    let valid = message.seconds >= YEAR_1 && (0..NANOS_PER_SECOND).contains(&message.nanos);
    let time = if valid { Timestamp::new(message.seconds, message.nanos).ok() } else { None };
    let range =
        "must be a time from 0001-01-01T00:00:00Z to 9999-12-30T22:00:00Z, its nanos from 0 to 999,999,999";
    violations.require(time.is_some(), path, range);
    time
}

/// A non-negative duration.
pub(super) fn duration(
    path: &str,
    message: prost_types::Duration,
    violations: &mut Violations,
) -> Option<Duration> {
    let duration = u64::try_from(message.seconds)
        .ok()
        .zip(u32::try_from(message.nanos).ok())
        .filter(|(seconds, nanos)| *seconds <= MAX_SECONDS && *nanos < NANOS_PER_SECOND.unsigned_abs())
        .map(|(seconds, nanos)| Duration::new(seconds, nanos));
    violations.require(duration.is_some(), path, "must be a duration of 0 s or more, for example 90s");
    duration
}

/// Maximum of `google.protobuf.Duration`: about 10,000 years.
const MAX_SECONDS: u64 = 315_576_000_000;

/// A required ticket system.
pub(crate) fn system(path: &str, value: i32, violations: &mut Violations) -> Option<System> {
    let system = v1::TicketSystem::try_from(value).ok().and_then(contract::system);
    if system.is_none() {
        let systems = System::ALL.map(|system| contract::ticket_system(system).as_str_name());
        violations.add(path, format!("must be {}", systems.join(" or ")));
    }
    system
}

/// A list of ticket systems.
pub(super) fn systems(path: &str, values: &[i32], violations: &mut Violations) -> Vec<System> {
    let values = choices(path, values, violations);
    let named = |(index, value): (usize, &i32)| system(&format!("{path}[{index}]"), *value, violations);
    values.iter().enumerate().filter_map(named).collect()
}

/// Values of a list that are checked. One costs a caller a byte, and its violation about a hundred.
pub(super) fn choices<'a>(path: &str, values: &'a [i32], violations: &mut Violations) -> &'a [i32] {
    violations.limit_list(path, values, MAX_CHOICES);
    &values[..values.len().min(MAX_CHOICES)]
}

/// An incident ID, or `None` if empty.
pub(super) fn incident_filter(path: &str, id: String, violations: &mut Violations) -> Option<String> {
    if id.is_empty() {
        return None;
    }
    incident::check_id(path, &id, violations);
    Some(id)
}

/// A severity; `Some(None)` if absent, `None` if invalid.
pub(super) fn severity(path: &str, value: i32, violations: &mut Violations) -> Option<Option<Severity>> {
    let severity = match v1::Severity::try_from(value) {
        Ok(v1::Severity::Unspecified) => return Some(None),
        Ok(v1::Severity::Low) => Some(Severity::Low),
        Ok(v1::Severity::Medium) => Some(Severity::Medium),
        Ok(v1::Severity::High) => Some(Severity::High),
        Ok(v1::Severity::Critical) => Some(Severity::Critical),
        Err(_) => None,
    };
    let choices = "must be SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH or SEVERITY_CRITICAL";
    violations.require(severity.is_some(), path, choices);
    severity.map(Some)
}

/// A web address, or `None` if empty.
pub(super) fn link(path: &str, value: &str, violations: &mut Violations) -> Option<Url> {
    if value.is_empty() {
        return None;
    }
    let url = Url::parse(value).ok();
    violations.require(
        url.is_some(),
        path,
        "must be an address, for example https://rhythmx.example/incidents/42",
    );
    url
}
