//! Authorization: every method of the contract with every kind of credential.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::uri::PathAndQuery;
use prost_reflect::DescriptorPool;
use rhythmx_ticketing::v1::{
    CreateTicketRequest, ListAuditEntriesRequest, StreamTicketEventsRequest, TestConnectionRequest,
    TicketSystem, stream_ticket_events_request::Start, stream_ticket_events_response::Message,
};
use rhythmx_ticketing::{Client, FILE_DESCRIPTOR_SET, v1};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use ticketing_core::role::Role;
use ticketing_harness::{Edit, Plan, World, create_database, incident, refusal, run_program};

use bytes::{Buf, BufMut};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

const HOUR: Duration = Duration::from_secs(3_600);

/// Allowed roles per method, according to the book's table of roles.
pub fn documented_roles() -> Vec<(String, Vec<Role>)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/run/callers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let begin = page.find("| method | admin | analyst | producer | viewer |").expect("the table of roles");
    let rows = page[begin..].lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let method = cells.next().unwrap().trim_matches('`').to_owned();
        let roles = Role::ALL.into_iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        (method, roles.map(|(role, _)| role).collect())
    };
    rows.map(row).collect()
}

/// The paths of all methods of the contract.
pub fn methods() -> Vec<(String, String)> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let path = |method: &prost_reflect::MethodDescriptor| {
        format!("/{}/{}", method.parent_service().full_name(), method.name())
    };
    methods.map(|method| (method.name().to_owned(), path(&method))).collect()
}

/// Calls a method with an empty request.
pub async fn call(channel: &Channel, path: &str, credential: Option<&str>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(credential) = credential {
        request.metadata_mut().insert("authorization", format!("Bearer {credential}").parse().unwrap());
    }
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    grpc.server_streaming(request, path, codec).await.map(drop)
}

/// Sends and receives messages as bytes.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

/// Calls a method of any kind with these bytes as its message; its first response.
pub async fn call_raw(channel: &Channel, path: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let request = Request::new(tokio_stream::once(message));
    let mut answers = grpc.streaming(request, path.parse().unwrap(), Raw).await?.into_inner();
    Ok(answers.message().await?.unwrap_or_default())
}

pub async fn channel(world: &World) -> Channel {
    Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap().connect().await.unwrap()
}

pub async fn client_of(world: &mut World, name: &str, role: Role) -> (Client, String) {
    let token = world.server.make_token(name, role, HOUR).await;
    world.secrets.push(token.clone());
    (Client::over(channel(world).await).with_token(&token).unwrap(), token)
}

pub fn refused_as(status: Status) -> (Code, String) {
    let refused = refusal::<()>(Err(status));
    (refused.code, refused.reason)
}

fn code(answer: Result<(), Status>) -> Code {
    answer.map_or_else(|status| status.code(), |()| Code::Ok)
}

#[tokio::test]
async fn methods_are_open_to_documented_roles_only() {
    let mut world = Plan::new().with_token_auth().with_flag("--unauthenticated-burst=1000").start().await;
    let channel = channel(&world).await;
    let table = documented_roles();
    let mut methods = methods();
    assert_eq!(table.len(), methods.len(), "a row for each method");
    methods.push(("health".to_owned(), "/grpc.health.v1.Health/Check".to_owned()));
    let mut of_role = vec![];
    for role in Role::ALL {
        of_role.push((role, client_of(&mut world, role.as_str(), role).await.1));
    }
    let expired = world.server.make_token("expired", Role::Admin, Duration::from_micros(1)).await;
    let revoked = client_of(&mut world, "revoked", Role::Admin).await.1;
    let mut administration = world.server.administration().await;
    administration.revoke("revoked").await.unwrap();
    administration.close().await;
    let wrong = format!("{}x", &revoked[..revoked.len() - 1]);
    for (method, path) in &methods {
        let missing = call(&channel, path, None).await.unwrap_err();
        assert_eq!(refused_as(missing), (Code::Unauthenticated, "CREDENTIAL_MISSING".to_owned()), "{method}");
        for bad in [&wrong, &expired, &revoked, "", "rxt_", "x.y.z"] {
            let refused = call(&channel, path, Some(bad)).await.unwrap_err();
            let reason = refused_as(refused);
            assert_eq!(reason, (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned()), "{method} {bad}");
        }
        let roles = table.iter().find(|(name, _)| name == method).map_or(&Role::ALL[..], |(_, roles)| roles);
        for (role, token) in &of_role {
            let answered = code(call(&channel, path, Some(token)).await);
            let expected = roles.contains(role);
            let is_accepted = !matches!(answered, Code::PermissionDenied | Code::Unauthenticated);
            assert_eq!(is_accepted, expected, "{method} as {role}: {answered:?}");
        }
    }
    let unknown = call(&channel, "/rhythmx.ticketing.v1.TicketingService/DropAll", Some(&of_role[0].1)).await;
    assert_eq!(code(unknown), Code::Unimplemented);
    world.finish().await;
}

