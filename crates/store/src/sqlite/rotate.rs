//! Rotates the keys, with or without a running server.
//!
//! Invariant: at every moment the key file, or the next one beside it, opens the database, and every secret
//! can be decrypted with an existing data key. Repeating an interrupted rotation completes it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};
use ticketing_core::error_chain::ErrorChain;
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_host::entropy::Entropy;
use ticketing_secrets::audit::NewAuditEntry;
use ticketing_secrets::encryption::{MasterKey, next};

use super::audit::{self, Head};
use super::keys::{self, KeyId, Unlocked};
use super::offline_admin::OfflineAdmin;
use super::row_digests::{self, SecretTable};
use super::secrets::{SealedSecret, decrypt, note};
use crate::{OpenError, RotateError, StoreError};

/// The result of a master key rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterRotated {
    /// The file has a new key; the former one is kept under another name.
    Replaced { file: PathBuf, former: Option<PathBuf> },
    /// An interrupted rotation was completed; the former key is kept under this name.
    Finished { former: PathBuf },
    /// The given key is in use: the server must be started with it from now on.
    Given,
}

/// The result of a data key rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKeyRotated {
    /// The key that encrypts from now on.
    pub key: i64,
    /// An interrupted rotation was continued.
    pub resumed: bool,
    /// Number of re-encrypted secrets.
    pub reencrypted: usize,
}

/// A secret encrypted with an older key: its table, and the values that name its row.
#[derive(Debug)]
struct Old {
    table: &'static SecretTable,
    names: Vec<String>,
}

// === impl OfflineAdmin ===

impl OfflineAdmin {
    pub(crate) async fn rotate_master_key(
        &mut self,
        given: Option<&Path>,
        entry: NewAuditEntry,
        entropy: &dyn Entropy,
    ) -> Result<MasterRotated, RotateError> {
        if let (None, Some(former)) = (given, self.finished.take()) {
            self.scrub_wal().await;
            return Ok(MasterRotated::Finished { former });
        }
        let path = self.keys.path().to_owned();
        let source = self.keys.source().clone();
        let now = entry.at;
        // Excludes concurrent rotations and server starts.
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        let unlocked = keys::unlock(&mut transaction, &path, &source).await?;
        if unlocked.is_next {
            // Another rotation was interrupted in between: the next attempt completes it.
            return Err(OpenError::KeyWrong { origin: unlocked.master.origin, database: path }.into());
        }
        let file = source.file(&path);
        let master = match (given, &file) {
            (Some(given), _) => MasterKey::read(given, &path)?,
            (None, Some(file)) => MasterKey::make(&next(file), entropy)?,
            (None, None) => return Err(RotateError::NoFile),
        };
        if master.key == unlocked.master.key {
            return Err(RotateError::Same(master.origin));
        }
        failpoints::pass(Point::NewKeyWritten).await;
        let id = &unlocked.installation_id;
        let wrap = master.cipher();
        for (number, key) in &unlocked.keys {
            keys::save_key(&mut transaction, *number, key, id, &wrap, now, entropy).await?;
        }
        let rotated = sqlx::query("UPDATE installation SET key_rotated_at = ?").bind(now.as_microsecond());
        rotated.execute(&mut *transaction).await.map_err(StoreError::write("the installation"))?;
        audit::append(&mut transaction, &self.audit_key, vec![entry]).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
        failpoints::pass(Point::NewKeyCommitted).await;
        self.scrub_wal().await;
        let (None, Some(file)) = (given, file) else { return Ok(MasterRotated::Given) };
        // `None` if a newly started server has done it.
        let former = keys::finish_rotation(&mut self.db, &path, &source, now).await?;
        Ok(MasterRotated::Replaced { file, former })
    }

    pub(crate) async fn rotate_data_key(
        &mut self,
        mut entry: NewAuditEntry,
        entropy: &dyn Entropy,
    ) -> Result<DataKeyRotated, RotateError> {
        let (newest, resumed) = self.begin_data_key(&entry, entropy).await?;
        failpoints::pass(Point::DataKeyMade).await;
        let mut reencrypted = 0;
        for old in self.encrypted_before(newest).await? {
            reencrypted += usize::from(self.reencrypt(&old, newest, entropy).await?);
            failpoints::pass(Point::SecretResealed).await;
        }
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        let (id, cipher) = self.keys.newest(&mut transaction).await?;
        audit::reencrypt(&mut transaction, &self.audit_key, (id, &cipher), entropy).await?;
        remove_unused(&mut transaction, id).await?;
        entry.detail = json!({ "key": id, "step": "done", "sealed_anew": reencrypted });
        audit::append(&mut transaction, &self.audit_key, vec![entry]).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
        self.scrub_wal().await;
        Ok(DataKeyRotated { key: id, resumed, reencrypted })
    }

