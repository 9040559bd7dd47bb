//! Secrets in the settings: written, never read, and bound to their destination.

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_simulator::{Profile, Vendor};

use ticketing_harness::{Plan, SECRETS, World, incident, refusal, state, text};

const ELSEWHERE: &str = "http://127.0.0.1:9";
const CLOUD_ID: &str = "11223344-a1b2-3b33-c444-def123456789";
const OTHER_CLOUD_ID: &str = "99999999-a1b2-3b33-c444-def123456789";

#[tokio::test]
async fn changed_url_needs_the_secret_again() {
    let mut world = Plan::new().start().await;
    let before = world.client.get_status().await.unwrap();
    let moved = v1::JiraSettings { url: text(ELSEWHERE), ..Default::default() };
    let refused = refusal(world.try_jira(moved.clone()).await);
    refused.is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    assert_eq!(refused.metadata["connection"], "jira");
    let instance = v1::ServiceNowSettings { instance: text(ELSEWHERE), ..Default::default() };
    let refused = refusal(world.try_servicenow(instance.clone()).await);
    refused.is_invalid("SECRET_REQUIRED", &["servicenow.password"]);
    assert_eq!(refused.metadata["connection"], "servicenow");
    assert_eq!(world.client.get_status().await.unwrap(), before);
    let moved = v1::JiraSettings { api_token: text(SECRETS[0]), ..moved };
    assert_eq!(world.try_jira(moved).await.unwrap().jira.unwrap().url, ELSEWHERE);
    let instance = v1::ServiceNowSettings { password: text(SECRETS[2]), ..instance };
    assert_eq!(world.try_servicenow(instance).await.unwrap().servicenow.unwrap().instance, ELSEWHERE);
    world.finish().await;
}

