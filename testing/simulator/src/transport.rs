//! Connections as byte streams, plain or TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Polling interval for a disconnect while unread data is pending.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

/// Wraps every connection of a simulator.
#[derive(Debug)]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    config: Option<std::sync::Mutex<std::sync::Arc<rustls::ServerConfig>>>,
}

// === impl Security ===

impl Security {
    pub(crate) fn none() -> Self {
        Self {
            #[cfg(feature = "tls")]
            config: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(config: std::sync::Arc<rustls::ServerConfig>) -> Self {
        Self { config: Some(config.into()) }
    }

    /// Uses another certificate for new connections. Has no effect without TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn replace(&self, config: std::sync::Arc<rustls::ServerConfig>) {
        if let Some(current) = &self.config {
            *current.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = config;
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.config.is_some() {
            return "https";
        }
        "http"
    }

    /// Performs the TLS handshake, if TLS is enabled.
    #[cfg_attr(not(feature = "tls"), allow(clippy::unused_async))] // Nothing to wait for.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        #[cfg(feature = "tls")]
        if let Some(config) = &self.config {
            let config = config.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            let stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await?;
            return Ok(Stream::Tls(Box::new(stream)));
        }
        Ok(Stream::Plain(stream))
    }
}

// === impl Stream ===

impl Stream {
    /// Returns the underlying TCP connection.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Completes when the client has closed its side; reads nothing.
pub(crate) async fn client_gone(stream: &TcpStream) {
    while let Ok(ready) = stream.ready(Interest::READABLE | Interest::ERROR).await {
        if ready.is_read_closed() || ready.is_error() {
            return;
        }
        // Unread data keeps the stream ready, so this loop must poll.
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
