//! A network connection that is opened before its request exists.
//!
//! reqwest opens a connection for a request. So a first request is made that never leaves: the connector sets its connection
//! aside, and fails. The next request of the same client takes the connection that was set aside.

use std::any::Any;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::rt::{Read, ReadBuf};
use ticketing_core::system::Dialing;
use tokio::task::JoinHandle;
use tower::{Layer, Service};
use url::{Origin, Url};

use crate::transport::{self, NoReply};

type BoxError = Box<dyn Error + Send + Sync>;

/// A client with a connection that is being opened, or open. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Ahead {
    client: reqwest::Client,
    origin: Origin,
    /// The failure to open it.
    opening: JoinHandle<Option<reqwest::Error>>,
}

/// Makes the connector of a client set its first connection aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetAside;

#[derive(Debug, Clone)]
pub(crate) struct SettingAside<S> {
    inner: S,
    first: Arc<Mutex<First>>,
}

/// The first connection of a client.
#[derive(Debug)]
enum First {
    NotBegun,
    Open(Box<dyn Any + Send>),
    /// It is being opened, or was taken.
    Gone,
}

/// The answer to the request that never leaves.
#[derive(Debug, thiserror::Error)]
#[error("the connection was set aside for the next request")]
struct WasSetAside;

// === impl Ahead ===

impl Ahead {
    /// Begins to open a connection for one request to the origin of `url`. The client has the layer [`SetAside`].
    pub(crate) fn begin(client: reqwest::Client, url: &Url) -> Dialing {
        let first = client.get(url.clone());
        let opening = tokio::spawn(async move {
            let error = first.send().await.err()?;
            let was_set_aside = transport::chain(&error).any(<dyn Error>::is::<WasSetAside>);
            if was_set_aside { None } else { Some(error.without_url()) }
        });
        Dialing::new(Self { client, origin: url.origin(), opening })
    }

    pub(crate) fn is_for(&self, url: &Url) -> bool {
        self.origin == url.origin()
    }

    /// The client once its connection is open.
    pub(crate) async fn opened(mut self, within: Duration) -> Result<reqwest::Client, NoReply> {
        match tokio::time::timeout(within, &mut self.opening).await {
            Ok(Ok(Some(error))) => Err(NoReply::Failed(error)),
            // If the task was stopped, the client opens a connection as usual.
            Ok(Ok(None) | Err(_)) => Ok(self.client.clone()),
            Err(_) => Err(NoReply::NotConnected),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.opening.abort();
    }
}

// === impl SetAside ===

impl<S> Layer<S> for SetAside {
    type Service = SettingAside<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SettingAside { inner, first: Arc::new(Mutex::new(First::NotBegun)) }
    }
}

// === impl SettingAside ===

impl<S, R> Service<R> for SettingAside<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Read + Send + Unpin + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *first, First::Gone) {
            First::NotBegun => {
                let opening = self.inner.call(request);
                let slot = self.first.clone();
                Box::pin(async move {
                    let connection = opening.await?;
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = First::Open(Box::new(connection));
                    Err(WasSetAside.into())
                })
            }
            First::Gone => Box::pin(self.inner.call(request)),
            First::Open(connection) => {
                let another = self.inner.call(request);
                let mut connection = connection.downcast::<S::Response>().ok();
                Box::pin(async move {
                    if let Some(open) = &mut connection
                        && has_ended(&mut **open).await
                    {
                        connection = None;
                    }
                    match connection {
                        Some(connection) => Ok(*connection),
                        None => another.await,
                    }
                })
            }
        }
    }
}

/// Whether the server has closed a connection that had no request yet. It sends nothing before a request.
async fn has_ended(connection: &mut (impl Read + Unpin)) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let read = std::future::poll_fn(|cx| {
        Poll::Ready(Pin::new(&mut *connection).poll_read(cx, buffer.unfilled()).is_ready())
    });
    read.await
}
