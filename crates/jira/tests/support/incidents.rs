//! Incidents to push.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::incident::{
    Activity, Actor, ActorKind, FiringRule, IncidentFields, MitreEntry, Risk, RiskFactor, Sla, SlaStatus,
    Timeline,
};
use ticketing_core::risk::{RiskLevel, Severity};
use url::Url;

/// An incident with every field set.
#[allow(dead_code, reason = "not every test binary needs each incident")]
pub(crate) fn full() -> IncidentFields {
    with_texts(str::to_owned, "Called the user: she did not log in.\n\nHost isolated at 03:12.")
}

/// An incident with only required fields.
#[allow(dead_code, reason = "not every test binary needs each incident")]
pub(crate) fn least() -> IncidentFields {
    let mut fields = full();
    fields.url = None;
    fields.actor.entity = String::new();
    fields.risk = Risk { score: 12.0, level: None, factors: vec![] };
    fields.activity.primary_rule = String::new();
    fields.sla = None;
    fields.tactics = vec![];
    fields.techniques = vec![];
    fields.firing_rules = vec![];
    fields.investigation_notes = String::new();
    fields
}

/// An incident in which every free text is the given one.
#[allow(dead_code, reason = "not every test binary needs each incident")]
pub(crate) fn saying(text: &str) -> IncidentFields {
    let name = if text.trim().is_empty() { "blank" } else { text };
    let mut fields = with_texts(|_| name.to_owned(), &format!("{text}\n\n {text}\n\t{text} {text}"));
    fields.id = "INC_2026:D-42_".to_owned();
    fields
}

/// An incident in which every text has its maximum length.
#[allow(dead_code, reason = "not every test binary needs each incident")]
pub(crate) fn longest() -> IncidentFields {
    let mut fields = with_texts(|_| "[x] ".repeat(25), &"{code} long | notes \\\\ ".repeat(2_500));
    fields.techniques = vec![entry("T1110.003", &"*".repeat(256)); 200];
    fields
}

fn entry(id: &str, name: &str) -> MitreEntry {
    MitreEntry { id: id.to_owned(), name: name.to_owned() }
}

fn with_texts(text: impl Fn(&str) -> String, notes: &str) -> IncidentFields {
    let factor =
        |name: &str, score: f64, detail: &str| RiskFactor { name: text(name), score, detail: text(detail) };
    let rule = |name: &str, count: u32, severity| FiringRule { name: text(name), count, severity };
    IncidentFields {
        id: "INC-2026-0042".to_owned(),
        url: Url::parse("https://rhythmx.example/incidents/42?tab=a|b&x=[1]#n").ok(),
        actor: Actor { name: text("j.doe"), kind: ActorKind::User, entity: text("Finance") },
        risk: Risk {
            score: 92.5,
            level: Some(RiskLevel::Critical),
            factors: vec![
                factor("Behaviour", 95.0, "Logged on from two countries within an hour"),
                factor("Privilege", 80.0, "Domain administrator"),
            ],
        },
        activity: Activity {
            alarm_count: 17,
            threat_case_count: 2,
            unique_rule_count: 5,
            primary_rule: text("Impossible travel"),
        },
        timeline: Timeline {
            first_alert: Timestamp::from_second(1_790_000_000).unwrap(),
            last_alert: Timestamp::from_second(1_790_012_000).unwrap(),
            active_duration: None,
        },
        sla: Some(Sla {
            target: Duration::from_secs(14_400),
            status: SlaStatus::AtRisk,
            percent_consumed: 83.3,
        }),
        tactics: vec![entry("TA0006", &text("Credential Access"))],
        techniques: vec![entry("T1110.003", &text("Password Spraying")), entry("T1078", "Valid Accounts")],
        firing_rules: vec![
            rule("Impossible travel", 9, Some(Severity::Critical)),
            rule("Many failed logons", 6, None),
        ],
        investigation_notes: notes.to_owned(),
    }
}
