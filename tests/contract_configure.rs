//! Configure: merged by presence, all or nothing.

use rhythmx_ticketing::v1::{self, TicketSystem};

use ticketing_harness::{Plan, incident, refusal, text};

#[tokio::test]
async fn absent_fields_keep_their_values() {
    let mut world = Plan::new().start().await;
    let before = world.client.get_status().await.unwrap();
    let off = v1::JiraSettings { enabled: Some(false), ..Default::default() };
    let answer = world.try_jira(off).await.unwrap();
    let view = answer.jira.unwrap();
    assert!(!view.enabled);
    assert_eq!((view.project_key.as_str(), view.email.as_str()), ("SEC", "analyst@example.com"));
    assert!(view.api_token_set_at.is_some());
    assert_eq!((answer.auto_push, answer.retry), (before.auto_push, before.retry));
    let on = v1::JiraSettings { enabled: Some(true), ..Default::default() };
    assert!(world.try_jira(on).await.unwrap().jira.unwrap().enabled);
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn empty_request_changes_nothing_and_returns_settings() {
    let mut world = Plan::new().start_unconfigured().await;
    let answer = world.configure(v1::ConfigureRequest::default()).await;
    assert_eq!((answer.jira, answer.servicenow, answer.deliveries_made_due), (None, None, 0));
    let auto_push = answer.auto_push.unwrap();
    assert_eq!(auto_push.enabled, Some(false));
    assert_eq!(auto_push.minimum_severity(), v1::Severity::Critical);
    assert_eq!(auto_push.systems.unwrap().values, [i32::from(TicketSystem::Jira)]);
    let retry = answer.retry.unwrap();
    assert_eq!((retry.max_retry_attempts, retry.jitter), (Some(5), Some(0.0)));
    let seconds = |duration: Option<prost_types::Duration>| duration.unwrap().seconds;
    let delays = [retry.base_delay, retry.max_delay, retry.processor_interval].map(seconds);
    assert_eq!(delays, [60, 3_600, 120]);
    world.finish().await;
}

#[tokio::test]
async fn empty_text_clears_a_field() {
    let mut world = Plan::new().start().await;
    let clear = v1::ServiceNowSettings { assignment_group: text(""), ..Default::default() };
    let view = world.try_servicenow(clear).await.unwrap().servicenow.unwrap();
    assert_eq!(view.assignment_group, "");
    let clear = v1::JiraSettings { email: text(""), enabled: Some(false), ..Default::default() };
    assert_eq!(world.try_jira(clear).await.unwrap().jira.unwrap().email, "");
    world.finish().await;
}

#[tokio::test]
async fn one_invalid_field_changes_nothing() {
    let mut world = Plan::new().start().await;
    let before = world.client.get_status().await.unwrap();
    let request = v1::ConfigureRequest {
        jira: Some(v1::JiraSettings { project_key: text("OPS"), ..Default::default() }),
        servicenow: Some(v1::ServiceNowSettings { table: text("u_Bad Table"), ..Default::default() }),
        auto_push: Some(v1::AutoPushSettings { enabled: Some(true), ..Default::default() }),
        retry: Some(v1::RetrySettings { max_retry_attempts: Some(3), ..Default::default() }),
        ..Default::default()
    };
    refusal(world.client.configure(request).await).is_invalid("SETTINGS_INVALID", &["servicenow.table"]);
    assert_eq!(world.client.get_status().await.unwrap(), before);
    world.finish().await;
}

#[tokio::test]
async fn reports_all_violations_at_once() {
    let mut world = Plan::new().start().await;
    let request = v1::ConfigureRequest {
        jira: Some(v1::JiraSettings {
            url: text("nonsense://"),
            project_key: text("sec"),
            issue_type: text("x".repeat(256)),
            flavour: Some(0),
            ..Default::default()
        }),
        servicenow: Some(v1::ServiceNowSettings {
            username: text("with:colon"),
            assignment_group: text("a^b"),
            priorities: Some(v1::ServiceNowPriorities {
                low: Some(v1::ServiceNowPriority { impact: 6, urgency: 0 }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        auto_push: Some(v1::AutoPushSettings {
            minimum_severity: Some(0),
            systems: Some(v1::TicketSystemList { values: vec![] }),
            ..Default::default()
        }),
        retry: Some(v1::RetrySettings {
            max_retry_attempts: Some(21),
            base_delay: Some(prost_types::Duration { seconds: 0, nanos: 0 }),
            processor_interval: Some(prost_types::Duration { seconds: 3_601, nanos: 0 }),
            jitter: Some(1.5),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut refused = refusal(world.client.configure(request).await);
    refused.fields.sort();
    refused.is_invalid(
        "SETTINGS_INVALID",
        &[
            "auto_push.minimum_severity",
            "auto_push.systems.values",
            "jira.flavour",
            "jira.issue_type",
            "jira.project_key",
            "jira.url",
            "retry.base_delay",
            "retry.jitter",
            "retry.max_retry_attempts",
            "retry.processor_interval",
            "servicenow.assignment_group",
            "servicenow.priorities.low.impact",
            "servicenow.priorities.low.urgency",
            "servicenow.username",
        ],
    );
    world.finish().await;
}

#[tokio::test]
async fn incomplete_settings_are_kept_only_while_disabled() {
    let mut world = Plan::new().start_unconfigured().await;
    let part = v1::JiraSettings { project_key: text("SEC"), ..Default::default() };
    let view = world.try_jira(part).await.unwrap().jira.unwrap();
    assert_eq!((view.enabled, view.project_key.as_str()), (false, "SEC"));
    let on = v1::JiraSettings { enabled: Some(true), ..Default::default() };
    refusal(world.try_jira(on).await).is_invalid("SETTINGS_INVALID", &["jira.url", "jira.api_token"]);
    let on = v1::ServiceNowSettings { enabled: Some(true), ..Default::default() };
    refusal(world.try_servicenow(on).await).is_invalid(
        "SETTINGS_INVALID",
        &["servicenow.instance", "servicenow.username", "servicenow.password"],
    );
    let status = world.status(TicketSystem::Jira).await;
    assert!(!status.configured && !status.enabled);
    assert!(world.status(TicketSystem::Servicenow).await.settings.is_none());
    world.finish().await;
}

#[tokio::test]
async fn disabled_settings_are_validated_too() {
    let mut world = Plan::new().start_unconfigured().await;
    let part = v1::JiraSettings { project_key: text("not a key"), ..Default::default() };
    refusal(world.try_jira(part).await).is_invalid("SETTINGS_INVALID", &["jira.project_key"]);
    let part = v1::ServiceNowSettings { instance: text("ftp://acme"), ..Default::default() };
    refusal(world.try_servicenow(part).await).is_invalid("SETTINGS_INVALID", &["servicenow.instance"]);
    world.finish().await;
}

#[tokio::test]
async fn settings_survive_a_restart() {
    let mut world = Plan::new().in_a_process().start().await;
    let systems = Some(v1::TicketSystemList { values: vec![2, 1] });
    let request = v1::ConfigureRequest {
        auto_push: Some(v1::AutoPushSettings {
            enabled: Some(true),
            minimum_severity: Some(3),
            systems,
            ..Default::default()
        }),
        ..Default::default()
    };
    let before = world.configure(request).await;
    world.restart().await;
    let after = world.configure(v1::ConfigureRequest::default()).await;
    assert_eq!(after, v1::ConfigureResponse { deliveries_made_due: 0, ..before });
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let answer = world.try_push(incident("INC-1"), system).await.unwrap();
        assert_eq!(answer.delivery.unwrap().state(), v1::DeliveryState::Delivered, "{}", answer.message);
    }
    world.finish().await;
}

#[tokio::test]
async fn auto_push_targets_are_replaced_as_a_whole() {
    let mut world = Plan::new().start().await;
    let selecting = |values: &[i32]| v1::ConfigureRequest {
        auto_push: Some(v1::AutoPushSettings {
            systems: Some(v1::TicketSystemList { values: values.to_vec() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    world.configure(selecting(&[1, 2])).await;
    let answer = world.configure(selecting(&[2])).await;
    assert_eq!(answer.auto_push.unwrap().systems.unwrap().values, [2]);
    let refused = refusal(world.client.configure(selecting(&[1, 1])).await);
    refused.is_invalid("SETTINGS_INVALID", &["auto_push.systems.values"]);
    let refused = refusal(world.client.configure(selecting(&[0])).await);
    refused.is_invalid("SETTINGS_INVALID", &["auto_push.systems.values[0]"]);
    world.finish().await;
}
