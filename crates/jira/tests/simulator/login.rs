//! Logins that a vendor can lock.

use ticketing_core::system::TicketSystem;
use ticketing_jira::Flavour;
use ticketing_simulator::{Profile, Vendor};

use crate::support::{Site, api_token, ticket_draft};

#[tokio::test]
async fn only_a_password_on_data_center_can_be_locked() {
    assert!(!Site::data_center().await.jira.login().is_lockable, "a personal access token");
    let profile = Profile::of(Vendor::JiraDataCenter);
    let site = Site::with(Vendor::JiraDataCenter, profile, &api_token("password"), |_| {}).await;
    let login = site.jira.login();
    assert!(login.is_lockable);
    assert!(login.name.ends_with(" analyst@example.com") && !login.name.contains("password"), "{login:?}");
}

#[tokio::test]
async fn detected_cloud_account_is_not_lockable() {
    let site = Site::cloud().await;
    assert!(site.jira.login().is_lockable, "not detected yet");
    site.jira.prepare(&ticket_draft("INC-1")).await.unwrap();
    assert!(!site.jira.login().is_lockable);
    let set = |draft: &mut ticketing_jira::SettingsDraft| draft.flavour = Some(Flavour::Cloud);
    let profile = Profile::of(Vendor::JiraCloud);
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("cloud-api-token"), set).await;
    assert!(!site.jira.login().is_lockable);
}
