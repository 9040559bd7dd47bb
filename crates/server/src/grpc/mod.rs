//! The door: requests become calls of the use cases, answers become messages. Nothing is decided here but how to say it.

mod access;
mod caller_queues;
mod deadline;
mod errors;
pub(crate) mod fuzzing;
mod parse;
mod present;
mod request_reader;
mod router;
mod service;
mod size;
mod stream;
mod stream_guard;
mod token;
mod trace;
mod wire;

pub(crate) use router::{Served, router, stop_serving};
pub(crate) use service::Service;
pub(crate) use stream::StreamSettings;
