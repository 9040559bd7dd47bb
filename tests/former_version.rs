//! Upgrade from version 0.1, on a database that it wrote: the names in its columns and JSON, its keys and its
//! answers stay valid.
//!
//! Nothing in it is due, whatever the date: its Jira account is suspended, its ServiceNow connection is disabled, and the
//! first tick is an hour after the start.

use std::path::Path;

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::AttemptKind::{DuplicateScan, LookUp, Send};
use rhythmx_ticketing::v1::AttemptOutcome::{Ambiguous, Applied, Failed as Refused, Found, Unproven};
use rhythmx_ticketing::v1::connection_status::Settings;
use rhythmx_ticketing::v1::{
    self, AttemptKind, AttemptOutcome, ConnectionConditionKind, Delivery, DeliveryState, DeliveryTrigger,
    FaultKind, Severity, SkipReason, TicketEventKind, TicketSystem,
};
use tempfile::TempDir;
use ticketing_harness::{
    Plan, ProgramOutput, Subscriber, World, after, from_oldest, incident, refusal, run_program,
};
use tonic::Code;

use super::access::channel;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/database-0.1");

/// Tokens of the database: of an admin, of a producer in the namespace `blue`, and of an admin, revoked.
const OPERATOR: &str = "rxt_2dbb5723a3cf565c_QIc5qgh4VxuZC6XRJqYtzqDWTYRev6oy0KUs9q-SW_o";
const PRODUCER: &str = "rxt_aa1d0cca15325056_Er8ydxQDdWhKPCLluMRI_P03PWuPV505NrO7I_Ka6TI";
const REVOKED: &str = "rxt_57258fa6d55ff81f_YBkPN05tjPY7cxnqFWWfSx1zOsuzVjWDESdVTwBUApw";

const JIRA: TicketSystem = TicketSystem::Jira;
const SERVICENOW: TicketSystem = TicketSystem::Servicenow;

/// A copy of the database, and today's server on it.
struct Former {
    world: World,
    folder: TempDir,
}

impl Former {
    async fn open() -> Self {
        let folder = copy();
        // The simulators of that time are gone: no address on this machine may be called.
        let plan = Plan::new().in_a_process().without_evidence().with_data(folder.path());
        let plan = plan.with_flag("--auth=token").with_flag("--allow-target=192.0.2.1");
        let mut world = plan.start_unconfigured().await;
        world.secrets.extend([OPERATOR, PRODUCER, "proxy-password"].map(str::to_owned));
        world.client = client(&world, OPERATOR).await;
        // Its start-up messages are in the log when it responds.
        world.client.get_status().await.unwrap();
        Self { world, folder }
    }

    async fn delivery(&mut self, incident: &str, system: TicketSystem) -> Delivery {
        let all = self.world.deliveries().await;
        let is_it = |delivery: &Delivery| delivery.incident_id == incident && delivery.system() == system;
        all.into_iter().find(is_it).unwrap()
    }

    async fn close(self) {
        let Self { world, folder } = self;
        let log = world.server.log();
        assert!(!log.contains("edited") && !log.contains("must be set again"), "{log}");
        world.close().await;
        drop(folder);
    }
}

fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ticketing.db", "ticketing.db.key", "ticketing.db.mark"] {
        std::fs::copy(Path::new(FIXTURE).join(name), folder.path().join(name)).unwrap();
    }
    folder
}

async fn client(world: &World, token: &str) -> Client {
    Client::over(channel(world).await).with_token(token).unwrap()
}

/// An offline command on a data folder.
async fn run(folder: &TempDir, command: &[&str]) -> ProgramOutput {
    let mut arguments: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
    arguments.push(format!("--data={}", folder.path().display()));
    run_program(&arguments, &[]).await
}

fn seconds(duration: Option<prost_types::Duration>) -> Option<i64> {
    duration.map(|duration| duration.seconds)
}

/// A delivery: its ID, incident, connection, state, ticket and failures, and the kinds and outcomes of its attempts.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    DeliveryState,
    &'static str,
    u32,
    &'static [(AttemptKind, AttemptOutcome)],
);

