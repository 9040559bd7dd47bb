//! Priority: ServiceNow computes it from impact and urgency, so those are sent.

use ticketing_core::risk::RiskLevel;

/// The inputs of the priority; each 1 (high) to 3 (low), or up to 5 if an instance has more levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImpactUrgency {
    pub impact: u8,
    pub urgency: u8,
}

/// Impact and urgency for each risk level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityMatrix {
    pub critical: ImpactUrgency,
    pub high: ImpactUrgency,
    pub medium: ImpactUrgency,
    pub low: ImpactUrgency,
}

// === impl ImpactUrgency ===

impl ImpactUrgency {
    #[must_use]
    pub const fn new(impact: u8, urgency: u8) -> Self {
        Self { impact, urgency }
    }

    /// The priority that an instance with the default look-up table computes, 1 to 5. `None` for levels
    /// outside that table, whose priority only the instance knows.
    #[must_use]
    pub fn priority(self) -> Option<u8> {
        let is_known = |level| (1..=3).contains(&level);
        (is_known(self.impact) && is_known(self.urgency)).then(|| self.impact + self.urgency - 1)
    }
}

// === impl PriorityMatrix ===

impl PriorityMatrix {
    #[must_use]
    pub fn of_level(&self, level: RiskLevel) -> ImpactUrgency {
        match level {
            RiskLevel::Critical => self.critical,
            RiskLevel::High => self.high,
            RiskLevel::Medium => self.medium,
            RiskLevel::Low => self.low,
        }
    }
}

impl Default for PriorityMatrix {
    /// Priorities 1 to 4.
    fn default() -> Self {
        Self {
            critical: ImpactUrgency::new(1, 1),
            high: ImpactUrgency::new(1, 2),
            medium: ImpactUrgency::new(2, 2),
            low: ImpactUrgency::new(2, 3),
        }
    }
}

/// The label of a priority in ServiceNow.
pub(crate) fn label(priority: u8) -> &'static str {
    match priority {
        1 => "1 - Critical",
        2 => "2 - High",
        3 => "3 - Moderate",
        4 => "4 - Low",
        _ => "5 - Planning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_impact_plus_urgency_minus_one() {
        let table =
            [((1, 1), 1), ((1, 2), 2), ((1, 3), 3), ((2, 1), 2), ((2, 2), 3), ((2, 3), 4), ((3, 3), 5)];
        for ((impact, urgency), priority) in table {
            assert_eq!(ImpactUrgency::new(impact, urgency).priority(), Some(priority), "{impact} {urgency}");
        }
    }

    #[test]
    fn predicts_no_priority_for_unknown_levels() {
        for (impact, urgency) in [(4, 1), (1, 5), (0, 1)] {
            assert_eq!(ImpactUrgency::new(impact, urgency).priority(), None);
        }
    }

    #[test]
    fn risk_levels_map_to_priorities_1_to_4() {
        let matrix = PriorityMatrix::default();
        let levels = [RiskLevel::Critical, RiskLevel::High, RiskLevel::Medium, RiskLevel::Low];
        let labels = levels.map(|level| label(matrix.of_level(level).priority().unwrap()));
        assert_eq!(labels, ["1 - Critical", "2 - High", "3 - Moderate", "4 - Low"]);
    }
}
