//! A connection that is opened before its request exists.

use std::sync::Arc;

use ticketing_core::system::Dialing;
use tokio::task::JoinHandle;
use url::Url;

use crate::connection::Connection;
use crate::dial::{DialError, Dialer};

/// Being opened, or open. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Ahead(JoinHandle<Result<Connection, DialError>>);

// === impl Ahead ===

impl Ahead {
    /// Begins to open a connection for requests to `url`.
    pub(crate) fn begin(dialer: Arc<Dialer>, url: Url) -> Dialing {
        Dialing::new(Self(tokio::spawn(async move { dialer.dial(&url).await })))
    }

    /// The connection once it is open; `None` if the attempt was stopped.
    pub(crate) async fn opened(mut self) -> Option<Result<Connection, DialError>> {
        (&mut self.0).await.ok()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}
