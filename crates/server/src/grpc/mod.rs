//! The door: requests become domain calls, answers become messages. Nothing is decided here but how to say it.

mod deadline;
mod errors;
mod parse;
mod present;
mod router;
