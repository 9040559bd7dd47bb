//! The Rust SDK as its users see it: samples, decoded errors, retries, resumed event streams, TLS.
//!
//! The tests write the behaviours that passed to the file SDK_RESULTS, for the table of sdks/README.md.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Once;
use std::time::Duration;

use rhythmx_ticketing::v1::stream_ticket_events_request::Start;
use rhythmx_ticketing::{Client, Error, InvalidToken, Tls, v1};
use serde_json::json;
use ticketing_core::role::Role;
use ticketing_harness::{Plan, TlsFiles, WAIT_TIMEOUT, World, incident, state};
use ticketing_simulator::{Call, Effect, Reply, Rule, When};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::{Instant, timeout};
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3_600);

/// Started as by `sdk-fixture`.
pub async fn start_with_tokens() -> World {
    Plan::new().in_a_process().with_long_deadlines().with_token_auth().start().await
}

pub async fn token(world: &mut World, role: Role) -> String {
    let token = world.server.make_token(&format!("sdk-{role}"), role, HOUR).await;
    world.secrets.push(token.clone());
    token
}

async fn connect(world: &World, token: &str) -> Client {
    Client::connect(&world.server.address).await.unwrap().with_token(token).unwrap()
}

pub fn push(id: &str) -> v1::CreateTicketRequest {
    v1::CreateTicketRequest { incident: Some(incident(id)), destination: Some(v1::TicketSystem::Jira.into()) }
}

pub fn record_promise(behavior: &str) {
    let Some(results) = std::env::var_os("SDK_RESULTS") else { return };
    let mut file = std::fs::File::options().create(true).append(true).open(results).unwrap();
    writeln!(file, "{behavior}\tpassed").unwrap();
}

// === The samples ===

/// The program of a sample. `cargo test --workspace` has built all of them.
fn program(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let here = std::env::current_exe().unwrap();
    let program = here.ancestors().nth(2).unwrap().join("examples").join(name);
    BUILT.call_once(|| {
        if !program.exists() {
            let mut cargo = std::process::Command::new(env!("CARGO"));
            let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
            cargo.args(["build", "--quiet", "--package=rhythmx-ticketing", "--examples"]);
            assert!(cargo.arg(format!("--manifest-path={manifest}")).status().unwrap().success());
        }
    });
    program
}

fn sample(world: &World, token: &str, name: &str) -> Command {
    let jira = world.jira_settings();
    let mut sample = Command::new(program(name));
    sample.env("TICKETING_ADDRESS", &world.server.address).env("TICKETING_TOKEN", token);
    sample.env("JIRA_URL", jira.url()).env("JIRA_EMAIL", jira.email());
    sample.env("JIRA_API_TOKEN", jira.api_token()).env("JIRA_PROJECT_KEY", jira.project_key());
    sample.kill_on_drop(true);
    sample
}