/// What the former version listed, the newest first.
#[rustfmt::skip]
const DELIVERIES: [Row; 17] = [
    ("01a22c27-23cc-7455-997d-a43317435bcb", "INC-DEFERRED", "jira", DeliveryState::Waiting, "", 0, &[]),
    ("01a22c27-23bd-766b-b70e-0c1db3ec60df", "INC-LOCKED", "jira", DeliveryState::Waiting, "", 0, &[]),
    ("01a22c27-2382-7508-bf41-a073fd5f0b04", "INC-MOVED", "jira", DeliveryState::Delivered, "SEC-1", 0, &[(Send, Applied)]),
    ("01a22c27-1e17-7905-88cb-74f687a4e109", "INC-RECONCILING", "jira", DeliveryState::Reconciling, "", 1, &[(Send, Ambiguous), (LookUp, Unproven), (LookUp, Unproven), (LookUp, Unproven)]),
    ("01a22c27-1dee-7ff1-a74f-4af7f6d8865a", "INC-WAITING", "servicenow", DeliveryState::Waiting, "", 2, &[(Send, Refused), (Send, Refused)]),
    ("01a22c27-1d57-7437-a6f4-6381b4c4e414", "INC-FAILED", "jira", DeliveryState::Failed, "", 2, &[(Send, Refused), (Send, Refused)]),
    ("01a22c27-1d1e-772a-8113-d980c28fffc8", "INC-RETRIED", "servicenow", DeliveryState::Delivered, "INC0010005", 1, &[(Send, Refused), (Send, Applied)]),
    ("01a22c27-1cef-7e3b-a38a-044802bbc359", "INC-UNVERIFIED", "servicenow", DeliveryState::Delivered, "INC0099999", 1, &[(Send, Refused)]),
    ("01a22c27-1cb1-7f05-99fe-10b156601389", "INC-RESOLVED", "servicenow", DeliveryState::Delivered, "INC0010004", 1, &[(Send, Refused)]),
    ("01a22c27-1c97-7b40-bb2c-3b522edef5fa", "INC-CANCELLED", "jira", DeliveryState::Cancelled, "", 1, &[(Send, Refused)]),
    ("01a22c27-1843-76c1-a43e-1200ab936fd1", "INC-DUPLICATE", "jira", DeliveryState::Delivered, "SEC-4", 1, &[(Send, Ambiguous), (LookUp, Found), (DuplicateScan, Found), (DuplicateScan, Found)]),
    ("01a22c27-17ee-7da5-87a6-e45fb1281e7c", "INC-SUBMITTED", "jira", DeliveryState::Delivered, "SEC-3", 0, &[(Send, Applied)]),
    ("01a22c27-17ee-732d-ab1f-6678760d305f", "INC-SUBMITTED", "servicenow", DeliveryState::Delivered, "INC0010003", 0, &[(Send, Applied)]),
    ("01a22c27-17bc-7f53-8fef-6064db70e6b6", "INC-BLUE", "jira", DeliveryState::Delivered, "SEC-2", 0, &[(Send, Applied)]),
    ("01a22c27-17bc-7412-a774-77f67c05cdb7", "INC-BLUE", "servicenow", DeliveryState::Delivered, "INC0010002", 0, &[(Send, Applied)]),
    ("01a22c27-1787-7c2c-9ca5-0325677c94d7", "INC-DELIVERED", "servicenow", DeliveryState::Delivered, "INC0010001", 0, &[(Send, Applied)]),
    ("01a22c27-1758-7918-9c44-11a18fd62ab1", "INC-DELIVERED", "jira", DeliveryState::Delivered, "SEC-1", 0, &[(Send, Applied)]),
];

