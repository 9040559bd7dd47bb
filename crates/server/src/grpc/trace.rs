//! A span for each call, so that every line logged during it has its request ID.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response};
use ticketing_host::panics::catch;
use ticketing_ingress::{LogThrottle, Peer, PeerKey};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument;

use super::errors::Refusal;

/// Header with the request ID; echoed in the response, or generated.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID: usize = 64;
/// Maximum length of a logged method: unauthenticated callers can send any path.
const MAX_METHOD: usize = 64;
/// Refusals of one peer that are logged individually; further ones within seconds are logged in summary.
const REFUSAL_LOG_BURST: u64 = 50;

/// Opens a span for each call and logs refusals. A call that panics gets a response too.
#[derive(Debug, Clone)]
pub(crate) struct TraceLayer {
    calls: Arc<AtomicU64>,
    refused: LogThrottle,
}

/// See [`TraceLayer`].
#[derive(Debug, Clone)]
pub(crate) struct TraceService<S> {
    inner: S,
    calls: Arc<AtomicU64>,
    refused: LogThrottle,
}

// === impl TraceLayer ===

impl Default for TraceLayer {
    fn default() -> Self {
        Self { calls: Arc::default(), refused: LogThrottle::new(REFUSAL_LOG_BURST) }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> TraceService<S> {
        TraceService { inner, calls: self.calls.clone(), refused: self.refused.clone() }
    }
}

// === impl TraceService ===

impl<S, B> Service<Request<B>> for TraceService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let id = request_id(&request, &self.calls);
        let method = method(request.uri().path());
        let peer = request.extensions().get::<Peer>();
        let span = tracing::info_span!(
            "rpc",
            method,
            request = id.to_str().unwrap_or_default(),
            caller = tracing::field::Empty,
            peer = peer.map(|peer| tracing::field::display(&peer.address))
        );
        let peer = peer.map(|peer| PeerKey::of(&peer.address));
        let refused = self.refused.clone();
        let begun = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| self.inner.call(request))));
        let answered = async move {
            let answer = match begun {
                Ok(answer) => catch(answer).await.ok(),
                Err(_) => None,
            };
            // The panic hook has logged the location.
            let mut response = answer.unwrap_or_else(|| Ok(Status::from(Refusal::Internal).into_http()))?;
            explain_unimplemented(&mut response);
            log(&response, peer, &refused);
            response.headers_mut().insert(HEADER, id);
            Ok(response)
        };
        Box::pin(answered.instrument(span))
    }
}

/// Response extension: logged in summary with similar ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogSuppressed;

/// The method, cut to the length of the longest served one.
fn method(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.char_indices().nth(MAX_METHOD).map_or(name, |(end, _)| &name[..end])
}

/// The caller's request ID if it is fit for a log, else the next number.
fn request_id<B>(request: &Request<B>, calls: &AtomicU64) -> HeaderValue {
    let fit = |id: &&HeaderValue| {
        let plain = id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b));
        (1..=MAX_ID).contains(&id.len()) && plain
    };
    let given = request.headers().get(HEADER).filter(fit).cloned();
    given.unwrap_or_else(|| HeaderValue::from(calls.fetch_add(1, Ordering::Relaxed) + 1))
}

/// Adds ErrorInfo, which every refusal has, to the response of the router or a service to an unknown method or
/// compression.
fn explain_unimplemented(response: &mut Response<Body>) {
    const UNKNOWN: &str = "this server has no such service or method: check its name, and that the client was built from the \
                           contract of this version";
    let Some(status) = Status::from_header_map(response.headers()) else { return };
    if status.code() != Code::Unimplemented || !status.details().is_empty() {
        return;
    }
    let why = if status.message().is_empty() { UNKNOWN } else { status.message() };
    let explained = Status::from(Refusal::Unimplemented(why.to_owned()));
    if explained.add_header(response.headers_mut()).is_err() {
        tracing::warn!("failed to add error details to a response");
    }
}

// A response whose status is known before its body, as that of every refusal.
fn log(response: &Response<Body>, peer: Option<PeerKey>, refused: &LogThrottle) {
    let log_rest = |peer: PeerKey, calls| tracing::info!(%peer, calls, "further calls were refused");
    if response.extensions().get::<LogSuppressed>().is_some() {
        return;
    }
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => {
            if peer.is_some_and(|peer| !refused.should_log(peer, log_rest)) {
                return;
            }
            tracing::info!(code = ?status.code(), why = status.message(), "refused");
        }
        Some(_) | None => tracing::debug!("answered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_logged_method() {
        assert_eq!(method("/rhythmx.ticketing.v1.TicketingService/GetStatus"), "GetStatus");
        assert_eq!(method(&format!("/a/{}", "x".repeat(15_000))), "x".repeat(64));
        assert_eq!((method("/"), method("")), ("", ""));
    }

    fn id_of(given: Option<&str>, calls: &AtomicU64) -> HeaderValue {
        let mut request = Request::new(());
        if let Some(given) = given {
            request.headers_mut().insert(HEADER, given.parse().unwrap());
        }
        request_id(&request, calls)
    }

    #[test]
    fn uses_request_id_of_caller_or_next_number() {
        let calls = AtomicU64::new(0);
        assert_eq!(id_of(Some("rhythmx-42"), &calls), "rhythmx-42");
        assert_eq!(id_of(None, &calls), "1");
        assert_eq!(id_of(None, &calls), "2");
    }

    #[test]
    fn replaces_request_id_unfit_for_log() {
        let calls = AtomicU64::new(6);
        for given in ["", "two words", &"x".repeat(65)] {
            assert!(id_of(Some(given), &calls).to_str().unwrap().parse::<u64>().is_ok(), "{given}");
        }
    }
}
