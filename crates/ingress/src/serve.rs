//! Accepts connections, does the TLS handshake, serves HTTP/2, and limits the age of connections.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use ticketing_core::error_chain::ErrorChain;

use super::frame_limited_io::FrameLimitedIo;
use crate::boxed_io::BoxedIo;
use crate::connection_limiter::{
    Acquired, ConnectionHandle, ConnectionLimiter, ConnectionPermit, LimitExceeded,
};
use crate::flags::Limits;
use crate::listen::Listener;
use crate::log_throttle::LogThrottle;
use crate::peer::{Peer, PeerAddress, PeerCertificate, PeerKey};
use crate::tls::Tls;

/// HTTP/2 keepalive: interval between PINGs on a silent connection, and time-out.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Unsent bytes of a stream beyond which its body is not asked for more: what a client that does not read holds.
const MAX_SEND_BUFFER: usize = 64 * 1_024;
/// Delay after accepting failed for lack of file descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Delay before a restricted connection is served. Slows down a peer that reconnects in a loop; honest clients behind
/// the same address barely notice.
const RESTRICTED_DELAY: Duration = Duration::from_millis(20);

/// Request extension: cancelled when the connection reaches its maximum age, so that streams end in time.
#[derive(Debug, Clone)]
pub struct ConnectionEnding(pub CancellationToken);

/// Why a connection accepts no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseReason {
    Stopping,
    TooOld,
    Unused,
}

/// State shared by all connections of a listener.
struct Server<S> {
    service: S,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: CancellationToken,
    /// Throttles log lines about failed connections.
    failed: LogThrottle,
}

/// An accepted connection.
struct Accepted {
    io: BoxedIo,
    address: PeerAddress,
    permit: ConnectionPermit,
}

/// Why a connection failed before HTTP/2 began.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the TLS handshake did not end in time")]
    TimedOut,
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Certificate(#[from] crate::peer::Unreadable),
}

