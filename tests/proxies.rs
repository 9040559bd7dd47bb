//! Proxies: the login used, and that its password is sent to the proxy only.

use std::io::Write;

use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use rhythmx_ticketing::v1::{self, DeliveryState, FaultKind, TicketSystem};
use ticketing_harness::{Plan, Proxy, SECRETS, World, refusal, retrying, state, text};
use ticketing_simulator::{Authority, Certificate};

const PROXY_SECRET: &str = "proxy-canary";
const ELSEWHERE: &str = "http://127.0.0.1:9";

/// Ticket systems over TLS, which alone use a proxy.
struct Site {
    folder: tempfile::TempDir,
    plan: Plan,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let good = authority.issue(Certificate::Good).unwrap();
        let plan = Plan::new().under_tls(&good, authority.pem_file());
        Self { folder, plan }
    }

    /// The operator's file for this proxy.
    fn with_logins(self, proxy: &Proxy, login: &str) -> Self {
        let logins = self.folder.path().join("logins");
        writeln!(std::fs::File::create(&logins).unwrap(), "{} {login}", proxy.address).unwrap();
        let plan = self.plan.with_flag(&format!("--proxy-logins={}", logins.display()));
        Self { plan, ..self }
    }
}

fn by_proxy(world: &World, proxy: &Proxy, password: &str) -> v1::JiraSettings {
    v1::JiraSettings {
        proxy_url: text(proxy.url()),
        proxy_username: text("bot"),
        proxy_password: text(password),
        ..world.jira_settings()
    }
}

async fn jira_view(world: &mut World) -> v1::JiraSettingsView {
    match world.status(TicketSystem::Jira).await.settings.unwrap() {
        v1::connection_status::Settings::Jira(view) => view,
        other => panic!("not Jira's settings: {other:?}"),
    }
}

#[tokio::test]
async fn proxy_login_of_the_settings_overrides_the_operators() {
    let proxy = Proxy::start().await;
    proxy.require_login("bot", PROXY_SECRET);
    let Site { folder: _folder, plan } = Site::new().with_logins(&proxy, "operator:other");
    let mut world = plan.start_unconfigured().await;
    world.secrets.push(PROXY_SECRET.to_owned());
    let jira = by_proxy(&world, &proxy, PROXY_SECRET);
    let view = world.try_jira(jira).await.unwrap().jira.unwrap();
    assert_eq!((view.proxy_username.as_str(), view.proxy_password_set_at.is_some()), ("bot", true));
    let servicenow = v1::ServiceNowSettings {
        proxy_url: text(proxy.url()),
        proxy_username: text("bot"),
        proxy_password: text(PROXY_SECRET),
        ..world.servicenow_settings()
    };
    let view = world.try_servicenow(servicenow).await.unwrap().servicenow.unwrap();
    assert_eq!((view.proxy_username.as_str(), view.proxy_password_set_at.is_some()), ("bot", true));
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        assert_eq!(state(&world.push("INC-1", system).await), DeliveryState::Delivered);
    }
    assert!(proxy.received_only_login("bot", PROXY_SECRET), "{:?}", proxy.request_heads());
    // The stored password stays if it is not sent again, and after a restart.
    world.try_jira(v1::JiraSettings { issue_type: text("Bug"), ..Default::default() }).await.unwrap();
    world.restart().await;
    assert!(jira_view(&mut world).await.proxy_password_set_at.is_some());
    assert_eq!(state(&world.push("INC-2", TicketSystem::Jira).await), DeliveryState::Delivered);
    assert!(proxy.received_only_login("bot", PROXY_SECRET), "{:?}", proxy.request_heads());
    world.finish().await;
}

