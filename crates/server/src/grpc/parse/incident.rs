//! Incidents, from the contract to the domain.

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::incident::{
    Activity, Actor, ActorKind, FiringRule, Incident, IncidentFields, MitreEntry, Risk, RiskFactor, Sla,
    SlaStatus, Timeline, limits,
};
use ticketing_core::risk::RiskLevel;
use ticketing_core::violation::Violations;

use super::destination::{self, Destination, Rejection};
use super::field;

const PATH: &str = "incident";

/// An incident and the name of its connection, one of `known`.
///
/// # Errors
/// Every violation, or that there is no such connection.
pub fn pushed_incident(
    incident: Option<v1::Incident>,
    destination: Option<impl Into<Destination>>,
    known: &[String],
) -> Result<(Incident, String), Rejection> {
    let mut violations = Violations::default();
    let incident = checked(incident, &mut violations);
    match (incident, destination::connection(destination.map(Into::into), known, &mut violations)) {
        (Some(incident), Ok(name)) => Ok((incident, name)),
        (_, name) => Err(Rejection::of(name.err(), violations)),
    }
}

/// An incident submitted to auto-push.
///
/// # Errors
/// Every violation.
pub fn submitted_incident(incident: Option<v1::Incident>) -> Result<Incident, Violations> {
    let mut violations = Violations::default();
    checked(incident, &mut violations).ok_or(violations)
}

fn checked(message: Option<v1::Incident>, violations: &mut Violations) -> Option<Incident> {
    let message = field::required(PATH, message, violations)?;
    let mut wire = Violations::default();
    let fields = fields(message, &mut wire);
    let incident = match Incident::try_new(fields, PATH) {
        Ok(incident) => wire.is_empty().then_some(incident),
        Err(domain) => {
            wire.extend(domain);
            None
        }
    };
    violations.extend(wire);
    incident
}

// Invalid parts are noted and replaced by a valid value, so that the domain's check can report the rest, and nothing
// twice.
fn fields(message: v1::Incident, violations: &mut Violations) -> IncidentFields {
    let at = |name: &str| format!("{PATH}.{name}");
    IncidentFields {
        id: message.id,
        url: field::link(&at("url"), &message.url, violations),
        actor: actor(&at("actor"), message.actor, violations),
        risk: risk(&at("risk"), message.risk, violations),
        activity: activity(message.activity.unwrap_or_default()),
        timeline: timeline(&at("timeline"), message.timeline, violations),
        sla: message.sla.map(|sla| self::sla(&at("sla"), sla, violations)),
        tactics: message.tactics.into_iter().map(|t| MitreEntry { id: t.id, name: t.name }).collect(),
        techniques: message.techniques.into_iter().map(|t| MitreEntry { id: t.id, name: t.name }).collect(),
        firing_rules: firing_rules(&at("firing_rules"), message.firing_rules, violations),
        investigation_notes: message.investigation_notes,
    }
}

fn actor(path: &str, message: Option<v1::Actor>, violations: &mut Violations) -> Actor {
    let Some(message) = field::required(path, message, violations) else {
        return Actor { name: "-".to_owned(), kind: ActorKind::User, entity: String::new() };
    };
    let kind = match v1::ActorType::try_from(message.r#type) {
        Ok(v1::ActorType::User) => Some(ActorKind::User),
        Ok(v1::ActorType::Host) => Some(ActorKind::Host),
        Ok(v1::ActorType::Ip) => Some(ActorKind::Ip),
        Ok(v1::ActorType::Unspecified) | Err(_) => None,
    };
    let choices = "must be ACTOR_TYPE_USER, ACTOR_TYPE_HOST or ACTOR_TYPE_IP";
    violations.require(kind.is_some(), &format!("{path}.type"), choices);
    Actor { name: message.name, kind: kind.unwrap_or(ActorKind::User), entity: message.entity }
}

