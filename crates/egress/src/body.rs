//! Request bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use ticketing_failpoints::{Point, pass};

/// A body in two chunks, so that a fail point can stop a request halfway. Without the fail point both are written at
/// once.
pub(crate) struct SplitBody {
    first: Bytes,
    between: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    second: Bytes,
}

impl SplitBody {
    pub(crate) fn of(body: Bytes) -> Self {
        let mut second = body;
        let first = second.split_to(second.len() / 2);
        Self { first, between: Box::pin(pass(Point::RequestHalfSent)), second }
    }
}

impl Body for SplitBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.first.is_empty() {
            return frame(&mut self.first);
        }
        if !self.second.is_empty() {
            std::task::ready!(self.between.as_mut().poll(context));
        }
        frame(&mut self.second)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.second.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.first.len() + self.second.len()) as u64)
    }
}

fn frame(half: &mut Bytes) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
    let bytes = std::mem::take(half);
    Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
}
