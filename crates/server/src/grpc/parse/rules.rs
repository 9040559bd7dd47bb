//! Changes of auto-push and retry settings, from the contract to the domain.

use std::time::Duration;

use ticketing_contract::v1;
use ticketing_core::auto_push::{AutoPush, Rule};
use ticketing_core::connection;
use ticketing_core::violation::Violations;
use ticketing_engine::settings::RetrySchedule;
use ticketing_retry::{Backoff, InvalidBackoff};

use super::field;

const MAX_RULES: usize = 100;
const MAX_CONNECTIONS_OF_RULE: usize = 100;
const MIN_INTERVAL: Duration = Duration::from_millis(10);
const MAX_INTERVAL: Duration = Duration::from_secs(3_600);

/// The auto-push settings after a change; absent fields stay as in `current`.
pub(super) fn auto_push(
    change: v1::AutoPushSettings,
    current: &AutoPush,
    violations: &mut Violations,
) -> AutoPush {
    let minimum_severity = match change.minimum_severity {
        None => None,
        Some(value) => {
            let path = "auto_push.minimum_severity";
            let severity = field::severity(path, value, violations);
            violations.require(severity != Some(None), path, "must be a severity, for example SEVERITY_HIGH");
            severity.flatten()
        }
    };
    AutoPush {
        enabled: change.enabled.unwrap_or(current.enabled),
        minimum_severity: minimum_severity.unwrap_or(current.minimum_severity),
        systems: match change.systems {
            None => current.systems.clone(),
            Some(list) => systems(&list.values, violations),
        },
        rules: match change.rules {
            None => current.rules.clone(),
            Some(list) => rules(list.values, violations),
        },
        first_match: change.first_match.unwrap_or(current.first_match),
    }
}

/// The rules besides the first one. Whether their connections exist is decided with all settings.
fn rules(given: Vec<v1::AutoPushRule>, violations: &mut Violations) -> Vec<Rule> {
    let path = "auto_push.rules.values";
    violations.limit_list(path, &given, MAX_RULES);
    let mut all = vec![];
    for (index, rule) in given.into_iter().take(MAX_RULES).enumerate() {
        let path = format!("{path}[{index}]");
        let v1::AutoPushRule { connections, minimum_severity } = rule;
        let severity_path = format!("{path}.minimum_severity");
        let severity = field::severity(&severity_path, minimum_severity, violations);
        violations.require(severity != Some(None), &severity_path, "is required, for example SEVERITY_HIGH");
        let path = format!("{path}.connections");
        violations.require(!connections.is_empty(), &path, "must name at least one connection");
        violations.limit_list(&path, &connections, MAX_CONNECTIONS_OF_RULE);
        for (index, name) in connections.iter().take(MAX_CONNECTIONS_OF_RULE).enumerate() {
            let path = format!("{path}[{index}]");
            violations.require(connection::is_name(name), &path, connection::NAME_RULE);
            violations.require(!connections[..index].contains(name), &path, "is in the list twice");
        }
        let Some(minimum_severity) = severity.flatten() else { continue };
        all.push(Rule { connections, minimum_severity });
    }
    all
}

/// The retry settings after a change; absent fields stay as in `current`.
pub(super) fn retry(
    change: v1::RetrySettings,
    current: &RetrySchedule,
    violations: &mut Violations,
) -> RetrySchedule {
    let before = &current.backoff;
    let mut delay = |name: &str, given: Option<prost_types::Duration>, current: Duration| match given {
        Some(given) => field::duration(&format!("retry.{name}"), given, violations).unwrap_or(current),
        None => current,
    };
    let base = delay("base_delay", change.base_delay, before.base());
    let max = delay("max_delay", change.max_delay, before.max());
    let processor_interval =
        delay("processor_interval", change.processor_interval, current.processor_interval);
    let max_retry_attempts = change.max_retry_attempts.unwrap_or(before.max_retry_attempts());
    let jitter = change.jitter.unwrap_or(before.jitter());
    violations.require(
        (MIN_INTERVAL..=MAX_INTERVAL).contains(&processor_interval),
        "retry.processor_interval",
        "must be 10 ms to 1 h",
    );
    let backoff = Backoff::try_new(max_retry_attempts, base, max, jitter).unwrap_or_else(|wrong| {
        for why in wrong {
            violations.add(backoff_field(why), why.to_string());
        }
        before.clone()
    });
    RetrySchedule { backoff, processor_interval }
}

