//! Fail points where a test can hold the program.
//!
//! A test starts the real binary with [`FOLDER`] set, creates a file `NAME.armed` in that folder, and waits until it
//! is renamed to `NAME.held`: the program is held at that point, and continues when the file is removed. Meanwhile
//! the test acts, for instance with `kill -9`. At some points a file `NAME.panics` causes a panic, and a file
//! [`CLOCK`] sets the wall clock.
//!
//! Invariant: a build without debug assertions has no fail points, and contains none of these names.

#[cfg(debug_assertions)]
mod armed;

/// Environment variable with the folder of the fail points.
#[cfg(debug_assertions)]
pub const FOLDER: &str = "TICKETING_FAILPOINTS_FOLDER";

/// File in that folder with the offset of the wall clock in seconds, positive for forward.
#[cfg(debug_assertions)]
pub const CLOCK: &str = "clock";

/// A fail point.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(debug_assertions, derive(Debug))]
pub enum Point {
    /// The tables are created and empty.
    Migrated,
    /// A push is written, and not committed.
    AcceptOpen,
    /// A push is committed, and the caller has no answer.
    AcceptCommitted,
    /// A delivery is claimed for an attempt.
    Claimed,
    /// The intent to send is written, and not committed.
    IntentOpen,
    /// The intent is committed, and nothing was sent.
    IntentCommitted,
    /// Half of a request's body is sent.
    RequestHalfSent,
    /// The reply is read, and not recorded.
    ReplyRead,
    /// The outcome is written, and not committed.
    RecordOpen,
    /// The outcome is committed, and callers are not notified.
    Recorded,
    /// A delivery is claimed for a look-up, and nothing was sent.
    LookingUp,
    /// The look-up has its reply, which is not recorded.
    LookedUp,
    /// A duplicate scan is about to search.
    Sweeping,
    /// Everything is written, and the database is about to be closed.
    Closing,
    /// A new master key has its file, and the database still requires the old one.
    NewKeyWritten,
    /// The database requires the new master key, which has not replaced the old file yet.
    NewKeyCommitted,
    /// A new data key exists, and nothing is encrypted with it.
    DataKeyMade,
    /// One more secret is encrypted with the new data key.
    SecretResealed,
    /// New settings were requested; in the task that answers the caller.
    Configuring,
    /// New settings are valid; in the task that completes without the caller.
    Saving,
    /// New settings are written, and not committed.
    SettingsOpen,
}

/// Passes a fail point; waits there while a test holds it.
#[cfg(debug_assertions)]
pub async fn pass(point: Point) {
    armed::pass(point.name()).await;
}

/// Passes a fail point.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub async fn pass(_: Point) {}

/// Panics with this message, once, if a test created a file `NAME.panics`.
#[cfg(debug_assertions)]
pub fn panic_at(point: Point, words: impl FnOnce() -> String) {
    armed::panic_at(point.name(), words);
}

/// Passes a fail point.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn panic_at(_: Point, _: impl FnOnce() -> String) {}

/// Offset of the wall clock set by a test, in seconds.
#[cfg(debug_assertions)]
#[must_use]
pub fn clock_set_by() -> i64 {
    armed::clock_set_by()
}

/// Offset of the wall clock set by a test: none.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[must_use]
pub const fn clock_set_by() -> i64 {
    0
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
