//! Who may connect, and what a connection may do: listening, TLS, and the limits that hold before a call is looked at.
//!
//! A connection passes, in this order: the count of connections (`places.rs`), the TLS handshake (`tls.rs`), the watch
//! over its frames (`watched.rs`), hyper with its own limits, and for each call the memory budget (`memory.rs`). Every
//! one of them costs a peer that misbehaves its own connection or its own call, and nobody else's.

pub mod dev;
mod flags;
mod frames;
pub(crate) mod fuzzing;
mod listen;
mod memory;
mod peer;
mod places;
mod serve;
mod tally;
mod tls;
mod watched;

pub use flags::{Limits, TlsFiles, TransportFlags};
pub use listen::{ListenAddress, ListenError, Listener};
pub(crate) use memory::{MemoryLayer, WithinMemory};
pub(crate) use peer::Whose;
pub use peer::{Peer, PeerAddress, PeerCertificate};
pub(crate) use serve::{Ending, Used, serve};
pub(crate) use tally::Tally;
pub use tls::{Tls, TlsError};