#[tokio::test]
async fn changed_proxy_needs_its_password_again() {
    let proxy = Proxy::start().await;
    let Site { folder: _folder, plan } = Site::new();
    let mut world = plan.start_unconfigured().await;
    let jira = by_proxy(&world, &proxy, PROXY_SECRET);
    world.try_jira(jira).await.unwrap();
    let moved = v1::JiraSettings { proxy_url: text(ELSEWHERE), ..Default::default() };
    let both = ["jira.api_token", "jira.proxy_password"];
    refusal(world.try_jira(moved.clone()).await).is_invalid("SECRET_REQUIRED", &both);
    let with_token = v1::JiraSettings { api_token: text(SECRETS[0]), ..moved };
    refusal(world.try_jira(with_token.clone()).await).is_invalid("SECRET_REQUIRED", &both[1..]);
    let request = v1::TestConnectionRequest {
        destination: Some(TicketSystem::Jira.into()),
        unsaved: Some(Unsaved::Jira(with_token.clone())),
    };
    refusal(world.client.test_connection(request).await).is_invalid("SECRET_REQUIRED", &both[1..]);
    let with_both = v1::JiraSettings { proxy_password: text("another"), ..with_token };
    assert_eq!(world.try_jira(with_both).await.unwrap().jira.unwrap().proxy_url, ELSEWHERE);
    // A user without a password, and a login without a proxy, are refused.
    let half = v1::JiraSettings { proxy_password: text(""), ..Default::default() };
    refusal(world.try_jira(half.clone()).await).is_invalid("SETTINGS_INVALID", &["jira.proxy_password"]);
    let no_proxy =
        v1::JiraSettings { proxy_url: text(""), api_token: text(SECRETS[0]), ..Default::default() };
    refusal(world.try_jira(no_proxy.clone()).await)
        .is_invalid("SETTINGS_INVALID", &["jira.proxy_username", "jira.proxy_password"]);
    let none = v1::JiraSettings { proxy_username: text(""), proxy_password: text(""), ..no_proxy };
    let view = world.try_jira(none).await.unwrap().jira.unwrap();
    assert_eq!((view.proxy_username.as_str(), view.proxy_password_set_at), ("", None));
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    assert!(proxy.request_heads().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn refused_proxy_login_is_reported_as_such() {
    let proxy = Proxy::start().await;
    proxy.require_login("bot", "right");
    let Site { folder: _folder, plan } = Site::new();
    let mut world = plan.start_unconfigured().await;
    world.secrets.extend([PROXY_SECRET.to_owned()]);
    let jira = by_proxy(&world, &proxy, PROXY_SECRET);
    world.try_jira(jira.clone()).await.unwrap();
    world.disable_automatic_retries().await;
    let pushed = world.push("INC-1", TicketSystem::Jira).await;
    let id = pushed.delivery.unwrap().id;
    let delivery = world.delivery(&id).await;
    let fault = delivery.attempts.last().unwrap().fault.clone().unwrap();
    assert_eq!((fault.kind(), fault.ambiguous), (FaultKind::Connect, false), "{fault:#?}");
    assert!(
        fault.message.contains("refused the login") && fault.hint.contains("proxy_password"),
        "{fault:#?}"
    );
    let unsaved = v1::JiraSettings { proxy_password: text("right"), ..Default::default() };
    let request = v1::TestConnectionRequest {
        destination: Some(TicketSystem::Jira.into()),
        unsaved: Some(Unsaved::Jira(unsaved.clone())),
    };
    assert!(world.client.test_connection(request).await.unwrap().test.unwrap().passed);
    world.try_jira(unsaved).await.unwrap();
    world.client.retry_delivery(retrying(&id)).await.ok();
    world.until(&id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn proxy_login_comes_from_the_operators_file() {
    let proxy = Proxy::start().await;
    let Site { folder: _folder, plan } = Site::new().with_logins(&proxy, &format!("bot:{PROXY_SECRET}"));
    let mut world = plan.start_unconfigured().await;
    let url = proxy.url();
    let jira = v1::JiraSettings { proxy_url: text(&url), ..world.jira_settings() };
    world.configure(v1::ConfigureRequest { jira: Some(jira), ..Default::default() }).await;
    assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
    let host = world.jira.base_url().replace("https://", "");
    let heads = proxy.request_heads();
    assert!(heads.iter().all(|head| head.starts_with(&format!("CONNECT {host} "))), "{heads:?}");
    assert!(proxy.received_only_login("bot", PROXY_SECRET), "{heads:?}");
    assert!(!world.server.log().contains(PROXY_SECRET));
    let v1::connection_status::Settings::Jira(view) =
        world.status(TicketSystem::Jira).await.settings.unwrap()
    else {
        panic!("not Jira's settings")
    };
    assert_eq!(view.proxy_url, url);
    // Another route needs the token again, whatever its notation.
    for other in ["", "http://127.0.0.1:9"] {
        let jira = Some(v1::JiraSettings { proxy_url: text(other), ..Default::default() });
        let request = v1::ConfigureRequest { jira, ..Default::default() };
        refusal(world.client.configure(request).await).is_invalid("SECRET_REQUIRED", &["jira.api_token"]);
    }
    world.finish().await;
}

#[tokio::test]
async fn environment_proxy_needs_a_flag() {
    for asked_for in [false, true] {
        let proxy = Proxy::start().await;
        let url = format!("http://bot:{PROXY_SECRET}@{}", proxy.address);
        let Site { folder: _folder, plan } = Site::new();
        let plan = plan.with_variable("HTTPS_PROXY", &url);
        let plan = if asked_for { plan.with_flag("--proxy-from-environment") } else { plan };
        let mut world = plan.start().await;
        assert_eq!(state(&world.push("INC-1", TicketSystem::Jira).await), DeliveryState::Delivered);
        assert_eq!(!proxy.request_heads().is_empty(), asked_for);
        let warnings = world.server.log().matches("ignoring the proxy of the environment").count();
        assert_eq!(warnings, usize::from(!asked_for), "said once, if it is so");
        world.finish().await;
    }
}
