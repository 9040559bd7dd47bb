//! Search evidence, as after a first delivered ticket.

use ticketing_core::evidence::{SearchScope, token_fingerprint};
use ticketing_core::system::{Authorship, Destination};
use ticketing_simulator::Vendor;

use super::{SECRETS, World};

/// Records search evidence for both searches, with the settings of this harness.
pub(crate) async fn add(world: &mut World) {
    // Once it responds, its database exists.
    world.client.get_status().await.unwrap();
    let account = match world.jira.vendor() {
        Vendor::JiraCloud => "analyst@example.com".to_owned(),
        _ => account_of(SECRETS[1]),
    };
    let jira = scope(world.jira.base_url(), "SEC", &account, "Task");
    let servicenow = scope(world.servicenow.base_url(), "incident", "rhythmx.integration", "");
    for scope in [jira, servicenow] {
        world.server.add_evidence(&scope).await;
    }
}

/// Of an account that searches for its own tickets.
fn scope(base_url: String, place: &str, account: &str, issue_type: &str) -> SearchScope {
    let made_by = Authorship { account: account.to_owned(), issue_type: issue_type.to_owned() };
    let destination = Destination { base_url, place: place.to_owned() };
    SearchScope { destination, made_by, reader: account.to_owned() }
}

/// The account name of a personal access token.
fn account_of(token: &str) -> String {
    format!("token {}", token_fingerprint(token))
}

impl World {
    /// Records evidence for Jira's search by another personal access token than that of the harness.
    pub async fn add_evidence_for(&self, token: &str) {
        let scope = scope(self.jira.base_url(), "SEC", &account_of(token), "Task");
        self.server.add_evidence(&scope).await;
    }
}