#[tokio::test]
async fn changed_gateway_or_cloud_id_needs_the_secret_again() {
    let mut world = Plan::new().start().await;
    let direct = v1::JiraSettings { cloud_id: text(CLOUD_ID), ..Default::default() };
    refusal(world.try_jira(direct).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    let gateway = v1::JiraSettings {
        cloud_id: text(CLOUD_ID),
        gateway_url: text(world.jira.base_url()),
        api_token: text(SECRETS[0]),
        ..Default::default()
    };
    world.try_jira(gateway).await.unwrap();
    let changes = [
        v1::JiraSettings { gateway_url: text(ELSEWHERE), ..Default::default() },
        v1::JiraSettings { cloud_id: text(OTHER_CLOUD_ID), ..Default::default() },
        v1::JiraSettings { cloud_id: text(""), gateway_url: text(""), ..Default::default() },
    ];
    for change in changes {
        refusal(world.try_jira(change).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    }
    world.finish().await;
}

#[tokio::test]
async fn same_host_written_differently_keeps_the_secret() {
    let mut world = Plan::new().start().await;
    let url = format!("{}/browse/SEC-1", world.jira.base_url());
    let view = world.try_jira(v1::JiraSettings { url: text(url), ..Default::default() }).await.unwrap().jira;
    assert!(view.unwrap().url.starts_with(&world.jira.base_url()));
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    world.finish().await;
}

#[tokio::test]
async fn stored_secret_is_tested_at_its_own_url_only() {
    let mut world = Plan::new().start().await;
    let unsaved = v1::JiraSettings { url: text(ELSEWHERE), ..Default::default() };
    let request = v1::TestConnectionRequest {
        destination: Some(TicketSystem::Jira.into()),
        unsaved: Some(v1::test_connection_request::Unsaved::Jira(unsaved)),
    };
    refusal(world.client.test_connection(request).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    world.finish().await;
}

#[tokio::test]
async fn secret_is_bound_to_the_first_url() {
    let mut world = Plan::new().start_unconfigured().await;
    let all = world.jira_settings();
    let secret = v1::JiraSettings { api_token: all.api_token.clone(), ..Default::default() };
    let view = world.try_jira(secret).await.unwrap().jira.unwrap();
    assert!(view.api_token_set_at.is_some());
    let rest = v1::JiraSettings { api_token: None, ..all };
    assert!(world.try_jira(rest).await.unwrap().jira.unwrap().enabled);
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    let moved = v1::JiraSettings { url: text(ELSEWHERE), ..Default::default() };
    refusal(world.try_jira(moved).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    world.finish().await;
}

#[tokio::test]
async fn secret_of_incomplete_settings_is_bound_to_its_url() {
    let mut world = Plan::new().start_unconfigured().await;
    let part = v1::JiraSettings { project_key: None, enabled: None, ..world.jira_settings() };
    world.try_jira(part).await.unwrap();
    let rest = v1::JiraSettings { url: text(ELSEWHERE), project_key: text("SEC"), ..Default::default() };
    refusal(world.try_jira(rest).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    let part = v1::ServiceNowSettings { username: None, enabled: None, ..world.servicenow_settings() };
    world.try_servicenow(part).await.unwrap();
    let rest = v1::ServiceNowSettings { instance: text(ELSEWHERE), ..Default::default() };
    refusal(world.try_servicenow(rest).await).is_invalid("SECRET_REQUIRED", &["servicenow.password"]);
    world.finish().await;
}

#[tokio::test]
async fn api_token_and_personal_access_token_replace_each_other() {
    let profile = Profile::of(Vendor::JiraDataCenter);
    let mut world = Plan::new().with_jira(Vendor::JiraDataCenter, profile).start().await;
    let password = v1::JiraSettings {
        email: text("analyst"),
        api_token: text("data-center-password"),
        ..Default::default()
    };
    let view = world.try_jira(password).await.unwrap().jira.unwrap();
    assert!(view.api_token_set_at.is_some() && view.personal_access_token_set_at.is_none());
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    let token = v1::JiraSettings { personal_access_token: text(SECRETS[1]), ..Default::default() };
    let view = world.try_jira(token).await.unwrap().jira.unwrap();
    assert!(view.api_token_set_at.is_none() && view.personal_access_token_set_at.is_some());
    assert_eq!(state(&world.push("INC-2", TicketSystem::Jira).await), DeliveryState::Delivered);
    let both =
        v1::JiraSettings { api_token: text("one"), personal_access_token: text("two"), ..Default::default() };
    refusal(world.try_jira(both).await).is_invalid("SETTINGS_INVALID", &["jira.personal_access_token"]);
    world.finish().await;
}

#[tokio::test]
async fn secret_cannot_be_removed_while_enabled() {
    let mut world = Plan::new().start().await;
    let remove = v1::JiraSettings { api_token: text(""), ..Default::default() };
    refusal(world.try_jira(remove.clone()).await).is_invalid("SETTINGS_INVALID", &["jira.api_token"]);
    let remove = v1::JiraSettings { enabled: Some(false), ..remove };
    assert!(world.try_jira(remove).await.unwrap().jira.unwrap().api_token_set_at.is_none());
    let remove = v1::ServiceNowSettings { password: text(""), enabled: Some(false), ..Default::default() };
    let view = world.try_servicenow(remove).await.unwrap().servicenow.unwrap();
    assert!(view.password_set_at.is_none());
    for (system, name) in [(TicketSystem::Jira, "jira"), (TicketSystem::Servicenow, "servicenow")] {
        assert!(!world.status(system).await.configured);
        refusal(world.try_push(incident("INC-1"), system).await)
            .is_precondition("CONNECTION_NOT_CONFIGURED", name);
    }
    world.finish().await;
}

#[tokio::test]
async fn refuses_secret_over_4096_characters() {
    let mut world = Plan::new().start().await;
    let long = v1::JiraSettings { api_token: text("x".repeat(4_097)), ..Default::default() };
    refusal(world.try_jira(long).await).is_invalid("SETTINGS_INVALID", &["jira.api_token"]);
    let long = v1::ServiceNowSettings { password: text("x".repeat(4_097)), ..Default::default() };
    refusal(world.try_servicenow(long).await).is_invalid("SETTINGS_INVALID", &["servicenow.password"]);
    let exact = v1::ServiceNowSettings { password: text("x".repeat(4_096)), ..Default::default() };
    world.try_servicenow(exact).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn no_answer_ever_shows_a_secret() {
    let mut world = Plan::new().start().await;
    let mut responses = all_responses(&mut world).await;
    world.jira.edit(|profile| profile.credentials.clear());
    responses.push_str(&all_responses(&mut world).await);
    for secret in SECRETS {
        assert!(!responses.contains(secret), "{secret} is in a response");
    }
    world.finish().await;
}

async fn all_responses(world: &mut World) -> String {
    let settings = world.settings();
    let configured = world.configure(settings).await;
    let status = world.client.get_status().await;
    let test = v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: None };
    let test = world.client.test_connection(test).await;
    let preview = world.preview(incident("INC-1"), TicketSystem::Jira).await;
    let pushed = world.try_push(incident("INC-1"), TicketSystem::Jira).await;
    let deliveries = world.deliveries().await;
    format!("{configured:?} {status:?} {test:?} {preview:?} {pushed:?} {deliveries:?}")
}
