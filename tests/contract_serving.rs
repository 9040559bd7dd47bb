//! Other served endpoints: health, reflection, and arbitrary HTTP/2 input.

use std::time::Duration;

use rhythmx_ticketing::v1::ticketing_service_client::TicketingServiceClient;
use rhythmx_ticketing::v1::{self, TicketSystem};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use ticketing_harness::{Plan, World, refusal};

use super::access::{call_raw, methods};

const SERVICE: &str = "rhythmx.ticketing.v1.TicketingService";

#[tokio::test]
async fn health_knows_the_server_and_its_service_only() {
    let world = Plan::new().start().await;
    let mut health = HealthClient::new(channel(&world).await);
    for service in ["", SERVICE] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest { service: "unknown".to_owned() };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
    world.finish().await;
}

#[tokio::test]
async fn health_watch_reports_shutdown() {
    let mut world = Plan::new().start().await;
    let mut health = HealthClient::new(channel(&world).await);
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let seen = tokio::spawn(async move { watch.message().await });
    world.server.stop().await;
    match seen.await.unwrap() {
        Ok(Some(update)) => assert_eq!(update.status(), ServingStatus::NotServing),
        Ok(None) | Err(_) => panic!("the stream ended without a status"),
    }
    world.server.start_again().await;
    world.client = world.server.client().await;
    world.finish().await;
}

#[tokio::test]
async fn reflection_describes_services_in_both_versions() {
    let world = Plan::new().start().await;
    let services = [SERVICE, "grpc.health.v1.Health"];
    let (listed, described) = reflection_v1(&world).await;
    assert!(services.iter().all(|service| listed.iter().any(|name| name == service)), "{listed:?}");
    assert!(described > 1_000);
    let (listed, described) = reflection_v1alpha(&world).await;
    assert!(services.iter().all(|service| listed.iter().any(|name| name == service)), "{listed:?}");
    assert!(described > 1_000);
    world.finish().await;
}

#[tokio::test]
async fn unknown_method_is_unimplemented() {
    let mut world = Plan::new().start().await;
    let mut raw = tonic::client::Grpc::new(channel(&world).await);
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<String, String>::default();
    let path = http::uri::PathAndQuery::from_static("/rhythmx.ticketing.v1.TicketingService/Nonsense");
    let status = raw.unary(Request::new("x".to_owned()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let reason = status.get_details_error_info().map(|info| (info.reason, info.domain));
    assert_eq!(reason, Some(("REQUEST_MALFORMED".to_owned(), "ticketing.rhythmx".to_owned())));
    assert!(status.message().contains("no such service or method"), "{status:?}");
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn malformed_messages_are_invalid_arguments_of_every_method() {
    let mut world = Plan::new().start().await;
    let channel = channel(&world).await;
    let others = [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    let paths = methods().into_iter().map(|(_, path)| path).chain(others.map(str::to_owned));
    for path in paths {
        // An endless varint.
        let refused = refusal(call_raw(&channel, &path, vec![0xFF]).await);
        refused.is(Code::InvalidArgument, "REQUEST_MALFORMED", &[]);
    }
    world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(world.deliveries().await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn call_without_time_is_deadline_exceeded() {
    let mut world = Plan::new().start().await;
    let patient = world.client.clone();
    world.client = patient.clone().with_deadline(Duration::from_nanos(1));
    let status = world.client.get_status().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    world.client = patient;
    world.finish().await;
}

#[tokio::test]
async fn answer_has_the_callers_request_id_or_a_new_one() {
    let world = Plan::new().start().await;
    let mut stub = TicketingServiceClient::new(channel(&world).await);
    let mut named = Request::new(v1::GetStatusRequest {});
    named.metadata_mut().insert("x-request-id", "night-shift.42".parse().unwrap());
    let answer = stub.get_status(named).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "night-shift.42");
    let mut refused = Request::new(v1::GetDeliveryRequest::default());
    refused.metadata_mut().insert("x-request-id", "night-shift.43".parse().unwrap());
    let status = stub.get_delivery(refused).await.unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "night-shift.43");
    for odd in ["two words", &"x".repeat(65), ""] {
        let mut request = Request::new(v1::GetStatusRequest {});
        request.metadata_mut().insert("x-request-id", odd.parse().unwrap());
        let answer = stub.get_status(request).await.unwrap();
        let name = answer.metadata().get("x-request-id").unwrap().to_str().unwrap();
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()), "{name}");
    }
    world.finish().await;
}

async fn channel(world: &World) -> Channel {
    Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap().connect().await.unwrap()
}

/// The listed services, and the descriptor of ours.
async fn reflection_v1(world: &World) -> (Vec<String>, usize) {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(SERVICE.to_owned()),
    ];
    let requests =
        asked.map(|asked| ServerReflectionRequest { host: String::new(), message_request: Some(asked) });
    let mut client = ServerReflectionClient::new(channel(world).await);
    let answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut listed = vec![];
    let mut described = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                listed.extend(list.service.into_iter().map(|service| service.name));
            }
            MessageResponse::FileDescriptorResponse(files) => {
                described += files.file_descriptor_proto.iter().map(Vec::len).sum::<usize>();
            }
            other => panic!("{other:?}"),
        }
    }
    (listed, described)
}

async fn reflection_v1alpha(world: &World) -> (Vec<String>, usize) {
    use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(SERVICE.to_owned()),
    ];
    let requests =
        asked.map(|asked| ServerReflectionRequest { host: String::new(), message_request: Some(asked) });
    let mut client = ServerReflectionClient::new(channel(world).await);
    let answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut listed = vec![];
    let mut described = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                listed.extend(list.service.into_iter().map(|service| service.name));
            }
            MessageResponse::FileDescriptorResponse(files) => {
                described += files.file_descriptor_proto.iter().map(Vec::len).sum::<usize>();
            }
            other => panic!("{other:?}"),
        }
    }
    (listed, described)
}
