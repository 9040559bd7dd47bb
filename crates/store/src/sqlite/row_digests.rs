//! Row digests: a hash of each row that has a secret and of each token, in the head of the audit and covered by its
//! keyed hash. Without it, whoever can write the file could make a viewer an admin.
//!
//! A ciphertext proves its place, not its age. A row that is put back from an older copy of the file, or
//! in which the address was edited, has another hash than the list says. Who puts the list back too must put the
//! audit back with it: that is, an older copy of the whole.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::keys::KeyId;
use super::rows::Reader;
use super::tokens;
use crate::types::StoredToken;
use crate::{SecretUse, StoreError};

/// The hashes, by table and row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RowDigests(BTreeMap<String, String>);

/// A table with secrets: the columns that name its rows, and those that the hash covers beside.
#[derive(Debug)]
pub(super) struct SecretTable {
    pub(super) table: &'static str,
    names: &'static [&'static str],
    texts: &'static [&'static str],
    pub(super) time: &'static str,
    /// Every row that has a secret.
    all: &'static str,
    /// The rows whose secret is encrypted with an older key.
    older: &'static str,
    /// Sets the secret and its key, of the row of these names.
    pub(super) reencrypt: &'static str,
}

/// A row that has a secret.
#[derive(Debug)]
pub(super) struct RowDigest {
    pub(super) place: String,
    pub(super) hash: String,
}

pub(super) const SETTINGS: SecretTable = SecretTable {
    table: "target_settings",
    names: &["target"],
    texts: &["system", "draft", "base_url", "secret_kind", "secret_origin"],
    time: "secret_set_at",
    all: "SELECT * FROM target_settings WHERE secret IS NOT NULL",
    older: "SELECT * FROM target_settings WHERE secret IS NOT NULL AND secret_key < ?",
    reencrypt: "UPDATE target_settings SET secret = ?, secret_key = ? WHERE target = ?",
};

pub(super) const RETIRED: SecretTable = SecretTable {
    table: "retired_connections",
    names: &["target", "base_url"],
    texts: &["system", "draft", "secret_kind", "secret_origin"],
    time: "retired_at",
    all: "SELECT * FROM retired_connections",
    older: "SELECT * FROM retired_connections WHERE secret_key < ?",
    reencrypt: "UPDATE retired_connections SET secret = ?, secret_key = ? WHERE target = ? AND base_url = ?",
};

pub(super) const FURTHER: SecretTable = SecretTable {
    table: "target_secrets",
    names: &["target", "base_url", "used_for"],
    texts: &["secret_kind", "secret_origin"],
    time: "secret_set_at",
    all: "SELECT * FROM target_secrets",
    older: "SELECT * FROM target_secrets WHERE secret_key < ?",
    reencrypt: "UPDATE target_secrets SET secret = ?, secret_key = ? WHERE target = ? AND base_url = ? AND used_for = ?",
};

/// Every table with secrets.
pub(super) const ALL: [&SecretTable; 3] = [&SETTINGS, &RETIRED, &FURTHER];

/// Settings that are no secret, whether or not their row has one: a flipped switch matters, too.
const PLAIN_SETTINGS: &str = "
    SELECT 'settings/' || target AS place, system, CAST(enabled AS TEXT) AS switch, draft, coalesce(base_url, '') AS base_url
    FROM target_settings
    UNION ALL SELECT 'policy/1', auto_push, retry, '', '' FROM policy";

/// Stands in the list once plain settings are in it: earlier versions did not list them.
const SETTINGS_LISTED: &str = "settings";

// === impl RowDigests ===

impl RowDigests {
    pub(super) fn is_current(&self, row: &RowDigest) -> bool {
        self.0.get(&row.place) == Some(&row.hash)
    }

    pub(super) fn set(&mut self, row: RowDigest) {
        self.0.insert(row.place, row.hash);
    }

    /// Whether plain settings are in the list.
    pub(super) fn lists_settings(&self) -> bool {
        self.0.contains_key(SETTINGS_LISTED)
    }

