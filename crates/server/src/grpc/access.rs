//! The door: whose call it is, whether he may make it, and whether it is not one too many.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::errors::Refusal;
use crate::access::{Access, Caller, Denied, Door, Origin};
use crate::transport::Peer;

/// Lets calls in that somebody makes who may; they bear their [`Caller`] from then on.
#[derive(Debug, Clone)]
pub(crate) struct AccessLayer(Access);

/// See [`AccessLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    access: Access,
}

// === impl AccessLayer ===

impl AccessLayer {
    pub(crate) fn new(access: Access) -> Self {
        Self(access)
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, access: self.0.clone() }
    }
}

// === impl Guarded ===

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready takes the call; its clone may not be ready yet.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let access = self.access.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match admit(&access, &head).await {
                Ok(caller) => {
                    tracing::Span::current().record("caller", caller.name.as_str());
                    head.extensions.insert(caller);
                    inner.call(Request::from_parts(head, body)).await
                }
                Err(refusal) => Ok(Status::from(refusal).into_http()),
            }
        })
    }
}

async fn admit(access: &Access, head: &Parts) -> Result<Caller, Refusal> {
    let caller = access.identify(&head.headers, &origin(head)).await.map_err(denied)?;
    // What is not served is told to be so by the router, to those who may come in at all.
    if let Some(door) = Door::of_path(head.uri.path())
        && !door.roles().contains(&caller.role)
    {
        return Err(Refusal::RoleInsufficient { role: caller.role, needed: door.roles() });
    }
    access.admit(&caller).map_err(Refusal::from)?;
    Ok(caller)
}

fn denied(denied: Denied) -> Refusal {
    match denied {
        Denied::Missing => Refusal::CredentialMissing,
        Denied::Invalid(why) => {
            tracing::warn!(%why, "a credential was not accepted");
            Refusal::CredentialInvalid
        }
        Denied::Store(error) => Refusal::of_store(&error),
    }
}

fn origin(head: &Parts) -> Origin {
    let Some(peer) = head.extensions.get::<Peer>() else { return Origin::default() };
    Origin { source: peer.address.to_string(), certificate: peer.certificate.clone() }
}