/// The kind and the incident of each of its events.
#[rustfmt::skip]
const EVENTS: [(TicketEventKind, &str); 65] = [
    (TicketEventKind::Accepted, "INC-DELIVERED"),
    (TicketEventKind::AttemptStarted, "INC-DELIVERED"),
    (TicketEventKind::Delivered, "INC-DELIVERED"),
    (TicketEventKind::Accepted, "INC-DELIVERED"),
    (TicketEventKind::AttemptStarted, "INC-DELIVERED"),
    (TicketEventKind::Delivered, "INC-DELIVERED"),
    (TicketEventKind::Accepted, "INC-BLUE"),
    (TicketEventKind::Accepted, "INC-BLUE"),
    (TicketEventKind::AttemptStarted, "INC-BLUE"),
    (TicketEventKind::Delivered, "INC-BLUE"),
    (TicketEventKind::AttemptStarted, "INC-BLUE"),
    (TicketEventKind::Delivered, "INC-BLUE"),
    (TicketEventKind::Accepted, "INC-SUBMITTED"),
    (TicketEventKind::Accepted, "INC-SUBMITTED"),
    (TicketEventKind::AttemptStarted, "INC-SUBMITTED"),
    (TicketEventKind::AttemptStarted, "INC-SUBMITTED"),
    (TicketEventKind::Delivered, "INC-SUBMITTED"),
    (TicketEventKind::Delivered, "INC-SUBMITTED"),
    (TicketEventKind::Accepted, "INC-DUPLICATE"),
    (TicketEventKind::AttemptStarted, "INC-DUPLICATE"),
    (TicketEventKind::Reconciling, "INC-DUPLICATE"),
    (TicketEventKind::Delivered, "INC-DUPLICATE"),
    (TicketEventKind::DuplicateFound, "INC-DUPLICATE"),
    (TicketEventKind::Accepted, "INC-CANCELLED"),
    (TicketEventKind::AttemptStarted, "INC-CANCELLED"),
    (TicketEventKind::Waiting, "INC-CANCELLED"),
    (TicketEventKind::Cancelled, "INC-CANCELLED"),
    (TicketEventKind::Accepted, "INC-RESOLVED"),
    (TicketEventKind::AttemptStarted, "INC-RESOLVED"),
    (TicketEventKind::Waiting, "INC-RESOLVED"),
    (TicketEventKind::Resolved, "INC-RESOLVED"),
    (TicketEventKind::Accepted, "INC-UNVERIFIED"),
    (TicketEventKind::AttemptStarted, "INC-UNVERIFIED"),
    (TicketEventKind::Waiting, "INC-UNVERIFIED"),
    (TicketEventKind::Resolved, "INC-UNVERIFIED"),
    (TicketEventKind::Accepted, "INC-RETRIED"),
    (TicketEventKind::AttemptStarted, "INC-RETRIED"),
    (TicketEventKind::Waiting, "INC-RETRIED"),
    (TicketEventKind::Rearmed, "INC-RETRIED"),
    (TicketEventKind::AttemptStarted, "INC-RETRIED"),
    (TicketEventKind::Delivered, "INC-RETRIED"),
    (TicketEventKind::Accepted, "INC-FAILED"),
    (TicketEventKind::AttemptStarted, "INC-FAILED"),
    (TicketEventKind::Waiting, "INC-FAILED"),
    (TicketEventKind::AttemptStarted, "INC-FAILED"),
    (TicketEventKind::Failed, "INC-FAILED"),
    (TicketEventKind::Accepted, "INC-WAITING"),
    (TicketEventKind::AttemptStarted, "INC-WAITING"),
    (TicketEventKind::Waiting, "INC-WAITING"),
    (TicketEventKind::Rearmed, "INC-WAITING"),
    (TicketEventKind::AttemptStarted, "INC-WAITING"),
    (TicketEventKind::Waiting, "INC-WAITING"),
    (TicketEventKind::Accepted, "INC-RECONCILING"),
    (TicketEventKind::AttemptStarted, "INC-RECONCILING"),
    (TicketEventKind::Reconciling, "INC-RECONCILING"),
    (TicketEventKind::Accepted, "INC-MOVED"),
    (TicketEventKind::AttemptStarted, "INC-MOVED"),
    (TicketEventKind::Delivered, "INC-MOVED"),
    (TicketEventKind::ConnectionSuspended, ""),
    (TicketEventKind::Accepted, "INC-LOCKED"),
    (TicketEventKind::Waiting, "INC-LOCKED"),
    (TicketEventKind::Accepted, "INC-DEFERRED"),
    (TicketEventKind::Waiting, "INC-DEFERRED"),
    (TicketEventKind::Rearmed, "INC-WAITING"),
    (TicketEventKind::Waiting, "INC-WAITING"),
];

