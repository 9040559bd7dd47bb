//! Offline administration of a database that a server may be using: SQLite serializes the writes.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use ticketing_core::error_chain::ErrorChain;
use ticketing_secrets::audit::{AuditBroken, AuditKey, NewAuditEntry};
use ticketing_secrets::encryption::KeySource;

use super::audit::Head;
use super::connection::unopened;
use super::keys::{self, Keyring};
use super::open::{self, MIGRATIONS};
use super::{audit, rows, tokens, wal_scrub};
use crate::types::StoredToken;
use crate::{DEFAULT_BUSY_TIMEOUT, OpenError, StoreError};

/// Its own connection.
#[derive(Debug)]
pub(crate) struct OfflineAdmin {
    pub(super) db: SqliteConnection,
    pub(super) audit_key: AuditKey,
    pub(super) keys: Keyring,
    /// An interrupted rotation of the master key was completed at opening; the former key has this name.
    pub(super) finished: Option<PathBuf>,
    /// The WAL still contains ciphertext that a rotation replaced.
    pub(super) has_old_ciphertext: bool,
}

impl OfflineAdmin {
    pub(crate) async fn open(path: &Path, key: &KeySource, now: Timestamp) -> Result<Self, OpenError> {
        let options: SqliteConnectOptions =
            open::connect_options(path, DEFAULT_BUSY_TIMEOUT).create_if_missing(false);
        let mut db = options.connect().await.map_err(|source| unopened(path, source))?;
        if is_being_created(&mut db).await.map_err(|source| unopened(path, source))? {
            return Err(OpenError::BeingCreated { path: path.to_owned() });
        }
        let newest = sqlx::query_scalar::<_, i64>("SELECT max(version) FROM _sqlx_migrations");
        let version = newest.fetch_one(&mut db).await.map_err(|source| unopened(path, source))?;
        if Some(version) != MIGRATIONS.last().map(|last| last.0) {
            return Err(OpenError::OtherVersion { path: path.to_owned() });
        }
        let state = |source| OpenError::State { source };
        let finished = keys::finish_rotation(&mut db, path, key, now).await?;
        let unlocked = keys::unlock(&mut db, path, key).await?;
        if unlocked.is_legacy {
            return Err(OpenError::OtherVersion { path: path.to_owned() });
        }
        let keys = Keyring::new(path, key, &unlocked.keys);
        let audit_key = audit::key(&mut db, &keys).await.map_err(state)?;
        let audit_key = audit_key.ok_or_else(|| OpenError::AuditRemoved { path: path.to_owned() })?;
        Ok(Self { db, audit_key, keys, finished, has_old_ciphertext: false })
    }

    /// Truncates the WAL, which contains ciphertext that a rotation replaced.
    pub(super) async fn scrub_wal(&mut self) {
        self.has_old_ciphertext = !wal_scrub::scrub(&mut self.db, DEFAULT_BUSY_TIMEOUT).await;
    }

    pub(crate) fn has_old_ciphertext(&self) -> bool {
        self.has_old_ciphertext
    }

    pub(crate) async fn tokens(&mut self) -> Result<Vec<StoredToken>, StoreError> {
        rows::tokens(&mut self.db).await
    }

    /// Stores a token and audits it, unless `admit` refuses it because of existing ones.
    pub(crate) async fn add_token<E: From<StoreError>>(
        &mut self,
        token: &StoredToken,
        admit: impl FnOnce(&[StoredToken]) -> Result<(), E>,
        entry: NewAuditEntry,
    ) -> Result<(), E> {
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        admit(&rows::tokens(&mut transaction).await?)?;
        let mut head = Head::load(&mut transaction, &self.audit_key).await?;
        tokens::insert(&mut transaction, &mut head.row_digests, token).await?;
        head.append(&mut transaction, &self.audit_key, vec![entry]).await?;
        head.save(&mut transaction, &self.audit_key).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
        Ok(())
    }

    /// Revokes tokens and audits each.
    pub(crate) async fn revoke_tokens(
        &mut self,
        revoked: Vec<(StoredToken, NewAuditEntry)>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        let mut head = Head::load(&mut transaction, &self.audit_key).await?;
        for (token, entry) in revoked {
            tokens::revoke(&mut transaction, &mut head.row_digests, &token, entry.at).await?;
            head.append(&mut transaction, &self.audit_key, vec![entry]).await?;
        }
        head.save(&mut transaction, &self.audit_key).await?;
        transaction.commit().await.map_err(StoreError::commit)
    }

    /// Verifies the audit in one snapshot.
    pub(crate) async fn verify_audit(&mut self) -> Result<Result<u64, AuditBroken>, StoreError> {
        let mut snapshot = self.db.begin().await.map_err(StoreError::begin)?;
        audit::verify(&mut snapshot, &self.audit_key).await
    }

    pub(crate) async fn close(self) {
        if let Err(error) = self.db.close().await {
            tracing::warn!(error = %ErrorChain(&error), "the database was not closed cleanly");
        }
    }
}

/// Whether a server is still initializing this database for the first time: the row of the installation is
/// written last.
async fn is_being_created(db: &mut SqliteConnection) -> sqlx::Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_master WHERE name IN ('_sqlx_migrations', 'installation')";
    if sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut *db).await? < 2 {
        return Ok(true);
    }
    Ok(sqlx::query_scalar::<_, i64>("SELECT count(*) FROM installation").fetch_one(&mut *db).await? == 0)
}
