//! Egress policy (SSRF protection): addresses in settings are checked, and only the operator's allow list widens it.

use std::time::Duration;

use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use rhythmx_ticketing::v1::{self, DeliveryState, FaultKind, TicketSystem};
use ticketing_harness::{Plan, World, free_address, refusal, retrying, run_program, state, text};
use ticketing_simulator::{Authority, Call, Certificate, Effect, Point, Rule, When};
use tonic::Code;
use tonic_types::StatusExt;

/// Nothing else is called: the flag names an unused address.
const NOWHERE: &str = "--allow-target=192.0.2.1";

#[tokio::test]
async fn internal_addresses_are_blocked_in_any_notation() {
    let mut world = Plan::new().in_a_process().with_flag(NOWHERE).start_unconfigured().await;
    let port = world.jira.base_url().rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "０.0.0.0",
        "LOCALHOST",
        "localhost.",
        "a@127.0.0.1",
        "%31%32%37.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "10.0.0.1",
        "[fe80::1%25eth0]",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}");
            let jira = v1::JiraSettings { url: text(&url), ..world.jira_settings() };
            let servicenow = v1::ServiceNowSettings { instance: text(&url), ..world.servicenow_settings() };
            let request = v1::ConfigureRequest {
                jira: Some(jira.clone()),
                servicenow: Some(servicenow.clone()),
                ..Default::default()
            };
            refusal(world.client.configure(request).await)
                .is_invalid("SETTINGS_INVALID", &["jira.url", "servicenow.instance"]);
            refusal(test(&mut world, Unsaved::Jira(jira)).await)
                .is_invalid("SETTINGS_INVALID", &["jira.url"]);
            refusal(test(&mut world, Unsaved::Servicenow(servicenow)).await)
                .is_invalid("SETTINGS_INVALID", &["servicenow.instance"]);
        }
    }
    let jira = world.jira_settings();
    let refused = test(&mut world, Unsaved::Jira(jira)).await.unwrap_err();
    assert!(refused.message().contains(&format!("--allow-target=127.0.0.1:{port}")), "{refused:?}");
    for field in ["gateway_url", "proxy_url"] {
        let mut jira = v1::JiraSettings { url: text("https://acme.atlassian.net"), ..world.jira_settings() };
        let within = text(world.jira.base_url());
        match field {
            "gateway_url" => {
                (jira.gateway_url, jira.cloud_id) = (within, text("11223344-a1b2-3b33-c444-def123456789"));
            }
            _ => jira.proxy_url = within,
        }
        let field = format!("jira.{field}");
        refusal(test(&mut world, Unsaved::Jira(jira)).await).is_invalid("SETTINGS_INVALID", &[&field]);
    }
    assert!(world.jira.requests().is_empty() && world.servicenow.requests().is_empty());
    assert_eq!(world.jira.reached(Call::Any, Point::HeadRead), 0);
    world.finish().await;
}

#[tokio::test]
async fn blocked_addresses_all_get_the_same_answer() {
    let mut world = Plan::new().in_a_process().with_flag(NOWHERE).start_unconfigured().await;
    let open = world.jira.base_url();
    let closed = format!("http://{}", free_address());
    let mut refusals = vec![];
    for url in [open, closed] {
        let jira = v1::JiraSettings { url: text(&url), ..world.jira_settings() };
        let refused = test(&mut world, Unsaved::Jira(jira)).await.unwrap_err();
        let port = url.rsplit(':').next().unwrap();
        refusals.push((refused.code(), refused.message().replace(port, "PORT")));
    }
    assert_eq!(refusals[0], refusals[1]);
    world.finish().await;
}

