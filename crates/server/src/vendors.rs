//! The vendors that this server supports: a further one is a crate, a system in `ticketing_core::system::System`, its
//! messages in the contract, and its lines here.

use std::sync::Arc;
use std::time::Duration;

use ticketing_vendor::Vendors;

/// The flags of all vendors.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct VendorFlags {
    #[command(flatten)]
    pub jira: ticketing_jira::Flags,
    #[command(flatten)]
    pub servicenow: ticketing_servicenow::Flags,
}

// === impl VendorFlags ===

impl VendorFlags {
    /// The longest time that a search may take to show a ticket, of any vendor.
    #[must_use]
    pub fn max_index_bound(self) -> Duration {
        self.jira.jira_cloud_index_bound.max(self.jira.jira_data_center_index_bound)
    }

    #[must_use]
    pub fn vendors(self) -> Vendors {
        Vendors::new(vec![
            Arc::new(ticketing_jira::JiraVendor::new(self.jira)),
            Arc::new(ticketing_servicenow::ServiceNowVendor::new(self.servicenow)),
        ])
    }
}
