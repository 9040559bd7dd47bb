//! Connections: taken, shaken hands with, served, and ended in time.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::flags::Limits;
use super::listen::Listener;
use super::peer::{Peer, PeerAddress, PeerCertificate, Whose};
use super::places::{NoPlace, Place, Places};
use super::tally::Tally;
use super::tls::Tls;
use super::watched::Watched;

/// A silent peer is asked for a sign of life this often, and given up when none comes in time.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// After a connection could not be taken, for want of files or memory.
const BREATH: Duration = Duration::from_millis(50);

/// The bytes of a connection.
pub(crate) type Wire = Box<dyn Bytestream>;

/// What bytes go through both ways.
pub(crate) trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for T {}

/// Among the extensions of a request: cancelled when its connection is too old, so that streams end in time.
#[derive(Debug, Clone)]
pub(crate) struct Ending(pub CancellationToken);

/// Among the extensions of a request: whether its connection has borne a call that was let in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used(Arc<AtomicBool>);

/// Why a connection takes no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Stopping,
    TooOld,
    Unused,
}

/// What serves connections.
struct Server<S> {
    service: S,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: CancellationToken,
    /// Connections that came to nothing.
    failed: Tally,
}

/// A connection that was taken.
struct Taken {
    wire: Wire,
    address: PeerAddress,
    /// After how long it is too old.
    age: Duration,
    place: Place,
}

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the TLS handshake did not end in time")]
    TooLate,
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Certificate(#[from] super::peer::Unreadable),
}

