//! Byte streams of any kind.

use tokio::io::{AsyncRead, AsyncWrite};

/// The byte stream of a connection, with or without TLS.
pub(crate) type BoxedIo = Box<dyn ByteStream>;

/// A bidirectional byte stream.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}
