//! The connection test, step by step.

use ticketing_core::system::{Check, CheckOutcome, TicketSystem};
use ticketing_simulator::{Call, Effect, Point};

use crate::support::{Site, WITHIN, connect, draft, ticket_draft};

fn outcome(checks: &[Check]) -> Vec<(&str, CheckOutcome)> {
    checks.iter().map(|check| (check.name.as_str(), check.outcome)).collect()
}

fn failed_at<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let failed = checks.iter().find(|check| check.has_failed()).expect("a step fails");
    assert_eq!(failed.name, name, "{checks:?}");
    let after = checks.iter().skip_while(|check| !check.has_failed()).skip(1);
    assert!(after.clone().all(|check| check.outcome == CheckOutcome::Skipped));
    failed
}

#[tokio::test]
async fn valid_connection_fails_no_step() {
    let site = Site::start().await;
    let checks = site.system.test().await;
    let expected = [
        ("authentication", CheckOutcome::Passed),
        ("table", CheckOutcome::Passed),
        ("look_up", CheckOutcome::Passed),
        ("assignment_group", CheckOutcome::Passed),
        ("required_fields", CheckOutcome::Unproven),
        ("create_access", CheckOutcome::Unproven),
    ];
    assert_eq!(outcome(&checks), expected);
}

#[tokio::test]
async fn wrong_password_fails_first_step_with_one_call() {
    let site = Site::start().await;
    let system = connect(&draft(&site.simulator), "wrong-password", site.clock.clone());
    let checks = system.test().await;
    let failed = failed_at(&checks, "authentication");
    assert!(failed.hint.contains("servicenow.password"));
    assert_eq!(site.simulator.requests().len(), 1);
}

#[tokio::test]
async fn account_without_role_fails_the_table_step() {
    let site = Site::of(|profile| profile.withdraw("read")).await;
    let checks = site.system.test().await;
    assert!(failed_at(&checks, "table").hint.contains("itil"));
}

#[tokio::test]
async fn missing_table_is_named() {
    let site = Site::with(|_| {}, |draft| draft.table = Some("sn_si_incident".to_owned())).await;
    let checks = site.system.test().await;
    let failed = failed_at(&checks, "table");
    assert!(failed.hint.contains("servicenow.table") && failed.detail.contains("sn_si_incident"));
}

#[tokio::test]
async fn hibernating_instance_fails_first_step() {
    let site = Site::of(|_| {}).await;
    site.strike(Call::Any, Effect::Html { status: 200 });
    let checks = site.system.test().await;
    assert!(failed_at(&checks, "authentication").hint.contains("hibernates"));
}

#[tokio::test]
async fn unreachable_instance_fails_first_step() {
    let site = Site::of(|_| {}).await;
    site.simulator.stop().await;
    let checks = site.system.test().await;
    failed_at(&checks, "authentication");
}

#[tokio::test]
async fn ignored_search_fails_the_look_up_step() {
    let site = Site::of(|_| {}).await;
    site.simulator.add_foreign_ticket(serde_json::Map::new());
    site.strike(Call::Search, Effect::ReturnsEverything);
    let checks = site.system.test().await;
    assert!(failed_at(&checks, "look_up").hint.contains("correlation_id"));
}

#[tokio::test]
async fn missing_group_fails_the_group_step() {
    let site = Site::with(|_| {}, |draft| draft.assignment_group = Some("No such group".to_owned())).await;
    let checks = site.system.test().await;
    assert!(failed_at(&checks, "assignment_group").hint.contains("servicenow.assignment_group"));
}

#[tokio::test]
async fn distinguishes_unreadable_from_missing_group() {
    let site = Site::start().await;
    site.simulator.edit(|profile| profile.withdraw("read_groups"));
    let checks = site.system.test().await;
    assert!(failed_at(&checks, "assignment_group").hint.contains("sys_user_group"));
}

#[tokio::test]
async fn reads_share_a_connection_and_a_create_has_its_own() {
    let site = Site::start().await;
    let opened = || site.simulator.reached(Call::Connection, Point::Accepted);
    site.system.test().await;
    let ticket_draft = ticket_draft("INC-1");
    site.look_up(&ticket_draft).await.unwrap();
    assert!(site.simulator.requests().len() > 2);
    assert_eq!(opened(), 1);
    let rendered = site.system.prepare(&ticket_draft).await.unwrap();
    let dialing = site.system.dial();
    site.system.create(&ticket_draft, &rendered, dialing, WITHIN).await.unwrap();
    assert_eq!(opened(), 2);
}