/// Serves `listener` until `stop` is cancelled and all connections have ended. Each request has its [`Peer`] and
/// [`ConnectionEnding`] as extensions.
pub async fn serve<S>(
    listener: Listener,
    tls: Option<Arc<Tls>>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let limiter = ConnectionLimiter::new(&limits);
    let server = Arc::new(Server {
        service,
        tls: tls.clone(),
        limits,
        stop: stop.clone(),
        failed: LogThrottle::default(),
    });
    let mut connections = JoinSet::new();
    let accepting = async {
        let mut number = 0_u64;
        let limit_log = LogThrottle::default();
        loop {
            tokio::select! {
                accepted = accept(&listener, &limiter, &limit_log) => {
                    number += 1;
                    let Some(accepted) = accepted else { continue };
                    let age = jitter(server.limits.connection_age, number);
                    connections.spawn(server.clone().handle_connection(accepted, age));
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    };
    let fresh = async {
        match &tls {
            Some(tls) => tls.watch_files().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = accepting => {}
        () = fresh => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Accepts the next connection within the limits.
async fn accept(
    listener: &Listener,
    limiter: &Arc<ConnectionLimiter>,
    limit_log: &LogThrottle,
) -> Option<Accepted> {
    let (io, address) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "failed to accept a connection");
            // Descriptors and memory become available only when connections end.
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            return None;
        }
    };
    match limiter.acquire(&address, Instant::now()) {
        Ok(Acquired { permit, displaced }) => {
            if let Some((limit, peer)) = displaced {
                log_limit(
                    limit_log,
                    peer,
                    limit,
                    "closed the oldest connection without an authenticated call",
                );
            }
            Some(Accepted { io, address, permit })
        }
        Err(limit) => {
            log_limit(limit_log, PeerKey::of(&address), limit, "refused a connection");
            None
        }
    }
}

fn log_limit(limit_log: &LogThrottle, peer: PeerKey, limit: LimitExceeded, what: &'static str) {
    let log_rest = |peer: PeerKey, connections| {
        tracing::warn!(%peer, connections, "further connections were closed at the connection limit");
    };
    if limit_log.should_log(peer, log_rest) {
        tracing::warn!(%peer, %limit, "connection limit reached: {what}");
    }
}

/// The maximum age of a connection, with a jitter of 10 % so that connections opened together do not end together.
fn jitter(age: Duration, number: u64) -> Duration {
    // The golden ratio distributes consecutive numbers evenly.
    let share = (number as f64 * 0.618_033_988_749_895).fract();
    age.mul_f64(0.9 + 0.2 * share)
}

// === impl Server ===

impl<S> Server<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    /// Serves a connection until it ends or is displaced by a newcomer.
    async fn handle_connection(self: Arc<Self>, accepted: Accepted, age: Duration) {
        let displaced = accepted.permit.displaced();
        tokio::select! {
            () = self.serve_connection(accepted, age) => {}
            () = displaced.cancelled() => {}
        }
    }

    async fn serve_connection(&self, accepted: Accepted, age: Duration) {
        let Accepted { io, address, permit } = accepted;
        if permit.is_restricted() {
            tokio::time::sleep(RESTRICTED_DELAY).await;
        }
        let handshake = tokio::select! {
            handshake = self.handshake(io) => handshake,
            () = self.stop.cancelled() => return,
        };
        let (io, certificate) = match handshake {
            Ok(done) => done,
            Err(error) => return self.log_failure(&address, &error, "no connection"),
        };
        let peer = Peer { address, certificate };
        if let Err(error) = self.serve_http2(io, peer, permit, age).await {
            self.log_failure(&address, &error, "the connection was closed");
        }
    }

    /// Throttled, because a peer can cause this at any rate.
    fn log_failure(&self, address: &PeerAddress, error: &(dyn std::error::Error + 'static), what: &str) {
        let log_rest = |peer: PeerKey, connections| {
            tracing::info!(%peer, connections, "suppressed log lines about failed connections");
        };
        if self.failed.should_log(PeerKey::of(address), log_rest) {
            tracing::info!(peer = %address, error = %ErrorChain(error), "{what}");
        }
    }

    async fn handshake(&self, io: BoxedIo) -> Result<(BoxedIo, Option<PeerCertificate>), HandshakeError> {
        let Some(tls) = &self.tls else { return Ok((io, None)) };
        let handshake = tls.acceptor().accept(io);
        let handshake = tokio::time::timeout(self.limits.handshake_timeout, handshake).await;
        let stream: TlsStream<_> =
            handshake.map_err(|_elapsed| HandshakeError::TimedOut)?.map_err(HandshakeError::Tls)?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|shown| PeerCertificate::of_der(shown)).transpose()?;
        Ok((Box::new(stream), certificate))
    }

    async fn serve_http2(
        &self,
        io: BoxedIo,
        peer: Peer,
        permit: ConnectionPermit,
        age: Duration,
    ) -> Result<(), hyper::Error> {
        let ending = ConnectionEnding(CancellationToken::new());
        let handle = permit.handle();
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(ending.clone());
            request.extensions_mut().insert(handle.clone());
            self.service.clone().oneshot(request)
        });
        let has_no_host = matches!(peer.address, PeerAddress::Unix { .. });
        let io = FrameLimitedIo::new(io, permit, &self.limits);
        let io = TokioIo::new(if has_no_host { io.accepting_any_authority() } else { io });
        let mut connection = pin!(self.protocol().serve_connection(io, service));
        let over = tokio::select! {
            served = connection.as_mut() => return served,
            () = self.stop.cancelled() => CloseReason::Stopping,
            () = tokio::time::sleep(age) => CloseReason::TooOld,
            () = first_call_timed_out(self.limits.first_call_timeout, &handle) => CloseReason::Unused,
        };
        connection.as_mut().graceful_shutdown();
        if over == CloseReason::Stopping {
            return connection.await;
        }
        if over == CloseReason::Unused {
            // A call may be in progress; it is served.
            let head = tokio::time::timeout(self.limits.header_timeout, connection.as_mut());
            if let Ok(served) = head.await {
                return served;
            }
            if !handle.has_authenticated() {
                return Ok(());
            }
        }
        ending.0.cancel();
        let grace = self.limits.connection_age_grace;
        tokio::time::timeout(grace, connection).await.unwrap_or(Ok(()))
    }

    fn protocol(&self) -> http2::Builder<TokioExecutor> {
        let limits = &self.limits;
        let resets = self.limits.stream_resets as usize;
        let mut protocol = http2::Builder::new(TokioExecutor::new());
        protocol
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            // h2 accepts less than the configured value, exclusive.
            .max_header_list_size(limits.header_list_size + 1)
            .max_concurrent_streams(limits.streams_per_connection)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .max_local_error_reset_streams(resets)
            // A burst of immediately cancelled calls: otherwise all of them would be served within the limit of
            // resets.
            .max_pending_accept_reset_streams(limits.streams_per_connection as usize);
        protocol
    }
}

/// Completes after `time` unless there was an authenticated call; then never.
async fn first_call_timed_out(time: Duration, connection: &ConnectionHandle) {
    tokio::time::sleep(time).await;
    if connection.has_authenticated() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitters_connection_age_by_ten_percent() {
        let ages: Vec<_> =
            (1..=100).map(|number| jitter(Duration::from_secs(100), number).as_secs()).collect();
        assert!(ages.iter().all(|age| (90..=110).contains(age)), "{ages:?}");
        assert!(ages.iter().filter(|age| **age < 100).count().abs_diff(50) < 5, "{ages:?}");
    }
}
