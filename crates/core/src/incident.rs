//! The incident, as received from RhythmX.

use std::ops::Deref;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::risk::{RiskLevel, Severity};
use crate::violation::Violations;

/// The limits of an incident. Lengths are in characters.
pub mod limits {
    pub const ID: usize = 128;
    pub const URL: usize = 2_048;
    pub const NAME: usize = 256;
    pub const FACTORS: usize = 7;
    pub const FACTOR_NAME: usize = 100;
    pub const FACTOR_DETAIL: usize = 500;
    pub const TACTICS: usize = 50;
    pub const TECHNIQUES: usize = 200;
    pub const MITRE_ID: usize = 16;
    pub const FIRING_RULES: usize = 1_000;
    pub const INVESTIGATION_NOTES: usize = 65_536;
}

/// A validated incident. [`Incident::try_new`] is the only constructor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incident(IncidentFields);

/// The fields of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentFields {
    /// The ID in RhythmX: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
    pub id: String,
    /// Link to the incident in RhythmX.
    pub url: Option<Url>,
    pub actor: Actor,
    pub risk: Risk,
    pub activity: Activity,
    pub timeline: Timeline,
    pub sla: Option<Sla>,
    pub tactics: Vec<MitreEntry>,
    pub techniques: Vec<MitreEntry>,
    pub firing_rules: Vec<FiringRule>,
    /// Empty if there are none.
    pub investigation_notes: String,
}

/// The subject of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub name: String,
    pub kind: ActorKind,
    /// The entity of the actor, for example a domain account or an asset tag; may be empty.
    pub entity: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ActorKind {
    User,
    Host,
    Ip,
}

/// The risk of the incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// 0 to 100.
    pub score: f64,
    /// As assigned by RhythmX; if absent, derived from the score.
    pub level: Option<RiskLevel>,
    /// At most seven.
    pub factors: Vec<RiskFactor>,
}

/// A factor of the risk score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RiskFactor {
    pub name: String,
    /// 0 to 100.
    pub score: f64,
    /// An explanation in one sentence; may be empty.
    pub detail: String,
}

/// The observed activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub alarm_count: u32,
    pub threat_case_count: u32,
    pub unique_rule_count: u32,
    /// The rule with the highest weight; may be empty.
    pub primary_rule: String,
}

/// The time range of the alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    pub first_alert: Timestamp,
    pub last_alert: Timestamp,
    /// How long the actor was active in that range; if absent, all of it.
    pub active_duration: Option<Duration>,
}

/// The service-level agreement of the incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sla {
    pub target: Duration,
    pub status: SlaStatus,
    /// 0 or more; over 100 once breached.
    pub percent_consumed: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SlaStatus {
    OnTrack,
    AtRisk,
    Breached,
}

/// A tactic (`TA0001`) or a technique (`T1110.001`) of MITRE ATT&CK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MitreEntry {
    pub id: String,
    /// May be empty.
    pub name: String,
}

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiringRule {
    pub name: String,
    /// Number of alerts; at least 1.
    pub count: u32,
    pub severity: Option<Severity>,
}

// === impl Incident ===

impl Incident {
    /// Validates every field; `path` is the field path of the incident in the contract, for example
    /// `incident`.
    ///
    /// # Errors
    /// All violations, each with its field path.
    pub fn try_new(fields: IncidentFields, path: &str) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        fields.check(path, &mut violations);
        violations.into_result(Self(fields))
    }
}

impl Deref for Incident {
    type Target = IncidentFields;

    fn deref(&self) -> &IncidentFields {
        &self.0
    }
}

// === impl IncidentFields ===

impl IncidentFields {
    /// Severity, from the risk score.
    #[must_use]
    pub fn severity(&self) -> Severity {
        Severity::of_score(self.risk.score)
    }

    /// The given risk level, else the one derived from the score.
    #[must_use]
    pub fn risk_level(&self) -> RiskLevel {
        self.risk.level.unwrap_or_else(|| self.severity().into())
    }

