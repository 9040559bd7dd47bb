//! The rules for all connections.

use ticketing_contract::v1;
use ticketing_core::auto_push::{AutoPush, Rule};
use ticketing_engine::settings::RetrySchedule;

use super::field;

pub(crate) fn auto_push(rules: &AutoPush) -> v1::AutoPushSettings {
    let systems = rules.systems.iter().map(|system| field::system(*system).into()).collect();
    v1::AutoPushSettings {
        enabled: Some(rules.enabled),
        minimum_severity: Some(field::severity(rules.minimum_severity).into()),
        systems: Some(v1::TicketSystemList { values: systems }),
        rules: Some(v1::AutoPushRuleList { values: rules.rules.iter().map(auto_push_rule).collect() }),
        first_match: Some(rules.first_match),
    }
}

fn auto_push_rule(rule: &Rule) -> v1::AutoPushRule {
    v1::AutoPushRule {
        connections: rule.connections.clone(),
        minimum_severity: field::severity(rule.minimum_severity).into(),
    }
}

pub(crate) fn retry(schedule: &RetrySchedule) -> v1::RetrySettings {
    let backoff = &schedule.backoff;
    v1::RetrySettings {
        max_retry_attempts: Some(backoff.max_retry_attempts()),
        base_delay: Some(field::duration(backoff.base())),
        max_delay: Some(field::duration(backoff.max())),
        processor_interval: Some(field::duration(schedule.processor_interval)),
        jitter: Some(backoff.jitter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_retry_settings_match_contract() {
        let presented = retry(&RetrySchedule::default());
        assert_eq!((presented.max_retry_attempts, presented.jitter), (Some(5), Some(0.0)));
        let seconds = |duration: Option<prost_types::Duration>| duration.unwrap().seconds;
        let durations = (presented.base_delay, presented.max_delay, presented.processor_interval);
        assert_eq!((seconds(durations.0), seconds(durations.1), seconds(durations.2)), (60, 3_600, 120));
    }
}
