//! Further distinctive secrets, wherever they may leak: through an echoing proxy, a login of Data Center, a
//! caller's own credential, and a panic of the program.

use std::io::Write;

use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use rhythmx_ticketing::v1::{self, TicketSystem};
use ticketing_harness::{Plan, Point, Proxy, Subscriber, World, from_oldest, incident, text};
use ticketing_simulator::{Authority, Call, Certificate, Credential, Effect, Profile, Rule, Vendor, When};
use tonic::Code;

use crate::access::{IdentityProvider, call, channel, methods};
use crate::contract_secret_leaks::{REFUSALS, echo, responses_of_every_call};

const OF_SETTINGS: &str = "CANARY-proxy-of-settings-0ff1ce";
const OF_OPERATOR: &str = "CANARY-proxy-of-operator-0ff1ce";
const PERSONAL: &str = "CANARY-personal-access-token-0ff1ce";
const IN_REACH: [&str; 3] = ["CANARY-token-in-reach", "CANARY-word-in-reach", "CANARY-proxy-in-reach"];

/// All events so far, and the output of offline commands; their backup is beside the database.
async fn events_and_commands(world: &mut World) -> String {
    let newest = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token;
    let mut stream = Subscriber::open(&world.client, from_oldest()).await;
    let mut responses = String::new();
    while stream.token != newest {
        responses.push_str(&format!("{:?}", stream.next().await.unwrap()));
    }
    let copy = world.server.data().join("copy.db").display().to_string();
    for command in [&["key", "rotate", "--data-key"][..], &["backup", &copy]] {
        let done = world.server.run_offline(command).wait_with_output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
        responses.push_str(&String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
    }
    let audit = world.client.list_audit_entries(v1::ListAuditEntriesRequest::default()).await;
    responses + &format!("{audit:?}")
}

#[tokio::test]
async fn proxy_login_never_leaks() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let good = authority.issue(Certificate::Good).unwrap();
    let of_settings = Proxy::start().await;
    let of_operator = Proxy::start().await;
    let logins = folder.path().join("logins");
    writeln!(std::fs::File::create(&logins).unwrap(), "{} ops:{OF_OPERATOR}", of_operator.address).unwrap();
    let plan = Plan::new().in_a_process().under_tls(&good, authority.pem_file()).with_flag("--log=trace");
    let plan = plan.with_flag("--circuit-threshold=1000").with_flag("--tests-per-minute=1000");
    let mut world =
        plan.with_flag(&format!("--proxy-logins={}", logins.display())).start_unconfigured().await;
    world.secrets.extend([OF_SETTINGS, OF_OPERATOR].map(str::to_owned));
    let jira = v1::JiraSettings {
        proxy_url: text(of_settings.url()),
        proxy_username: text("bot"),
        proxy_password: text(OF_SETTINGS),
        ..world.jira_settings()
    };
    let servicenow =
        v1::ServiceNowSettings { proxy_url: text(of_operator.url()), ..world.servicenow_settings() };
    let unsaved = Unsaved::Jira(jira.clone());
    let both = v1::ConfigureRequest { jira: Some(jira), servicenow: Some(servicenow), ..Default::default() };
    let mut responses = format!("{both:?} {:?}", world.client.configure(both.clone()).await);
    responses.push_str(&responses_of_every_call(&mut world, "INC-through").await);
    assert!(
        of_settings.received_only_login("bot", OF_SETTINGS)
            && of_operator.received_only_login("ops", OF_OPERATOR)
    );
    // A proxy that intercepts TLS answers instead of the site, and echoes what it received.
    for status in REFUSALS {
        let sites = [
            (&world.jira, "bot", OF_SETTINGS, &of_settings),
            (&world.servicenow, "ops", OF_OPERATOR, &of_operator),
        ];
        for (site, user, secret, _) in sites {
            site.faults().clear();
            let answer = Effect::Answer(echo(status, user, secret));
            site.faults().push(Rule::new(Call::Any, When::Always, answer));
        }
        responses.push_str(&responses_of_every_call(&mut world, &format!("INC-{status}")).await);
    }
    [&world.jira, &world.servicenow].into_iter().for_each(|site| site.faults().clear());
    // One that refuses the login echoes it in every header and on its page.
    of_settings.require_login("bot", "another");
    of_operator.require_login("ops", "another");
    responses.push_str(&responses_of_every_call(&mut world, "INC-407").await);
    let unsaved =
        v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: Some(unsaved) };
    responses.push_str(&format!("{:?}", world.client.test_connection(unsaved).await));
    assert!(responses.contains("refused the login"));
    let moved = v1::JiraSettings { proxy_url: text("http://127.0.0.1:9"), ..Default::default() };
    responses.push_str(&format!("{:?}", world.try_jira(moved).await));
    responses.push_str(&events_and_commands(&mut world).await);
    world.check_no_secret_in(&responses);
    world.check_no_secret_in_files();
    world.finish().await;
}

