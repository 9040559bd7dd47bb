//! Listeners, TLS, and the limits that apply before a call is processed.
//!
//! A connection passes, in this order: the connection limit (`connection_limiter.rs`), the TLS handshake (`tls.rs`),
//! the frame limits (`frame_limited_io.rs`), hyper with its own limits, and for each call the reading of its request
//! within the memory budget (`memory.rs`). Violations cost a peer only its own connection or call.

mod authority;
mod connection_limiter;
pub mod dev;
mod flags;
mod frame_limited_io;
mod frames;
pub(crate) mod fuzzing;
mod listen;
mod log_throttle;
mod memory;
mod peer;
mod serve;
mod tls;

pub(crate) use connection_limiter::ConnectionHandle;
pub use flags::{Limits, TlsFiles, TransportFlags};
pub use listen::{ListenAddress, ListenError, Listener};
pub(crate) use log_throttle::LogThrottle;
pub(crate) use memory::{MemoryBudget, MemoryReservation};
pub(crate) use peer::PeerKey;
pub use peer::{Peer, PeerAddress, PeerCertificate};
pub(crate) use serve::{ConnectionEnding, serve};
pub use tls::{Tls, TlsError};
