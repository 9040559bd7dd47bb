//! Open streams of every kind: the limit per caller, and their end with the credential.

use std::time::Duration;

use rhythmx_ticketing::v1::{StreamTicketEventsRequest, StreamTicketEventsResponse, TicketSystem};
use ticketing_core::role::Role;
use ticketing_harness::{Answer, HostilePeer, Plan, World, frame, free_address, refusal};
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::access::{channel, client_of};

const SOON: Duration = Duration::from_secs(6);

/// Adds a bearer token to each call.
#[derive(Clone)]
struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.0).parse().unwrap());
        Ok(request)
    }
}

async fn watch(channel: &Channel, token: &str) -> Result<Streaming<HealthCheckResponse>, Status> {
    let mut client = HealthClient::with_interceptor(channel.clone(), Bearer(token.to_owned()));
    let watched = client.watch(HealthCheckRequest::default()).await?;
    let mut watched = watched.into_inner();
    watched.message().await?.expect("the health is sent at once");
    Ok(watched)
}

async fn reflect(channel: &Channel, token: &str) -> Result<Streaming<ServerReflectionResponse>, Status> {
    let mut client = ServerReflectionClient::with_interceptor(channel.clone(), Bearer(token.to_owned()));
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let question = ServerReflectionRequest { host: String::new(), message_request };
    // A caller that may retry.
    let questions = tokio_stream::iter([question]).chain(tokio_stream::pending());
    let mut answers = client.server_reflection_info(questions).await?.into_inner();
    answers.message().await?.expect("a question is answered");
    Ok(answers)
}

async fn follow(world: &World, token: &str) -> Result<Streaming<StreamTicketEventsResponse>, Status> {
    let mut client = rhythmx_ticketing::Client::over(channel(world).await).with_token(token).unwrap();
    let mut events = client.stream_ticket_events(StreamTicketEventsRequest::default()).await?;
    events.message().await?.expect("a stream begins with a bookmark");
    Ok(events)
}

async fn ends<T: std::fmt::Debug>(stream: Streaming<T>, why: &str) {
    let refused = refusal::<()>(Err(last(stream).await));
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Unauthenticated, "CREDENTIAL_INVALID"),
        "{why}"
    );
}

#[tokio::test]
async fn all_streams_end_with_their_credential() {
    let mut world = Plan::new().in_a_process().with_token_auth().start_unconfigured().await;
    let channel = channel(&world).await;
    let (_, revoked) = client_of(&mut world, "revoked", Role::Viewer).await;
    let (_, kept) = client_of(&mut world, "kept", Role::Viewer).await;
    let streams = (
        watch(&channel, &revoked).await.unwrap(),
        reflect(&channel, &revoked).await.unwrap(),
        follow(&world, &revoked).await.unwrap(),
    );
    let mut goes_on = watch(&channel, &kept).await.unwrap();
    let mut administration = world.server.administration().await;
    administration.revoke("revoked").await.unwrap();
    administration.close().await;
    ends(streams.0, "Watch, revoked").await;
    ends(streams.1, "reflection, revoked").await;
    ends(streams.2, "events, revoked").await;
    let expiring = world.server.make_token("expiring", Role::Viewer, Duration::from_secs(2)).await;
    let streams = (watch(&channel, &expiring).await.unwrap(), reflect(&channel, &expiring).await.unwrap());
    ends(streams.0, "Watch, expired").await;
    ends(streams.1, "reflection, expired").await;
    let more = tokio::time::timeout(Duration::from_secs(2), goes_on.message()).await;
    assert!(more.is_err(), "the stream of another caller ended: {more:?}");
    drop(goes_on);
    world.finish().await;
}

#[tokio::test]
async fn stream_delivers_nothing_after_revocation() {
    let mut world = Plan::new().in_a_process().with_token_auth().start().await;
    let (_, token) = client_of(&mut world, "wall", Role::Viewer).await;
    let mut events = follow(&world, &token).await.unwrap();
    let mut administration = world.server.administration().await;
    administration.revoke("wall").await.unwrap();
    administration.close().await;
    world.push("INC-1", TicketSystem::Jira).await;
    let next = tokio::time::timeout(SOON, events.message()).await.expect("the stream goes on");
    refusal(next).is(Code::Unauthenticated, "CREDENTIAL_INVALID", &[]);
    world.finish().await;
}

