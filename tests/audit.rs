//! Audit entries besides those of changes: refusals of known callers, and tests of unsaved credentials.

use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use rhythmx_ticketing::v1::{
    AuditEntry, ConfigureRequest, ListAuditEntriesRequest, TestConnectionRequest, TicketSystem,
};
use ticketing_core::role::Role;
use ticketing_harness::{Edit, Plan, World, refusal, text};
use tonic::{Code, Status};

use super::access::{call, channel, client_of, documented_roles, methods, refused_as};

/// Methods that change nothing: a new read-only method must be listed here.
const READS: [&str; 6] =
    ["GetStatus", "PreviewTicket", "StreamTicketEvents", "GetDelivery", "ListDeliveries", "ListAuditEntries"];

/// The audit, the oldest first.
async fn audit(world: &mut World) -> Vec<AuditEntry> {
    let all = ListAuditEntriesRequest { page_size: 500, ..Default::default() };
    let mut entries = world.client.list_audit_entries(all).await.unwrap().entries;
    entries.reverse();
    entries
}

/// `RetryDelivery` as `RETRY_DELIVERY`.
fn action_of(method: &str) -> String {
    let mut action = String::new();
    for letter in method.chars() {
        if letter.is_uppercase() && !action.is_empty() {
            action.push('_');
        }
        action.push(letter.to_ascii_uppercase());
    }
    action
}

fn unsaved(world: &World, token: &str) -> TestConnectionRequest {
    let settings = rhythmx_ticketing::v1::JiraSettings { api_token: text(token), ..world.jira_settings() };
    TestConnectionRequest {
        destination: Some(TicketSystem::Jira.into()),
        unsaved: Some(Unsaved::Jira(settings)),
    }
}

fn is_forbidden(status: Status) {
    assert_eq!(refused_as(status), (Code::PermissionDenied, "ROLE_INSUFFICIENT".to_owned()));
}

#[tokio::test]
async fn audits_forbidden_changes_but_not_forbidden_reads() {
    let mut world = Plan::new().with_token_auth().start_unconfigured().await;
    let channel = channel(&world).await;
    let table = documented_roles();
    let mut expected = vec![];
    for role in Role::ALL {
        let (_, token) = client_of(&mut world, role.as_str(), role).await;
        for (method, path) in methods() {
            let (_, roles) = table.iter().find(|(name, _)| *name == method).unwrap();
            if roles.contains(&role) {
                continue;
            }
            is_forbidden(call(&channel, &path, Some(&token)).await.unwrap_err());
            if !READS.contains(&method.as_str()) {
                expected.push((format!("token:{role}"), role.to_string(), action_of(&method)));
            }
        }
    }
    assert!(expected.iter().any(|(_, _, action)| action == "RESOLVE_DELIVERY"), "{expected:?}");
    let refused = audit(&mut world).await.into_iter().filter(|entry| entry.outcome == "ROLE_INSUFFICIENT");
    let refused: Vec<_> = refused.collect();
    assert!(refused.iter().all(|entry| entry.source.starts_with("127.0.0.1:")), "{refused:#?}");
    let written: Vec<_> = refused.into_iter().map(|entry| (entry.actor, entry.role, entry.action)).collect();
    assert_eq!(written, expected);
    let mut administration = world.server.administration().await;
    assert!(administration.verify_audit().await.unwrap().is_ok());
    administration.close().await;
    world.finish().await;
}

#[tokio::test]
async fn rate_limit_bounds_audit_entries_of_forbidden_changes() {
    let plan =
        Plan::new().in_a_process().with_token_auth().with_flag("--call-burst=5").with_flag("--call-rate=1");
    let mut world = plan.start_unconfigured().await;
    let (mut viewer, _) = client_of(&mut world, "wall", Role::Viewer).await;
    let mut codes = vec![];
    for _ in 0..40 {
        codes.push(refusal(viewer.configure(ConfigureRequest::default()).await).code);
    }
    let forbidden = codes.iter().filter(|code| **code == Code::PermissionDenied).count();
    assert!((5..20).contains(&forbidden), "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Code::PermissionDenied | Code::ResourceExhausted)));
    let entries = audit(&mut world).await;
    assert_eq!(entries.iter().filter(|entry| entry.actor == "token:wall").count(), forbidden);
    world.close().await;
}

#[tokio::test]
async fn audits_test_of_unsaved_credentials_before_and_after() {
    let mut world = Plan::new().in_a_process().with_token_auth().start().await;
    let before = audit(&mut world).await.len();
    let saved = TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), ..Default::default() };
    world.client.test_connection(saved).await.unwrap();
    for token in [ticketing_harness::SECRETS[0], "a-wrong-token"] {
        let request = unsaved(&world, token);
        let passed = world.client.test_connection(request).await.unwrap().test.unwrap().passed;
        assert_eq!(passed, token != "a-wrong-token");
    }
    let (mut analyst, _) = client_of(&mut world, "ana", Role::Analyst).await;
    is_forbidden(analyst.test_connection(unsaved(&world, "a-wrong-token")).await.unwrap_err());
    let entries = audit(&mut world).await.split_off(before);
    let tests: Vec<_> = entries.iter().filter(|entry| entry.action == "TEST_CONNECTION").collect();
    let outcomes: Vec<_> = tests
        .iter()
        .map(|entry| (entry.actor.as_str(), entry.subject.as_str(), entry.outcome.as_str()))
        .collect();
    let harness = |outcome| ("token:harness", "jira", outcome);
    let refused = ("token:ana", "jira", "ROLE_INSUFFICIENT");
    let expected = ["STARTED", "PASSED", "STARTED", "FAILED"].map(harness);
    assert_eq!(outcomes, [&expected[..], &[refused]].concat());
    for entry in &tests[..4] {
        let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap();
        assert_eq!(detail, serde_json::json!({ "address": world.jira.base_url() }));
    }
    assert!(!format!("{entries:?}").contains("a-wrong-token"));
    world.finish().await;
}

#[tokio::test]
async fn refuses_changes_that_cannot_be_audited() {
    let mut world = Plan::new().in_a_process().with_token_auth().start().await;
    let (mut viewer, _) = client_of(&mut world, "wall", Role::Viewer).await;
    let before = world.jira.requests().len();
    world.server.edit(Edit::CloseAudit).await;
    is_forbidden(viewer.configure(ConfigureRequest::default()).await.unwrap_err());
    let settings = rhythmx_ticketing::v1::JiraSettings { issue_type: text("Bug"), ..Default::default() };
    assert_eq!(world.try_jira(settings).await.unwrap_err().code(), Code::Internal);
    let request = unsaved(&world, "a-wrong-token");
    assert_eq!(world.client.test_connection(request).await.unwrap_err().code(), Code::Internal);
    assert_eq!(world.jira.requests().len(), before, "the credential was sent");
    let settings = world.client.configure(ConfigureRequest::default()).await;
    assert_eq!(settings.unwrap_err().code(), Code::Internal);
    assert!(world.server.log().contains("failed to write a refusal to the audit log"));
    world.close().await;
}
