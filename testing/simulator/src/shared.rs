//! State that the connections of a simulator share.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::fault_script::FaultScript;
use crate::message::{Answer, Request};
use crate::points::Points;
use crate::profile::Vendor;
use crate::site;
use crate::site_request::{SearchFault, SiteRequest};
use crate::state::State;
use crate::transport::Security;

/// State that the connections of a simulator share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) vendor: Vendor,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) faults: FaultScript,
    pub(crate) points: Points,
    pub(crate) security: Security,
    /// Cancelled when the simulator is dropped, which discards requests that would be applied late.
    pub(crate) is_dropped: CancellationToken,
    pub(crate) state: Mutex<State>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.security.scheme(), self.address)
    }

    /// Executes a request.
    pub(crate) fn apply(&self, request: &Request, search_fault: SearchFault) -> Answer {
        let origin = self.origin();
        let now = self.clock.now();
        let mut state = self.state();
        site::respond(
            self.vendor,
            &mut SiteRequest { state: &mut state, request, now, origin: &origin, search_fault },
        )
    }
}