async fn check_sample(world: &World, token: &str, name: &str, expected: &[&str]) {
    let ended = timeout(WAIT_TIMEOUT, sample(world, token, name).output()).await.unwrap().unwrap();
    let output = String::from_utf8_lossy(&ended.stdout);
    let error = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{name}: {output}{error}");
    for words in expected {
        assert!(output.contains(words), "{name}: {words:?} is not in:\n{output}");
    }
    record_promise(&format!("sample {name}"));
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    timeout(WAIT_TIMEOUT, lines.next_line()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn every_sample_works() {
    let mut world = start_with_tokens().await;
    let token = token(&mut world, Role::Admin).await;
    check_sample(
        &world,
        &token,
        "configure",
        &["Tickets go to project SEC of http", "CHECK_OUTCOME_PASSED authentication"],
    )
    .await;
    check_sample(&world, &token, "preview", &["j.doe", "Priority: Highest"]).await;
    check_sample(&world, &token, "create", &["/browse/SEC-"]).await;
    check_sample(&world, &token, "submit", &["jira true", "servicenow false"]).await;

    let mut watch = sample(&world, &token, "watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert_eq!(line(&mut lines).await, "watching");
    world.push("INC-watched", v1::TicketSystem::Jira).await;
    for kind in ["ACCEPTED", "ATTEMPT_STARTED", "DELIVERED"] {
        let mut output = line(&mut lines).await;
        // The events of the submitted incident arrive as well.
        while !output.contains("INC-watched") {
            output = line(&mut lines).await;
        }
        assert!(output.contains(&format!("TICKET_EVENT_KIND_{kind} INC-watched")), "{kind}: {output}");
    }
    watch.kill().await.unwrap();
    record_promise("sample watch");

    let body = json!({ "errorMessages": ["no such luck"], "errors": {} });
    world.jira.faults().push(Rule::new(Call::Create, When::Always, Effect::Answer(Reply::json(400, &body))));
    let pushed = world.push("INC-refused", v1::TicketSystem::Jira).await;
    world.until(&pushed.delivery.unwrap().id, v1::DeliveryState::Failed).await;
    world.jira.faults().clear();
    check_sample(&world, &token, "retry_failed", &["INC-refused DELIVERY_STATE_DELIVERED", "/browse/SEC-"])
        .await;
    world.finish().await;
}

// === Errors ===

#[tokio::test]
async fn errors_are_decoded_with_all_details() {
    let mut world = start_with_tokens().await;
    let admin = token(&mut world, Role::Admin).await;
    let viewer = token(&mut world, Role::Viewer).await;
    let mut client = connect(&world, &admin).await;
    assert_eq!(state(&client.create_ticket(push("INC-good")).await.unwrap()), v1::DeliveryState::Delivered);
    assert!(client.create_ticket(push("INC-good")).await.unwrap().already_existed);
    record_promise("good calls");

    let error = Error::from(client.create_ticket(push("")).await.unwrap_err());
    assert_eq!((error.code, error.reason), (Code::InvalidArgument, Some(v1::ErrorReason::IncidentInvalid)));
    assert!(error.violations.iter().any(|violation| violation.field == "incident.id"), "{error}");
    record_promise("INVALID_ARGUMENT with field violations");

    let unknown = "0197a000-0000-7000-8000-000000000000";
    let error = Error::from(client.get_delivery(unknown).await.unwrap_err());
    assert_eq!((error.code, error.reason), (Code::NotFound, Some(v1::ErrorReason::DeliveryNotFound)));
    assert_eq!(error.metadata["delivery_id"], unknown);
    record_promise("NOT_FOUND");

    let servicenow = v1::ServiceNowSettings { enabled: Some(false), ..Default::default() };
    let off = v1::ConfigureRequest { servicenow: Some(servicenow), ..Default::default() };
    client.configure(off).await.unwrap();
    let other_sites =
        v1::CreateTicketRequest { destination: Some(v1::TicketSystem::Servicenow.into()), ..push("INC-1") };
    let error = Error::from(client.create_ticket(other_sites).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason),
        (Code::FailedPrecondition, Some(v1::ErrorReason::ConnectionNotEnabled))
    );
    record_promise("FAILED_PRECONDITION");

    let mut wrong = connect(&world, "rxt_wrong").await;
    let error = Error::from(wrong.get_status().await.unwrap_err());
    assert_eq!((error.code, error.reason), (Code::Unauthenticated, Some(v1::ErrorReason::CredentialInvalid)));
    assert_eq!(wrong.events(Default::default()).await.unwrap_err().code, Code::Unauthenticated);
    record_promise("UNAUTHENTICATED");

    let error = Error::from(connect(&world, &viewer).await.create_ticket(push("INC-1")).await.unwrap_err());
    assert_eq!((error.code, error.reason), (Code::PermissionDenied, Some(v1::ErrorReason::RoleInsufficient)));
    record_promise("PERMISSION_DENIED");

    let start = Some(Start::ResumeToken("yesterday".to_owned()));
    let asked = v1::StreamTicketEventsRequest { start, ..Default::default() };
    let error = client.events(asked).await.unwrap_err();
    assert_eq!(
        (error.code, error.reason),
        (Code::InvalidArgument, Some(v1::ErrorReason::ResumeTokenInvalid))
    );
    record_promise("events end with a typed error when the token is refused");

    let mut hurried = client.clone().with_deadline(Duration::from_nanos(1));
    assert_eq!(Error::from(hurried.get_status().await.unwrap_err()).code, Code::DeadlineExceeded);
    record_promise("DEADLINE_EXCEEDED");
    world.finish().await;
}

#[tokio::test]
async fn sends_unicode_and_large_incidents_and_cancels_calls() {
    let mut world = start_with_tokens().await;
    let token = token(&mut world, Role::Admin).await;
    let mut client = connect(&world, &token).await;
    let investigation_notes = "λόγος\nZoë 王小明 😀 e\u{301}".to_owned();
    let unicode = v1::Incident { investigation_notes, ..incident("INC-unicode") };
    let system = v1::TicketSystem::Jira;
    let request = v1::PreviewTicketRequest { incident: Some(unicode), destination: Some(system.into()) };
    let text = client.preview_ticket(request).await.unwrap().ticket.unwrap().plain_text;
    for part in ["λόγος", "Zoë 王小明 😀", "e\u{301}"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    record_promise("unicode");

    let rule = |n: u32| v1::FiringRule {
        name: format!("{}{n:04}", "r".repeat(252)),
        count: n + 1,
        ..Default::default()
    };
    let large = v1::Incident {
        investigation_notes: "王".repeat(65_536),
        firing_rules: (0..1_000).map(rule).collect(),
        ..incident("INC-large")
    };
    let request = v1::CreateTicketRequest { incident: Some(large), destination: Some(system.into()) };
    assert_eq!(state(&client.create_ticket(request).await.unwrap()), v1::DeliveryState::Delivered);
    record_promise("large incident");

    let slow = Effect::Delay(Duration::from_secs(2));
    world.jira.faults().push(Rule::new(Call::Create, When::Always, slow));
    let left = timeout(Duration::from_millis(300), client.create_ticket(push("INC-left"))).await;
    assert!(left.is_err(), "{left:?}");
    // The push was accepted and continues without its caller.
    world.until_all_delivered(2).await;
    record_promise("cancellation");
    world.finish().await;
}

#[tokio::test]
async fn unreachable_server_is_named_and_reconnected() {
    let mut world = start_with_tokens().await;
    let token = token(&mut world, Role::Admin).await;
    let mut client = connect(&world, &token).await;
    client.get_status().await.unwrap();
    world.server.stop().await;
    let address = world.server.address.clone();

    let began = Instant::now();
    let mut hurried = client.clone().with_deadline(Duration::from_secs(2));
    let error = Error::from(hurried.get_status().await.unwrap_err());
    assert_eq!(
        (error.code, error.address.as_deref()),
        (Code::Unavailable, Some(address.as_str())),
        "{error}"
    );
    assert!(error.to_string().contains(&address), "{error}");
    let error = hurried.events(Default::default()).await.unwrap_err();
    assert_eq!(
        (error.code, error.address.as_deref()),
        (Code::Unavailable, Some(address.as_str())),
        "{error}"
    );
    assert!(began.elapsed() < 2 * Duration::from_secs(2) + Duration::from_secs(1));
    record_promise("UNAVAILABLE within the deadline, naming the address");

    // It is not retried, since sent twice it may create two tickets: five retries would take at least 5 s.
    let began = Instant::now();
    let anyway = v1::RetryDeliveryRequest { create_anyway: true, ..ticketing_harness::retrying("0197") };
    assert_eq!(client.retry_delivery(anyway).await.unwrap_err().code(), Code::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    // A new client waits for the server too.
    let client = connect(&world, &token).await;
    let patient = tokio::spawn(async move { client.with_retries(20).get_status().await });
    world.server.start_again().await;
    world.client = world.server.client().await;
    timeout(WAIT_TIMEOUT, patient).await.unwrap().unwrap().unwrap();
    record_promise("UNAVAILABLE retried until the server is back");
    world.finish().await;
}

// === Events ===

/// Pushes incidents while the server stops and starts. Without filters the sequence has no gaps, so a missed or duplicate event
/// fails the test.
async fn resumes(world: &mut World, token: &str, word: &str) {
    const PUSHES: usize = 12;
    let mut client = connect(world, token).await;
    let mut events = client.events(Default::default()).await.unwrap();
    let names = word.to_owned();
    let pushing = tokio::spawn(async move {
        let mut client = client.with_retries(20);
        for n in 0..PUSHES {
            client.create_ticket(push(&format!("INC-{names}-{n}"))).await.unwrap();
        }
    });
    let mut delivered = 0;
    let mut last = None;
    while delivered < PUSHES {
        let event = timeout(3 * WAIT_TIMEOUT, events.next()).await.unwrap().unwrap().unwrap();
        assert!(last.is_none_or(|last| event.sequence == last + 1), "{} after {last:?}", event.sequence);
        assert_eq!(events.resume_token(), Some(event.resume_token.as_str()));
        last = Some(event.sequence);
        if event.kind() == v1::TicketEventKind::Delivered {
            delivered += 1;
            match (delivered, word) {
                (4 | 8, "restart") => world.restart().await,
                (4 | 8, _) => world.crash().await,
                _ => {}
            }
        }
    }
    pushing.await.unwrap();
    record_promise(&format!("events resumed across a {word}"));
}

#[tokio::test]
async fn event_loop_is_exactly_once_through_restarts_and_kills() {
    let mut world = start_with_tokens().await;
    let token = token(&mut world, Role::Admin).await;
    resumes(&mut world, &token, "restart").await;
    resumes(&mut world, &token, "kill").await;
    world.finish().await;
}

// === TLS ===

#[tokio::test]
async fn mtls_uses_own_authority_and_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let trial = TlsFiles::make(folder.path()).await;
    let mut world = Plan::new().in_a_process().callers_under_tls(&trial).with_token_auth().start().await;
    let token = token(&mut world, Role::Viewer).await;
    let read = |name| std::fs::read(trial.file(name)).unwrap();
    let tls = Tls::trusting(read("ca.pem")).with_certificate(read("client.pem"), read("client.key"));
    let address = world.server.address.clone();
    let client = Client::connect_tls(&address, &tls).await.unwrap();
    client.with_token(&token).unwrap().get_status().await.unwrap();
    assert!(!format!("{tls:?}").contains("PRIVATE"));
    let untrusting = Client::connect_tls(&address, &Tls::system()).await.unwrap();
    let error = Error::from(untrusting.with_deadline(Duration::from_secs(1)).get_status().await.unwrap_err());
    assert!(error.code == Code::Unavailable && error.message.contains("UnknownIssuer"), "{error}");
    record_promise("TLS with a custom CA and a client certificate");
    world.finish().await;
}

#[tokio::test]
async fn refuses_token_that_is_no_header_value() {
    let world = Plan::new().start().await;
    let client = Client::connect(&world.server.address).await.unwrap();
    assert_eq!(client.clone().with_token("rxt 1\n").unwrap_err(), InvalidToken::Characters);
    assert_eq!(client.with_token("").unwrap_err(), InvalidToken::Empty);
    world.finish().await;
}
