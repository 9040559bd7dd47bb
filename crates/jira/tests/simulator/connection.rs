//! Testing a connection.

use ticketing_core::system::{Check, TicketSystem};
use ticketing_simulator::{Profile, Project, Vendor};

use crate::support::{Site, api_token, pat};

const STEPS: [&str; 7] =
    ["reach", "authentication", "project", "create_permission", "issue_type", "priority", "labels"];

fn failed(checks: &[Check]) -> Vec<&str> {
    assert_eq!(checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), STEPS);
    let failed = checks.iter().filter(|check| !check.passed && !check.detail.starts_with("not tried"));
    failed.map(|check| check.name.as_str()).collect()
}

#[tokio::test]
async fn a_good_connection_passes_every_step_and_writes_nothing() {
    for site in [Site::cloud().await, Site::data_center().await] {
        let checks = site.jira.test().await;
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
        assert!(checks[5].detail.contains("Critical -> Highest"), "{}", checks[5].detail);
        assert!(site.simulator.tickets().is_empty());
    }
}

#[tokio::test]
async fn a_refused_login_fails_at_authentication_and_later_steps_are_not_tried() {
    for (vendor, secret) in [(Vendor::JiraCloud, api_token("wrong")), (Vendor::JiraDataCenter, pat("wrong"))]
    {
        let site = Site::with(vendor, Profile::of(vendor), &secret, |_| {}).await;
        let checks = site.jira.test().await;
        assert_eq!(failed(&checks), ["authentication"], "{checks:?}");
        assert!(checks.iter().any(|check| check.hint.contains("token")), "{checks:?}");
        assert!(checks[6].detail.starts_with("not tried"), "{checks:?}");
    }
}

#[tokio::test]
async fn a_scoped_token_on_the_site_is_told_about_the_cloud_id() {
    let profile = Profile::of(Vendor::JiraCloud);
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("cloud-scoped-token"), |_| {}).await;
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), ["authentication"]);
    assert!(checks[1].hint.contains("jira.cloud_id"), "{}", checks[1].hint);
}

#[tokio::test]
async fn a_missing_project_and_a_missing_permission_fail_at_their_own_steps() {
    let site = Site::cloud().await;
    site.simulator.edit(|profile| profile.withdraw("CREATE_ISSUES"));
    assert_eq!(failed(&site.jira.test().await), ["create_permission"]);
    site.simulator.edit(|profile| profile.projects = vec![Project::new("1", "OPS")]);
    assert_eq!(failed(&site.jira.test().await), ["project"]);
}

#[tokio::test]
async fn an_issue_type_that_is_not_offered_fails_at_its_step() {
    let profile = Profile::of(Vendor::JiraDataCenter);
    let site = Site::with(Vendor::JiraDataCenter, profile, &pat("data-center-pat"), |draft| {
        draft.issue_type = Some("Epic".to_owned());
    })
    .await;
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), ["issue_type"]);
    assert!(checks[4].hint.contains("Task"), "{}", checks[4].hint);
}

#[tokio::test]
async fn fields_off_the_screen_are_told_without_failing() {
    let profile = Profile::of(Vendor::JiraCloud).without_field("labels").without_field("priority");
    let checks = Site::cloud_with(profile).await.jira.test().await;
    assert_eq!(failed(&checks), [""; 0]);
    assert!(checks[6].detail.contains("marker in the description"), "{}", checks[6].detail);
}