#[tokio::test]
async fn personal_access_token_never_leaks() {
    let login = Credential::Bearer { token: PERSONAL.to_owned() };
    let jira = Profile::of(Vendor::JiraDataCenter).only_credential(login);
    let plan = Plan::new().in_a_process().with_flag("--log=trace").with_flag("--circuit-threshold=1000");
    let mut world = plan.with_jira(Vendor::JiraDataCenter, jira).start_unconfigured().await;
    world.secrets.push(PERSONAL.to_owned());
    let settings = v1::JiraSettings {
        personal_access_token: text(PERSONAL),
        api_token: None,
        email: None,
        ..world.jira_settings()
    };
    let mut responses = format!("{:?}", world.try_jira(settings).await.unwrap());
    world.push("INC-0", TicketSystem::Jira).await;
    for status in REFUSALS {
        world.jira.faults().clear();
        let answer = Effect::Answer(echo(status, "Bearer", PERSONAL));
        world.jira.faults().push(Rule::new(Call::Any, When::Always, answer));
        responses.push_str(&responses_of_every_call(&mut world, &format!("INC-{status}")).await);
    }
    world.jira.faults().clear();
    responses.push_str(&events_and_commands(&mut world).await);
    world.check_no_secret_in(&responses);
    world.check_no_secret_in_files();
    world.finish().await;
}

#[tokio::test]
async fn jwt_never_leaks_from_any_method() {
    let provider = IdentityProvider::new();
    let mut world = provider.trusted_by(Plan::new().in_a_process().with_flag("--log=trace")).start().await;
    let credentials = [("analyst", 4_000_000_000), ("admin", 1_000_000_000), ("root", 4_000_000_000)];
    let mut responses = String::new();
    let channel = channel(&world).await;
    for token in credentials.map(|(role, expires)| provider.signed(role, expires)) {
        for (_, path) in methods() {
            responses.push_str(&format!("{:?}", call(&channel, &path, Some(&token)).await));
        }
        // The signature alone, too: the rest can be guessed.
        world.secrets.extend(token.rsplit('.').next().map(str::to_owned));
        world.secrets.push(token);
    }
    responses.push_str(&events_and_commands(&mut world).await);
    world.check_no_secret_in(&responses);
    world.check_no_secret_in_files();
    world.finish().await;
}

#[tokio::test]
async fn panic_is_answered_without_secrets_and_server_continues() {
    let mut world = Plan::new().in_a_process().with_flag("--log=trace").start().await;
    world.secrets.extend(IN_REACH.map(str::to_owned));
    let before = settings(&mut world).await;
    let jira = v1::JiraSettings { api_token: text(IN_REACH[0]), ..Default::default() };
    let proxy = v1::ServiceNowSettings {
        password: text(IN_REACH[1]),
        proxy_url: text("http://127.0.0.1:9"),
        proxy_username: text("bot"),
        proxy_password: text(IN_REACH[2]),
        instance: text("https://127.0.0.1:9"),
        ..Default::default()
    };
    let request = v1::ConfigureRequest { jira: Some(jira), servicenow: Some(proxy), ..Default::default() };
    let mut responses = String::new();
    for (round, point) in [Point::Configuring, Point::Saving, Point::SettingsOpen].into_iter().enumerate() {
        world.server.panic_at(point);
        let refused = world.client.configure(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{point:?}: {refused:?}");
        responses.push_str(&format!("{refused:?}"));
        assert_eq!(world.server.log().matches("panicked at").count(), round + 1, "{point:?}");
        assert_eq!(settings(&mut world).await, before, "{point:?}: nothing was changed");
        let id = format!("INC-{round}");
        world.push(&id, TicketSystem::Jira).await;
        responses.push_str(&format!("{:?}", world.preview(incident(&id), TicketSystem::Jira).await));
    }
    responses.push_str(&events_and_commands(&mut world).await);
    world.check_no_secret_in(&responses);
    world.check_no_secret_in_files();
    world.finish_after_panics().await;
}

async fn settings(world: &mut World) -> Vec<Option<v1::connection_status::Settings>> {
    let status = world.client.get_status().await.unwrap();
    status.connections.into_iter().map(|system| system.settings).collect()
}