#[tokio::test]
async fn unread_stream_ends_with_its_credential() {
    let plan = Plan::new().in_a_process().with_token_auth().with_flag("--streams-per-caller=1");
    let mut world = plan.with_flag("--shutdown-grace=1s").start().await;
    let (_, token) = client_of(&mut world, "wall", Role::Viewer).await;
    // Its window is closed: nothing can be sent to it.
    let no_window = frame(0x4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let mut sleeper = HostilePeer::connect_with(&world.server.address, &no_window).await.unwrap();
    let bearer = format!("Bearer {token}");
    sleeper.call(1, "StreamTicketEvents", &[("authorization", &bearer)]).await.unwrap();
    sleeper.data(1, &[0; 5], true).await.unwrap();
    assert!(matches!(sleeper.answer(1).await, Answer::Headers(_)));

    let mut administration = world.server.administration().await;
    administration.revoke("wall").await.unwrap();
    administration.close().await;
    let (_, successor) = client_of(&mut world, "wall", Role::Viewer).await;
    let freed = async { while follow(&world, &successor).await.is_err() {} };
    tokio::time::timeout(SOON, freed).await.expect("the slot is not freed");

    world.push("INC-1", TicketSystem::Jira).await;
    sleeper.send(&frame(0x8, 0, 1, &65_535_u32.to_be_bytes())).await.unwrap();
    loop {
        match sleeper.next_frame().await {
            // What was sent before, the initial bookmark, may still arrive.
            (0x0, 1, data) => assert!(!data.windows(5).any(|id| id == b"INC-1"), "an event was delivered"),
            (0x1, 1, _trailers) => break,
            _ => {}
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn streams_of_every_kind_count_toward_the_limit() {
    let plan = Plan::new().in_a_process().with_token_auth().with_flag("--streams-per-caller=3");
    let mut world = plan.start_unconfigured().await;
    let channel = channel(&world).await;
    let (mut viewer, token) = client_of(&mut world, "wall", Role::Viewer).await;
    let watched = watch(&channel, &token).await.unwrap();
    let (_reflected, _followed) =
        (reflect(&channel, &token).await.unwrap(), follow(&world, &token).await.unwrap());
    let too_many = [
        refusal(watch(&channel, &token).await),
        refusal(reflect(&channel, &token).await),
        refusal(follow(&world, &token).await),
    ];
    for refused in too_many {
        refused.is(Code::ResourceExhausted, "TOO_MANY_STREAMS", &[]);
        assert!(refused.has_retry_delay && refused.metadata["limit"] == "3", "{refused:?}");
    }
    // Unary calls do not count, nor do streams of others.
    viewer.get_status().await.unwrap();
    let (_, other) = client_of(&mut world, "other", Role::Viewer).await;
    watch(&channel, &other).await.unwrap();
    drop(watched);
    let again = async { while reflect(&channel, &token).await.is_err() {} };
    tokio::time::timeout(SOON, again).await.expect("a place is not given back");
    world.finish().await;
}

#[tokio::test]
async fn health_and_reflection_streams_do_not_delay_shutdown() {
    let health = free_address();
    let plan = Plan::new().in_a_process().with_token_auth().with_flag("--connection-age=1s");
    let plan = plan.with_flag(&format!("--health-listen={health}"));
    let mut world = plan.start_unconfigured().await;
    let token = world.server.next_start().token.clone().unwrap();
    let old = channel(&world).await;
    for end in
        [last(watch(&old, &token).await.unwrap()).await, last(reflect(&old, &token).await.unwrap()).await]
    {
        refusal::<()>(Err(end)).is(Code::Unavailable, "CONNECTION_ENDING", &[]);
    }
    world.server.next_start().flags.retain(|flag| !flag.starts_with("--connection-age"));
    world.restart().await;
    let channel = channel(&world).await;
    let mut watched = watch(&channel, &token).await.unwrap();
    let reflected = reflect(&channel, &token).await.unwrap();
    let alone = Endpoint::from_shared(format!("http://{health}")).unwrap().connect().await.unwrap();
    let mut alone = HealthClient::new(alone).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    alone.message().await.unwrap();
    let watching = tokio::spawn(async move { (watched.message().await, last(watched).await) });
    let begun = Instant::now();
    world.server.stop().await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let (not_serving, watched) = watching.await.unwrap();
    assert_eq!(not_serving.unwrap().unwrap().status(), ServingStatus::NotServing);
    refusal::<()>(Err(watched)).is(Code::Unavailable, "SHUTTING_DOWN", &[]);
    refusal::<()>(Err(last(alone).await)).is(Code::Unavailable, "SHUTTING_DOWN", &[]);
    refusal::<()>(Err(last(reflected).await)).is(Code::Unavailable, "SHUTTING_DOWN", &[]);
}

/// The end of a stream.
async fn last<T: std::fmt::Debug>(mut stream: Streaming<T>) -> Status {
    let end = async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    };
    tokio::time::timeout(SOON, end).await.expect("the stream goes on")
}
