//! Secrets and proof against edits, without I/O on the database: master and data keys, envelope encryption, the hash chain of the
//! audit, and bearer tokens. The store keeps the results; another store would keep the same.

pub mod audit;
pub mod encryption;
mod error;
pub mod row_digests;
mod token;

pub use error::KeyError;
pub use token::{NewToken, PresentedToken, TokenHash};