fn systems(values: &[i32], violations: &mut Violations) -> Vec<ticketing_core::system::System> {
    let path = "auto_push.systems.values";
    violations.require(
        !values.is_empty(),
        path,
        "must name at least one system; to push nothing, set enabled to false",
    );
    let systems = field::systems(path, values, violations);
    let repeated = systems.iter().enumerate().any(|(index, system)| systems[..index].contains(system));
    violations.require(!repeated, path, "must not name a system twice");
    systems
}

fn backoff_field(why: InvalidBackoff) -> &'static str {
    match why {
        InvalidBackoff::MaxRetryAttempts => "retry.max_retry_attempts",
        InvalidBackoff::BaseDelay => "retry.base_delay",
        InvalidBackoff::MaxDelay => "retry.max_delay",
        InvalidBackoff::Jitter => "retry.jitter",
    }
}

#[cfg(test)]
mod tests {
    use ticketing_core::risk::Severity;
    use ticketing_core::system::System;

    use super::*;

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    fn fields(violations: &Violations) -> Vec<&str> {
        violations.iter().map(|violation| violation.field.as_str()).collect()
    }

    #[test]
    fn absent_fields_stay() {
        let mut violations = Violations::default();
        let current = AutoPush { minimum_severity: Severity::Medium, ..AutoPush::default() };
        let change = v1::AutoPushSettings { enabled: Some(true), ..Default::default() };
        let changed = auto_push(change, &current, &mut violations);
        assert_eq!(changed, AutoPush { enabled: true, ..current });
        let change = v1::RetrySettings { max_delay: seconds(600), ..Default::default() };
        let changed = retry(change, &RetrySchedule::default(), &mut violations);
        assert_eq!((changed.backoff.base().as_secs(), changed.backoff.max().as_secs()), (60, 600));
        assert!(violations.is_empty());
    }

    #[test]
    fn zero_retries_is_not_absent() {
        let mut violations = Violations::default();
        let change = v1::RetrySettings { max_retry_attempts: Some(0), ..Default::default() };
        assert_eq!(retry(change, &RetrySchedule::default(), &mut violations).backoff.max_retry_attempts(), 0);
        assert!(violations.is_empty());
    }

    #[test]
    fn selects_each_system_at_most_once() {
        let mut violations = Violations::default();
        let list = |values: &[i32]| v1::AutoPushSettings {
            systems: Some(v1::TicketSystemList { values: values.to_vec() }),
            ..Default::default()
        };
        let both = auto_push(list(&[2, 1]), &AutoPush::default(), &mut violations);
        assert_eq!(both.systems, [System::ServiceNow, System::Jira]);
        assert!(violations.is_empty());
        auto_push(list(&[]), &AutoPush::default(), &mut violations);
        auto_push(list(&[1, 1]), &AutoPush::default(), &mut violations);
        auto_push(list(&[1, 9]), &AutoPush::default(), &mut violations);
        let path = "auto_push.systems.values";
        assert_eq!(fields(&violations), [path, path, "auto_push.systems.values[1]"]);
    }

    #[test]
    fn reports_every_violation_of_schedule() {
        let mut violations = Violations::default();
        let change = v1::RetrySettings {
            max_retry_attempts: Some(21),
            base_delay: seconds(-1),
            max_delay: seconds(30),
            processor_interval: seconds(0),
            jitter: Some(f64::NAN),
        };
        retry(change, &RetrySchedule::default(), &mut violations);
        let expected = [
            "retry.base_delay",
            "retry.processor_interval",
            "retry.max_retry_attempts",
            "retry.max_delay",
            "retry.jitter",
        ];
        assert_eq!(fields(&violations), expected);
        let mut violations = Violations::default();
        let change = v1::AutoPushSettings { minimum_severity: Some(0), ..Default::default() };
        auto_push(change, &AutoPush::default(), &mut violations);
        assert_eq!(fields(&violations), ["auto_push.minimum_severity"]);
    }
}
