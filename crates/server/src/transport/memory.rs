//! How many bytes of requests are read or worked on at a time, and for how long they may take to arrive.
//!
//! A call is counted from its head until its answer begins. Its bytes count as they arrive, or at once as many as it
//! declares; one that is compressed counts as the largest that it may turn out to be.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

const ENCODING: &str = "grpc-encoding";

/// Refuses calls for which there is no memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLayer {
    bytes: Arc<Semaphore>,
    largest: usize,
    patience: Duration,
    refuse: fn() -> Status,
}

/// See [`MemoryLayer`].
#[derive(Debug, Clone)]
pub(crate) struct WithinMemory<S> {
    inner: S,
    layer: MemoryLayer,
}

/// What one call holds.
#[derive(Debug)]
struct Held {
    layer: MemoryLayer,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

/// The body of a request whose bytes are counted.
struct Counted {
    body: Body,
    /// What was counted before it came.
    ahead: usize,
    over: Pin<Box<Sleep>>,
    held: Arc<Held>,
}

// === impl MemoryLayer ===

impl MemoryLayer {
    /// `all` bytes at a time; no request is larger than `largest`, or takes longer than `patience` to arrive. `refuse`
    /// words the refusal for want of memory.
    pub(crate) fn new(all: usize, largest: usize, patience: Duration, refuse: fn() -> Status) -> Self {
        let bytes = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Self { bytes, largest, patience, refuse }
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        self.bytes.clone().try_acquire_many_owned(bytes).ok()
    }

    /// What a call is known to bring. One that is too large is refused elsewhere, whatever it declares.
    fn ahead(&self, headers: &HeaderMap) -> usize {
        let compressed = headers.get(ENCODING).is_some_and(|encoding| encoding != "identity");
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if compressed { self.largest } else { declared.unwrap_or(0).min(self.largest) }
    }
}

impl<S> Layer<S> for MemoryLayer {
    type Service = WithinMemory<S>;

    fn layer(&self, inner: S) -> WithinMemory<S> {
        WithinMemory { inner, layer: self.clone() }
    }
}

// === impl WithinMemory ===

impl<S> Service<Request<Body>> for WithinMemory<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
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
        let ahead = self.layer.ahead(request.headers());
        let Some(permit) = self.layer.take(ahead) else {
            let refused = (self.layer.refuse)().into_http();
            return Box::pin(std::future::ready(Ok(refused)));
        };
        let held = Arc::new(Held { layer: self.layer.clone(), permit: Mutex::new(Some(permit)) });
        let over = Box::pin(tokio::time::sleep(self.layer.patience));
        let request = request.map(|body| Body::new(Counted { body, ahead, over, held: held.clone() }));
        let answer = self.inner.call(request);
        let answered = async move {
            let answer = answer.await;
            held.release();
            answer
        };
        Box::pin(answered)
    }
}

// === impl Held ===

impl Held {
    /// Takes more; or nothing once the answer has begun.
    fn add(&self, bytes: usize) -> Result<(), Status> {
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permit) = &mut *permit {
            permit.merge(self.layer.take(bytes).ok_or_else(self.layer.refuse)?);
        }
        Ok(())
    }

    fn is_answered(&self) -> bool {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn release(&self) {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

// === impl Counted ===

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx)?;
        if frame.is_pending() && !self.held.is_answered() && self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Status::deadline_exceeded("the request did not arrive in time"))));
        }
        let Some(frame) = ready!(frame) else { return Poll::Ready(None) };
        let arrived = frame.data_ref().map_or(0, Bytes::len);
        let counted = arrived.min(self.ahead);
        self.ahead -= counted;
        self.held.add(arrived - counted)?;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn layer() -> MemoryLayer {
        MemoryLayer::new(100, 40, Duration::from_secs(30), || Status::resource_exhausted("full"))
    }

    #[test]
    fn a_declared_length_counts_at_once_and_a_compressed_request_as_the_largest() {
        let layer = layer();
        assert_eq!(layer.ahead(&headers(&[])), 0);
        assert_eq!(layer.ahead(&headers(&[("content-length", "30")])), 30);
        assert_eq!(layer.ahead(&headers(&[("content-length", "4294967296")])), 40);
        assert_eq!(layer.ahead(&headers(&[("content-length", "-1")])), 0);
        assert_eq!(layer.ahead(&headers(&[("grpc-encoding", "gzip"), ("content-length", "3")])), 40);
        assert_eq!(layer.ahead(&headers(&[("grpc-encoding", "identity")])), 0);
    }

    #[test]
    fn what_a_call_holds_is_given_back_when_it_is_answered_or_given_up() {
        let layer = layer();
        let held = Held { layer: layer.clone(), permit: Mutex::new(layer.take(40)) };
        assert!(held.add(60).is_ok());
        assert!(held.add(1).is_err());
        assert!(layer.take(1).is_none());
        held.release();
        assert!(held.add(1_000).is_ok(), "it counts no more");
        let held = Held { layer: layer.clone(), permit: Mutex::new(layer.take(100)) };
        assert!(layer.take(1).is_none());
        drop(held);
        assert!(layer.take(100).is_some());
    }
}
