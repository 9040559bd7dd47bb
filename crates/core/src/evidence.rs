//! Evidence that a search can find our tickets at all.
//!
//! An account may be unable to see the tickets that it creates (a security level, a read ACL), or the marker
//! may be dropped (labels are not on the screen). Then every search is empty, and an empty result proves
//! nothing. So the delivered tickets sent last before the send of unknown outcome and first after it are read
//! back by ID: an empty result counts only if both, if they exist, are visible with their markers. One of
//! them is not enough, because the cause may have been introduced or fixed in between.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::delivery::Send;
use crate::system::{Authorship, Destination};

/// Which tickets a search must be able to show, and the login that must see them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SearchScope {
    pub destination: Destination,
    /// The account that created the tickets, and the issue type.
    pub made_by: Authorship,
    /// The account that searches.
    pub reader: String,
}

/// What is known about a search in one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It finds our tickets: those around the send of unknown outcome were read back or found with their
    /// markers.
    Shown,
    /// One of them could not be read, or lacks its marker.
    NotShown,
    /// No ticket was delivered there yet.
    NoTicket,
}

/// Identifies the account of an anonymous token: 12 hex digits of its hash, which reveal nothing about the
/// token.
#[must_use]
pub fn token_fingerprint(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

// === impl SearchScope ===

impl SearchScope {
    /// The scope of a search for the ticket of `send`.
    #[must_use]
    pub fn of(send: &Send, reader: String) -> Self {
        Self { destination: send.destination.clone(), made_by: send.made_by.clone(), reader }
    }
}

// === impl Evidence ===

impl Evidence {
    /// Whether an empty result counts. An assumed send, after a restore, does not wait for a first ticket:
    /// otherwise no ticket could become the first.
    #[must_use]
    pub fn allows_proof_of_absence(self, is_assumed: bool) -> bool {
        match self {
            Self::Shown => true,
            Self::NotShown => false,
            Self::NoTicket => is_assumed,
        }
    }

    /// Why an empty result does not count.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Shown => "",
            Self::NotShown => {
                "the account cannot read a ticket that was created there at about that time, or the ticket has no marker"
            }
            Self::NoTicket => "no ticket created there has been read back yet",
        }
    }
}
