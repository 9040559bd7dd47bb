//! Streams that stay open: each is counted among those of its caller, ends with the credential that opened it, and keeps neither
//! a stopping server nor a connection that is too old.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::body::Body;

use super::errors::Refusal;
use super::stream::Closing;
use crate::access::{Access, Caller, Proof, StreamPlace};

/// How often a stream looks whether its credential is still good.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Completes when a stream has to end, with why.
type End = Pin<Box<dyn Future<Output = Refusal> + Send>>;

/// What ends a stream, and its place among those of its caller.
pub(super) struct Lease {
    pub(super) access: Access,
    pub(super) caller: Caller,
    pub(super) place: Option<StreamPlace>,
    /// `None` for a stream that ends itself then, with its last token.
    pub(super) closing: Option<Closing>,
}

/// What a caller sends on a stream, until the stream is over: one that still might ask does not keep it.
pub(super) struct Questions {
    questions: Body,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What a caller is sent on a stream.
pub(super) struct Messages {
    /// `None` once the stream was ended.
    messages: Option<Body>,
    credential: End,
    closing: End,
    _place: Option<StreamPlace>,
    _over: DropGuard,
}

/// Completes when the credential of a caller was revoked or has run out, or when nobody can tell. Without one, never.
async fn credential_ended(access: Access, caller: Caller) -> Refusal {
    if matches!(caller.proof, Proof::Open) {
        return std::future::pending().await;
    }
    let mut checks = tokio::time::interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        checks.tick().await;
        match access.is_still_good(&caller).await {
            Ok(true) => {}
            Ok(false) => return Refusal::CredentialInvalid,
            Err(error) => return Refusal::of_store(&error),
        }
    }
}

async fn closed(closing: Option<Closing>) -> Refusal {
    match closing {
        Some(closing) => closing.reached().await,
        None => std::future::pending().await,
    }
}

fn trailers(refusal: Refusal) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = Status::from(refusal);
    if status.add_header(&mut trailers).is_err() {
        // Details that fit no header: the code alone.
        trailers.insert(Status::GRPC_STATUS, (status.code() as i32).into());
    }
    trailers
}

// === impl Lease ===

impl Lease {
    /// What is sent on the stream, and what makes its answer one that ends.
    pub(super) fn begin(self, questions: Body) -> (Body, impl FnOnce(Body) -> Body) {
        let over = CancellationToken::new();
        let questions = Questions { questions, over: Box::pin(over.clone().cancelled_owned()) };
        let over = over.drop_guard();
        let Self { access, caller, place, closing } = self;
        let bound = move |messages| {
            Body::new(Messages {
                messages: Some(messages),
                credential: Box::pin(credential_ended(access, caller)),
                closing: Box::pin(closed(closing)),
                _place: place,
                _over: over,
            })
        };
        (Body::new(questions), bound)
    }
}

// === impl Questions ===

impl http_body::Body for Questions {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.questions).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.questions.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.questions.size_hint()
    }
}

// === impl Messages ===

impl Messages {
    fn end(&mut self, why: Refusal) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.messages = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers(why)))))
    }
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(messages) = &mut this.messages else { return Poll::Ready(None) };
        // First, since there may always be another message.
        if let Poll::Ready(why) = this.credential.as_mut().poll(cx) {
            return this.end(why);
        }
        // The last one tells that the server stops.
        if let Poll::Ready(message) = Pin::new(messages).poll_frame(cx) {
            return Poll::Ready(message);
        }
        match this.closing.as_mut().poll(cx) {
            Poll::Ready(why) => this.end(why),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.messages.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.messages.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}