/// Resume tokens that it gave, with their event.
const TOKENS: [(&str, usize); 3] =
    [("zYJyNB3lAAAAAAAAAAE", 1), ("fBfA9m3XAAAAAAAAACA", 32), ("X7o3TcXxAAAAAAAAAEA", 64)];

const AUDIT_ENTRIES: usize = 17;

#[tokio::test]
async fn keeps_settings_without_showing_secrets() {
    let mut former = Former::open().await;
    let status = former.world.client.get_status().await.unwrap();
    former.world.check_no_secret_in(&format!("{status:?}"));
    let retry = status.retry.unwrap();
    assert_eq!((retry.max_retry_attempts, retry.jitter), (Some(7), Some(0.25)));
    let spans = [retry.base_delay, retry.max_delay, retry.processor_interval];
    assert_eq!(spans.map(seconds), [120, 1_800, 3_600].map(Some));
    let auto_push = status.auto_push.unwrap();
    assert_eq!((auto_push.enabled, auto_push.minimum_severity()), (Some(true), Severity::High));
    assert_eq!(auto_push.systems.unwrap().values, [JIRA, SERVICENOW].map(i32::from));
    let settings: Vec<_> = status.connections.into_iter().filter_map(|status| status.settings).collect();
    let [Settings::Jira(jira), Settings::Servicenow(servicenow)] = settings.as_slice() else {
        panic!("not settings of both systems: {settings:?}")
    };
    assert_eq!((jira.email.as_str(), jira.project_key.as_str()), ("analyst@example.com", "SEC"));
    assert_eq!((jira.url.as_str(), jira.flavour()), ("http://127.0.0.1:44449", v1::JiraFlavour::Cloud));
    assert!(jira.labels == ["soc"] && jira.api_token_set_at.is_some());
    assert_eq!(servicenow.instance, "https://127.0.0.1:9443");
    assert_eq!(servicenow.assignment_group, "Security Operations");
    assert_eq!(
        (servicenow.proxy_url.as_str(), servicenow.proxy_username.as_str()),
        ("http://127.0.0.1:9", "bot")
    );
    assert!(servicenow.password_set_at.is_some() && servicenow.proxy_password_set_at.is_some());
    let critical = servicenow.priorities.and_then(|priorities| priorities.critical).unwrap();
    assert_eq!((critical.impact, critical.urgency), (1, 2));
    former.close().await;
}

#[tokio::test]
async fn keeps_status_of_connections() {
    let mut former = Former::open().await;
    let jira = former.world.status(JIRA).await;
    let condition = jira.condition.unwrap();
    assert_eq!((jira.configured, jira.enabled), (true, true));
    assert_eq!(condition.kind(), ConnectionConditionKind::Suspended);
    assert!(condition.since.is_some() && !condition.reason.is_empty(), "{condition:?}");
    let servicenow = former.world.status(SERVICENOW).await;
    assert_eq!((servicenow.configured, servicenow.enabled), (true, false));
    for (test, failure) in
        [(jira.last_test, jira.last_failure), (servicenow.last_test, servicenow.last_failure)]
    {
        let test = test.unwrap();
        assert!(test.passed && test.checks.len() > 2, "{test:?}");
        assert!(test.checks.iter().all(|it| it.outcome() == v1::CheckOutcome::Passed), "{test:?}");
        assert!(failure.is_some());
    }
    let last = jira.last_success.unwrap().ticket.unwrap();
    assert_eq!(last.key, "SEC-1");
    former.close().await;
}

