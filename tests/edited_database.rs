//! A database that was edited without the key: edited rows are named and not used, and the rest works.

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_harness::{Edit, Plan, SECRETS, World, creates, incident, refusal, run_program, state, text};

/// Nothing is sent to Jira, ServiceNow continues, and setting the secret again repairs it.
async fn check_only_jira_is_lost(mut world: World, edit: Edit) {
    world.server.stop().await;
    world.server.edit(edit).await;
    world.server.start_again().await;
    world.client = world.server.client().await;
    assert!(!world.status(TicketSystem::Jira).await.configured, "{edit:?}");
    let log = world.server.log();
    assert!(
        log.contains("row jira of target_settings") && log.contains("set again with Configure"),
        "{edit:?}: {log}"
    );
    let before = world.jira.requests().len();
    refusal(world.try_push(incident("INC-1"), TicketSystem::Jira).await)
        .is_precondition("CONNECTION_NOT_CONFIGURED", "jira");
    assert_eq!(state(&world.push("INC-1", TicketSystem::Servicenow).await), DeliveryState::Delivered);
    // Other settings do not make it trusted again, not even after another start.
    let other = v1::JiraSettings { enabled: Some(false), issue_type: text("Bug"), ..Default::default() };
    world.try_jira(other).await.unwrap();
    world.restart().await;
    assert!(!world.status(TicketSystem::Jira).await.configured, "{edit:?}");
    assert_eq!(world.jira.requests().len(), before, "{edit:?}: something was sent");
    let again = world.jira_settings();
    world.try_jira(v1::JiraSettings { issue_type: text("Task"), ..again }).await.unwrap();
    world.restart().await;
    assert_eq!(state(&world.push("INC-2", TicketSystem::Jira).await), DeliveryState::Delivered);
    assert_eq!(creates(&world.jira), 1);
    world.finish().await;
}

#[tokio::test]
async fn edited_secret_is_named_and_other_connection_continues() {
    for edit in [Edit::Swap, Edit::Truncate, Edit::Flip, Edit::Redirect, Edit::Kind] {
        check_only_jira_is_lost(Plan::new().in_a_process().start().await, edit).await;
    }
}

#[tokio::test]
async fn replayed_older_secret_is_not_used() {
    for edit in [Edit::Restore, Edit::RestoreSecret] {
        let mut world = Plan::new().in_a_process().start().await;
        world.server.edit(Edit::Keep).await;
        let newer = v1::JiraSettings { api_token: text(SECRETS[0]), ..Default::default() };
        world.try_jira(newer).await.unwrap();
        check_only_jira_is_lost(world, edit).await;
    }
}

#[tokio::test]
async fn removed_secret_cannot_be_replayed() {
    let mut world = Plan::new().in_a_process().start().await;
    world.server.edit(Edit::Keep).await;
    let removed = v1::JiraSettings { api_token: text(""), enabled: Some(false), ..Default::default() };
    world.try_jira(removed).await.unwrap();
    check_only_jira_is_lost(world, Edit::Restore).await;
}

#[tokio::test]
async fn edited_secret_list_is_refused_and_audited() {
    let mut world = Plan::new().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    for edit in [Edit::EmptyList, Edit::CutAudit] {
        world.server.stop().await;
        world.server.edit(edit).await;
        world.server.start_again().await;
        world.client = world.server.client().await;
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            assert!(!world.status(system).await.configured, "{edit:?}");
        }
        assert!(world.server.log().contains("ticketing audit verify"));
        let settings = world.settings();
        world.configure(settings).await;
        // Later entries do not hide it.
        let mut administration = world.server.administration().await;
        assert!(administration.verify_audit().await.unwrap().is_err(), "{edit:?}");
        administration.close().await;
        world.restart().await;
        assert!(world.status(TicketSystem::Jira).await.configured, "{edit:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn refuses_database_without_audit() {
    let mut world = Plan::new().start().await;
    world.server.stop().await;
    world.server.edit(Edit::RemoveAudit).await;
    let arguments = ["serve".to_owned(), format!("--data={}", world.server.data().display())];
    let ended = run_program(&arguments, &[]).await;
    assert!(
        ended.code == Some(1) && ended.stderr.contains("restore the database from a backup"),
        "{ended:?}"
    );
}
