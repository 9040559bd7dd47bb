//! Evidence that a search can show tickets of ours at all.
//!
//! An account may not see what it creates (a security level, a read ACL), or the marker may not stay on the ticket (labels
//! are not on the screen). Every search is empty then, and an empty answer proves nothing. So the delivered tickets that
//! were sent last before the send of unknown outcome and first after it are read back by their IDs: an empty answer counts only if
//! both, as far as there are such, are seen with their markers. One before is not enough, nor one after: what hides tickets,
//! or drops markers, may have been set or mended in between.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::delivery::Send;
use crate::system::{Authorship, Destination};

/// Which tickets a search must be able to show, and the login that must see them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SearchScope {
    pub destination: Destination,
    /// Who created the tickets, and as what kind.
    pub made_by: Authorship,
    /// The account that searches.
    pub reader: String,
}

/// What is known of a search in one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It can show tickets of ours: those around the send of unknown outcome were read back or found with their markers.
    Shown,
    /// One of them could not be read, or does not bear its marker.
    NotShown,
    /// No ticket of ours was delivered there yet.
    NoTicket,
}

/// Stands for the account of a token that names none: 12 hex digits of a hash, which tell nothing of the token.
#[must_use]
pub fn token_fingerprint(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

// === impl SearchScope ===

impl SearchScope {
    /// The scope of a search for what `send` may have made.
    #[must_use]
    pub fn of(send: &Send, reader: String) -> Self {
        Self { destination: send.destination.clone(), made_by: send.made_by.clone(), reader }
    }
}

// === impl Evidence ===

impl Evidence {
    /// Whether an empty answer counts. A send that is only assumed, after a restore, does not wait for a first ticket:
    /// no ticket could ever become the first.
    #[must_use]
    pub fn allows_proof_of_absence(self, is_assumed: bool) -> bool {
        match self {
            Self::Shown => true,
            Self::NotShown => false,
            Self::NoTicket => is_assumed,
        }
    }

    /// Why an empty answer does not count.
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