#[tokio::test]
async fn keeps_deliveries_with_attempts_and_tickets() {
    let mut former = Former::open().await;
    let deliveries = former.world.deliveries().await;
    assert_eq!(deliveries.len(), DELIVERIES.len());
    for (delivery, row) in deliveries.iter().zip(DELIVERIES) {
        let (id, incident, connection, state, ticket, failures, attempts) = row;
        let key = delivery.ticket.as_ref().map_or("", |ticket| ticket.key.as_str());
        let made: Vec<_> = delivery.attempts.iter().map(|it| (it.kind(), it.outcome())).collect();
        assert_eq!((delivery.id.as_str(), delivery.incident_id.as_str()), (id, incident));
        assert_eq!((delivery.connection.as_str(), key), (connection, ticket), "{delivery:#?}");
        assert_eq!((delivery.state(), delivery.failures), (state, failures), "{delivery:#?}");
        assert_eq!(made, attempts, "{delivery:#?}");
    }
    former.close().await;
}

#[tokio::test]
async fn keeps_adjustments_and_duplicates() {
    let mut former = Former::open().await;
    let adjusted = former.delivery("INC-DELIVERED", SERVICENOW).await.adjustments;
    assert!(adjusted.iter().any(|it| it.field == "description" && !it.reason.is_empty()), "{adjusted:?}");
    let found = former.delivery("INC-DUPLICATE", JIRA).await;
    assert_eq!(found.duplicates.iter().map(|ticket| ticket.key.as_str()).collect::<Vec<_>>(), ["SEC-5"]);
    let unverified = former.delivery("INC-UNVERIFIED", SERVICENOW).await;
    assert!(unverified.ticket_unverified && unverified.ticket.unwrap().url.ends_with("/x"));
    assert!(!former.delivery("INC-RESOLVED", SERVICENOW).await.ticket_unverified);
    former.close().await;
}

#[tokio::test]
async fn keeps_reasons_and_requesters() {
    let mut former = Former::open().await;
    let failed = former.delivery("INC-FAILED", JIRA).await.last_error.unwrap();
    assert_eq!((failed.kind(), failed.http_status), (FaultKind::Rejected, 400));
    assert!(failed.message.contains("not acceptable"), "{failed:?}");
    let waiting = former.delivery("INC-WAITING", SERVICENOW).await;
    assert_eq!(waiting.last_error.unwrap().kind(), FaultKind::Misconfigured);
    assert!(waiting.next_attempt_at.is_some());
    let unknown = former.delivery("INC-RECONCILING", JIRA).await.last_error.unwrap();
    assert_eq!((unknown.kind(), unknown.ambiguous), (FaultKind::ServerError, true));
    let submitted = former.delivery("INC-SUBMITTED", JIRA).await;
    assert_eq!(submitted.trigger(), DeliveryTrigger::AutoPush);
    let blue = former.delivery("INC-BLUE", SERVICENOW).await;
    assert_eq!((blue.requested_by.as_str(), blue.namespace.as_str()), ("token:soar", "blue"));
    former.close().await;
}

#[tokio::test]
async fn filters_by_state_and_ticket_key() {
    let mut former = Former::open().await;
    let of_state =
        v1::DeliveryFilter { states: vec![DeliveryState::Reconciling.into()], ..Default::default() };
    let of_ticket = v1::DeliveryFilter { ticket_key: "INC0010005".to_owned(), ..Default::default() };
    for (filter, incident) in [(of_state, "INC-RECONCILING"), (of_ticket, "INC-RETRIED")] {
        let request = v1::ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
        let found = former.world.client.list_deliveries(request).await.unwrap().deliveries;
        assert_eq!(found.iter().map(|it| it.incident_id.as_str()).collect::<Vec<_>>(), [incident]);
    }
    former.close().await;
}

#[tokio::test]
async fn known_incident_makes_no_new_ticket() {
    let mut former = Former::open().await;
    let before = former.world.deliveries().await;
    let delivered = former.delivery("INC-DELIVERED", JIRA).await;
    let pushed = former.world.push("INC-DELIVERED", JIRA).await;
    assert!(pushed.already_existed);
    assert_eq!(pushed.delivery.unwrap().id, delivered.id);
    let submitted = former.world.client.submit_incident(incident("INC-SUBMITTED")).await.unwrap();
    let [jira, servicenow] = submitted.results.try_into().unwrap();
    assert!(jira.already_existed);
    assert_eq!(jira.delivery.unwrap().id, former.delivery("INC-SUBMITTED", JIRA).await.id);
    assert_eq!(servicenow.decision.unwrap().skip_reason(), SkipReason::ConnectionNotEnabled);
    assert_eq!(former.world.deliveries().await.len(), before.len());
    former.close().await;
}

