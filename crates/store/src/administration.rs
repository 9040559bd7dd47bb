//! Operations on the data folder itself, whether or not a server uses it: tokens, keys and the audit. Write access to
//! the folder is the only credential.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use ticketing_core::clock::Clock;
use ticketing_core::namespace::Namespace;
use ticketing_core::role::Role;
use ticketing_host::entropy::Entropy;
use ticketing_secrets::audit::{Actor, AuditAction, AuditBroken, DONE, NewAuditEntry};
use ticketing_secrets::encryption::KeySource;
use ticketing_secrets::{KeyError, NewToken};

use super::sqlite::{DataKeyRotated, MasterRotated, OfflineAdmin};
use super::types::StoredToken;
use super::{OpenError, StoreError};

/// Maximum number of valid tokens of one name: the old and the new one, during a replacement.
const MAX_ACTIVE_TOKENS: usize = 2;

/// The credential that the audit names for operations on the data folder itself.
pub const OFFLINE_CREDENTIAL: &str = "data folder";

/// Offline administration of a data folder.
#[derive(Debug)]
pub struct Administration {
    offline_admin: OfflineAdmin,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    operator: Actor,
}

/// Why a token was not created or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{name} already has {MAX_ACTIVE_TOKENS} active tokens ({}): revoke one first", ids.join(", "))]
    TooMany { name: String, ids: Vec<String> },
    #[error("no active token has the ID or name {0}; see `ticketing token list`")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("the key is not in a file, so it cannot be replaced there: pass the new key with --new-key-file")]
    NoFile,
    #[error("the key in {0} is already in use")]
    Same(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl Administration ===

impl Administration {
    /// Opens the database at `path`, which must exist. `source` says where the operator works from.
    ///
    /// # Errors
    /// If it cannot be opened, has another version, or the key is wrong.
    pub async fn open(
        path: &Path,
        key: &KeySource,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        source: String,
    ) -> Result<Self, OpenError> {
        let offline_admin = OfflineAdmin::open(path, key, clock.now()).await?;
        let operator = Actor {
            name: "operator".to_owned(),
            role: Role::Admin.as_str().to_owned(),
            credential: OFFLINE_CREDENTIAL.to_owned(),
            source,
        };
        Ok(Self { offline_admin, clock, entropy, operator })
    }

    /// Creates a token that is valid for `lifetime`. Without a namespace it has that of the newest token of
    /// its name, so that a replacement keeps its incidents; the first of a name has the default one.
    ///
    /// # Errors
    /// If its name already has two valid tokens, or the database cannot be written.
    pub async fn create_token(
        &mut self,
        name: &str,
        role: Role,
        namespace: Option<Namespace>,
        lifetime: Duration,
    ) -> Result<(NewToken, StoredToken), TokenError> {
        let namespace = match namespace {
            Some(namespace) => namespace,
            None => self.namespace_of(name).await?,
        };
        let new = NewToken::generate(&*self.entropy);
        let now = ticketing_core::clock::to_stored_resolution(self.clock.now());
        let token = StoredToken {
            id: new.id.clone(),
            name: name.to_owned(),
            role,
            namespace,
            hash: new.hash,
            created_at: now,
            expires_at: now + lifetime,
            revoked_at: None,
        };
        let detail = json!({
            "name": name, "role": role.as_str(), "namespace": token.namespace.as_str(),
            "expires_at": token.expires_at.to_string(),
        });
        let entry = self.entry(AuditAction::CreateToken, &new.id, detail, now);
        let room = |all: &[StoredToken]| {
            let good = all.iter().filter(|other| other.name == name && other.is_valid_at(now));
            let ids: Vec<_> = good.map(|other| other.id.clone()).collect();
            if ids.len() < MAX_ACTIVE_TOKENS {
                Ok(())
            } else {
                Err(TokenError::TooMany { name: name.to_owned(), ids })
            }
        };
        self.offline_admin.add_token(&token, room, entry).await?;
        Ok((new, token))
    }

    async fn namespace_of(&mut self, name: &str) -> Result<Namespace, StoreError> {
        let all = self.tokens().await?;
        let newest = all.into_iter().filter(|token| token.name == name).max_by_key(|token| token.created_at);
        Ok(newest.map(|token| token.namespace).unwrap_or_default())
    }

    /// All tokens, including expired and revoked ones, by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn tokens(&mut self) -> Result<Vec<StoredToken>, StoreError> {
        self.offline_admin.tokens().await
    }

    /// Revokes the token with this ID, or all with this name. Returns the revoked ones.
    ///
    /// # Errors
    /// If no valid token matches, or the database cannot be written.
    pub async fn revoke(&mut self, id_or_name: &str) -> Result<Vec<StoredToken>, TokenError> {
        let now = self.clock.now();
        let all = self.tokens().await?;
        let is_meant = |token: &StoredToken| token.id == id_or_name || token.name == id_or_name;
        let meant: Vec<_> =
            all.into_iter().filter(|token| is_meant(token) && token.revoked_at.is_none()).collect();
        if meant.is_empty() {
            return Err(TokenError::Unknown(id_or_name.to_owned()));
        }
        let entry = |token: &StoredToken| {
            let detail = json!({ "name": token.name, "role": token.role.as_str() });
            (token.clone(), self.entry(AuditAction::RevokeToken, &token.id, detail, now))
        };
        let entries = meant.iter().map(entry).collect();
        self.offline_admin.revoke_tokens(entries).await?;
        Ok(meant)
    }

    /// Replaces the master key: with the one in `file`, or else with a generated one in the former one's
    /// file.
    ///
    /// # Errors
    /// Why it failed. Repeating it completes an interrupted rotation.
    pub async fn rotate_master_key(&mut self, file: Option<&Path>) -> Result<MasterRotated, RotateError> {
        let now = self.clock.now();
        let detail = json!({ "from": file.map(|file| file.display().to_string()) });
        let entry = self.entry(AuditAction::RotateKey, "master key", detail, now);
        self.offline_admin.rotate_master_key(file, entry, &*self.entropy).await
    }

    /// Replaces the newest data key, and re-encrypts every secret with the new one.
    ///
    /// # Errors
    /// Why it failed. Repeating it completes an interrupted rotation.
    pub async fn rotate_data_key(&mut self) -> Result<DataKeyRotated, RotateError> {
        let now = self.clock.now();
        let entry = self.entry(AuditAction::RotateKey, "data key", json!({}), now);
        self.offline_admin.rotate_data_key(entry, &*self.entropy).await
    }

    /// Whether the WAL still holds ciphertext that a rotation has replaced, because readers kept it from being truncated.
    /// It is truncated when the server stops.
    #[must_use]
    pub fn has_old_ciphertext(&self) -> bool {
        self.offline_admin.has_old_ciphertext()
    }

    /// Number of audit entries, if none was edited, removed or inserted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn verify_audit(&mut self) -> Result<Result<u64, AuditBroken>, StoreError> {
        self.offline_admin.verify_audit().await
    }

    /// The current time, by the operator's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn close(self) {
        self.offline_admin.close().await;
    }

    fn entry(
        &self,
        action: AuditAction,
        subject: &str,
        detail: serde_json::Value,
        at: Timestamp,
    ) -> NewAuditEntry {
        let subject = subject.to_owned();
        let outcome = DONE.to_owned();
        NewAuditEntry { at, actor: self.operator.clone(), action, subject, detail, outcome }
    }
}
