//! Byte streams: TCP, or TLS over another stream.

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

pub(crate) type BoxedIo = Box<dyn Io>;

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
