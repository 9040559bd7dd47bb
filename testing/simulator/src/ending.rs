//! The ways in which a call and its connection end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::Call;
use crate::raw::Raw;
use crate::response::Response;

/// The way a connection ends, set by a request on it.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) at_next_request: AtomicBool,
    last: Mutex<Option<Last>>,
}

/// The end of a connection in place of a reply.
#[derive(Debug)]
pub(crate) enum Last {
    Reset,
    Raw(Call, Raw),
}

/// The result of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Response),
    /// Bytes instead of a valid reply.
    Raw(Raw),
    Close,
    Reset,
}

// === impl Ending ===

impl Ending {
    pub(crate) fn close_at_next_request(&self) {
        self.at_next_request.store(true, Ordering::SeqCst);
    }

    pub(crate) fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
