//! Auto-push: which incidents are pushed without a request for a ticket.

use serde::{Deserialize, Serialize};

use crate::risk::Severity;
use crate::system::System;

/// The rule, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoPush {
    /// Off by default: then tickets are created on request only.
    pub enabled: bool,
    /// Minimum severity.
    pub minimum_severity: Severity,
    /// Ticket systems, each at most once: the connections that are named after them.
    pub systems: Vec<System>,
}

/// The verdict of the rule on one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Push,
    Skip(SkipReason),
}

/// Why an incident is not pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Auto-push is switched off.
    Disabled,
    /// The severity is below the threshold.
    BelowThreshold { severity: Severity, minimum: Severity },
    /// The system is not among the systems of auto-push.
    NotInRule,
    /// The connection has no settings yet.
    NotConfigured,
    /// The connection is configured but switched off.
    NotEnabled,
}

// === impl AutoPush ===

impl Default for AutoPush {
    fn default() -> Self {
        Self { enabled: false, minimum_severity: Severity::Critical, systems: vec![System::default()] }
    }
}

impl AutoPush {
    /// Whether auto-push sends an incident of this severity to a connection.
    #[must_use]
    pub fn verdict(&self, severity: Severity, connection: &str) -> Verdict {
        let minimum = self.minimum_severity;
        if !self.enabled {
            Verdict::Skip(SkipReason::Disabled)
        } else if !self.systems.iter().any(|system| system.as_str() == connection) {
            Verdict::Skip(SkipReason::NotInRule)
        } else if severity < minimum {
            Verdict::Skip(SkipReason::BelowThreshold { severity, minimum })
        } else {
            Verdict::Push
        }
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
            Self::NotInRule => f.write_str("the connection is not among auto_push.systems"),
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

    #[test]
    fn auto_push_is_off_by_default() {
        let rule = AutoPush::default();
        assert_eq!(rule.verdict(Severity::Critical, "jira"), Verdict::Skip(SkipReason::Disabled));
    }

    #[test]
    fn pushes_from_threshold_upwards() {
        let rule = AutoPush { enabled: true, minimum_severity: Severity::High, systems: vec![System::Jira] };
        assert_eq!(rule.verdict(Severity::High, "jira"), Verdict::Push);
        assert_eq!(rule.verdict(Severity::Critical, "jira"), Verdict::Push);
        let reason = SkipReason::BelowThreshold { severity: Severity::Medium, minimum: Severity::High };
        assert_eq!(rule.verdict(Severity::Medium, "jira"), Verdict::Skip(reason));
        assert_eq!(rule.verdict(Severity::High, "servicenow"), Verdict::Skip(SkipReason::NotInRule));
    }
}
