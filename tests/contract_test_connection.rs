//! TestConnection: step by step, with hints, without writing.

use std::time::Duration;

use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use rhythmx_ticketing::v1::{self, CheckOutcome, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use ticketing_harness::{Plan, WAIT_TIMEOUT, World, refusal, text};

#[tokio::test]
async fn working_settings_pass_every_check_and_write_nothing() {
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let mut world = Plan::new().with_jira(vendor, Profile::of(vendor)).start().await;
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            let test = saved(&mut world, system).await;
            assert!(test.passed, "{test:#?}");
            assert!(test.checks.iter().all(|check| check.hint.is_empty() && !check.detail.is_empty()));
        }
        finish_unwritten(world).await;
    }
}

#[tokio::test]
async fn visibility_is_unproven_until_a_ticket_is_read_back() {
    let mut world = Plan::new().without_evidence().start().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        assert!(visibility(&mut world, system).await.starts_with("no delivered ticket"));
        world.simulator(system).edit(|profile| profile.hides_created = true);
        world.push("INC-1", system).await;
        until_visibility(&mut world, system, "the last delivered ticket").await;
        world.simulator(system).edit(|profile| profile.hides_created = false);
        world.push("INC-2", system).await;
        until_visibility(&mut world, system, "a delivered ticket was seen").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn wrong_token_fails_authentication_and_skips_the_rest() {
    let mut world = Plan::new().start().await;
    let token = v1::JiraSettings { api_token: text("wrong"), ..Default::default() };
    let test = unsaved(&mut world, Unsaved::Jira(token)).await;
    fails_at(&test, "authentication");
    let later = test.checks.iter().skip_while(|check| check.name != "authentication").skip(1);
    assert!(later.clone().count() > 0);
    assert!(later.clone().all(|check| check.outcome() == CheckOutcome::Skipped), "{test:#?}");
    let password = v1::ServiceNowSettings { password: text("wrong"), ..Default::default() };
    let test = unsaved(&mut world, Unsaved::Servicenow(password)).await;
    fails_at(&test, "authentication");
    finish_unwritten(world).await;
}

#[tokio::test]
async fn names_hidden_project_permission_and_issue_type() {
    let mut world = Plan::new().start().await;
    let project = v1::JiraSettings { project_key: text("HIDDEN"), ..Default::default() };
    fails_at(&unsaved(&mut world, Unsaved::Jira(project)).await, "project");
    let issue_type = v1::JiraSettings { issue_type: text("Nonsense"), ..Default::default() };
    fails_at(&unsaved(&mut world, Unsaved::Jira(issue_type)).await, "issue_type");
    world.jira.edit(|profile| profile.withdraw("CREATE_ISSUES"));
    fails_at(&saved(&mut world, TicketSystem::Jira).await, "create_permission");
    finish_unwritten(world).await;
}

#[tokio::test]
async fn names_hidden_table_unknown_and_ambiguous_group() {
    let profile =
        Profile::of(Vendor::ServiceNow).with_group("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Security Operations");
    let mut world = Plan::new().with_servicenow(profile).start().await;
    let test = saved(&mut world, TicketSystem::Servicenow).await;
    fails_at(&test, "assignment_group");
    let group = v1::ServiceNowSettings { assignment_group: text("No Such Group"), ..Default::default() };
    fails_at(&unsaved(&mut world, Unsaved::Servicenow(group)).await, "assignment_group");
    let table = v1::ServiceNowSettings { table: text("u_missing"), ..Default::default() };
    fails_at(&unsaved(&mut world, Unsaved::Servicenow(table)).await, "table");
    finish_unwritten(world).await;
}

#[tokio::test]
async fn html_page_fails_the_first_check() {
    let mut world = Plan::new().start().await;
    for simulator in [&world.jira, &world.servicenow] {
        simulator.faults().push(Rule::new(Call::Any, When::Always, Effect::Html { status: 200 }));
    }
    fails_at(&saved(&mut world, TicketSystem::Jira).await, "reach");
    fails_at(&saved(&mut world, TicketSystem::Servicenow).await, "authentication");
    finish_unwritten(world).await;
}

#[tokio::test]
async fn dead_port_fails_the_first_step() {
    let mut world = Plan::new().start().await;
    world.jira.stop().await;
    world.servicenow.stop().await;
    fails_at(&saved(&mut world, TicketSystem::Jira).await, "reach");
    fails_at(&saved(&mut world, TicketSystem::Servicenow).await, "authentication");
    finish_unwritten(world).await;
}

#[tokio::test]
async fn outcome_is_stored_for_saved_settings_only() {
    let mut world = Plan::new().in_a_process().start().await;
    let wrong = v1::JiraSettings { api_token: text("wrong"), ..Default::default() };
    unsaved(&mut world, Unsaved::Jira(wrong)).await;
    assert_eq!(world.status(TicketSystem::Jira).await.last_test, None);
    let test = saved(&mut world, TicketSystem::Jira).await;
    assert_eq!(world.status(TicketSystem::Jira).await.last_test, Some(test.clone()));
    world.restart().await;
    assert_eq!(world.status(TicketSystem::Jira).await.last_test, Some(test));
    finish_unwritten(world).await;
}

#[tokio::test]
async fn tests_unsaved_settings_without_saving_them() {
    let mut world = Plan::new().start_unconfigured().await;
    let jira = world.jira_settings();
    assert!(unsaved(&mut world, Unsaved::Jira(jira)).await.passed);
    let servicenow = world.servicenow_settings();
    assert!(unsaved(&mut world, Unsaved::Servicenow(servicenow)).await.passed);
    let status = world.status(TicketSystem::Jira).await;
    assert!(!status.configured && status.settings.is_none());
    finish_unwritten(world).await;
}

#[tokio::test]
async fn refuses_settings_that_cannot_be_tested() {
    let mut world = Plan::new().start_unconfigured().await;
    let request = v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: None };
    refusal(world.client.test_connection(request).await).is_precondition("CONNECTION_NOT_CONFIGURED", "jira");
    let foreign = Some(Unsaved::Servicenow(v1::ServiceNowSettings::default()));
    let request =
        v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: foreign };
    refusal(world.client.test_connection(request).await).is_invalid("REQUEST_INVALID", &["servicenow"]);
    let part = Some(Unsaved::Jira(v1::JiraSettings { project_key: text("sec"), ..Default::default() }));
    let request = v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: part };
    let mut refused = refusal(world.client.test_connection(request).await);
    refused.fields.sort();
    refused.is_invalid("SETTINGS_INVALID", &["jira.api_token", "jira.project_key", "jira.url"]);
    finish_unwritten(world).await;
}