#[tokio::test]
async fn withdrawn_address_permission_stops_calls_until_restored() {
    let mut world = Plan::new().in_a_process().start().await;
    world.disable_automatic_retries().await;
    world.server.stop().await;
    world.server.next_start().flags.push(NOWHERE.to_owned());
    world.server.start_again().await;
    world.client = world.server.client().await;
    let pushed = world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(state(&pushed), DeliveryState::Waiting);
    let id = pushed.delivery.unwrap().id;
    let delivery = world.delivery(&id).await;
    let fault = delivery.attempts.last().unwrap().fault.clone().unwrap();
    assert_eq!((fault.kind(), fault.ambiguous), (FaultKind::NotPermitted, false), "{fault:#?}");
    assert!(fault.hint.contains("--allow-target=127.0.0.1:"), "{fault:#?}");
    let request =
        v1::TestConnectionRequest { destination: Some(TicketSystem::Servicenow.into()), unsaved: None };
    let tested = world.client.test_connection(request).await.unwrap().test.unwrap();
    assert!(!tested.passed && tested.checks[0].detail.contains("may not be called"), "{tested:#?}");
    assert!(world.jira.requests().is_empty() && world.servicenow.requests().is_empty());
    world.server.stop().await;
    world.server.next_start().flags.retain(|flag| flag != NOWHERE);
    world.server.start_again().await;
    world.client = world.server.client().await;
    world.client.retry_delivery(retrying(&id)).await.unwrap();
    world.until(&id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn invalid_flag_is_refused_at_start() {
    for flag in [
        "169.254.169.254",
        "169.254.0.0/16",
        "0.0.0.0/0",
        "metadata.google.internal",
        "https://jira",
        "127.1",
    ] {
        let flag = format!("--allow-target={flag}");
        let ended = run_program(&["serve".to_owned(), flag.clone()], &[]).await;
        assert_ne!(ended.code, Some(0), "{flag}");
        assert!(ended.stderr.lines().next().unwrap().contains("--allow-target"), "{ended:?}");
    }
}

#[tokio::test]
async fn connection_tests_are_rate_limited_with_retry_info() {
    let mut world = Plan::new().in_a_process().with_flag("--tests-per-minute=3").start().await;
    let request = v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: None };
    for _ in 0..3 {
        world.client.test_connection(request.clone()).await.unwrap();
    }
    let refused = world.client.test_connection(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "RATE_LIMITED");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(20), "{wait:?}");
    // Deliveries continue.
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    world.finish().await;
}

#[tokio::test]
async fn redirect_to_internal_address_reveals_nothing() {
    let mut world = Plan::new().in_a_process().start().await;
    let location = format!("{}/_simulator/tickets", world.servicenow.base_url());
    let redirect = Effect::Redirect { status: 302, location };
    world.jira.faults().push(Rule::new(Call::Any, When::Always, redirect));
    let request = v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: None };
    let tested = world.client.test_connection(request).await.unwrap().test.unwrap();
    assert!(!tested.passed);
    assert!(world.servicenow.requests().is_empty());
    world.jira.faults().clear();
    world.finish().await;
}

#[tokio::test]
async fn custom_authority_is_trusted_for_its_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::new(folder.path()).unwrap();
    let good = ours.issue(Certificate::Good).unwrap();
    // The machine trusts another authority.
    let mut world = Plan::new().under_tls(&good, other.pem_file()).start().await;
    world.disable_automatic_retries().await;
    let pem = std::fs::read_to_string(ours.pem_file()).unwrap();
    let changed = v1::JiraSettings { ca_certificates: text(&pem), ..Default::default() };
    let request = v1::ConfigureRequest { jira: Some(changed.clone()), ..Default::default() };
    refusal(world.client.configure(request).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    let jira = v1::JiraSettings { ca_certificates: text(&pem), ..world.jira_settings() };
    world.configure(v1::ConfigureRequest { jira: Some(jira), ..Default::default() }).await;
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    let pushed = world.push("INC-1", TicketSystem::Servicenow).await;
    let delivery = world.delivery(&pushed.delivery.unwrap().id).await;
    assert_eq!(delivery.attempts.last().unwrap().fault.clone().unwrap().kind(), FaultKind::Tls);
    world.finish().await;
}

async fn test(world: &mut World, settings: Unsaved) -> Result<v1::TestConnectionResponse, tonic::Status> {
    let system = match settings {
        Unsaved::Jira(_) => TicketSystem::Jira,
        Unsaved::Servicenow(_) => TicketSystem::Servicenow,
    };
    let request = v1::TestConnectionRequest { destination: Some(system.into()), unsaved: Some(settings) };
    world.client.test_connection(request).await
}
