//! The state of an open stream, by which it is ended from elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::errors::Refusal;
use crate::access::{Access, Caller, Proof, StreamPermit};

/// Request extension of a stream: ends it from elsewhere.
#[derive(Clone)]
pub(super) struct StreamHandle(Arc<Shared>);

struct Shared {
    access: Access,
    caller: Caller,
    state: Mutex<State>,
    /// Cancelled when the stream is over.
    over: CancellationToken,
}

#[derive(Default)]
pub(super) struct State {
    /// The source of messages. `None` before the response begins and after the stream has ended.
    pub(super) messages: Option<Body>,
    /// Why it ended, until the client has received it.
    pub(super) ended: Option<Refusal>,
    /// The slot in the caller's limit.
    slot: Option<StreamPermit>,
    pub(super) waker: Option<Waker>,
    /// When the transport took the messages after which it asked for no more.
    pub(super) unread_since: Option<Instant>,
    unread_limit: Option<UnreadLimit>,
}

/// How long messages may stay unread, and the end of the stream then.
struct UnreadLimit {
    timeout: Duration,
    refusal: Box<dyn Fn() -> Refusal + Send>,
}

// === impl StreamHandle ===

impl StreamHandle {
    pub(super) fn new(access: Access, caller: Caller, slot: Option<StreamPermit>) -> Self {
        let state = Mutex::new(State { slot, ..State::default() });
        Self(Arc::new(Shared { access, caller, state, over: CancellationToken::new() }))
    }

    /// Cancelled when the stream is over.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.0.over
    }

    /// Ends the stream: drops the source of messages and releases the slot. The first reason counts.
    pub(super) fn end(&self, why: Refusal) {
        self.end_with(self.state(), why);
    }

    /// Ends the stream with `refusal` if messages stay unread for so long.
    pub(super) fn limit_unread(&self, timeout: Duration, refusal: impl Fn() -> Refusal + Send + 'static) {
        self.state().unread_limit = Some(UnreadLimit { timeout, refusal: Box::new(refusal) });
    }

    /// Ends the stream if its messages were not read in time; that time if there is one.
    pub(super) fn end_if_unread(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        let UnreadLimit { timeout, refusal } = state.unread_limit.as_ref()?;
        let timeout = *timeout;
        let is_open = state.messages.is_some();
        if is_open && state.unread_since.is_some_and(|since| now.duration_since(since) >= timeout) {
            // While the state is locked, the source does not advance.
            let why = refusal();
            self.end_with(state, why);
        }
        Some(timeout)
    }

    /// Ends the stream if its credential has ended.
    pub(super) async fn end_if_unauthorized(&self) {
        if let Some(why) = self.check_credential().await {
            self.end(why);
        }
    }

    /// Whether its credential can end.
    pub(super) fn needs_check(&self) -> bool {
        !matches!(self.0.caller.proof, Proof::None)
    }

    /// Why the credential is invalid or cannot be checked; `None` if it is valid.
    pub(super) async fn check_credential(&self) -> Option<Refusal> {
        match self.0.access.is_still_valid(&self.0.caller).await {
            Ok(true) => None,
            Ok(false) => Some(Refusal::CredentialInvalid),
            Err(error) => Some(Refusal::of_store(&error)),
        }
    }

    fn end_with(&self, mut state: MutexGuard<'_, State>, why: Refusal) {
        state.ended.get_or_insert(why);
        let dropped = (state.messages.take(), state.slot.take());
        let waker = state.waker.take();
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

    /// Drops the source of messages, as the client is gone.
    pub(super) fn close(&self) {
        let mut state = self.state();
        let dropped = (state.messages.take(), state.slot.take());
        drop(state);
        drop(dropped);
        self.0.over.cancel();
    }

    // The state is consistent after each step, so a poisoned lock is usable.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
