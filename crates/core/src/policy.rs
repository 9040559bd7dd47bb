//! The bounds of the delivery protocol. Every one is a setting, down to tens of milliseconds.

use std::time::Duration;

use ticketing_retry::Backoff;

use crate::system::{Index, System, Visibility};

/// All that a decision about a delivery depends on, beside the delivery and the time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    pub retry: Backoff,
    pub bounds: Bounds,
}

/// How long things can take at the worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// From the intent to the end of the create: the request is given up then. Default 30 s.
    pub attempt_deadline: Duration,
    /// How long a claim holds before others may take the delivery over. Must be longer than the attempt deadline.
    /// Default 90 s.
    pub lease: Duration,
    /// How long after the send deadline a ticket system may still apply a request. Default 60 s.
    pub server_bound: Duration,
    /// How long Jira Cloud's index may lag. Default 180 s.
    pub jira_cloud_index_bound: Duration,
    /// How long Jira Data Center's index may lag. Default 900 s.
    pub jira_data_center_index_bound: Duration,
    /// Between look-ups of a delivery of unknown outcome, and between the two empty answers that prove absence. Default 30 s.
    pub look_up_interval: Duration,
    /// When a delivery that ever had an unknown outcome is searched again, counted from its delivery. Default 15 min, 1 h, 24 h.
    pub duplicate_scan_delays: [Duration; 3],
    /// Target-scoped failures in a row that open a target's circuit. Default 10.
    pub circuit_threshold: u32,
    /// Caps `Retry-After`, and the delay between two probes of a login
    /// that was refused. Default 1 h.
    pub max_retry_after: Duration,
    /// Refused logins in a row after which Jira Data Center locks an account. Default 3.
    pub jira_lockout_limit: u32,
    /// Refused logins in a row after which ServiceNow locks an account. Default 5.
    pub servicenow_lockout_limit: u32,
}

// === impl Bounds ===

impl Bounds {
    /// How long to wait, after nothing can be applied any more, until a search must show what was applied.
    #[must_use]
    pub fn index_bound(&self, visibility: Visibility) -> Duration {
        match visibility {
            Visibility::Immediate => Duration::ZERO,
            Visibility::Indexed(Index::JiraCloud) => self.jira_cloud_index_bound,
            Visibility::Indexed(Index::JiraDataCenter) => self.jira_data_center_index_bound,
        }
    }

    /// The pause to observe where a ticket system asks for `asked`.
    #[must_use]
    pub fn cap_retry_after(&self, asked: Duration) -> Duration {
        asked.min(self.max_retry_after)
    }

    /// The delay before a refused login that cannot lock is probed, after `before` earlier refusals in a row: a look-up
    /// interval, doubled each time.
    #[must_use]
    pub fn login_probe_delay(&self, before: u32) -> Duration {
        self.cap_retry_after(self.look_up_interval.saturating_mul(1 << before.min(16)))
    }

    /// Refused logins in a row after which `system` locks an account that it can lock.
    #[must_use]
    pub fn lockout_limit(&self, system: System) -> u32 {
        match system {
            System::Jira => self.jira_lockout_limit,
            System::ServiceNow => self.servicenow_lockout_limit,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            attempt_deadline: MINUTE / 2,
            lease: MINUTE * 3 / 2,
            server_bound: MINUTE,
            jira_cloud_index_bound: MINUTE * 3,
            jira_data_center_index_bound: MINUTE * 15,
            look_up_interval: MINUTE / 2,
            duplicate_scan_delays: [MINUTE * 15, MINUTE * 60, MINUTE * 60 * 24],
            circuit_threshold: 10,
            max_retry_after: MINUTE * 60,
            jira_lockout_limit: 3,
            servicenow_lockout_limit: 5,
        }
    }
}
