//! Guards open streams: each counts against its caller's limit and ends with the credential that opened it.
//!
//! The credential is checked before each message, so that nothing is delivered after a revocation in the store. A
//! client that does not read receives no messages, so a timer checks too: when the credential has ended, the source
//! of messages is dropped and the caller's slot is released at once, although the status can only be sent when the
//! client reads again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::Extensions;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use ticketing_ingress::ConnectionEnding;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::errors::Refusal;
use crate::access::{Access, Caller, Proof, StreamPermit};

/// Signals that end a stream.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    pub(super) server: CancellationToken,
    pub(super) connection: CancellationToken,
}

/// Interval of credential checks by the timer.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a stream was admitted with.
pub(super) struct StreamGuard {
    access: Access,
    caller: Caller,
    /// `None` for a stream that ends by itself when the server stops, with its last token.
    closing: Option<Closing>,
    handle: StreamHandle,
}

/// Request extension of a stream: ends it from elsewhere.
#[derive(Clone)]
pub(super) struct StreamHandle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Cancelled when the stream is over.
    over: CancellationToken,
}

#[derive(Default)]
struct State {
    /// The source of messages. `None` before the response begins and after the stream has ended.
    messages: Option<Body>,
    /// Why it ended, until the client has received it.
    ended: Option<Refusal>,
    /// The slot in the caller's limit.
    slot: Option<StreamPermit>,
    waker: Option<Waker>,
}

/// The client's messages, until the stream is over: a client that could still send does not keep it open.
struct RequestStream {
    requests: Body,
    over: BoxFuture<()>,
}

/// The messages to the client.
struct ResponseStream {
    handle: StreamHandle,
    access: Access,
    caller: Caller,
    /// A message that waits for the credential check.
    checked: Option<(Frame<Bytes>, BoxFuture<Option<Refusal>>)>,
    closing: BoxFuture<Refusal>,
    timer: Option<JoinHandle<()>>,
}

/// Why a caller's credential is invalid or cannot be checked; `None` if it is valid.
async fn check_credential(access: Access, caller: Caller) -> Option<Refusal> {
    match access.is_still_valid(&caller).await {
        Ok(true) => None,
        Ok(false) => Some(Refusal::CredentialInvalid),
        Err(error) => Some(Refusal::of_store(&error)),
    }
}

/// Completes when the credential becomes invalid.
async fn credential_ended(access: Access, caller: Caller) -> Refusal {
    let mut checks = tokio::time::interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        checks.tick().await;
        if let Some(refusal) = check_credential(access.clone(), caller.clone()).await {
            return refusal;
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
        // Only the code, if the details do not fit in a header.
        trailers.insert(Status::GRPC_STATUS, (status.code() as i32).into());
    }
    trailers
}

// === impl Closing ===

impl Closing {
    /// For a request of a connection.
    pub(crate) fn of(server: CancellationToken, extensions: &Extensions) -> Self {
        let ending = extensions.get::<ConnectionEnding>().map(|ending| ending.0.clone());
        Self { server, connection: ending.unwrap_or_default() }
    }

    /// Completes when the server stops or the connection reaches its maximum age.
    pub(crate) async fn reached(&self) -> Refusal {
        let resume_token = String::new();
        tokio::select! {
            () = self.server.cancelled() => Refusal::ShuttingDown { resume_token },
            () = self.connection.cancelled() => Refusal::ConnectionEnding { resume_token },
        }
    }
}

// === impl StreamGuard ===

impl StreamGuard {
    pub(super) fn new(
        access: Access,
        caller: Caller,
        slot: Option<StreamPermit>,
        closing: Option<Closing>,
    ) -> Self {
        let state = Mutex::new(State { slot, ..State::default() });
        let handle = StreamHandle(Arc::new(Shared { state, over: CancellationToken::new() }));
        Self { access, caller, closing, handle }
    }

    pub(super) fn handle(&self) -> StreamHandle {
        self.handle.clone()
    }

    /// The client's messages, until the stream is over.
    pub(super) fn requests(&self, requests: Body) -> Body {
        let over = Box::pin(self.handle.0.over.clone().cancelled_owned());
        Body::new(RequestStream { requests, over })
    }

    /// The messages to the client, as long as the credential is valid.
    pub(super) fn responses(self, messages: Body) -> Body {
        let Self { access, caller, closing, handle } = self;
        handle.state().messages = Some(messages);
        let needs_check = !matches!(caller.proof, Proof::None);
        let timer = needs_check.then(|| {
            let access = access.clone();
            let caller = caller.clone();
            let handle = handle.clone();
            tokio::spawn(async move { handle.end(credential_ended(access, caller).await) })
        });
        let closing = Box::pin(closed(closing));
        Body::new(ResponseStream { handle, access, caller, checked: None, closing, timer })
    }
}

// === impl StreamHandle ===

impl StreamHandle {
    /// Ends the stream: drops the source of messages and releases the slot. The first reason counts.
    pub(super) fn end(&self, why: Refusal) {
        let mut state = self.state();
        state.ended.get_or_insert(why);
        let State { messages, slot, waker, .. } = &mut *state;
        let dropped = (messages.take(), slot.take());
        let waker = waker.take();
        drop(state);
        drop(dropped);
        self.0.over.cancel();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Releases the caller's slot, although the client has not read the end.
    pub(super) fn release_slot(&self) {
        let slot = self.state().slot.take();
        drop(slot);
    }

    fn close(&self) {
        let mut state = self.state();
        let dropped = (state.messages.take(), state.slot.take());
        drop(state);
        drop(dropped);
        self.0.over.cancel();
    }

    // The state is consistent after each step, so a poisoned lock is usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl RequestStream ===

impl http_body::Body for RequestStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.requests).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.requests.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.requests.size_hint()
    }
}

// === impl ResponseStream ===

impl ResponseStream {
    /// The next message or the end, whichever is ready.
    fn poll_messages(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut state = self.handle.state();
        state.waker = Some(cx.waker().clone());
        match &mut state.messages {
            Some(messages) => http_body::Body::poll_frame(Pin::new(messages), cx),
            None => Poll::Ready(None),
        }
    }

    fn take_end(&mut self) -> Option<Refusal> {
        let ended = self.handle.state().ended.take();
        if ended.is_some() {
            self.checked = None;
        }
        ended
    }
}

impl http_body::Body for ResponseStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(why) = this.take_end() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers(why)))));
            }
            if let Some((_, check)) = &mut this.checked {
                match std::task::ready!(check.as_mut().poll(cx)) {
                    Some(why) => this.handle.end(why),
                    None => {
                        let frame = this.checked.take().map(|(frame, _)| Ok(frame));
                        return Poll::Ready(frame);
                    }
                }
                continue;
            }
            match this.poll_messages(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() && this.timer.is_some() => {
                    let check = check_credential(this.access.clone(), this.caller.clone());
                    this.checked = Some((frame, Box::pin(check)));
                }
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                // The end, with its status.
                Poll::Ready(last) => {
                    if let Some(why) = this.take_end() {
                        this.handle.end(why);
                        continue;
                    }
                    this.handle.release_slot();
                    return Poll::Ready(last);
                }
                Poll::Pending => match this.closing.as_mut().poll(cx) {
                    Poll::Ready(why) => this.handle.end(why),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.handle.state();
        let is_over = state.messages.as_ref().is_none_or(http_body::Body::is_end_stream);
        is_over && state.ended.is_none() && self.checked.is_none()
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
        self.handle.close();
    }
}
