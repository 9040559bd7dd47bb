//! The guards of the protocol.

use std::fmt;

/// A guard of the protocol. Each is removed by what the model passes to the decision functions, or by not
/// calling them; the functions themselves are never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The intent is durable before the first byte.
    Intent,
    /// After an unknown outcome the ticket is searched for before it is sent again.
    LookUp,
    /// "Not found" proves nothing before the index bound.
    IndexBound,
    /// "Not found" proves nothing before the server bound.
    ServerBound,
    /// No request is sent after the deadline of its intent.
    SendDeadline,
    /// Only the newest epoch may intend and settle.
    Epoch,
    /// Only the newest epoch may end an unknown outcome by absence.
    LookUpEpoch,
    /// A search proves the state at its request, not at its recording.
    AskedAt,
    /// A created ticket is recorded even if the lease was lost.
    LateSuccess,
    /// A claimed delivery is not claimed again before its lease has expired.
    Lease,
    /// A lease does not expire early.
    LeaseTerm,
    /// If a search lags, one empty result is not enough: a canary or a second one is required.
    SecondAnswer,
    /// A canary was created when nothing of the uncertain send could be applied any more.
    CanaryAge,
    /// An empty result counts only if the search is known to find our tickets.
    SearchEvidence,
}

// === impl Guard ===

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intent => "the durable intent",
            Self::LookUp => "the look-up",
            Self::IndexBound => "the index bound",
            Self::ServerBound => "the server bound",
            Self::SendDeadline => "the send deadline",
            Self::Epoch => "the epoch",
            Self::LookUpEpoch => "the epoch of a look-up",
            Self::AskedAt => "the time at which a search was asked",
            Self::LateSuccess => "the record of a late success",
            Self::Lease => "the lease",
            Self::LeaseTerm => "the term of the lease",
            Self::SecondAnswer => "the second answer",
            Self::CanaryAge => "the age of a canary",
            Self::SearchEvidence => "the evidence of the search",
        })
    }
}
