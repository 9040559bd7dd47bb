//! The audit: entries form an HMAC hash chain, so that an edited, removed or inserted entry is detected.
//!
//! Each entry has an HMAC over itself and the HMAC of the entry before; the head has one over the number of entries and
//! the last HMAC. The key is encrypted like a secret: an attacker who can write the file but has no master key cannot
//! forge an entry. Such an attacker can still restore an older copy of the whole file.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use ticketing_host::entropy::Entropy;

/// The outcome of a completed action.
pub const DONE: &str = "OK";

/// The outcomes of a long action: recorded before the first byte is sent, and again when it has ended.
pub const STARTED: &str = "STARTED";
pub const PASSED: &str = "PASSED";
pub const FAILED: &str = "FAILED";

/// The actor of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// For example `token:soar`, or `operator` for offline commands.
    pub name: String,
    pub role: String,
    /// The credential of the actor, for example `token 0123456789abcdef`.
    pub credential: String,
    /// The source, for example an address.
    pub source: String,
}

/// The audited actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditAction {
    Configure,
    /// With settings that are not saved: the caller chooses where a credential is sent.
    TestConnection,
    /// Only refusals: the delivery records the rest.
    CreateTicket,
    /// As above.
    SubmitIncident,
    RetryDelivery,
    /// Of many deliveries at once.
    RetryDeliveries,
    CreateAnyway,
    CancelDelivery,
    ResolveDelivery,
    CreateToken,
    RevokeToken,
    RotateKey,
}

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct NewAuditEntry {
    pub at: Timestamp,
    pub actor: Actor,
    pub action: AuditAction,
    /// The object: a delivery, a token, the settings.
    pub subject: String,
    /// Details; no secrets.
    pub detail: Value,
    /// [`DONE`], one of [`STARTED`], [`PASSED`] and [`FAILED`], or the reason of the refusal.
    pub outcome: String,
}

/// A written entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// 1 is the first.
    pub seq: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub action: String,
    pub subject: String,
    /// JSON.
    pub detail: String,
    pub outcome: String,
    pub mac: [u8; 32],
}

/// How an audit is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditBroken {
    #[error("entry {0} is missing")]
    Missing(u64),
    #[error("entry {0}, or one before it, was edited or inserted")]
    Edited(u64),
    #[error(
        "the audit ends with entry {found} but its head names another: entries were removed from its end, or the head was edited"
    )]
    End { found: u64 },
    #[error("token {0} was edited, inserted or removed by hand: it is not accepted")]
    Token(String),
    #[error("row {row} of {table} was edited, inserted or removed by hand")]
    Row { table: String, row: String },
}

/// The HMAC key.
pub struct AuditKey(Zeroizing<[u8; 32]>);

/// Verifies an audit from its first entry on.
#[derive(Debug)]
pub struct Verifier<'a> {
    key: &'a AuditKey,
    count: u64,
    mac: [u8; 32],
}

// === impl AuditBroken ===

impl AuditBroken {
    /// A row does not match its digest; `place` is its table and identifier.
    pub fn of_row(place: &str) -> Self {
        let (table, row) = place.split_once('/').unwrap_or((place, ""));
        let row = row.to_owned();
        match table {
            "tokens" => Self::Token(row),
            "settings" => Self::Row { table: "target_settings".to_owned(), row },
            _ => Self::Row { table: table.to_owned(), row },
        }
    }
}

// === impl AuditAction ===

impl AuditAction {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "CONFIGURE",
            Self::TestConnection => "TEST_CONNECTION",
            Self::CreateTicket => "CREATE_TICKET",
            Self::SubmitIncident => "SUBMIT_INCIDENT",
            Self::RetryDelivery => "RETRY_DELIVERY",
            Self::RetryDeliveries => "RETRY_DELIVERIES",
            Self::CreateAnyway => "CREATE_ANYWAY",
            Self::CancelDelivery => "CANCEL_DELIVERY",
            Self::ResolveDelivery => "RESOLVE_DELIVERY",
            Self::CreateToken => "CREATE_TOKEN",
            Self::RevokeToken => "REVOKE_TOKEN",
            Self::RotateKey => "ROTATE_KEY",
        }
    }
}

// === impl NewAuditEntry ===

impl NewAuditEntry {
    /// The entry after one with the HMAC `before`.
    pub fn follow(self, seq: u64, before: &[u8; 32], key: &AuditKey) -> AuditEntry {
        let Self { at, actor, action, subject, detail, outcome } = self;
        let action = action.as_str().to_owned();
        let detail = detail.to_string();
        let at = ticketing_core::clock::to_stored_resolution(at);
        let mut entry = AuditEntry { seq, at, actor, action, subject, detail, outcome, mac: [0; 32] };
        entry.mac = key.of_entry(&entry, before);
        entry
    }
}

// === impl AuditKey ===