async fn saved(world: &mut World, system: TicketSystem) -> v1::ConnectionTest {
    let request = v1::TestConnectionRequest { destination: Some(system.into()), unsaved: None };
    world.client.test_connection(request).await.unwrap().test.unwrap()
}

async fn unsaved(world: &mut World, settings: Unsaved) -> v1::ConnectionTest {
    let system = match settings {
        Unsaved::Jira(_) => TicketSystem::Jira,
        Unsaved::Servicenow(_) => TicketSystem::Servicenow,
    };
    let request = v1::TestConnectionRequest { destination: Some(system.into()), unsaved: Some(settings) };
    world.client.test_connection(request).await.unwrap().test.unwrap()
}

/// The named step is the first that failed, with a hint.
#[track_caller]
fn fails_at(test: &v1::ConnectionTest, name: &str) {
    assert!(!test.passed);
    let failed =
        test.checks.iter().find(|check| check.outcome() == CheckOutcome::Failed).expect("a step failed");
    assert_eq!(failed.name, name, "{test:#?}");
    assert!(!failed.hint.is_empty() && !failed.detail.is_empty(), "{failed:#?}");
}

async fn finish_unwritten(world: World) {
    assert!(world.jira.tickets().is_empty() && world.servicenow.tickets().is_empty());
    world.finish().await;
}

/// The last check of a test, which always passes.
async fn visibility(world: &mut World, system: TicketSystem) -> String {
    let test = saved(world, system).await;
    let last = test.checks.last().unwrap();
    assert!(test.passed && last.name == "own_tickets_visible", "{test:#?}");
    last.detail.clone()
}

async fn until_visibility(world: &mut World, system: TicketSystem, detail: &str) {
    let wait = async {
        while !visibility(world, system).await.starts_with(detail) {
            // A server runs thirty tests a minute.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
    assert!(in_time.is_ok(), "{system:?} does not say in time: {detail}");
}
