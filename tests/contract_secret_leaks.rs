//! Sends distinctive secrets through every failure, and searches for them everywhere.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use rhythmx_ticketing::v1::{self, TicketSystem};
use serde_json::json;
use ticketing_core::role::Role;
use ticketing_harness::{Plan, Subscriber, World, from_oldest, incident, text};
use ticketing_simulator::{Call, Credential, Effect, Profile, Reply, Rule, Vendor, When};

use crate::access::{call, channel, methods};

const HOUR: Duration = Duration::from_secs(3_600);

const JIRA_USER: &str = "canary@example.com";
const JIRA_SECRET: &str = "CANARY-jira-5f1e77c0ffee";
const SERVICENOW_USER: &str = "canary.integration";
const SERVICENOW_SECRET: &str = "CANARY-servicenow-5f1e77c0ffee";
const UNSAVED_SECRET: &str = "CANARY-unsaved-5f1e77c0ffee";
pub const REFUSALS: [u16; 9] = [400, 401, 403, 404, 409, 422, 429, 500, 503];

#[tokio::test]
async fn no_secret_in_logs_files_events_and_answers() {
    let mut world = configured().await;
    let mut responses = String::new();
    // First without deliveries: a system can only echo what it received.
    for status in REFUSALS {
        repeat(&world, Call::Any, status, [UNSAVED_SECRET, UNSAVED_SECRET]);
        responses.push_str(&unsaved(&mut world).await);
    }
    for status in REFUSALS {
        repeat(&world, Call::Any, status, [JIRA_SECRET, SERVICENOW_SECRET]);
        responses.push_str(&responses_of_every_call(&mut world, &format!("INC-{status}")).await);
    }
    repeat(&world, Call::Create, 201, [JIRA_SECRET, SERVICENOW_SECRET]);
    responses.push_str(&responses_of_every_call(&mut world, "INC-201").await);
    let newest = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token;
    let mut stream = Subscriber::open(&world.client, from_oldest()).await;
    while stream.token != newest {
        responses.push_str(&format!("{:?}", stream.next().await.unwrap()));
    }
    assert!(responses.len() > 10_000);
    // The files of a running server, including the WAL, and of a stopped one.
    let mut places = world.server.written();
    world.server.stop().await;
    places.extend(world.server.written());
    places.push(("what was answered".to_owned(), responses.into_bytes()));
    assert!(places.iter().any(|(name, _)| name.ends_with("-wal")), "the write-ahead log was looked at");
    for (name, bytes) in places {
        for form in forms() {
            let found = bytes.windows(form.len()).position(|window| window == form.as_bytes());
            let around = |at: usize| {
                String::from_utf8_lossy(&bytes[at.saturating_sub(200)..bytes.len().min(at + 100)])
                    .into_owned()
            };
            assert!(found.is_none(), "{form} is in {name}: {}", found.map(around).unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn no_credential_or_key_is_written_by_any_method() {
    let mut world = Plan::new().with_token_auth().in_a_process().with_flag("--log=trace").start().await;
    let key_file = world.server.data().join("ticketing.db.key");
    let mut keys = vec![std::fs::read_to_string(&key_file).unwrap()];
    let good = world.server.make_token("canary", Role::Admin, HOUR).await;
    let expired = world.server.make_token("canary", Role::Admin, Duration::from_micros(1)).await;
    let wrong: String = good.chars().rev().enumerate().map(|(at, c)| if at < 4 { 'x' } else { c }).collect();
    let wrong: String = wrong.chars().rev().collect();
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDQU5BUlktand0In0.Q0FOQVJZLWp3dC1zaWduYXR1cmU".to_owned();
    let credentials = [good, expired, wrong, jwt, "CANARY-password-as-bearer".to_owned()];
    let channel = channel(&world).await;
    let mut responses = String::new();
    for (_, path) in methods() {
        for credential in &credentials {
            responses.push_str(&format!("{:?}", call(&channel, &path, Some(credential)).await));
        }
    }
    responses.push_str(&responses_of_every_call(&mut world, "INC-1").await);
    let audit = world.client.list_audit_entries(v1::ListAuditEntriesRequest::default()).await;
    responses.push_str(&format!("{audit:?}"));
    let copy = world.server.data().join("copy.db").display().to_string();
    for command in
        [&["key", "rotate", "--data-key"][..], &["key", "rotate"], &["token", "list"], &["backup", &copy]]
    {
        let done = world.server.run_offline(command).wait_with_output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
        responses.push_str(&String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
    }
    keys.push(std::fs::read_to_string(&key_file).unwrap());
    responses.push_str(&responses_of_every_call(&mut world, "INC-2").await);
    // The secret of a token may have underscores, too.
    let bearers = credentials.iter().map(|text| text.splitn(3, '_').last().unwrap_or_default().to_owned());
    world.secrets.extend(bearers);
    world.check_no_secret_in(&responses);
    let mut places = world.server.written();
    places.push(("what was answered".to_owned(), responses.into_bytes()));
    assert!(places.iter().any(|(name, _)| name.ends_with("copy.db")), "the copy was looked at");
    for (name, bytes) in places.into_iter().filter(|(name, _)| !name.contains(".key")) {
        for key in &keys {
            for form in forms_of_key(key.trim()) {
                assert!(!bytes.windows(form.len()).any(|window| window == form), "the key is in {name}");
            }
        }
    }
    world.finish().await;
}

/// A key in the form of its file, raw, and in hexadecimal digits.
fn forms_of_key(text: &str) -> [Vec<u8>; 4] {
    let bytes = STANDARD.decode(text).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let inner = text.trim_end_matches('=').as_bytes().to_vec();
    [inner, bytes, hex.to_uppercase().into_bytes(), hex.into_bytes()]
}

async fn configured() -> World {
    let jira = Profile::of(Vendor::JiraCloud).only_credential(basic(JIRA_USER, JIRA_SECRET));
    let servicenow =
        Profile::of(Vendor::ServiceNow).only_credential(basic(SERVICENOW_USER, SERVICENOW_SECRET));
    let plan = Plan::new().in_a_process().with_flag("--log=trace").with_flag("--circuit-threshold=1000");
    let mut world =
        plan.with_jira(Vendor::JiraCloud, jira).with_servicenow(servicenow).start_unconfigured().await;
    let mut settings = world.settings();
    let jira = settings.jira.as_mut().unwrap();
    let servicenow = settings.servicenow.as_mut().unwrap();
    (jira.email, jira.api_token) = (text(JIRA_USER), text(JIRA_SECRET));
    (servicenow.username, servicenow.password) = (text(SERVICENOW_USER), text(SERVICENOW_SECRET));
    world.configure(settings).await;
    world.push("INC-0", TicketSystem::Jira).await;
    world.push("INC-0", TicketSystem::Servicenow).await;
    world
}

/// The responses of every method while the systems misbehave.
pub async fn responses_of_every_call(world: &mut World, id: &str) -> String {
    let mut responses = String::new();
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let saved = v1::TestConnectionRequest { destination: Some(system.into()), unsaved: None };
        responses.push_str(&format!("{:?}", world.client.test_connection(saved).await));
        responses.push_str(&format!("{:?}", world.preview(incident(id), system).await));
        responses.push_str(&format!("{:?}", world.try_push(incident(id), system).await));
    }
    let moved = v1::JiraSettings { url: text("http://127.0.0.1:9"), ..Default::default() };
    responses.push_str(&format!("{:?}", world.try_jira(moved).await));
    responses.push_str(&format!("{:?}", world.client.get_status().await));
    let all = v1::ListDeliveriesRequest { include_attempts: true, ..Default::default() };
    responses.push_str(&format!("{:?}", world.client.list_deliveries(all).await));
    responses
}

/// The responses of TestConnection for both systems with an unsaved secret.
async fn unsaved(world: &mut World) -> String {
    let mut responses = String::new();
    let jira = v1::JiraSettings { api_token: text(UNSAVED_SECRET), ..Default::default() };
    let servicenow = v1::ServiceNowSettings { password: text(UNSAVED_SECRET), ..Default::default() };
    for (connection, unsaved) in
        [("jira", Unsaved::Jira(jira)), ("servicenow", Unsaved::Servicenow(servicenow))]
    {
        let request =
            v1::TestConnectionRequest { destination: Some(connection.into()), unsaved: Some(unsaved) };
        responses.push_str(&format!("{:?}", world.client.test_connection(request).await));
    }
    responses
}

/// From now on both systems give this answer, and echo the secret.
fn repeat(world: &World, call: Call, status: u16, secrets: [&str; 2]) {
    let users = [JIRA_USER, SERVICENOW_USER];
    for ((simulator, user), secret) in [&world.jira, &world.servicenow].into_iter().zip(users).zip(secrets) {
        simulator.faults().clear();
        let reply = Effect::Answer(echo(status, user, secret));
        simulator.faults().push(Rule::new(call, When::Always, reply));
    }
}

/// An answer of a system, or of an intermediary, that echoes what it received in every place that is read.
pub fn echo(status: u16, user: &str, secret: &str) -> Reply {
    let header = STANDARD.encode(format!("{user}:{secret}"));
    let message = format!("you sent {secret} in Authorization: Basic {header}");
    let body = json!({
        "errorMessages": [message],
        "errors": { "priority": message, "labels": message, "summary": message },
        "message": message,
        "error": { "message": message, "detail": message },
        "status": "failure",
    });
    let loginreason = "AUTHENTICATED_FAILED";
    Reply::json(status, &body).header("x-seraph-loginreason", loginreason).header("location", secret)
}

/// Every form of a secret.
fn forms() -> Vec<String> {
    let secrets = [
        (JIRA_USER, JIRA_SECRET),
        (SERVICENOW_USER, SERVICENOW_SECRET),
        (JIRA_USER, UNSAVED_SECRET),
        (SERVICENOW_USER, UNSAVED_SECRET),
    ];
    let forms = secrets.into_iter().flat_map(|(user, secret)| {
        [secret.to_owned(), STANDARD.encode(format!("{user}:{secret}")), STANDARD_NO_PAD.encode(secret)]
    });
    forms.collect()
}

fn basic(user: &str, secret: &str) -> Credential {
    Credential::Basic { user: user.to_owned(), secret: secret.to_owned() }
}