#[tokio::test]
async fn only_admins_test_unsaved_settings() {
    let mut world = Plan::new().with_token_auth().start().await;
    let (mut analyst, _) = client_of(&mut world, "ana", Role::Analyst).await;
    let saved = TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), ..Default::default() };
    assert!(analyst.test_connection(saved.clone()).await.unwrap().test.unwrap().passed);
    let settings = v1::test_connection_request::Unsaved::Jira(world.jira_settings());
    let unsaved = TestConnectionRequest { unsaved: Some(settings), ..saved };
    let refused = analyst.test_connection(unsaved.clone()).await.unwrap_err();
    assert_eq!(refused_as(refused), (Code::PermissionDenied, "ROLE_INSUFFICIENT".to_owned()));
    assert!(world.client.test_connection(unsaved).await.unwrap().test.unwrap().passed);
    world.finish().await;
}

#[tokio::test]
async fn producer_sees_its_own_incidents_only() {
    let mut world = Plan::new().with_token_auth().start().await;
    let auto_push = v1::AutoPushSettings { enabled: Some(true), ..Default::default() };
    world.configure(v1::ConfigureRequest { auto_push: Some(auto_push), ..Default::default() }).await;
    let (mut one, _) = client_of(&mut world, "one", Role::Producer).await;
    let (mut other, _) = client_of(&mut world, "other", Role::Producer).await;
    other.submit_incident(incident("INC-1")).await.unwrap();
    let answer = one.submit_incident(incident("INC-2")).await.unwrap();
    let delivery = answer.results.into_iter().find_map(|result| result.delivery).expect("it is pushed");
    assert_eq!(delivery.requested_by, "token:one");
    world.until(&delivery.id, v1::DeliveryState::Delivered).await;
    let request = StreamTicketEventsRequest { start: Some(Start::Oldest(())), ..Default::default() };
    let mut events = one.stream_ticket_events(request).await.unwrap();
    let mut kinds = vec![];
    while kinds.last() != Some(&v1::TicketEventKind::Delivered) {
        let message = events.message().await.unwrap().unwrap().message;
        let Some(Message::Event(event)) = message else { continue };
        assert_eq!(event.incident_id, "INC-2");
        kinds.push(event.kind());
    }
    world.until_all_delivered(2).await;
    world.finish().await;
}

#[tokio::test]
async fn revoked_token_ends_its_stream_and_a_new_token_resumes() {
    let mut world = Plan::new().with_token_auth().start().await;
    let (mut viewer, _) = client_of(&mut world, "wall", Role::Viewer).await;
    let (mut next, _) = client_of(&mut world, "wall", Role::Viewer).await;
    let mut stream = viewer.stream_ticket_events(StreamTicketEventsRequest::default()).await.unwrap();
    stream.message().await.unwrap();
    let mut administration = world.server.administration().await;
    let all = administration.tokens().await.unwrap();
    let oldest = all.iter().find(|token| token.name == "wall").unwrap();
    administration.revoke(&oldest.id).await.unwrap();
    administration.close().await;
    let wait = async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), wait).await.expect("the stream goes on");
    assert_eq!(refused_as(ended), (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned()));
    assert!(next.get_status().await.is_ok());
    world.finish().await;
}

#[tokio::test]
async fn over_limit_calls_and_streams_get_retry_info() {
    let plan = Plan::new().with_token_auth().with_flag("--call-burst=5").with_flag("--call-rate=1");
    let mut world = plan.with_flag("--streams-per-caller=1").start_unconfigured().await;
    let (mut viewer, _) = client_of(&mut world, "wall", Role::Viewer).await;
    let (mut other, _) = client_of(&mut world, "other", Role::Viewer).await;
    let _stream = viewer.stream_ticket_events(StreamTicketEventsRequest::default()).await.unwrap();
    let refused = viewer.stream_ticket_events(StreamTicketEventsRequest::default()).await.unwrap_err();
    assert_eq!(refused_as(refused), (Code::ResourceExhausted, "TOO_MANY_STREAMS".to_owned()));
    let mut last = Ok(());
    for _ in 0..5 {
        last = viewer.get_status().await.map(drop);
    }
    let refused = refusal(last);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert!(refused.has_retry_delay);
    assert!(other.get_status().await.is_ok());
    world.close().await;
}