    /// Replaces every free text with the result of `change`, which receives the text's field path within the
    /// incident.
    pub fn change_texts(&mut self, mut change: impl FnMut(&str, &mut String)) {
        change("actor.name", &mut self.actor.name);
        change("actor.entity", &mut self.actor.entity);
        for factor in &mut self.risk.factors {
            change("risk.factors.name", &mut factor.name);
            change("risk.factors.detail", &mut factor.detail);
        }
        change("activity.primary_rule", &mut self.activity.primary_rule);
        for entry in &mut self.tactics {
            change("tactics.name", &mut entry.name);
        }
        for entry in &mut self.techniques {
            change("techniques.name", &mut entry.name);
        }
        for rule in &mut self.firing_rules {
            change("firing_rules.name", &mut rule.name);
        }
        change("investigation_notes", &mut self.investigation_notes);
    }

    fn check(&self, path: &str, violations: &mut Violations) {
        let at = |field: &str| format!("{path}.{field}");
        check_id(&at("id"), &self.id, violations);
        if let Some(url) = &self.url {
            check_link(&at("url"), url, violations);
        }
        violations.require_text(&at("actor.name"), &self.actor.name, limits::NAME);
        violations.limit_text(&at("actor.entity"), &self.actor.entity, limits::NAME);
        self.risk.check(&at("risk"), violations);
        violations.limit_text(&at("activity.primary_rule"), &self.activity.primary_rule, limits::NAME);
        violations.require(
            self.timeline.first_alert <= self.timeline.last_alert,
            &at("timeline.last_alert"),
            "must not be before timeline.first_alert",
        );
        if let Some(sla) = &self.sla {
            check_percent(&at("sla.percent_consumed"), sla.percent_consumed, violations);
        }
        check_mitre(&at("tactics"), &self.tactics, limits::TACTICS, "TA", violations);
        check_mitre(&at("techniques"), &self.techniques, limits::TECHNIQUES, "T", violations);
        self.check_firing_rules(&at("firing_rules"), violations);
        let notes = limits::INVESTIGATION_NOTES;
        violations.limit_text(&at("investigation_notes"), &self.investigation_notes, notes);
    }

    fn check_firing_rules(&self, path: &str, violations: &mut Violations) {
        violations.limit_list(path, &self.firing_rules, limits::FIRING_RULES);
        for (index, rule) in self.firing_rules.iter().enumerate().take(limits::FIRING_RULES) {
            violations.require_text(&format!("{path}[{index}].name"), &rule.name, limits::NAME);
            violations.require(rule.count > 0, &format!("{path}[{index}].count"), "must be at least 1");
        }
    }
}

// === impl Risk ===

impl Risk {
    fn check(&self, path: &str, violations: &mut Violations) {
        check_score(&format!("{path}.score"), self.score, violations);
        violations.limit_list(&format!("{path}.factors"), &self.factors, limits::FACTORS);
        for (index, factor) in self.factors.iter().enumerate().take(limits::FACTORS) {
            let at = |field: &str| format!("{path}.factors[{index}].{field}");
            violations.require_text(&at("name"), &factor.name, limits::FACTOR_NAME);
            check_score(&at("score"), factor.score, violations);
            violations.limit_text(&at("detail"), &factor.detail, limits::FACTOR_DETAIL);
        }
    }
}

// === impl Timeline ===

impl Timeline {
    /// The given active duration, else the time between the first and the last alert.
    #[must_use]
    pub fn active(&self) -> Duration {
        let span = || self.last_alert.duration_since(self.first_alert).unsigned_abs();
        self.active_duration.unwrap_or_else(span)
    }
}

// === impl ActorKind ===

impl ActorKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Host => "host",
            Self::Ip => "IP",
        }
    }
}

// === impl SlaStatus ===

impl SlaStatus {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnTrack => "On track",
            Self::AtRisk => "At risk",
            Self::Breached => "Breached",
        }
    }
}

