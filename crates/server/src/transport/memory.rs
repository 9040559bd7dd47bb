//! How many bytes of requests are read or worked on at a time, and for how long they may take to arrive.
//!
//! A call is counted from its head until its answer begins. Its bytes count as they arrive, or at once as many as it
//! declares; one that is compressed counts as the largest that it may turn out to be. No caller holds more than half, so
//! that one who finishes nothing does not keep the others out.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
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

use crate::access::Caller;

const ENCODING: &str = "grpc-encoding";

/// Refuses calls for which there is no memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLayer {
    bytes: Arc<Semaphore>,
    shares: Arc<Shares>,
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

/// How much each caller may hold, by its name; only callers who hold something are in it.
#[derive(Debug)]
struct Shares {
    each: usize,
    callers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Bytes out of the whole, and out of the caller's share.
#[derive(Debug)]
struct Taken {
    whole: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

/// What one call holds.
#[derive(Debug)]
struct Held {
    layer: MemoryLayer,
    share: Arc<Semaphore>,
    taken: Mutex<Option<Taken>>,
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
        let all = all.min(Semaphore::MAX_PERMITS);
        let shares = Arc::new(Shares { each: (all / 2).max(largest), callers: Mutex::default() });
        Self { bytes: Arc::new(Semaphore::new(all)), shares, largest, patience, refuse }
    }

    fn take(&self, share: &Arc<Semaphore>, bytes: usize) -> Option<Taken> {
        let bytes = u32::try_from(bytes).ok()?;
        let share = share.clone().try_acquire_many_owned(bytes).ok()?;
        let whole = self.bytes.clone().try_acquire_many_owned(bytes).ok()?;
        Some(Taken { whole, share })
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
        let name = request.extensions().get::<Caller>().map_or("", |caller| caller.name.as_str());
        let share = self.layer.shares.of(name);
        let Some(taken) = self.layer.take(&share, ahead) else {
            let refused = (self.layer.refuse)().into_http();
            return Box::pin(std::future::ready(Ok(refused)));
        };
        let held = Arc::new(Held { layer: self.layer.clone(), share, taken: Mutex::new(Some(taken)) });
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

// === impl Shares ===

impl Shares {
    fn of(&self, name: &str) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = callers.get(name).and_then(Weak::upgrade) {
            return share;
        }
        callers.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.each));
        callers.insert(name.to_owned(), Arc::downgrade(&share));
        share
    }
}

// === impl Held ===

impl Held {
    /// Takes more; or nothing once the answer has begun.
    fn add(&self, bytes: usize) -> Result<(), Status> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = &mut *taken {
            let more = self.layer.take(&self.share, bytes).ok_or_else(self.layer.refuse)?;
            taken.whole.merge(more.whole);
            taken.share.merge(more.share);
        }
        Ok(())
    }

    fn is_answered(&self) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn release(&self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
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
        let held = holding(&layer, "one", 40);
        assert!(held.add(10).is_ok());
        assert!(held.add(1).is_err());
        held.release();
        assert!(held.add(1_000).is_ok(), "it counts no more");
        let held = holding(&layer, "one", 50);
        assert!(layer.take(&layer.shares.of("one"), 1).is_none());
        drop(held);
        assert!(layer.take(&layer.shares.of("one"), 50).is_some());
    }

    #[test]
    fn one_caller_holds_no_more_than_half_and_leaves_the_rest_to_others() {
        let layer = layer();
        let one = holding(&layer, "one", 50);
        assert!(one.add(1).is_err());
        let other = holding(&layer, "other", 50);
        assert!(layer.take(&layer.shares.of("third"), 1).is_none(), "the whole is held");
        drop((one, other));
        assert_eq!(layer.bytes.available_permits(), 100);
        drop(layer.shares.of("third"));
        assert_eq!(layer.shares.callers.lock().unwrap().len(), 1, "who holds nothing is forgotten");
    }

    fn holding(layer: &MemoryLayer, name: &str, bytes: usize) -> Held {
        let share = layer.shares.of(name);
        let taken = Mutex::new(layer.take(&share, bytes));
        assert!(taken.lock().unwrap().is_some());
        Held { layer: layer.clone(), share, taken }
    }
}