#[tokio::test]
async fn undelivered_incident_keeps_its_delivery() {
    let mut former = Former::open().await;
    let waiting = former.delivery("INC-LOCKED", JIRA).await;
    let pushed = former.world.push("INC-LOCKED", JIRA).await;
    let delivery = pushed.delivery.unwrap();
    assert!(!pushed.already_existed);
    assert_eq!(
        (delivery.id.as_str(), delivery.attempts.len()),
        (waiting.id.as_str(), waiting.attempts.len())
    );
    let cancelled = refusal(former.world.try_push(incident("INC-CANCELLED"), JIRA).await);
    assert_eq!(cancelled.code, Code::FailedPrecondition);
    former.close().await;
}

#[tokio::test]
async fn events_can_be_read_and_resumed() {
    let former = Former::open().await;
    let mut subscriber = Subscriber::open(&former.world.client, from_oldest()).await;
    let events = subscriber.events(EVENTS.len()).await;
    let kinds: Vec<_> = events.iter().map(|event| (event.kind(), event.incident_id.as_str())).collect();
    assert_eq!(kinds, EVENTS);
    assert!((1..).zip(&events).all(|(sequence, event)| event.sequence == sequence));
    for (token, sequence) in TOKENS {
        let next = Subscriber::open(&former.world.client, after(token)).await.event().await;
        assert_eq!(next, events[sequence]);
    }
    former.close().await;
}

#[tokio::test]
async fn tokens_authenticate_with_their_namespaces() {
    let mut former = Former::open().await;
    former.world.client = client(&former.world, PRODUCER).await;
    let others = former.world.client.submit_incident(incident("INC-DELIVERED")).await;
    assert_eq!(refusal(others).reason, "INCIDENT_OWNED_BY_OTHER");
    let own = former.world.client.submit_incident(incident("INC-BLUE")).await.unwrap();
    assert!(own.results.iter().any(|result| result.already_existed));
    former.world.client = client(&former.world, REVOKED).await;
    assert_eq!(refusal(former.world.client.get_status().await).code, Code::Unauthenticated);
    former.close().await;
}

#[tokio::test]
async fn audit_is_read_and_verified() {
    let mut former = Former::open().await;
    let request = v1::ListAuditEntriesRequest { page_size: 500, ..Default::default() };
    let entries = former.world.client.list_audit_entries(request).await.unwrap().entries;
    assert_eq!(entries.len(), AUDIT_ENTRIES);
    assert!(entries.iter().any(|it| it.action == "CANCEL_DELIVERY" && it.detail.contains("false alarm")));
    former.world.server.stop().await;
    let sound = format!("{AUDIT_ENTRIES} entries, none edited");
    let verified = run(&former.folder, &["audit", "verify"]).await;
    assert!(verified.stdout.starts_with(&sound), "{verified:?}");
    former.close().await;
}

#[tokio::test]
async fn every_secret_can_be_decrypted() {
    let mut former = Former::open().await;
    former.world.server.stop().await;
    let rotated = run(&former.folder, &["key", "rotate", "--data-key"]).await;
    // Of two connections, two retired ones, and a proxy.
    assert!(rotated.stdout.contains("5 secrets are re-encrypted with data key 2"), "{rotated:?}");
    let verified = run(&former.folder, &["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    former.close().await;
}

#[tokio::test]
async fn restore_mark_is_read() {
    let former = Former::open().await;
    // The reason that a copied mark gives, rather than that it is missing or unreadable.
    let log = former.world.server.log();
    assert!(log.contains("their inode numbers changed"), "{log}");
    former.close().await;
}
