//! Severity, risk level and priority.

use serde::{Deserialize, Serialize};

/// The severity of an incident, derived from its risk score. Ordered: `Low < Critical`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// The risk level that RhythmX assigned. Determines the ticket's priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RiskLevel {
    Low,
    Medium,
    High,
    Critical,
}

// === impl Severity ===

impl Severity {
    /// Severity of a risk score (0 to 100): from 85 critical, from 70 high, from 40 medium, else low.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        match score {
            score if score >= 85.0 => Self::Critical,
            score if score >= 70.0 => Self::High,
            score if score >= 40.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

// === impl RiskLevel ===

impl RiskLevel {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

impl From<Severity> for RiskLevel {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Severity;

    #[test]
    fn threshold_score_has_the_higher_severity() {
        let cases = [
            (0.0, Severity::Low),
            (39.99, Severity::Low),
            (40.0, Severity::Medium),
            (69.99, Severity::Medium),
            (70.0, Severity::High),
            (84.99, Severity::High),
            (85.0, Severity::Critical),
            (100.0, Severity::Critical),
        ];
        for (score, severity) in cases {
            assert_eq!(Severity::of_score(score), severity, "score {score}");
        }
    }
}