#[tokio::test]
async fn audits_every_change_with_caller_and_outcome() {
    let mut world = Plan::new().with_token_auth().start().await;
    let wrong = v1::JiraSettings { project_key: Some("no key".to_owned()), ..Default::default() };
    world.try_jira(wrong).await.unwrap_err();
    let page = world.client.list_audit_entries(ListAuditEntriesRequest::default()).await.unwrap();
    let entries: Vec<_> = page
        .entries
        .iter()
        .map(|entry| (entry.sequence, entry.actor.as_str(), entry.action.as_str(), entry.outcome.as_str()))
        .collect();
    assert_eq!(
        entries,
        [
            (3, "token:harness", "CONFIGURE", "SETTINGS_INVALID"),
            (2, "token:harness", "CONFIGURE", "OK"),
            (1, "operator", "CREATE_TOKEN", "OK"),
        ]
    );
    let detail: serde_json::Value = serde_json::from_str(&page.entries[1].detail).unwrap();
    assert_eq!(detail["jira"]["api_token"], "set");
    assert_eq!(detail["jira"]["enabled"], serde_json::json!([false, true]));
    assert!(page.entries[1].source.starts_with("127.0.0.1:"), "{:?}", page.entries[1]);
    let first = ListAuditEntriesRequest { page_size: 2, ..Default::default() };
    let page = world.client.list_audit_entries(first).await.unwrap();
    let rest = ListAuditEntriesRequest { page_size: 2, page_token: page.next_page_token };
    let rest = world.client.list_audit_entries(rest).await.unwrap();
    assert_eq!((rest.entries[0].sequence, rest.next_page_token.as_str()), (1, ""));
    let mut administration = world.server.administration().await;
    assert_eq!(administration.verify_audit().await.unwrap(), Ok(3));
    administration.close().await;
    world.finish().await;
}

#[tokio::test]
async fn command_line_creates_lists_and_revokes_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data={}", folder.path().join("data").display());
    let run = async |arguments: &[&str]| {
        let all: Vec<String> =
            arguments.iter().map(|text| (*text).to_owned()).chain([data.clone()]).collect();
        run_program(&all, &[]).await
    };
    let mistaken = run(&["token", "create", "soar", "--role=producer"]).await;
    assert!(mistaken.code == Some(1) && mistaken.stderr.contains("there is no database"), "{mistaken:?}");
    assert!(mistaken.stderr.contains("--data") && !folder.path().join("data").exists(), "{mistaken:?}");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/ticketing.db"), "").unwrap();
    let early = run(&["token", "create", "soar", "--role=producer"]).await;
    assert!(early.code == Some(1) && early.stderr.contains("is being created"), "{early:?}");
    create_database(&folder.path().join("data")).await;
    let made = run(&["token", "create", "soar", "--role=producer", "--namespace=soc-eu"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.stdout.starts_with("rxt_") && made.stderr.contains("for soar, producer, valid until"),
        "{made:?}"
    );
    assert_eq!(run(&["token", "create", "soar", "--role=producer"]).await.code, Some(0));
    let third = run(&["token", "create", "soar", "--role=producer"]).await;
    assert!(third.code == Some(1) && third.stderr.contains("revoke one first"), "{third:?}");
    let listed = run(&["token", "list"]).await.stdout;
    let good = |line: &&str| line.contains("soar  producer  valid until") && line.ends_with("  soc-eu");
    assert_eq!(listed.lines().filter(good).count(), 2, "{listed}");
    let secret = made.stdout.trim().rsplit_once('_').unwrap().1;
    assert!(!listed.contains(secret));
    let revoked = run(&["token", "revoke", "soar"]).await;
    assert_eq!(revoked.stdout.lines().count(), 2, "{revoked:?}");
    let unknown = run(&["token", "revoke", "soar"]).await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("ticketing token list"), "{unknown:?}");
    let verified = run(&["audit", "verify"]).await;
    assert!(verified.stdout.starts_with("4 entries, none edited"), "{verified:?}");
    for name in ["", "two words", &"x".repeat(65)] {
        assert_eq!(run(&["token", "create", name, "--role=viewer"]).await.code, Some(2));
    }
    assert_eq!(run(&["token", "create", "x", "--role=viewer", "--lifetime=8785h"]).await.code, Some(2));
    assert_eq!(run(&["token", "create", "x", "--role=viewer", "--namespace=SOC"]).await.code, Some(2));
    let key = folder.path().join("data/ticketing.db.key");
    std::fs::rename(&key, folder.path().join("elsewhere")).unwrap();
    let without_key = run(&["token", "list"]).await;
    assert!(without_key.code == Some(1) && without_key.stderr.contains("--key-file"), "{without_key:?}");
}