    /// Creates the new key, unless a rotation is in progress.
    async fn begin_data_key(
        &mut self,
        entry: &NewAuditEntry,
        entropy: &dyn Entropy,
    ) -> Result<(KeyId, bool), RotateError> {
        let path = self.keys.path().to_owned();
        let source = self.keys.source().clone();
        let now = entry.at;
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        let Unlocked { installation_id, master, keys: known, .. } =
            keys::unlock(&mut transaction, &path, &source).await?;
        let newest = known.keys().last().copied().unwrap_or_default();
        if is_under_way(&mut transaction).await? {
            return Ok((newest, true));
        }
        let id = newest + 1;
        let key = keys::new_data_key(entropy);
        retire_keys(&mut transaction, now).await?;
        let wrap = master.cipher();
        keys::save_key(&mut transaction, id, &key, &installation_id, &wrap, now, entropy).await?;
        let begun = NewAuditEntry { detail: json!({ "key": id, "step": "begun" }), ..entry.clone() };
        audit::append(&mut transaction, &self.audit_key, vec![begun]).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
        Ok((id, false))
    }

    async fn encrypted_before(&mut self, newest: KeyId) -> Result<Vec<Old>, StoreError> {
        let mut all = vec![];
        for table in row_digests::ALL {
            for row in table.older_than(newest, &mut self.db).await? {
                all.push(Old { table, names: table.names_of(&row)? });
            }
        }
        Ok(all)
    }

    /// Re-encrypts one secret with the newest key. One that cannot be decrypted stays unchanged.
    async fn reencrypt(
        &mut self,
        old: &Old,
        newest: KeyId,
        entropy: &dyn Entropy,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        // The secret may have changed in the meantime.
        let Some(row) = old.row(&mut transaction, newest).await? else { return Ok(false) };
        let mut head = Head::load(&mut transaction, &self.audit_key).await?;
        let opened = decrypt(&self.keys, &head.row_digests, old.table, &row, &mut transaction).await;
        let secret = match opened {
            Err(error @ StoreError::Undecryptable { .. }) => {
                tracing::error!(error = %ErrorChain(&error), "failed to re-encrypt a secret");
                return Ok(false);
            }
            opened => opened?,
        };
        let place = (old.table, old.names[0].as_str(), old.table.used_for(&row)?);
        let sealed = SealedSecret::seal(&secret, place, (&self.keys, entropy), &mut transaction).await?;
        let update = sqlx::query(old.table.reencrypt).bind(sealed.ciphertext).bind(sealed.key);
        let update = old.names.iter().fold(update, sqlx::query::Query::bind);
        update.execute(&mut *transaction).await.map_err(StoreError::write("a secret"))?;
        let names: Vec<&str> = old.names.iter().map(String::as_str).collect();
        note(&mut head.row_digests, old.table, &names, &mut transaction).await?;
        head.save(&mut transaction, &self.audit_key).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
        Ok(true)
    }
}

// === impl Old ===

impl Old {
    /// The row, if its secret is still encrypted with an older key.
    async fn row(&self, db: &mut SqliteConnection, newest: KeyId) -> Result<Option<SqliteRow>, StoreError> {
        for row in self.table.older_than(newest, db).await? {
            if self.table.names_of(&row)? == self.names {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Whether a data key rotation is in progress.
async fn is_under_way(db: &mut SqliteConnection) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM data_keys WHERE retired_at IS NOT NULL AND (
        EXISTS (SELECT 1 FROM audit_head WHERE key_id = data_keys.id)))";
    sqlx::query_scalar(query).fetch_one(db).await.map_err(StoreError::read("the keys"))
}

async fn retire_keys(db: &mut SqliteConnection, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query("UPDATE data_keys SET retired_at = ? WHERE retired_at IS NULL");
    let done = query.bind(now.as_microsecond()).execute(db).await;
    done.map(drop).map_err(StoreError::write("the keys"))
}

/// Removes unused keys.
async fn remove_unused(db: &mut SqliteConnection, newest: KeyId) -> Result<(), StoreError> {
    let query = "DELETE FROM data_keys WHERE id < ?
        AND id NOT IN (SELECT secret_key FROM target_settings WHERE secret IS NOT NULL)
        AND id NOT IN (SELECT secret_key FROM retired_connections)
        AND id NOT IN (SELECT secret_key FROM target_secrets)
        AND id NOT IN (SELECT key_id FROM audit_head)";
    let done = sqlx::query(query).bind(newest).execute(db).await;
    done.map(drop).map_err(StoreError::write("the keys"))
}
