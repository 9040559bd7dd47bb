//! The settings of one connection, and changes to them. A change is merged by presence: fields that are set replace,
//! absent ones stay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_core::secret::{Secret, SecretChange, SecretKind, SecretUse};

use crate::Draft;

/// The secrets of one connection: at most one per use.
pub type Secrets = BTreeMap<SecretUse, Secret>;

/// The settings of one connection.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    pub draft: Draft,
    pub enabled: bool,
    pub secrets: Secrets,
}

/// A change to the settings of one connection.
#[derive(Debug, Clone)]
pub struct ConnectionChange {
    /// The name of the connection.
    pub connection: String,
    /// Where the change is in the request: the field path of the message that has it; empty for the request itself.
    pub path: String,
    /// Fields that are set replace.
    pub draft: Draft,
    pub enabled: Option<bool>,
    /// Secrets that are absent stay.
    pub secrets: BTreeMap<SecretUse, SecretChange>,
}

// === impl ConnectionSettings ===

impl ConnectionSettings {
    /// Disabled, and without secrets.
    #[must_use]
    pub fn new(draft: Draft) -> Self {
        Self { draft, enabled: false, secrets: Secrets::new() }
    }

    /// The settings after a change. A newly set secret is not bound yet.
    #[must_use]
    pub fn changed(&self, change: &ConnectionChange, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.draft.merge(&change.draft);
        next.draft.connection.clone_from(&change.connection);
        next.enabled = change.enabled.unwrap_or(self.enabled);
        for (used_for, change) in &change.secrets {
            match change {
                SecretChange::Remove => next.secrets.remove(used_for),
                SecretChange::Set { kind, value } => {
                    let secret = Secret { kind: *kind, value: value.clone(), origin: None, set_at: now };
                    next.secrets.insert(*used_for, secret)
                }
            };
        }
        next
    }

    /// Binds each secret to its destination, as soon as that is known. Returns the kinds of the secrets that
    /// are bound elsewhere.
    pub fn bind(&mut self) -> Vec<SecretKind> {
        let mut bound_elsewhere = vec![];
        for (used_for, secret) in &mut self.secrets {
            let Some(origin) = self.draft.binding(*used_for) else { continue };
            let bound = secret.origin.get_or_insert_with(|| origin.clone());
            if *bound != origin {
                bound_elsewhere.push(secret.kind);
            }
        }
        bound_elsewhere
    }

    #[must_use]
    pub fn secret(&self, used_for: SecretUse) -> Option<&Secret> {
        self.secrets.get(&used_for)
    }

    /// When the secret of this kind was set, if it is.
    #[must_use]
    pub fn set_at(&self, kind: SecretKind) -> Option<Timestamp> {
        self.secret(kind.used_for()).filter(|secret| secret.kind == kind).map(|secret| secret.set_at)
    }
}
