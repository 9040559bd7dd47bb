//! Envelope encryption keys: data keys encrypt the secrets, the master key encrypts the data keys.
//!
//! Each ciphertext names its data key. A running server that reads an unknown number, after an offline
//! rotation, reloads the keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use ticketing_host::entropy::Entropy;
use ticketing_secrets::KeyError;
use ticketing_secrets::encryption::{Cipher, CiphertextContext, KeySource, MasterKey, next, replace_by_next};
use zeroize::Zeroizing;

use super::connection::unopened;
use super::rows::Reader;
use crate::{OpenError, StoreError};

/// The number of a data key; 1 is the first.
pub(super) type KeyId = i64;

/// The loaded data keys.
pub(super) struct Keyring {
    path: PathBuf,
    source: KeySource,
    known: RwLock<BTreeMap<KeyId, Arc<Cipher>>>,
}

/// The unlocked keys of a database.
pub(super) struct Unlocked {
    pub(super) installation_id: String,
    pub(super) master: MasterKey,
    pub(super) keys: BTreeMap<KeyId, DataKey>,
    /// The new master key is not yet in its final file: a rotation was interrupted.
    pub(super) is_next: bool,
    /// The data key was encrypted before row digests existed.
    pub(super) is_legacy: bool,
}

pub(super) type DataKey = Zeroizing<[u8; 32]>;

// === impl Keyring ===

