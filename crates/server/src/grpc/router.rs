//! The served routes: service, health and reflection on one listener, and health alone on another.

use std::sync::Arc;

use http::Response;
use ticketing_contract::FILE_DESCRIPTOR_SET;
use ticketing_contract::v1::ticketing_service_server::{TicketingService, TicketingServiceServer};
use ticketing_ingress::{Limits, MemoryBudget};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server;
use tower::Layer;
use tower::util::MapResponse;

use super::access::{AccessLayer, Guarded};
use super::deadline::{DeadlineLayer, DeadlineService};
use super::request_reader::{RequestLayer, RequestReader};
use super::stream;
use super::trace::{TraceLayer, TraceService};
use super::wire::Schema;
use crate::access::Access;

/// Maximum size of a health or reflection request, in bytes.
const MAX_HEALTH_REQUEST: usize = 16 * 1024;

/// Descriptors of all served methods.
const DESCRIPTORS: [&[u8]; 4] = [
    FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// The layers after authentication, outermost first.
type LimitedService = DeadlineService<RequestReader<MapResponse<Routes, Encoded>>>;
/// Replaces the body of event streams.
type Encoded = fn(Response<Body>) -> Response<Body>;

/// The routes, and the reporter of health.
pub(crate) struct Served {
    pub calls: TraceService<Guarded<LimitedService>>,
    /// For everyone: it only reveals whether the server works.
    pub health_only: TraceService<Guarded<LimitedService>>,
    pub health: HealthReporter,
}

/// Builds the routes of `service`. `closing` ends the streams of health and reflection; the service ends its own.
pub(crate) async fn router<T: TicketingService>(
    service: T,
    access: Access,
    limits: &Limits,
    closing: CancellationToken,
) -> Result<Served, server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let health = health.max_decoding_message_size(MAX_HEALTH_REQUEST);
    reporter.set_serving::<TicketingServiceServer<T>>().await;
    let service = TicketingServiceServer::new(service)
        .max_decoding_message_size(limits.max_request_size as usize)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let calls = Routes::new(service)
        .add_service(health.clone())
        .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_HEALTH_REQUEST))
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_HEALTH_REQUEST));
    let schema = Arc::new(Schema::of(&DESCRIPTORS)?);
    let public = AccessLayer::new(access.unrestricted(), closing.clone());
    let calls = TraceLayer::default().layer(AccessLayer::new(access, closing).layer(with_limits(
        calls,
        schema.clone(),
        limits,
    )));
    // Requests here are small and answered at once. Callers are anonymous, so with a memory budget one of them
    // could block the others.
    let budget = MemoryBudget::unlimited();
    let reader = RequestLayer::new(schema, budget, MAX_HEALTH_REQUEST, limits.request_timeout);
    let health = reader.layer(with_event_streams(Routes::new(health)));
    let health = DeadlineLayer::new(limits.request_timeout).layer(health);
    let health_only = TraceLayer::default().layer(public.layer(health));
    Ok(Served { calls, health_only, health: reporter })
}

fn with_limits(routes: Routes, schema: Arc<Schema>, limits: &Limits) -> LimitedService {
    let budget = MemoryBudget::new(limits.request_memory as usize * 1_024 * 1_024);
    let max_size = limits.max_request_size as usize;
    let reader = RequestLayer::new(schema, budget, max_size, limits.request_timeout);
    DeadlineLayer::new(limits.max_call_duration).layer(reader.layer(with_event_streams(routes)))
}

fn with_event_streams(routes: Routes) -> MapResponse<Routes, Encoded> {
    MapResponse::new(routes.prepare(), stream::with_encoded_events)
}

/// Reports NOT_SERVING to health watchers.
pub(crate) async fn stop_serving<T: TicketingService>(reporter: &HealthReporter) {
    reporter.set_not_serving::<TicketingServiceServer<T>>().await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
}

// Reflection also resolves error details, so their descriptors are registered.
fn reflection() -> server::Builder<'static> {
    server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_both_reflection_versions() {
        assert!(reflection().build_v1().is_ok());
        assert!(reflection().build_v1alpha().is_ok());
    }
}