impl AuditKey {
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut key[..]);
        Self(key)
    }

    /// The key itself, to be encrypted.
    pub fn bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// The HMAC of the head of an audit with `count` entries, the last of which has the HMAC `last`, and of
    /// the row digests; older versions had none.
    pub fn of_head(&self, count: u64, last: &[u8; 32], sealed: &str) -> [u8; 32] {
        let count = count.to_be_bytes();
        let parts: [&[u8]; 4] = [b"head", &count, last, sealed.as_bytes()];
        self.over(if sealed.is_empty() { &parts[..3] } else { &parts })
    }

    /// Whether `mac` is the HMAC of that head.
    pub fn is_head(&self, mac: &[u8; 32], count: u64, last: &[u8; 32], sealed: &str) -> bool {
        same(&self.of_head(count, last, sealed), mac)
    }

    fn of_entry(&self, entry: &AuditEntry, before: &[u8; 32]) -> [u8; 32] {
        let Actor { name, role, credential, source } = &entry.actor;
        let texts =
            [name, role, credential, source, &entry.action, &entry.subject, &entry.detail, &entry.outcome];
        let seq = entry.seq.to_be_bytes();
        let at = entry.at.as_microsecond().to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![b"entry", before, &seq, &at];
        parts.extend(texts.map(String::as_bytes));
        self.over(&parts)
    }

    /// Every part is preceded by its length, so that no two entries have the same bytes.
    fn over(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(..)")
    }
}

// === impl Verifier ===

impl<'a> Verifier<'a> {
    pub fn new(key: &'a AuditKey) -> Self {
        Self { key, count: 0, mac: [0; 32] }
    }

    pub fn entry(&mut self, entry: &AuditEntry) -> Result<(), AuditBroken> {
        let expected = self.count + 1;
        if entry.seq != expected {
            return Err(AuditBroken::Missing(expected));
        }
        if !same(&self.key.of_entry(entry, &self.mac), &entry.mac) {
            return Err(AuditBroken::Edited(entry.seq));
        }
        (self.count, self.mac) = (expected, entry.mac);
        Ok(())
    }

    /// Number of entries, if the head confirms it.
    pub fn end(self, count: u64, sealed: &str, head: &[u8; 32]) -> Result<u64, AuditBroken> {
        let fits = count == self.count && self.key.is_head(head, count, &self.mac, sealed);
        if fits { Ok(count) } else { Err(AuditBroken::End { found: self.count }) }
    }
}

fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted() -> NewAuditEntry {
        let actor = Actor {
            name: "token:soar".to_owned(),
            role: "admin".to_owned(),
            credential: "token 1".to_owned(),
            source: "192.0.2.7:51000".to_owned(),
        };
        let at = Timestamp::UNIX_EPOCH;
        let action = AuditAction::Configure;
        let subject = "settings".to_owned();
        let outcome = DONE.to_owned();
        NewAuditEntry { at, actor, action, subject, detail: Value::Null, outcome }
    }

    fn key() -> AuditKey {
        AuditKey::new(Zeroizing::new([7; 32]))
    }

    fn entries(count: u64) -> Vec<AuditEntry> {
        let mut before = [0; 32];
        let mut entries = vec![];
        for seq in 1..=count {
            let entry = noted().follow(seq, &before, &key());
            before = entry.mac;
            entries.push(entry);
        }
        entries
    }

    fn verify(entries: &[AuditEntry], count: u64) -> Result<u64, AuditBroken> {
        let key = key();
        let all = self::entries(count);
        let mut verifier = Verifier::new(&key);
        entries.iter().try_for_each(|entry| verifier.entry(entry))?;
        verifier.end(count, "{}", &key.of_head(count, &all.last().map_or([0; 32], |last| last.mac), "{}"))
    }

    #[test]
    fn unedited_audit_is_valid() {
        assert_eq!(verify(&entries(3), 3), Ok(3));
        assert_eq!(verify(&[], 0), Ok(0));
    }

    #[test]
    fn detects_every_edit() {
        let edits: [fn(&mut AuditEntry); 9] = [
            |entry| entry.at = Timestamp::from_second(1).unwrap(),
            |entry| entry.actor.name = "token:other".to_owned(),
            |entry| entry.actor.role.clear(),
            |entry| entry.actor.credential.clear(),
            |entry| entry.actor.source.clear(),
            |entry| entry.action = "CANCEL_DELIVERY".to_owned(),
            |entry| entry.subject = "token".to_owned(),
            |entry| entry.detail = "{}".to_owned(),
            |entry| entry.outcome = "SETTINGS_INVALID".to_owned(),
        ];
        for edit in edits {
            let mut edited = entries(3);
            edit(&mut edited[1]);
            assert_eq!(verify(&edited, 3), Err(AuditBroken::Edited(2)));
        }
    }

    #[test]
    fn detects_removed_and_moved_entries() {
        let all = entries(3);
        assert_eq!(verify(&[all[0].clone(), all[2].clone()], 3), Err(AuditBroken::Missing(2)));
        assert_eq!(verify(&all[..2], 3), Err(AuditBroken::End { found: 2 }));
        let mut swapped = [all[1].clone(), all[0].clone(), all[2].clone()];
        (swapped[0].seq, swapped[1].seq) = (1, 2);
        assert_eq!(verify(&swapped, 3), Err(AuditBroken::Edited(1)));
    }
}