impl Keyring {
    pub(super) fn new(path: &Path, source: &KeySource, keys: &BTreeMap<KeyId, DataKey>) -> Self {
        Self { path: path.to_owned(), source: source.clone(), known: RwLock::new(ciphers(keys)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn source(&self) -> &KeySource {
        &self.source
    }

    /// The newest key, which encrypts.
    pub(super) async fn newest(&self, db: &mut SqliteConnection) -> Result<(KeyId, Arc<Cipher>), StoreError> {
        let newest = sqlx::query_scalar("SELECT max(id) FROM data_keys").fetch_one(&mut *db).await;
        let newest: KeyId = newest.map_err(StoreError::read("the keys"))?;
        let cipher = self.get(db, newest).await?;
        // `None` only if the row was removed in the meantime, which the transaction rules out.
        Ok((
            newest,
            cipher.ok_or(StoreError::Undecryptable {
                table: "data_keys",
                column: "id",
                id: newest.to_string(),
            })?,
        ))
    }

    /// A key by its number; `None` if there is no such key.
    pub(super) async fn get(
        &self,
        db: &mut SqliteConnection,
        id: KeyId,
    ) -> Result<Option<Arc<Cipher>>, StoreError> {
        if let Some(known) = self.known(id) {
            return Ok(Some(known));
        }
        let unlocked = unlock(db, &self.path, &self.source).await;
        let unlocked = unlocked.map_err(|source| StoreError::Keys { source: Arc::new(source) })?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = ciphers(&unlocked.keys);
        tracing::info!(newest = ?unlocked.keys.keys().last(), "the keys of the secrets were rotated");
        Ok(self.known(id))
    }

    fn known(&self, id: KeyId) -> Option<Arc<Cipher>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

/// Decrypts the data keys of an existing database.
pub(super) async fn unlock(
    db: &mut SqliteConnection,
    path: &Path,
    source: &KeySource,
) -> Result<Unlocked, OpenError> {
    let state = |source| OpenError::State { source };
    let row = sqlx::query("SELECT * FROM installation").fetch_one(&mut *db).await;
    let row = row.map_err(StoreError::read("the installation")).map_err(state)?;
    let row = Reader::new(&row, "installation", "installation_id").map_err(state)?;
    let installation_id: String = row.get("installation_id").map_err(state)?;
    let rotated_at = row.time_if("key_rotated_at").map_err(state)?;
    let rows = sqlx::query("SELECT id, sealed FROM data_keys ORDER BY id DESC").fetch_all(&mut *db).await;
    let rows = rows.map_err(StoreError::read("the keys")).map_err(state)?;
    let candidates = MasterKey::candidates(source, path)?;
    let origin = candidates[0].origin.clone();
    for (at, master) in candidates.into_iter().enumerate() {
        let wrap = master.cipher();
        let Some(first) = rows.first() else { break };
        let is_legacy = match open_key(&wrap, &installation_id, first, false).map_err(state)? {
            Some(_) => false,
            None if open_key(&wrap, &installation_id, first, true).map_err(state)?.is_some() => true,
            None => continue,
        };
        let mut keys = BTreeMap::new();
        for row in &rows {
            let id: KeyId = row.try_get("id").map_err(StoreError::read("the keys")).map_err(state)?;
            let key = open_key(&wrap, &installation_id, row, is_legacy).map_err(state)?;
            let edited =
                StoreError::Undecryptable { table: "data_keys", column: "sealed", id: id.to_string() };
            keys.insert(id, key.ok_or_else(|| state(edited))?);
        }
        return Ok(Unlocked { installation_id, master, keys, is_next: at > 0, is_legacy });
    }
    let database = path.to_owned();
    Err(match rotated_at {
        Some(since) => OpenError::KeyReplaced { origin, database, since },
        None => OpenError::KeyWrong { origin, database },
    })
}

/// After a rotation that was interrupted between the database requiring the new key and the new key replacing
/// the old file: moves it there. Then returns the name of the former key.
pub(super) async fn finish_rotation(
    db: &mut SqliteConnection,
    path: &Path,
    source: &KeySource,
    now: Timestamp,
) -> Result<Option<PathBuf>, OpenError> {
    let Some(file) = source.file(path).filter(|file| next(file).exists()) else { return Ok(None) };
    // Excludes concurrent rotations.
    let alone = db.begin_with("BEGIN IMMEDIATE").await;
    let mut alone = alone.map_err(|source| unopened(path, source))?;
    let unlocked = unlock(&mut alone, path, source).await?;
    if !unlocked.is_next {
        return Ok(None);
    }
    let former = replace_by_next(&file, now).map_err(|source| KeyError::File { path: file, source })?;
    alone.rollback().await.map_err(|source| unopened(path, source))?;
    Ok(Some(former))
}

/// Writes a data key, encrypted with the master key.
pub(super) async fn save_key(
    db: &mut SqliteConnection,
    id: KeyId,
    key: &DataKey,
    installation_id: &str,
    wrap: &Cipher,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    let number = id.to_string();
    let sealed = wrap.encrypt(&key[..], place(installation_id, &number), entropy);
    let query = sqlx::query(
        "INSERT INTO data_keys (id, sealed, made_at) VALUES (?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
    );
    let done = query.bind(id).bind(sealed).bind(now.as_microsecond()).execute(db).await;
    done.map(drop).map_err(StoreError::write("a key"))
}

pub(super) fn new_data_key(entropy: &dyn Entropy) -> DataKey {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut key[..]);
    key
}

fn open_key(
    wrap: &Cipher,
    installation_id: &str,
    row: &SqliteRow,
    legacy: bool,
) -> Result<Option<DataKey>, StoreError> {
    let id: KeyId = row.try_get("id").map_err(StoreError::read("the keys"))?;
    let sealed: Vec<u8> = row.try_get("sealed").map_err(StoreError::read("the keys"))?;
    let number = if legacy { String::new() } else { id.to_string() };
    let opened = wrap.decrypt(&sealed, place(installation_id, &number)).ok();
    Ok(opened.and_then(|key| <[u8; 32]>::try_from(&key[..]).ok()).map(Zeroizing::new))
}

/// Older versions omitted the number while there was only one key.
fn place<'a>(installation_id: &'a str, number: &'a str) -> CiphertextContext<'a> {
    CiphertextContext { table: "installation", row: installation_id, column: "data_key", origin: number }
}

fn ciphers(keys: &BTreeMap<KeyId, DataKey>) -> BTreeMap<KeyId, Arc<Cipher>> {
    keys.iter().map(|(id, key)| (*id, Arc::new(Cipher::new(key)))).collect()
}