    /// Takes the plain settings into the list, as they are now.
    pub(super) async fn digest_settings(&mut self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        self.0.retain(|place, _| !place.starts_with("settings/") && !place.starts_with("policy/"));
        self.0.insert(SETTINGS_LISTED.to_owned(), String::new());
        let rows = sqlx::query(PLAIN_SETTINGS).fetch_all(db).await.map_err(StoreError::read("settings"))?;
        for row in &rows {
            let row = Reader::new(row, "target_settings", "place")?;
            let mut hash = Sha256::new();
            for column in ["system", "switch", "draft", "base_url"] {
                let text: String = row.get(column)?;
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
            self.0.insert(row.get("place")?, hexadecimal(&hash.finalize()));
        }
        Ok(())
    }

    /// The first row that is not as it was written last, by its place in the list: edited, put in or removed by hand.
    pub(super) async fn edited_row(&self, db: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
        let mut found = Self::of_rows(db).await?;
        if self.lists_settings() {
            found.digest_settings(db).await?;
        }
        let places: std::collections::BTreeSet<&String> = self.0.keys().chain(found.0.keys()).collect();
        Ok(places.into_iter().find(|place| self.0.get(*place) != found.0.get(*place)).cloned())
    }

    pub(super) fn forget(&mut self, table: &SecretTable, names: &[&str]) {
        self.0.remove(&place(table, names));
    }

    /// Takes over what `others` say of one row.
    pub(super) fn take(&mut self, mut others: Self, table: &SecretTable, names: &[&str]) {
        let place = place(table, names);
        if let Some(hash) = others.0.remove(&place) {
            self.0.insert(place, hash);
        }
    }

    /// The rows as they are, whatever they were.
    pub(super) async fn of_rows(db: &mut SqliteConnection) -> Result<Self, StoreError> {
        let mut row_digests = Self::default();
        for table in ALL {
            let rows =
                sqlx::query(table.all).fetch_all(&mut *db).await.map_err(StoreError::read("secrets"))?;
            for row in &rows {
                row_digests.set(table.row(row)?);
            }
        }
        tokens::all(db).await?.iter().for_each(|token| row_digests.set(RowDigest::of_token(token)));
        Ok(row_digests)
    }
}

// === impl RowDigest ===

impl RowDigest {
    /// All of a token.
    pub(super) fn of_token(token: &StoredToken) -> Self {
        let mut hash = Sha256::new();
        let times = [Some(token.created_at), Some(token.expires_at), token.revoked_at];
        let times = times.map(|time| format!("{:?}", time.map(Timestamp::as_microsecond)));
        let texts = [token.name.as_str(), token.role.as_str(), &times[0], &times[1], &times[2]];
        // Left out where it is the default, so that the digests of tokens from before there were namespaces still hold.
        let namespace = Some(token.namespace.as_str().as_bytes()).filter(|_| !token.namespace.is_default());
        for part in texts.map(str::as_bytes).into_iter().chain([&token.hash.0[..]]).chain(namespace) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self { place: format!("tokens/{}", token.id), hash: hexadecimal(&hash.finalize()) }
    }
}

// === impl SecretTable ===

impl SecretTable {
    /// The hash of all that decides where the secret of a row goes.
    pub(super) fn row(&self, row: &SqliteRow) -> Result<RowDigest, StoreError> {
        let reader = Reader::new(row, self.table, "target")?;
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        for column in self.texts {
            let text: Option<String> = reader.get(column)?;
            add(&[u8::from(text.is_some())]);
            add(text.unwrap_or_default().as_bytes());
        }
        add(&reader.get::<i64>(self.time)?.to_be_bytes());
        add(&reader.get::<i64>("secret_key")?.to_be_bytes());
        add(&reader.get::<Vec<u8>>("secret")?);
        let names = self.names_of(row)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(RowDigest { place: place(self, &names), hash: hexadecimal(&hash.finalize()) })
    }

    /// The rows whose secret is encrypted with a key before `newest`.
    pub(super) async fn older_than(
        &self,
        newest: KeyId,
        db: &mut SqliteConnection,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = sqlx::query(self.older).bind(newest).fetch_all(db).await;
        rows.map_err(StoreError::read("secrets"))
    }

    /// What names a row.
    pub(super) fn names_of(&self, row: &SqliteRow) -> Result<Vec<String>, StoreError> {
        let reader = Reader::new(row, self.table, "target")?;
        self.names.iter().map(|name| reader.get(name)).collect()
    }

    /// What the secret of a row is for.
    pub(super) fn used_for(&self, row: &SqliteRow) -> Result<SecretUse, StoreError> {
        if !self.names.contains(&"used_for") {
            return Ok(SecretUse::TicketSystem);
        }
        Reader::new(row, self.table, "target")?.name("used_for", SecretUse::parse)
    }
}

fn place(table: &SecretTable, names: &[&str]) -> String {
    format!("{}/{}", table.table, names.join("/"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
