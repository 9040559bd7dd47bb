//! Connections: their condition, and auto-push decisions.

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::auto_push::{SkipReason, Verdict};
use ticketing_core::health::{Condition, Health};
use ticketing_core::limits;
use ticketing_core::risk::Severity;
use ticketing_core::system::System;

use super::field;

/// Maximum length of a condition's reason in characters: a message and its hint.
const MAX_CAUSE: usize = 1_600;

pub(crate) fn condition(health: &Health, now: Timestamp) -> v1::ConnectionCondition {
    use v1::ConnectionConditionKind as Kind;
    let until = health.throttled_until.filter(|until| now < *until);
    let kind = match (health.condition, health.throttled_until) {
        (Condition::Suspended, _) => Kind::Suspended,
        (_, Some(_)) if until.is_some() => Kind::Throttled,
        (Condition::CircuitOpen, _) => Kind::CircuitOpen,
        (Condition::LoginRefused, _) => Kind::LoginRefused,
        (Condition::Ok, Some(_)) => Kind::Throttled,
        (Condition::Ok, None) => Kind::Ok,
    };
    let until = until.filter(|_| kind == Kind::Throttled);
    let reason = match (kind, &health.cause) {
        (Kind::Throttled, _) if until.is_none() => {
            "the pause that the ticket system asked for is over; one request a tick is sent until one succeeds"
                .to_owned()
        }
        (Kind::Throttled, _) => "the ticket system asked for a pause; nothing is lost".to_owned(),
        (_, Some(cause)) => limits::cut(&cause.to_string(), MAX_CAUSE),
        (_, None) => String::new(),
    };
    let since = health.since.filter(|_| kind != Kind::Throttled);
    v1::ConnectionCondition {
        kind: kind.into(),
        since: since.map(field::timestamp),
        until: until.map(field::timestamp),
        reason,
    }
}

/// The auto-push decision about an incident of `severity`, for a connection by its ticket system and name.
pub(crate) fn decision(
    (system, connection): (System, String),
    verdict: &Verdict,
    severity: Severity,
) -> v1::AutoPushDecision {
    let (skip_reason, explanation) = match verdict {
        Verdict::Push { minimum } => {
            let severity = severity.as_str();
            let minimum = minimum.as_str();
            let explanation = format!("severity {severity} is at or above the minimum {minimum}");
            (v1::SkipReason::Unspecified, explanation)
        }
        Verdict::Skip(reason) => (skip_reason(*reason), reason.to_string()),
    };
    v1::AutoPushDecision {
        system: field::system(system).into(),
        connection,
        push: matches!(verdict, Verdict::Push { .. }),
        skip_reason: skip_reason.into(),
        explanation,
    }
}

fn skip_reason(reason: SkipReason) -> v1::SkipReason {
    match reason {
        SkipReason::Disabled => v1::SkipReason::AutoPushDisabled,
        SkipReason::NotInRule => v1::SkipReason::ConnectionNotSelected,
        SkipReason::EarlierRule => v1::SkipReason::EarlierRule,
        SkipReason::BelowThreshold { .. } => v1::SkipReason::BelowThreshold,
        SkipReason::NotConfigured => v1::SkipReason::ConnectionNotConfigured,
        SkipReason::NotEnabled => v1::SkipReason::ConnectionNotEnabled,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ticketing_core::auto_push::AutoPush;
    use ticketing_core::fault::{Fault, FaultKind};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn presents_healthy_connection_without_reason() {
        let presented = condition(&Health::default(), NOW);
        let expected =
            v1::ConnectionCondition { kind: v1::ConnectionConditionKind::Ok.into(), ..Default::default() };
        assert_eq!(presented, expected);
    }

    #[test]
    fn presents_throttled_connection_until_end() {
        let until = NOW + Duration::from_secs(90);
        let health = Health { throttled_until: Some(until), ..Health::default() };
        let presented = condition(&health, NOW);
        assert_eq!(presented.kind(), v1::ConnectionConditionKind::Throttled);
        assert_eq!(presented.until.map(|time| time.seconds), Some(90));
        let presented = condition(&health, until);
        assert_eq!((presented.kind(), presented.until), (v1::ConnectionConditionKind::Throttled, None));
    }

    #[test]
    fn presents_suspended_connection_with_cause() {
        let cause = Fault::new(FaultKind::LockedOut, "CAPTCHA_CHALLENGE").with_hint("sign in by hand once");
        let health = Health {
            condition: Condition::Suspended,
            since: Some(NOW),
            cause: Some(cause),
            throttled_until: Some(NOW + Duration::from_secs(90)),
            ..Health::default()
        };
        let presented = condition(&health, NOW);
        assert_eq!(presented.kind(), v1::ConnectionConditionKind::Suspended);
        assert_eq!((presented.since.is_some(), presented.until), (true, None));
        assert_eq!(presented.reason, "CAPTCHA_CHALLENGE (sign in by hand once)");
    }

    #[test]
    fn explains_auto_push_decision() {
        let rule = AutoPush { enabled: true, ..AutoPush::default() };
        let presented = |severity, system: System| {
            let name = system.to_string();
            let verdict = rule.verdict(severity, &name);
            decision((system, name), &verdict, severity)
        };
        let pushed = presented(Severity::Critical, System::Jira);
        assert_eq!((pushed.push, pushed.skip_reason()), (true, v1::SkipReason::Unspecified));
        assert_eq!(pushed.explanation, "severity CRITICAL is at or above the minimum CRITICAL");
        let below = presented(Severity::High, System::Jira);
        assert_eq!((below.push, below.skip_reason()), (false, v1::SkipReason::BelowThreshold));
        assert_eq!(below.explanation, "severity HIGH is below the minimum CRITICAL");
        let other = presented(Severity::Critical, System::ServiceNow);
        assert_eq!(other.skip_reason(), v1::SkipReason::ConnectionNotSelected);
    }
}
