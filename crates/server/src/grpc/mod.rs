//! The door: requests become domain calls, answers become messages. Nothing is decided here but how to say it.

mod errors;
mod parse;
mod present;
