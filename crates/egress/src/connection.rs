//! One HTTP/1.1 connection.
//!
//! HTTP/2 is not offered. Its refusals (`REFUSED_STREAM`, `GOAWAY` with the last processed stream) say that a request
//! was not processed. But hyper passes a `GOAWAY` on without the last stream, and h2 does not promise that only requests
//! above it fail with that error: a refused create could not be told reliably from one of unknown outcome.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use url::{Origin, Url};

use crate::body::SplitBody;
use crate::stream::BoxedIo;

/// How long a connection may be unused. Shorter than most servers wait for the next request, since a server that closes the
/// connection at the same moment does not say whether it has read a request.
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(4);
/// For the task of a broken connection to end with its error.
const ENDING: Duration = Duration::from_millis(500);

/// An open connection.
pub(crate) struct Connection {
    sender: SendRequest<SplitBody>,
    /// Reads and writes. It notices that the server closes the connection, and takes its TLS session tickets.
    driver: JoinHandle<hyper::Result<()>>,
    origin: Origin,
    used_at: Instant,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) error: hyper::Error,
    /// Not one byte of the request was written.
    pub(crate) is_unsent: bool,
}

// === impl Connection ===

impl Connection {
    /// HTTP over `io`, which leads to the origin of `url`.
    pub(crate) async fn new(io: BoxedIo, url: &Url) -> Self {
        let handshake = http1::handshake(TokioIo::new(io)).await;
        let (sender, connection) = handshake.expect("HTTP/1.1 has no handshake that could fail");
        let driver = tokio::spawn(connection);
        Self { sender, driver, origin: url.origin(), used_at: Instant::now() }
    }

    /// Whether it is open and was used a short time ago. That the server has closed it may not be known yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && self.used_at.elapsed() < MAX_IDLE
    }

    /// Whether a request to `url` may use it now.
    pub(crate) fn is_usable(&self, url: &Url) -> bool {
        self.is_fresh() && self.origin == url.origin()
    }

    /// Sends a request, once.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<SplitBody>,
    ) -> Result<Response<Incoming>, SendError> {
        // Fails if the connection is closed; then the request cannot be sent either.
        let _ = self.sender.ready().await;
        let sent = self.sender.try_send_request(request).await;
        self.used_at = Instant::now();
        let mut refusal = match sent {
            Ok(response) => return Ok(response),
            Err(refusal) => refusal,
        };
        // hyper returns a request of which it has written nothing.
        let is_unsent = refusal.take_message().is_some();
        let error = refusal.into_error();
        let ended = match is_unsent {
            true => timeout(ENDING, &mut self.driver).await.ok().and_then(Result::ok),
            false => None,
        };
        let error = ended.and_then(Result::err).unwrap_or(error);
        Err(SendError { error, is_unsent })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("origin", &self.origin).finish_non_exhaustive()
    }
}

// === impl SendError ===

impl SendError {
    /// Whether the connection ended, in contrast to a reply that is not HTTP.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.error.is_parse()
    }

    /// hyper's error and its causes.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        std::iter::successors(Some(&self.error as &(dyn Error + 'static)), |&cause| cause.source())
    }
}
