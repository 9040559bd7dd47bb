//! The access layer: authenticates, limits and authorizes each call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use ticketing_ingress::{ConnectionHandle, Peer};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::errors::Refusal;
use super::open_streams::OpenStreams;
use super::stream_guard::Closing;
use super::stream_guard::StreamGuard;
use super::trace::LogSuppressed;
use crate::access::{Access, Caller, Denied, Rpc};

/// A tower layer that rejects unauthorized calls, and adds the [`Caller`] to the others as an extension.
#[derive(Debug, Clone)]
pub(crate) struct AccessLayer {
    access: Access,
    closing: CancellationToken,
    streams: OpenStreams,
}

/// See [`AccessLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    layer: AccessLayer,
}

// === impl AccessLayer ===

impl AccessLayer {
    /// `closing` ends streams that do not end by themselves. Starts the task that checks open streams.
    pub(crate) fn new(access: Access, closing: CancellationToken) -> Self {
        let streams = OpenStreams::default();
        tokio::spawn(streams.clone().check_until(closing.clone()));
        Self { access, closing, streams }
    }

    async fn admit(&self, head: &Parts) -> Result<(Caller, Option<StreamGuard>), Refusal> {
        let caller = admit(&self.access, head).await?;
        let Some(rpc) = Rpc::of_path(head.uri.path()).filter(|rpc| rpc.is_stream()) else {
            return Ok((caller, None));
        };
        let slot = self.access.admit_stream(&caller)?;
        let closing = || Closing::of(self.closing.clone(), &head.extensions);
        // Event streams end by themselves, with their last resume token.
        let closing = (!matches!(rpc, Rpc::Contract(_))).then(closing);
        let guard = StreamGuard::new(self.access.clone(), caller.clone(), slot, closing);
        Ok((caller, Some(guard)))
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, layer: self.clone() }
    }
}

// === impl Guarded ===

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // `self.inner` is ready and takes the call; its clone may not be ready.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            if !is_grpc(&head) {
                return Ok(not_grpc());
            }
            let (caller, guard) = match layer.admit(&head).await {
                Ok(admitted) => admitted,
                Err(refusal) => return Ok(refused(refusal)),
            };
            head.extensions.insert(caller);
            let Some(guard) = guard else { return inner.call(Request::from_parts(head, body)).await };
            head.extensions.insert(guard.handle());
            let requests = guard.requests(body);
            let answer = inner.call(Request::from_parts(head, requests)).await?;
            Ok(answer.map(|messages| guard.responses(messages, &layer.streams)))
        })
    }
}

async fn admit(access: &Access, head: &Parts) -> Result<Caller, Refusal> {
    // Every connection adds its peer.
    let peer = head.extensions.get::<Peer>().ok_or(Refusal::Internal)?;
    let caller = access.authenticate(&head.headers, peer).await.map_err(denied)?;
    tracing::Span::current().record("caller", caller.name.as_str());
    if let Some(connection) = head.extensions.get::<ConnectionHandle>() {
        connection.establish();
    }
    // Before anything is audited, so that repeated refusals do not fill the audit log.
    access.admit(&caller)?;
    // The router answers unknown paths, for authenticated callers only.
    let Some(rpc) = Rpc::of_path(head.uri.path()) else { return Ok(caller) };
    if rpc.roles().contains(&caller.role) {
        return Ok(caller);
    }
    let refusal = Refusal::RoleInsufficient { role: caller.role, needed: rpc.roles() };
    if let Some(action) = rpc.action() {
        // The subject is in the message, which is not read.
        access.note_refusal(caller.actor(), action, "", refusal.reason()).await;
    }
    Err(refusal)
}

/// Browsers can be made to send forms, images and plain text, but not this.
fn is_grpc(head: &Parts) -> bool {
    let kind = head.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    // A suffix may follow: "+proto".
    let is_grpc = |kind: &str| {
        kind.strip_prefix("application/grpc")
            .is_some_and(|how| !how.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
    };
    head.method == http::Method::POST && kind.is_some_and(is_grpc)
}

fn refused(refusal: Refusal) -> Response<Body> {
    let is_counted = matches!(refusal, Refusal::UnauthenticatedLimitExceeded { .. });
    let mut response = Status::from(refusal).into_http();
    if is_counted {
        response.extensions_mut().insert(LogSuppressed);
    }
    response
}

fn not_grpc() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

fn denied(denied: Denied) -> Refusal {
    match denied {
        Denied::Missing => Refusal::CredentialMissing,
        Denied::Invalid(why) => {
            tracing::warn!(%why, "a credential was not accepted");
            Refusal::CredentialInvalid
        }
        Denied::TooMany { retry_after } => Refusal::UnauthenticatedLimitExceeded { retry_after },
        Denied::Store(error) => Refusal::of_store(&error),
    }
}
