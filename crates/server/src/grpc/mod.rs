//! The gRPC API: converts requests to calls of the use cases, and their results to responses. No business logic.
//!
//! [`parse`] and [`wire`] validate requests without a server or a store.

mod access;
mod caller_queues;
mod deadline;
mod errors;
mod open_streams;
mod pages;
pub mod parse;
mod present;
mod request_reader;
mod router;
mod service;
mod size;
mod stream;
mod stream_guard;
mod stream_handle;
mod token;
mod trace;
pub mod wire;

pub(crate) use router::{Served, router, stop_serving};
pub(crate) use service::Service;
pub(crate) use stream::StreamSettings;
