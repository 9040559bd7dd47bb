//! The door: requests become calls of the use cases, answers become messages. Nothing is decided here but how to say it.

mod access;
mod deadline;
mod errors;
pub(crate) mod fuzzing;
mod lasting;
mod parse;
mod present;
mod router;
mod service;
mod stream;
mod token;
mod trace;

pub(crate) use router::{Served, router, stop_serving};
pub(crate) use service::Service;
pub(crate) use stream::StreamSettings;
