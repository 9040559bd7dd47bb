//! The bounds of the delivery protocol. All are configurable, down to tens of milliseconds.

use std::time::Duration;

use ticketing_retry::Backoff;

use crate::system::{Index, System, Visibility};

/// The inputs of a decision about a delivery, besides the delivery and the time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    pub retry: Backoff,
    pub bounds: Bounds,
}

/// Worst-case durations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Time from the intent until the create is abandoned. Default 30 s.
    pub attempt_deadline: Duration,
    /// Duration of a lease. Must be longer than the attempt deadline. Default 90 s.
    pub lease: Duration,
    /// Server bound: how long after the send deadline a ticket system may still apply a request. Default 60
    /// s.
    pub server_bound: Duration,
    /// Index bound of Jira Cloud. Default 180 s.
    pub jira_cloud_index_bound: Duration,
    /// Index bound of Jira Data Center. Default 900 s.
    pub jira_data_center_index_bound: Duration,
    /// Interval between look-ups of a delivery of unknown outcome, and between the two empty results that
    /// prove absence. Default 30 s.
    pub look_up_interval: Duration,
    /// Delays of the duplicate scans of a delivery that ever had an unknown outcome, counted from when it was
    /// settled. Default 15 min, 1 h, 24 h.
    pub duplicate_scan_delays: [Duration; 3],
    /// Consecutive connection-scoped failures that open a connection's circuit. Default 10.
    pub circuit_threshold: u32,
    /// Maximum of `Retry-After`, and of the delay between two probes of a refused login. Default 1 h.
    pub max_retry_after: Duration,
    /// Consecutive refused logins after which Jira Data Center locks an account. Default 3.
    pub jira_lockout_limit: u32,
    /// Consecutive refused logins after which ServiceNow locks an account. Default 5.
    pub servicenow_lockout_limit: u32,
}

// === impl Bounds ===

impl Bounds {
    /// How long a search may take to show everything that was applied, counted from when nothing more can be
    /// applied.
    #[must_use]
    pub fn index_bound(&self, visibility: Visibility) -> Duration {
        match visibility {
            Visibility::Immediate => Duration::ZERO,
            Visibility::Indexed(Index::JiraCloud) => self.jira_cloud_index_bound,
            Visibility::Indexed(Index::JiraDataCenter) => self.jira_data_center_index_bound,
        }
    }

    /// The pause for a ticket system that requests `asked`.
    #[must_use]
    pub fn cap_retry_after(&self, asked: Duration) -> Duration {
        asked.min(self.max_retry_after)
    }

    /// The delay before a refused login that cannot be locked is probed again, after `before` earlier
    /// consecutive refusals: a look-up interval, doubled each time.
    #[must_use]
    pub fn login_probe_delay(&self, before: u32) -> Duration {
        self.cap_retry_after(self.look_up_interval.saturating_mul(1 << before.min(16)))
    }

    /// Consecutive refused logins after which `system` locks a lockable account.
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
