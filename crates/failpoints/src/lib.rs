//! Points where a test can hold the program, and guards that a test can take away.
//!
//! A test starts the real binary with [`FOLDER`] set, puts a file `NAME.armed` into that folder, and waits until it is
//! called `NAME.held`: the program stands at that point now, and goes on when the file is removed. What happens
//! meanwhile, a `kill -9` for instance, is for the test to say. At some points a file `NAME.panics` is a panic, and a file
//! [`CLOCK`] sets the clock on the wall. With [`REMOVED`] set, the guards named there do not guard;
//! a test that stays green then does not test them.
//!
//! Invariant: a build without debug assertions holds nowhere, guards always, and has none of these names in it.

#[cfg(debug_assertions)]
mod armed;

/// The environment variable with the folder of the points.
#[cfg(debug_assertions)]
pub const FOLDER: &str = "TICKETING_FAILPOINTS_FOLDER";
/// The environment variable with the names of the guards to take away, separated by commas.
#[cfg(debug_assertions)]
pub const REMOVED: &str = "TICKETING_FAILPOINTS_REMOVED";

/// The file in that folder that says by how many seconds the clock on the wall is set, forward if positive.
#[cfg(debug_assertions)]
pub const CLOCK: &str = "clock";

/// A place in the program.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Point {
    /// The tables are made, and nothing is in them.
    Migrated,
    /// A push is written, and not committed.
    AcceptOpen,
    /// A push is committed, and nobody was answered.
    AcceptCommitted,
    /// A delivery is claimed for an attempt.
    Claimed,
    /// The intent to send is written, and not committed.
    IntentOpen,
    /// The intent is committed, and nothing was sent.
    IntentCommitted,
    /// Half of the body of a request is sent, and the other half is still here.
    RequestHalfSent,
    /// The reply is read, and not recorded.
    ReplyRead,
    /// The outcome is written, and not committed.
    RecordOpen,
    /// The outcome is committed, and nobody was told.
    Recorded,
    /// A delivery is claimed for a look-up, and nothing was asked.
    LookingUp,
    /// The look-up is answered, and not recorded.
    LookedUp,
    /// A sweep is about to search.
    Sweeping,
    /// Everything is written, and the database is about to be closed.
    Closing,
    /// A new master key has its file, and the database still wants the old one.
    NewKeyWritten,
    /// The database wants the new master key, which is not yet in the place of the old one.
    NewKeyCommitted,
    /// There is a new data key, and it has sealed nothing.
    DataKeyMade,
    /// One secret more is sealed with the new data key.
    SecretResealed,
    /// New settings are asked for, by whoever answers the caller.
    Configuring,
    /// New settings are found to be in order, by whoever finishes without the caller.
    Saving,
    /// New settings are written, and not committed.
    SettingsOpen,
}

/// Something that keeps a promise of the service.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Guard {
    /// The intent is durable before the first byte of a create.
    Intent,
    /// What may have been sent is looked for before it is sent again.
    LookUp,
    /// A search proves absence only after the index must have caught up.
    IndexBound,
    /// A search proves absence only after nothing can be applied any more.
    InFlightBound,
    /// Absence on an indexed search takes a witness or a second answer.
    SecondAnswer,
    /// Nothing is sent after the deadline of the intent.
    SendDeadline,
    /// Only the holder of the current claim settles it.
    Epoch,
    /// A claim is not taken from its holder before its lease is over.
    LeaseTerm,
    /// A ticket that was made is recorded even by one who has lost the claim.
    LateSuccess,
    /// Only the holder of the current claim ends a doubt by what it did not find.
    LookUpEpoch,
    /// A search proves what was so when it was asked, not when its answer is recorded.
    AskedAt,
    /// A witness was made when nothing of the doubtful send could be applied any more.
    WitnessAge,
    /// An empty answer counts only where the search is known to show tickets of ours.
    SearchEvidence,
    /// A row counts as found only if it bears the very marker.
    MarkerCheck,
    /// What is committed is on the disk.
    Synchronous,
    /// One server at a time has the database.
    StoreLock,
    /// A reply that points elsewhere is not followed.
    NoRedirects,
    /// A database that was put back from an older copy is recognised.
    Suspicion,
    /// A target that refused the login, or has locked the account, is left alone.
    LoginStop,
    /// A login that can be locked has fewer calls in flight, and fewer refused, than lock it.
    LockOut,
}

/// Goes past a point; stays there as long as a test holds it.
#[cfg(debug_assertions)]
pub async fn pass(point: Point) {
    armed::pass(point.name()).await;
}

/// Goes past a point.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub async fn pass(_: Point) {}

