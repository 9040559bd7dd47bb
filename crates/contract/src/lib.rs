//! The contract in Rust, generated from `proto/` by the `build.rs` of the workspace. The root package has the client on top
//! of it; the server and the adapters need no client.

mod destination;
mod redacted;

/// The contract, version 1: messages, and stubs by feature.
#[allow(
    missing_debug_implementations,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    clippy::pedantic,
    rustdoc::all,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("rhythmx.ticketing.v1");
}

/// The descriptors of the contract, its imports and its comments, encoded as `google.protobuf.FileDescriptorSet`: what
/// reflection serves.
#[cfg(feature = "server")]
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("rhythmx.ticketing.v1");

#[cfg(feature = "server")]
mod methods {
    include!(concat!(env!("OUT_DIR"), "/methods.rs"));
}

#[cfg(feature = "server")]
pub use methods::Method;

/// `google.rpc.ErrorInfo.domain` of every error of the service; its reasons are [`v1::ErrorReason`].
pub const ERROR_DOMAIN: &str = "ticketing.rhythmx";
