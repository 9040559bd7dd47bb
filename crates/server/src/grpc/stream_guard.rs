//! Guards open streams: each counts against its caller's limit and ends with the credential that opened it.
//!
//! The credential is checked before each chunk of messages, so that nothing is delivered after a revocation in the store. A
//! client that does not read receives no messages, so a timer checks too (`open_streams.rs`): when the credential has
//! ended, the source of messages is dropped and the caller's slot is released at once, although the status can only be
//! sent when the client reads again.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Extensions;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use ticketing_ingress::ConnectionEnding;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::errors::Refusal;
use super::open_streams::{OpenStream, OpenStreams};
use super::stream_handle::StreamHandle;
use crate::access::{Access, Caller, StreamPermit};

/// Signals that end a stream.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    pub(super) server: CancellationToken,
    pub(super) connection: CancellationToken,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a stream was admitted with.
pub(super) struct StreamGuard {
    /// `None` for a stream that ends by itself when the server stops, with its last token.
    closing: Option<Closing>,
    handle: StreamHandle,
}

/// The client's messages, until the stream is over: a client that could still send does not keep it open.
struct RequestStream {
    requests: Body,
    over: BoxFuture<()>,
}

/// The messages to the client.
struct ResponseStream {
    handle: StreamHandle,
    /// A message that waits for the credential check.
    checked: Option<(Frame<Bytes>, BoxFuture<Option<Refusal>>)>,
    closing: BoxFuture<Refusal>,
    needs_check: bool,
    _open: OpenStream,
}

async fn closed(closing: Option<Closing>) -> Refusal {
    match closing {
        Some(closing) => closing.reached().await,
        None => std::future::pending().await,
    }
}

/// The status that ends a stream.
pub(super) fn trailers(refusal: Refusal) -> HeaderMap {
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
        Self { closing, handle: StreamHandle::new(access, caller, slot) }
    }

    pub(super) fn handle(&self) -> StreamHandle {
        self.handle.clone()
    }

    /// The client's messages, until the stream is over.
    pub(super) fn requests(&self, requests: Body) -> Body {
        let over = Box::pin(self.handle.over().clone().cancelled_owned());
        Body::new(RequestStream { requests, over })
    }

    /// The messages to the client, as long as the credential is valid.
    pub(super) fn responses(self, messages: Body, streams: &OpenStreams) -> Body {
        let Self { closing, handle } = self;
        handle.state().messages = Some(messages);
        let needs_check = handle.needs_check();
        let closing = Box::pin(closed(closing));
        let _open = streams.add(handle.clone());
        Body::new(ResponseStream { handle, checked: None, closing, needs_check, _open })
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
        state.unread_since = None;
        let messages = match &mut state.messages {
            Some(messages) => http_body::Body::poll_frame(Pin::new(messages), cx),
            None => Poll::Ready(None),
        };
        match &messages {
            Poll::Ready(_) if !self.needs_check => state.unread_since = Some(Instant::now()),
            Poll::Ready(_) => {}
            Poll::Pending => state.waker = Some(cx.waker().clone()),
        }
        messages
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
                        this.handle.state().unread_since = Some(Instant::now());
                        return Poll::Ready(this.checked.take().map(|(frame, _)| Ok(frame)));
                    }
                }
                continue;
            }
            match this.poll_messages(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() && this.needs_check => {
                    let handle = this.handle.clone();
                    let check = Box::pin(async move { handle.check_credential().await });
                    this.checked = Some((frame, check));
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
        self.handle.close();
    }
}