fn risk(path: &str, message: Option<v1::Risk>, violations: &mut Violations) -> Risk {
    let message = field::required(path, message, violations).unwrap_or_default();
    let level = match v1::RiskLevel::try_from(message.level) {
        Ok(v1::RiskLevel::Unspecified) => None,
        Ok(v1::RiskLevel::Low) => Some(RiskLevel::Low),
        Ok(v1::RiskLevel::Medium) => Some(RiskLevel::Medium),
        Ok(v1::RiskLevel::High) => Some(RiskLevel::High),
        Ok(v1::RiskLevel::Critical) => Some(RiskLevel::Critical),
        Err(_) => {
            let choices = "must be RISK_LEVEL_LOW, RISK_LEVEL_MEDIUM, RISK_LEVEL_HIGH or RISK_LEVEL_CRITICAL";
            violations.add(format!("{path}.level"), choices);
            None
        }
    };
    let factor = |f: v1::RiskFactor| RiskFactor { name: f.name, score: f.score, detail: f.detail };
    Risk { score: message.score, level, factors: message.factors.into_iter().map(factor).collect() }
}

fn activity(message: v1::Activity) -> Activity {
    Activity {
        alarm_count: message.alarm_count,
        threat_case_count: message.threat_case_count,
        unique_rule_count: message.unique_rule_count,
        primary_rule: message.primary_rule,
    }
}

fn timeline(path: &str, message: Option<v1::Timeline>, violations: &mut Violations) -> Timeline {
    let at = |name: &str| format!("{path}.{name}");
    let Some(message) = field::required(path, message, violations) else {
        let epoch = Timestamp::UNIX_EPOCH;
        return Timeline { first_alert: epoch, last_alert: epoch, active_duration: None };
    };
    let first = field::timestamp(&at("first_alert"), message.first_alert, violations);
    let last = field::timestamp(&at("last_alert"), message.last_alert, violations);
    let either = first.or(last).unwrap_or(Timestamp::UNIX_EPOCH);
    let active_duration =
        message.active_duration.and_then(|d| field::duration(&at("active_duration"), d, violations));
    Timeline { first_alert: first.unwrap_or(either), last_alert: last.unwrap_or(either), active_duration }
}

fn sla(path: &str, message: v1::Sla, violations: &mut Violations) -> Sla {
    let at = |name: &str| format!("{path}.{name}");
    let target = field::required(&at("target"), message.target, violations)
        .and_then(|target| field::duration(&at("target"), target, violations));
    let status = match v1::SlaStatus::try_from(message.status) {
        Ok(v1::SlaStatus::OnTrack) => Some(SlaStatus::OnTrack),
        Ok(v1::SlaStatus::AtRisk) => Some(SlaStatus::AtRisk),
        Ok(v1::SlaStatus::Breached) => Some(SlaStatus::Breached),
        Ok(v1::SlaStatus::Unspecified) | Err(_) => None,
    };
    let choices = "must be SLA_STATUS_ON_TRACK, SLA_STATUS_AT_RISK or SLA_STATUS_BREACHED";
    violations.require(status.is_some(), &at("status"), choices);
    Sla {
        target: target.unwrap_or_default(),
        status: status.unwrap_or(SlaStatus::OnTrack),
        percent_consumed: message.percent_consumed,
    }
}

