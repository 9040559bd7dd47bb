//! Entry points for `ticketing-fuzz`: parsing of requests, tokens, headers and stored values.
//!
//! Always compiled but hidden from the documentation: a feature would be enabled by every build of the whole
//! workspace. A program that does not call this does not contain it.

pub use crate::access::fuzzing::{JwtFuzzTarget, VerifiedSubject, bearer};
pub use crate::grpc::fuzzing::{RequestOutcome, check_request, deadline, incident, is_token, tokens};
