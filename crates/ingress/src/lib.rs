//! Listeners, TLS, and the limits that apply before a call is processed.
//!
//! A connection passes, in this order: the connection limit (`connection_limiter.rs`), the TLS handshake (`tls.rs`),
//! the frame limits (`frame_limited_io.rs`), hyper with its own limits, and for each call the reading of its request
//! within the memory budget (`memory.rs`). Violations cost a peer only its own connection or call.

mod authority;
mod boxed_io;
mod connection_limiter;
mod duration;
mod flags;
mod frame_limited_io;
pub mod frames;

mod listen;
mod log_throttle;
mod memory;
mod peer;
mod serve;
mod tls;

pub use connection_limiter::ConnectionHandle;
pub use duration::duration;
pub use flags::{Limits, TlsFiles, TransportFlags};
pub use listen::{ListenAddress, ListenError, Listener};
pub use log_throttle::LogThrottle;
pub use memory::{MemoryBudget, MemoryReservation};
pub use peer::PeerKey;
pub use peer::{Peer, PeerAddress, PeerCertificate};
pub use serve::{ConnectionEnding, serve};
pub use tls::{Tls, TlsError};
