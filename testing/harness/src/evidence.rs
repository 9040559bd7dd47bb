//! Searches that are known to show tickets of ours, as after a first delivered ticket.

use ticketing_core::evidence::{SearchScope, token_fingerprint};
use ticketing_core::system::{Authorship, Destination};
use ticketing_simulator::Vendor;

use super::{SECRETS, World};

/// Makes both searches known to show tickets of ours, as the settings of this harness have them.
pub(crate) async fn add(world: &mut World) {
    // Once it answers, its database is there.
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

/// How the account of a personal access token is called.
fn account_of(token: &str) -> String {
    format!("token {}", token_fingerprint(token))
}

impl World {
    /// Makes Jira's search known to show tickets of ours to another personal access token than that of the harness.
    pub async fn add_evidence_for(&self, token: &str) {
        let scope = scope(self.jira.base_url(), "SEC", &account_of(token), "Task");
        self.server.add_evidence(&scope).await;
    }
}
