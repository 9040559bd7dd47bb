//! Auto-push: which incidents are pushed without a request for a ticket.

use serde::{Deserialize, Serialize};

use crate::risk::Severity;
use crate::system::System;

/// The rules, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoPush {
    /// Off by default: then tickets are created on request only.
    pub enabled: bool,
    /// Minimum severity of the first rule.
    pub minimum_severity: Severity,
    /// Ticket systems of the first rule, each at most once: the connections that are named after them.
    pub systems: Vec<System>,
    /// The other rules, in order.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Whether only the first rule applies whose severity fits. Otherwise every rule applies.
    #[serde(default)]
    pub first_match: bool,
}

/// A rule besides the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The names of the connections, each at most once.
    pub connections: Vec<String>,
    pub minimum_severity: Severity,
}

/// The verdict of the rules on one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A rule with this minimum selects the connection.
    Push {
        minimum: Severity,
    },
    Skip(SkipReason),
}

/// Why an incident is not pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Auto-push is switched off.
    Disabled,
    /// The severity is below the threshold of every rule of the connection.
    BelowThreshold { severity: Severity, minimum: Severity },
    /// No rule names the connection.
    NotInRule,
    /// An earlier rule applies, and it alone.
    EarlierRule,
    /// The connection has no settings yet.
    NotConfigured,
    /// The connection is configured but switched off.
    NotEnabled,
}

// === impl AutoPush ===

impl Default for AutoPush {
    fn default() -> Self {
        Self {
            enabled: false,
            minimum_severity: Severity::Critical,
            systems: vec![System::default()],
            rules: vec![],
            first_match: false,
        }
    }
}

impl AutoPush {
    /// Whether auto-push sends an incident of this severity to a connection.
    #[must_use]
    pub fn verdict(&self, severity: Severity, connection: &str) -> Verdict {
        if !self.enabled {
            return Verdict::Skip(SkipReason::Disabled);
        }
        let first = (self.minimum_severity, self.systems.iter().any(|system| system.as_str() == connection));
        let others = self
            .rules
            .iter()
            .map(|rule| (rule.minimum_severity, rule.connections.iter().any(|name| name == connection)));
        let mut lowest: Option<Severity> = None;
        let mut applies = false;
        for (minimum, has_connection) in [first].into_iter().chain(others) {
            if has_connection && severity >= minimum {
                return match applies && self.first_match {
                    true => Verdict::Skip(SkipReason::EarlierRule),
                    false => Verdict::Push { minimum },
                };
            }
            if has_connection {
                lowest = Some(lowest.map_or(minimum, |lowest| lowest.min(minimum)));
            }
            applies |= severity >= minimum;
        }
        Verdict::Skip(match lowest {
            Some(minimum) => SkipReason::BelowThreshold { severity, minimum },
            None => SkipReason::NotInRule,
        })
    }
}

// === impl SkipReason ===

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disabled => f.write_str("auto-push is off; switch it on with Configure auto_push.enabled"),
            Self::BelowThreshold { severity, minimum } => {
                write!(f, "severity {} is below the minimum {}", severity.as_str(), minimum.as_str())
            }
            Self::NotInRule => {
                f.write_str("the connection is in no rule; add it to auto_push.systems or auto_push.rules")
            }
            Self::EarlierRule => {
                f.write_str("an earlier rule applies, and with auto_push.first_match it alone")
            }
            Self::NotConfigured => {
                f.write_str("the connection is not configured; send its settings with Configure")
            }
            Self::NotEnabled => f.write_str("the connection is not enabled; set enabled with Configure"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH_TO_JIRA: AutoPush = AutoPush {
        enabled: true,
        minimum_severity: Severity::High,
        systems: vec![],
        rules: vec![],
        first_match: false,
    };

    #[test]
    fn auto_push_is_off_by_default() {
        let rules = AutoPush::default();
        assert_eq!(rules.verdict(Severity::Critical, "jira"), Verdict::Skip(SkipReason::Disabled));
    }

    #[test]
    fn pushes_from_threshold_upwards() {
        let rules = AutoPush { systems: vec![System::Jira], ..HIGH_TO_JIRA };
        let push = Verdict::Push { minimum: Severity::High };
        assert_eq!(rules.verdict(Severity::High, "jira"), push);
        assert_eq!(rules.verdict(Severity::Critical, "jira"), push);
        let reason = SkipReason::BelowThreshold { severity: Severity::Medium, minimum: Severity::High };
        assert_eq!(rules.verdict(Severity::Medium, "jira"), Verdict::Skip(reason));
        assert_eq!(rules.verdict(Severity::High, "servicenow"), Verdict::Skip(SkipReason::NotInRule));
    }

    #[test]
    fn every_rule_applies_unless_the_first_match_decides() {
        let rule = |connection: &str, minimum_severity| Rule {
            connections: vec![connection.to_owned()],
            minimum_severity,
        };
        let rules = AutoPush {
            systems: vec![System::Jira],
            rules: vec![rule("jira-eu", Severity::Medium), rule("jira", Severity::Low)],
            ..HIGH_TO_JIRA
        };
        let push = |minimum| Verdict::Push { minimum };
        assert_eq!(rules.verdict(Severity::Critical, "jira-eu"), push(Severity::Medium));
        assert_eq!(rules.verdict(Severity::Critical, "jira"), push(Severity::High));
        assert_eq!(rules.verdict(Severity::Low, "jira"), push(Severity::Low));
        let reason = SkipReason::BelowThreshold { severity: Severity::Low, minimum: Severity::Medium };
        assert_eq!(rules.verdict(Severity::Low, "jira-eu"), Verdict::Skip(reason));
        let rules = AutoPush { first_match: true, ..rules };
        assert_eq!(rules.verdict(Severity::High, "jira"), push(Severity::High));
        assert_eq!(rules.verdict(Severity::High, "jira-eu"), Verdict::Skip(SkipReason::EarlierRule));
        assert_eq!(rules.verdict(Severity::Medium, "jira-eu"), push(Severity::Medium));
        assert_eq!(rules.verdict(Severity::Medium, "jira"), Verdict::Skip(SkipReason::EarlierRule));
    }
}
