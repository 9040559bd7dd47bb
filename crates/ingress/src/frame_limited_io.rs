//! A connection whose frames are limited; see `frames.rs`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::authority::AuthorityRewriter;
use crate::connection_limiter::ConnectionPermit;
use crate::flags::Limits;
use crate::frames::{FrameBudget, Frames};

/// Fails if the peer exceeds the header timeout or its frame budget.
#[derive(Debug)]
pub(super) struct FrameLimitedIo<T> {
    wire: T,
    received: Frames,
    sent: Frames,
    budget: FrameBudget,
    permit: ConnectionPermit,
    /// For clients whose authority h2 refuses.
    authority: Option<AuthorityRewriter>,
    header_timeout: Duration,
    /// The header block in progress, and its deadline.
    waiting: Option<(u64, Pin<Box<Sleep>>)>,
}

/// The header timeout passed.
#[derive(Debug, thiserror::Error)]
#[error("the headers did not arrive in time")]
struct TimedOut;

// === impl FrameLimitedIo ===

impl<T> FrameLimitedIo<T> {
    pub(super) fn new(wire: T, permit: ConnectionPermit, limits: &Limits) -> Self {
        let budget = if permit.is_restricted() { FrameBudget::restricted } else { FrameBudget::new };
        let budget = budget(limits.stream_resets, limits.control_frames, Instant::now());
        let header_timeout = limits.header_timeout;
        Self {
            wire,
            received: Frames::of_client(),
            sent: Frames::of_server(),
            budget,
            permit,
            authority: None,
            header_timeout,
            waiting: None,
        }
    }

    /// Accepts any authority, for clients of a Unix socket.
    pub(super) fn accepting_any_authority(mut self) -> Self {
        self.authority = Some(AuthorityRewriter::new());
        self
    }

    fn charge_received(&mut self, bytes: &[u8]) -> io::Result<()> {
        let budget = &mut self.budget;
        let mut verdict = Ok(());
        let now = Instant::now();
        self.received.follow(bytes, |frame| verdict = verdict.and_then(|()| budget.take(frame, now)));
        verdict.map_err(io::Error::other)
    }

    fn credit_sent(&mut self, bytes: &[u8]) {
        let budget = &mut self.budget;
        let now = Instant::now();
        self.sent.follow(bytes, |frame| budget.answer(frame, now));
    }

    /// Fails if the header block in progress has exceeded its timeout.
    fn check_header_timeout(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(head) = self.received.incomplete_head() else {
            self.waiting = None;
            return Ok(());
        };
        if self.waiting.as_ref().is_none_or(|(awaited, _)| *awaited != head) {
            self.waiting =
                Some((head, Box::pin(tokio::time::sleep_until(Instant::now() + self.header_timeout))));
        }
        let over = self.waiting.as_mut().is_some_and(|(_, over)| over.as_mut().poll(cx).is_ready());
        if over { Err(io::Error::new(io::ErrorKind::TimedOut, TimedOut)) } else { Ok(()) }
    }
}

impl<T> Drop for FrameLimitedIo<T> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.permit.charge(self.budget.spent(now), now);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FrameLimitedIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.wire).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &read {
            this.charge_received(&buf.filled()[before..])?;
            if let Some(authority) = &mut this.authority {
                authority.rewrite(&mut buf.filled_mut()[before..]);
            }
        }
        this.check_header_timeout(cx)?;
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FrameLimitedIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.wire).poll_write(cx, buf))?;
        this.credit_sent(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.wire).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let consumed = buf.len().min(left);
            this.credit_sent(&buf[..consumed]);
            left -= consumed;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