/// Panics with these words, once, where a test has left a file `NAME.panics`.
#[cfg(debug_assertions)]
pub fn panic_at(point: Point, words: impl FnOnce() -> String) {
    armed::panic_at(point.name(), words);
}

/// Goes past a point.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn panic_at(_: Point, _: impl FnOnce() -> String) {}

/// By how many seconds a test has set the clock on the wall.
#[cfg(debug_assertions)]
#[must_use]
pub fn clock_set_by() -> i64 {
    armed::clock_set_by()
}

/// By how many seconds a test has set the clock on the wall: none.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[must_use]
pub const fn clock_set_by() -> i64 {
    0
}

/// Whether a test has taken this guard away.
#[cfg(debug_assertions)]
#[must_use]
pub fn is_removed(guard: Guard) -> bool {
    armed::is_removed(guard.name())
}

/// Whether a test has taken this guard away: never.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[must_use]
pub const fn is_removed(_: Guard) -> bool {
    false
}

// === impl Point ===

#[cfg(debug_assertions)]
impl Point {
    pub const ALL: [Self; 21] = [
        Self::Migrated,
        Self::AcceptOpen,
        Self::AcceptCommitted,
        Self::Claimed,
        Self::IntentOpen,
        Self::IntentCommitted,
        Self::RequestHalfSent,
        Self::ReplyRead,
        Self::RecordOpen,
        Self::Recorded,
        Self::LookingUp,
        Self::LookedUp,
        Self::Sweeping,
        Self::Closing,
        Self::NewKeyWritten,
        Self::NewKeyCommitted,
        Self::DataKeyMade,
        Self::SecretResealed,
        Self::Configuring,
        Self::Saving,
        Self::SettingsOpen,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrated => "failpoint-migrated",
            Self::AcceptOpen => "failpoint-accept-open",
            Self::AcceptCommitted => "failpoint-accept-committed",
            Self::Claimed => "failpoint-claimed",
            Self::IntentOpen => "failpoint-intent-open",
            Self::IntentCommitted => "failpoint-intent-committed",
            Self::RequestHalfSent => "failpoint-request-half-sent",
            Self::ReplyRead => "failpoint-reply-read",
            Self::RecordOpen => "failpoint-record-open",
            Self::Recorded => "failpoint-recorded",
            Self::LookingUp => "failpoint-looking-up",
            Self::LookedUp => "failpoint-looked-up",
            Self::Sweeping => "failpoint-sweeping",
            Self::Closing => "failpoint-closing",
            Self::NewKeyWritten => "failpoint-new-key-written",
            Self::NewKeyCommitted => "failpoint-new-key-committed",
            Self::DataKeyMade => "failpoint-data-key-made",
            Self::SecretResealed => "failpoint-secret-resealed",
            Self::Configuring => "failpoint-configuring",
            Self::Saving => "failpoint-saving",
            Self::SettingsOpen => "failpoint-settings-open",
        }
    }
}

// === impl Guard ===

#[cfg(debug_assertions)]
impl Guard {
    pub const ALL: [Self; 20] = [
        Self::Intent,
        Self::LookUp,
        Self::IndexBound,
        Self::InFlightBound,
        Self::SecondAnswer,
        Self::SendDeadline,
        Self::Epoch,
        Self::LeaseTerm,
        Self::LateSuccess,
        Self::LookUpEpoch,
        Self::AskedAt,
        Self::WitnessAge,
        Self::SearchEvidence,
        Self::MarkerCheck,
        Self::Synchronous,
        Self::StoreLock,
        Self::NoRedirects,
        Self::Suspicion,
        Self::LoginStop,
        Self::LockOut,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intent => "guard-intent",
            Self::LookUp => "guard-look-up",
            Self::IndexBound => "guard-index-bound",
            Self::InFlightBound => "guard-in-flight-bound",
            Self::SecondAnswer => "guard-second-answer",
            Self::SendDeadline => "guard-send-deadline",
            Self::Epoch => "guard-epoch",
            Self::LeaseTerm => "guard-lease-term",
            Self::LateSuccess => "guard-late-success",
            Self::LookUpEpoch => "guard-look-up-epoch",
            Self::AskedAt => "guard-asked-at",
            Self::WitnessAge => "guard-witness-age",
            Self::SearchEvidence => "guard-search-evidence",
            Self::MarkerCheck => "guard-marker-check",
            Self::Synchronous => "guard-synchronous",
            Self::StoreLock => "guard-store-lock",
            Self::NoRedirects => "guard-no-redirects",
            Self::Suspicion => "guard-suspicion",
            Self::LoginStop => "guard-login-stop",
            Self::LockOut => "guard-lock-out",
        }
    }
}