fn firing_rules(path: &str, rules: Vec<v1::FiringRule>, violations: &mut Violations) -> Vec<FiringRule> {
    let rule = |(index, rule): (usize, v1::FiringRule)| {
        // For rules beyond the limit only their number is reported.
        let looked_at = index < limits::FIRING_RULES;
        let path = || format!("{path}[{index}].severity");
        let severity = looked_at.then(|| field::severity(&path(), rule.severity, violations));
        FiringRule { name: rule.name, count: rule.count, severity: severity.flatten().flatten() }
    };
    rules.into_iter().enumerate().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message() -> v1::Incident {
        v1::Incident {
            id: "INC-1".to_owned(),
            actor: Some(v1::Actor {
                name: "jdoe".to_owned(),
                r#type: v1::ActorType::User.into(),
                ..Default::default()
            }),
            risk: Some(v1::Risk { score: 92.0, ..Default::default() }),
            timeline: Some(v1::Timeline {
                first_alert: Some(seconds(10)),
                last_alert: Some(seconds(70)),
                active_duration: None,
            }),
            ..Default::default()
        }
    }

    fn seconds(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    fn violated(message: v1::Incident) -> Vec<String> {
        let violations = submitted_incident(Some(message)).expect_err("the incident is not valid");
        violations.iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn accepts_minimal_incident() {
        let incident = submitted_incident(Some(message())).unwrap();
        assert_eq!(incident.risk_level(), RiskLevel::Critical);
        assert_eq!(incident.timeline.active(), Duration::from_secs(60));
        assert_eq!(incident.sla, None);
    }

    #[test]
    fn reports_only_number_of_excess_rules() {
        let rule = v1::FiringRule { name: "x".to_owned(), count: 1, severity: -1 };
        let fields = violated(v1::Incident { firing_rules: vec![rule; 10_000], ..message() });
        assert_eq!(fields.len(), 1_001);
        assert!(fields.contains(&"incident.firing_rules".to_owned()));
    }

    #[test]
    fn parses_all_fields() {
        let mut full = message();
        full.url = "https://rhythmx.example/incidents/1".to_owned();
        full.risk = Some(v1::Risk {
            score: 69.9,
            level: v1::RiskLevel::High.into(),
            factors: vec![v1::RiskFactor {
                name: "asset".to_owned(),
                score: 40.5,
                detail: "crown jewel".to_owned(),
            }],
        });
        full.activity =
            Some(v1::Activity { alarm_count: 3, primary_rule: "rule".to_owned(), ..Default::default() });
        full.sla = Some(v1::Sla {
            target: Some(prost_types::Duration { seconds: 3_600, nanos: 500_000_000 }),
            status: v1::SlaStatus::AtRisk.into(),
            percent_consumed: 80.0,
        });
        full.tactics = vec![v1::Tactic { id: "TA0006".to_owned(), name: "Credential Access".to_owned() }];
        full.techniques = vec![v1::Technique { id: "T1110.001".to_owned(), name: String::new() }];
        full.firing_rules =
            vec![v1::FiringRule { name: "rule".to_owned(), count: 3, severity: v1::Severity::High.into() }];
        let incident = submitted_incident(Some(full)).unwrap();
        assert_eq!(incident.risk_level(), RiskLevel::High);
        assert_eq!(incident.risk.factors[0].detail, "crown jewel");
        assert_eq!(incident.sla.as_ref().unwrap().target, Duration::from_millis(3_600_500));
        assert_eq!(incident.techniques[0].id, "T1110.001");
        assert_eq!(incident.firing_rules[0].severity, Some(ticketing_core::risk::Severity::High));
    }

    #[test]
    fn reports_absent_incident_and_destination() {
        let Err(Rejection::Invalid(violations)) = pushed_incident(None, None::<Destination>, &[]) else {
            panic!("not invalid")
        };
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["incident", "destination"]);
    }

    #[test]
    fn reports_each_missing_part_once() {
        let empty = v1::Incident::default();
        assert_eq!(violated(empty), ["incident.actor", "incident.risk", "incident.timeline", "incident.id"]);
    }

    #[test]
    fn reports_wire_and_domain_violations_together() {
        let mut bad = message();
        bad.url = "not an address".to_owned();
        bad.actor = Some(v1::Actor { r#type: 99, ..Default::default() });
        bad.risk = Some(v1::Risk { score: 120.0, level: 9, factors: vec![] });
        bad.timeline = Some(v1::Timeline {
            first_alert: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
            last_alert: None,
            active_duration: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
        });
        bad.sla = Some(v1::Sla { target: None, status: 0, percent_consumed: -1.0 });
        bad.firing_rules = vec![v1::FiringRule { severity: 7, ..Default::default() }];
        let expected = [
            "incident.url",
            "incident.actor.type",
            "incident.risk.level",
            "incident.timeline.first_alert",
            "incident.timeline.last_alert",
            "incident.timeline.active_duration",
            "incident.sla.target",
            "incident.sla.status",
            "incident.firing_rules[0].severity",
            "incident.actor.name",
            "incident.risk.score",
            "incident.sla.percent_consumed",
            "incident.firing_rules[0].name",
            "incident.firing_rules[0].count",
        ];
        assert_eq!(violated(bad), expected);
    }

    #[test]
    fn refuses_time_out_of_range() {
        for (seconds, nanos) in [(i64::MIN, 0), (i64::MAX, 0), (253_402_300_799, 0), (0, 1_000_000_000)] {
            let mut bad = message();
            let time = prost_types::Timestamp { seconds, nanos };
            bad.timeline.as_mut().unwrap().last_alert = Some(time);
            assert_eq!(violated(bad), ["incident.timeline.last_alert"], "{seconds} s {nanos} ns");
        }
    }
}