/// The id of an incident: 1 to 128 characters of `A-Z a-z 0-9 . _ : -`.
pub fn check_id(path: &str, id: &str, violations: &mut Violations) {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    let valid = !id.is_empty() && id.len() <= limits::ID && id.bytes().all(allowed);
    violations.require(valid, path, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : -");
}

fn check_link(path: &str, url: &Url, violations: &mut Violations) {
    violations.limit_text(path, url.as_str(), limits::URL);
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    violations.require(
        web,
        path,
        "must be an http or https address, for example https://rhythmx.example/incidents/42",
    );
    let bare = url.username().is_empty() && url.password().is_none();
    violations.require(bare, path, "must not carry a user name or password");
}

fn check_score(path: &str, score: f64, violations: &mut Violations) {
    violations.require((0.0..=100.0).contains(&score), path, "must be a number from 0 to 100");
}

fn check_percent(path: &str, percent: f64, violations: &mut Violations) {
    let valid = percent.is_finite() && percent >= 0.0;
    violations.require(valid, path, "must be a number of 0 or more");
}

fn check_mitre(path: &str, entries: &[MitreEntry], max: usize, prefix: &str, violations: &mut Violations) {
    violations.limit_list(path, entries, max);
    for (index, entry) in entries.iter().enumerate().take(max) {
        let rest = entry.id.strip_prefix(prefix);
        let digits = |rest: &str| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let valid = entry.id.len() <= limits::MITRE_ID && rest.is_some_and(|r| !r.is_empty() && digits(r));
        let example = if prefix == "TA" { "TA0006" } else { "T1110.003" };
        let description = format!("must be a MITRE ATT&CK id such as {example}");
        violations.require(valid, &format!("{path}[{index}].id"), &description);
        violations.limit_text(&format!("{path}[{index}].name"), &entry.name, limits::NAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> IncidentFields {
        IncidentFields {
            id: "INC-1".to_owned(),
            url: None,
            actor: Actor { name: "jdoe".to_owned(), kind: ActorKind::User, entity: String::new() },
            risk: Risk { score: 92.0, level: None, factors: vec![] },
            activity: Activity {
                alarm_count: 1,
                threat_case_count: 0,
                unique_rule_count: 1,
                primary_rule: String::new(),
            },
            timeline: Timeline {
                first_alert: Timestamp::UNIX_EPOCH,
                last_alert: Timestamp::UNIX_EPOCH,
                active_duration: None,
            },
            sla: None,
            tactics: vec![],
            techniques: vec![],
            firing_rules: vec![],
            investigation_notes: String::new(),
        }
    }

    fn paths(fields: IncidentFields) -> Vec<String> {
        let violations = Incident::try_new(fields, "incident").expect_err("the incident is not valid");
        violations.iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn accepts_plain_incident_and_derives_level() {
        let incident = Incident::try_new(fields(), "incident").unwrap();
        assert_eq!(incident.risk_level(), RiskLevel::Critical);
    }

    #[test]
    fn every_violation_is_reported_at_once_with_its_path() {
        let mut bad = fields();
        bad.id = "has space".to_owned();
        bad.actor.name = " ".to_owned();
        bad.risk.score = f64::NAN;
        bad.risk.factors = vec![RiskFactor { name: "x".repeat(101), score: 101.0, detail: String::new() }];
        bad.timeline.first_alert = Timestamp::from_second(1).unwrap();
        bad.sla = Some(Sla { target: Duration::ZERO, status: SlaStatus::OnTrack, percent_consumed: -0.1 });
        bad.tactics = vec![MitreEntry { id: "T1110".to_owned(), name: String::new() }];
        bad.firing_rules = vec![FiringRule { name: "rule".to_owned(), count: 0, severity: None }];
        bad.url = Url::parse("javascript:alert(1)").ok();
        let expected = [
            "incident.id",
            "incident.url",
            "incident.actor.name",
            "incident.risk.score",
            "incident.risk.factors[0].name",
            "incident.risk.factors[0].score",
            "incident.timeline.last_alert",
            "incident.sla.percent_consumed",
            "incident.tactics[0].id",
            "incident.firing_rules[0].count",
        ];
        assert_eq!(paths(bad), expected);
    }

    #[test]
    fn refuses_required_names_without_a_visible_character() {
        let mut blank = fields();
        blank.actor.name = "\u{200b}\u{200b}".to_owned();
        blank.risk.factors =
            vec![RiskFactor { name: "\u{202e}".to_owned(), score: 1.0, detail: String::new() }];
        blank.firing_rules = vec![FiringRule { name: "\u{3164} ".to_owned(), count: 1, severity: None }];
        let expected =
            ["incident.actor.name", "incident.risk.factors[0].name", "incident.firing_rules[0].name"];
        assert_eq!(paths(blank), expected);
    }

    #[test]
    fn accepts_text_at_limit_and_refuses_longer() {
        let mut exact = fields();
        exact.investigation_notes = "é".repeat(limits::INVESTIGATION_NOTES);
        exact.actor.entity = "é".repeat(limits::NAME);
        assert!(Incident::try_new(exact.clone(), "incident").is_ok());
        exact.investigation_notes.push('x');
        exact.actor.entity.push('x');
        assert_eq!(paths(exact), ["incident.actor.entity", "incident.investigation_notes"]);
    }
}
