//! What a template can name: the incident by the field names of the contract, and what is derived from it.
//!
//! Enumerations are written without their prefix (`"USER"`), times in RFC 3339 in UTC, durations in seconds; what is
//! absent is none.

use std::time::Duration;

use jiff::Timestamp;
use minijinja::Value;
use minijinja::value::Serde;
use serde_json::json;
use url::Url;

use crate::clean::clean;
use crate::incident::{
    Activity, Actor, ActorKind, FiringRule, IncidentFields, MitreEntry, Risk, RiskFactor, Sla, SlaStatus,
    Timeline,
};
use crate::risk::{RiskLevel, Severity};

/// The names of one incident and connection, with cleaned text: see [`clean`].
#[derive(Debug, Clone)]
pub struct Context(Value);

// === impl Context ===

impl Context {
    /// The names for an incident that is pushed to `connection`.
    #[must_use]
    pub fn of(incident: &IncidentFields, connection: &str) -> Self {
        let mut incident = incident.clone();
        incident.change_texts(|_, text| *text = clean(text).text.into_owned());
        let mitre = |entries: &[MitreEntry]| -> Vec<_> {
            entries.iter().map(|entry| json!({ "id": entry.id, "name": entry.name })).collect()
        };
        let factor = |factor: &RiskFactor| json!({ "name": factor.name, "score": factor.score, "detail": factor.detail });
        let rule =
            |rule: &FiringRule| json!({ "name": rule.name, "count": rule.count, "severity": rule.severity });
        let sla = |sla: &Sla| {
            json!({
                "target": sla.target.as_secs(), "status": sla.status, "percent_consumed": sla.percent_consumed,
            })
        };
        let value = json!({
            "severity": incident.severity().as_str(),
            "risk_level": incident.risk_level().as_str(),
            "connection": connection,
            "id": incident.id,
            "url": incident.url.as_ref().map(Url::as_str),
            "actor": {
                "name": incident.actor.name, "type": incident.actor.kind, "entity": incident.actor.entity,
            },
            "risk": {
                "score": incident.risk.score, "level": incident.risk.level,
                "factors": incident.risk.factors.iter().map(factor).collect::<Vec<_>>(),
            },
            "activity": {
                "alarm_count": incident.activity.alarm_count,
                "threat_case_count": incident.activity.threat_case_count,
                "unique_rule_count": incident.activity.unique_rule_count,
                "primary_rule": incident.activity.primary_rule,
            },
            "timeline": {
                "first_alert": incident.timeline.first_alert.to_string(),
                "last_alert": incident.timeline.last_alert.to_string(),
                "active_duration": incident.timeline.active().as_secs(),
            },
            "sla": incident.sla.as_ref().map(sla),
            "tactics": mitre(&incident.tactics),
            "techniques": mitre(&incident.techniques),
            "firing_rules": incident.firing_rules.iter().map(rule).collect::<Vec<_>>(),
            "investigation_notes": incident.investigation_notes,
        });
        Self(Value::from(Serde(value)))
    }

    /// The names at the top.
    #[must_use]
    pub fn names() -> [&'static str; 14] {
        [
            "severity",
            "risk_level",
            "connection",
            "id",
            "url",
            "actor",
            "risk",
            "activity",
            "timeline",
            "sla",
            "tactics",
            "techniques",
            "firing_rules",
            "investigation_notes",
        ]
    }

    /// An incident with everything, and one without anything optional.
    #[must_use]
    pub fn samples() -> [Self; 2] {
        let whole = Self::sample_incident();
        let least = IncidentFields {
            url: None,
            actor: Actor { entity: String::new(), ..whole.actor.clone() },
            risk: Risk { level: None, factors: vec![], ..whole.risk.clone() },
            activity: Activity {
                alarm_count: 0,
                threat_case_count: 0,
                unique_rule_count: 0,
                primary_rule: String::new(),
            },
            sla: None,
            tactics: vec![],
            techniques: vec![],
            firing_rules: vec![],
            investigation_notes: String::new(),
            ..whole.clone()
        };
        [&whole, &least].map(|incident| Self::of(incident, "connection"))
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// An incident with everything.
    #[must_use]
    pub fn sample_incident() -> IncidentFields {
        let entry = |id: &str, name: &str| MitreEntry { id: id.to_owned(), name: name.to_owned() };
        IncidentFields {
            id: "INC-2031".to_owned(),
            url: Url::parse("https://rhythmx.example/incidents/2031").ok(),
            actor: Actor { name: "j.doe".to_owned(), kind: ActorKind::User, entity: "Finance".to_owned() },
            risk: Risk {
                score: 92.5,
                level: Some(RiskLevel::Critical),
                factors: vec![RiskFactor {
                    name: "Behavior".to_owned(),
                    score: 95.0,
                    detail: "Logged on from two countries within an hour".to_owned(),
                }],
            },
            activity: Activity {
                alarm_count: 17,
                threat_case_count: 2,
                unique_rule_count: 5,
                primary_rule: "Impossible travel".to_owned(),
            },
            timeline: Timeline {
                first_alert: Timestamp::UNIX_EPOCH,
                last_alert: Timestamp::UNIX_EPOCH,
                active_duration: Some(Duration::from_secs(60)),
            },
            sla: Some(Sla {
                target: Duration::from_secs(14_400),
                status: SlaStatus::AtRisk,
                percent_consumed: 83.3,
            }),
            tactics: vec![entry("TA0006", "Credential Access")],
            techniques: vec![entry("T1110.003", "Password Spraying")],
            firing_rules: vec![FiringRule {
                name: "Impossible travel".to_owned(),
                count: 9,
                severity: Some(Severity::Critical),
            }],
            investigation_notes: "Called the user.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_name() {
        let [whole, _] = Context::samples();
        let mut names: Vec<String> =
            whole.value().try_iter().unwrap().map(|name| name.as_str().unwrap().to_owned()).collect();
        let mut listed = Context::names().map(str::to_owned).to_vec();
        names.sort();
        listed.sort();
        assert_eq!(names, listed);
    }

    #[test]
    fn writes_times_enumerations_and_durations_plainly() {
        let [whole, least] = Context::samples();
        let text = |context: &Context, path: &str| {
            let steps =
                path.split('.').fold(context.value().clone(), |value, name| value.get_attr(name).unwrap());
            steps.to_string()
        };
        assert_eq!(text(&whole, "actor.type"), "USER");
        assert_eq!(text(&whole, "sla.status"), "AT_RISK");
        assert_eq!(text(&whole, "sla.target"), "14400");
        assert_eq!(text(&whole, "timeline.first_alert"), "1970-01-01T00:00:00Z");
        assert_eq!(text(&least, "sla"), "None");
    }
}
