//! What is served on one port: the service, health and reflection.

use std::time::Duration;

use rhythmx_ticketing::FILE_DESCRIPTOR_SET;
use rhythmx_ticketing::v1::ticketing_service_server::{TicketingService, TicketingServiceServer};
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server;
use tower::layer::util::{Identity, Stack};

use super::access::AccessLayer;
use super::deadline::DeadlineLayer;
use super::trace::TraceLayer;
use crate::access::Access;

/// What every call passes on its way in, the last one first.
type Layers = Stack<DeadlineLayer, Stack<AccessLayer, Stack<TraceLayer, Identity>>>;

/// The most bytes of a request. The largest valid incident has about 2 MiB.
pub(crate) const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

/// Calls and streams at a time on one connection.
const MOST_STREAMS: u32 = 100;
/// Streams that a peer may have us reset before its connection is closed: the bound against rapid resets, which hyper
/// lacks unless it is set.
const MOST_RESETS: usize = 1_024;
/// A silent peer is asked for a sign of life this often, and given up when none comes in time.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The router over `service`, and the handle that tells its health.
pub(crate) async fn router<T: TicketingService>(
    service: T,
    access: Access,
) -> Result<(Router<Layers>, HealthReporter), server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<TicketingServiceServer<T>>().await;
    let service = TicketingServiceServer::new(service)
        .max_decoding_message_size(LARGEST_REQUEST)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let router = Server::builder()
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_local_error_reset_streams(Some(MOST_RESETS))
        .http2_max_pending_accept_reset_streams(Some(MOST_STREAMS as usize))
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .layer(TraceLayer::default())
        .layer(AccessLayer::new(access))
        .layer(DeadlineLayer)
        .add_service(service)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((router, reporter))
}

/// Tells whoever watches the health that nothing new is taken.
pub(crate) async fn stop_serving<T: TicketingService>(reporter: &HealthReporter) {
    reporter.set_not_serving::<TicketingServiceServer<T>>().await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
}

// Error details are looked up by reflection too, so their descriptors are there.
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
    fn both_versions_of_reflection_can_tell_the_contract_and_its_error_details() {
        assert!(reflection().build_v1().is_ok());
        assert!(reflection().build_v1alpha().is_ok());
    }
}
