//! The inside as a fuzzer needs it: what reads requests, tokens, headers and what is stored. For `ticketing-fuzz` alone.
//!
//! It is always compiled, and hidden from the documentation rather than behind a feature: a build of the whole workspace
//! would switch such a feature on everywhere, and a program that does not call this does not contain it.

pub use crate::access::fuzzing::{JwtFuzzTarget, VerifiedSubject, bearer};
pub use crate::grpc::fuzzing::{RequestOutcome, check_request, deadline, incident, is_token, tokens};
pub use crate::transport::fuzzing::{certificate, frames};