/// An identity provider that signs tokens for callers.
pub struct IdentityProvider {
    folder: tempfile::TempDir,
    signer: Ed25519KeyPair,
}

impl IdentityProvider {
    pub fn new() -> Self {
        let (folder, signer) =
            (tempfile::tempdir().unwrap(), Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": URL_SAFE_NO_PAD.encode(signer.public_key().as_ref()),
        });
        std::fs::write(folder.path().join("keys.json"), json!({ "keys": [key] }).to_string()).unwrap();
        Self { folder, signer }
    }

    /// The server trusts it.
    pub fn trusted_by(&self, plan: Plan) -> Plan {
        let keys = self.folder.path().join("keys.json");
        let plan = plan.with_token_auth().with_flag("--auth=token,jwt").with_flag("--jwt-algorithms=EdDSA");
        let plan = plan.with_flag(&format!("--jwt-keys={}", keys.display()));
        plan.with_flag("--jwt-issuer=https://id.example").with_flag("--jwt-audience=ticketing")
    }

    pub fn signed(&self, role: &str, expires: i64) -> String {
        self.signed_with(role, expires, "other", &"claim".into())
    }

    /// With a further claim.
    pub fn signed_with(&self, role: &str, expires: i64, name: &str, value: &serde_json::Value) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({ "alg": "EdDSA", "kid": "one" }));
        let claims = part(json!({
            "iss": "https://id.example", "aud": "ticketing", "sub": "ana", "exp": expires, "ticketing_role": role,
            name: value,
        }));
        let message = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.signer.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

#[tokio::test]
async fn jwt_authenticates_with_its_subject_and_role() {
    let provider = IdentityProvider::new();
    let mut world = provider.trusted_by(Plan::new()).start().await;
    let signed = |role: &str, expires: i64| provider.signed(role, expires);
    let channel = channel(&world).await;
    let client = |token: &str| Client::over(channel.clone()).with_token(token).unwrap();
    let good = signed("analyst", 4_000_000_000);
    let pushed = CreateTicketRequest {
        incident: Some(incident("INC-1")),
        destination: Some(TicketSystem::Jira.into()),
    };
    let answer = client(&good).create_ticket(pushed).await.unwrap();
    world.acknowledged.note_push(&answer);
    assert_eq!(answer.delivery.unwrap().requested_by, "jwt:ana");
    let denied = client(&good).list_audit_entries(ListAuditEntriesRequest::default()).await.unwrap_err();
    assert_eq!(refused_as(denied), (Code::PermissionDenied, "ROLE_INSUFFICIENT".to_owned()));
    for bad in [signed("analyst", 1_000_000_000), signed("root", 4_000_000_000), format!("{good}x")] {
        let refused = client(&bad).get_status().await.unwrap_err();
        assert_eq!(refused_as(refused), (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned()), "{bad}");
    }
    world.secrets.push(good);
    world.finish().await;
}

#[tokio::test]
async fn refuses_and_names_an_edited_token() {
    for edit in [Edit::Promote, Edit::ChangeNamespaces, Edit::TakeBackRevocations, Edit::Prolong] {
        let mut world = Plan::new().in_a_process().with_token_auth().start().await;
        let (mut viewer, token) = client_of(&mut world, "viewer", Role::Viewer).await;
        viewer.get_status().await.unwrap();
        if edit == Edit::TakeBackRevocations {
            let mut administration = world.server.administration().await;
            administration.revoke("viewer").await.unwrap();
            administration.close().await;
        }
        world.server.edit(edit).await;
        let refused = viewer.get_status().await.unwrap_err();
        assert_eq!(refused_as(refused), (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned()), "{edit:?}");
        let id = token.split('_').nth(1).unwrap();
        assert!(world.server.log().contains(id), "{edit:?}");
        let mut administration = world.server.administration().await;
        let verified = administration.verify_audit().await.unwrap().unwrap_err().to_string();
        administration.close().await;
        assert!(verified.contains(id) && verified.contains("by hand"), "{edit:?}: {verified}");
        world.finish().await;
    }
}

#[tokio::test]
async fn two_credentials_in_one_call_are_refused() {
    let mut world = Plan::new().with_token_auth().start().await;
    let (_, token) = client_of(&mut world, "viewer", Role::Viewer).await;
    let channel = channel(&world).await;
    let path = "/rhythmx.ticketing.v1.TicketingService/GetStatus";
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    for _ in 0..2 {
        request.metadata_mut().append("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let codec = ProstCodec::<(), ()>::default();
    let refused = grpc.unary(request, path.parse().unwrap(), codec).await.unwrap_err();
    assert_eq!(refused_as(refused), (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned()));
    world.finish().await;
}