/// Serves on `listener` until `stop` is cancelled and all connections have ended. Each request has its [`Peer`] and its
/// [`Ending`] among its extensions.
pub(crate) async fn serve<S>(
    listener: Listener,
    tls: Option<Arc<Tls>>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let places = Places::new(&limits);
    let server =
        Arc::new(Server { service, tls: tls.clone(), limits, stop: stop.clone(), failed: Tally::default() });
    let mut connections = JoinSet::new();
    let taking = async {
        let (mut number, turned_away) = (0_u64, Tally::default());
        loop {
            tokio::select! {
                taken = take(&listener, &places, &turned_away) => {
                    number += 1;
                    let Some((wire, address, place)) = taken else { continue };
                    let age = spread(server.limits.connection_age, number);
                    let taken = Taken { wire, address, age, place };
                    connections.spawn(server.clone().attend(taken));
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    };
    let fresh = async {
        match &tls {
            Some(tls) => tls.keep_fresh().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = taking => {}
        () = fresh => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection for which there is a place.
async fn take(
    listener: &Listener,
    places: &Arc<Places>,
    turned_away: &Tally,
) -> Option<(Wire, PeerAddress, Place)> {
    let (wire, address) = match listener.accept().await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::warn!(%error, "a connection could not be taken");
            // What is missing comes back only when others end.
            tokio::time::sleep(BREATH).await;
            return None;
        }
    };
    match places.take(&address, Instant::now()) {
        Ok(place) => Some((wire, address, place)),
        Err(why) => {
            let tell_rest = |peer: Whose, connections| {
                tracing::warn!(%peer, connections, "further connections are closed");
            };
            if turned_away.is_first(Whose::of(&address), tell_rest) {
                tracing::warn!(peer = %address, "connections are closed: {why}");
            }
            None
        }
    }
}

/// The age of the connection with this number: a tenth more or less, so that not all that began together end together.
fn spread(age: Duration, number: u64) -> Duration {
    // The golden ratio spreads any run of numbers evenly.
    let share = (number as f64 * 0.618_033_988_749_895).fract();
    age.mul_f64(0.9 + 0.2 * share)
}

// === impl Server ===

impl<S> Server<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    /// Serves a connection to its end.
    async fn attend(self: Arc<Self>, taken: Taken) {
        let Taken { wire, address, age, place } = taken;
        let shaken = tokio::select! {
            shaken = self.shake_hands(wire) => shaken,
            () = self.stop.cancelled() => return,
        };
        let (wire, certificate) = match shaken {
            Ok(shaken) => shaken,
            Err(error) => return self.tell(&address, &error, "no connection"),
        };
        let peer = Peer { address, certificate };
        if let Err(error) = self.converse(wire, peer, place, age).await {
            self.tell(&address, &error, "the connection was closed");
        }
    }

    /// Whoever connects may make this happen as often as it likes.
    fn tell(&self, address: &PeerAddress, error: &(dyn std::error::Error + 'static), what: &str) {
        let tell_rest = |peer: Whose, connections| {
            tracing::info!(%peer, connections, "further connections came to nothing");
        };
        if self.failed.is_first(Whose::of(address), tell_rest) {
            tracing::info!(peer = %address, error, "{what}");
        }
    }

    async fn shake_hands(&self, wire: Wire) -> Result<(Wire, Option<PeerCertificate>), HandshakeError> {
        let Some(tls) = &self.tls else { return Ok((wire, None)) };
        let shaking = tls.acceptor().accept(wire);
        let shaken = tokio::time::timeout(self.limits.handshake_timeout, shaking).await;
        let stream: TlsStream<_> =
            shaken.map_err(|_elapsed| HandshakeError::TooLate)?.map_err(HandshakeError::Tls)?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|shown| PeerCertificate::of_der(shown)).transpose()?;
        Ok((Box::new(stream), certificate))
    }

    async fn converse(
        &self,
        wire: Wire,
        peer: Peer,
        place: Place,
        age: Duration,
    ) -> Result<(), hyper::Error> {
        let (ending, used) = (Ending(CancellationToken::new()), Used::default());
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(ending.clone());
            request.extensions_mut().insert(used.clone());
            self.service.clone().oneshot(request)
        });
        let wire = TokioIo::new(Watched::new(wire, place, &self.limits));
        let mut connection = pin!(self.protocol().serve_connection(wire, service));
        let over = tokio::select! {
            served = connection.as_mut() => return served,
            () = self.stop.cancelled() => Over::Stopping,
            () = tokio::time::sleep(age) => Over::TooOld,
            () = used.none_after(self.limits.first_call_timeout) => Over::Unused,
        };
        connection.as_mut().graceful_shutdown();
        if over == Over::Stopping {
            return connection.await;
        }
        if over == Over::Unused {
            // A call may be under way, and is served then.
            let head = tokio::time::timeout(self.limits.header_timeout, connection.as_mut());
            if let Ok(served) = head.await {
                return served;
            }
            if !used.is_noted() {
                return Ok(());
            }
        }
        ending.0.cancel();
        let grace = self.limits.connection_age_grace;
        tokio::time::timeout(grace, connection).await.unwrap_or(Ok(()))
    }

    fn protocol(&self) -> http2::Builder<TokioExecutor> {
        let (limits, resets) = (&self.limits, self.limits.stream_resets as usize);
        let mut protocol = http2::Builder::new(TokioExecutor::new());
        protocol
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            // h2 takes less than what it is told, and not as much.
            .max_header_list_size(limits.header_list_size + 1)
            .max_concurrent_streams(limits.streams_per_connection)
            .max_local_error_reset_streams(resets)
            // A burst of calls that are taken back at once: the allowance of resets would let all of them be served.
            .max_pending_accept_reset_streams(limits.streams_per_connection as usize);
        protocol
    }
}

// === impl Used ===

impl Used {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Completes after this time, or never if a call was let in until then.
    async fn none_after(&self, time: Duration) {
        tokio::time::sleep(time).await;
        if self.is_noted() {
            std::future::pending::<()>().await;
        }
    }
}

// === impl Taken and the like ===

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InAll => "there are as many as --connections allows",
            Self::ForThisPeer => {
                "the peer has, or has spent of late, as many as --connections-per-peer allows"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ages_of_connections_are_a_tenth_around_the_one_that_is_set() {
        let ages: Vec<_> =
            (1..=100).map(|number| spread(Duration::from_secs(100), number).as_secs()).collect();
        assert!(ages.iter().all(|age| (90..=110).contains(age)), "{ages:?}");
        assert!(ages.iter().filter(|age| **age < 100).count().abs_diff(50) < 5, "{ages:?}");
    }
}
