//! Computes the row digests (`ticketing_secrets::row_digests`) of the tables.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use ticketing_core::secret::SecretUse;
use ticketing_secrets::row_digests::{RowDigest, RowDigests, RowHasher};

use super::keys::KeyId;
use super::rows::{self, Reader};
use crate::StoreError;
use crate::types::StoredToken;

/// A table with secrets: its key columns, and the other columns that the digest covers.
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
    /// Updates the secret and its key in the row with this key.
    pub(super) reencrypt: &'static str,
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

/// Plain settings, whether or not their row has a secret: a changed switch matters, too.
const PLAIN_SETTINGS: &str = "
    SELECT 'settings/' || target AS place, system, CAST(enabled AS TEXT) AS switch, draft, coalesce(base_url, '') AS base_url
    FROM target_settings
    UNION ALL SELECT 'policy/1', auto_push, retry, '', '' FROM policy";

/// Lists the current plain settings.
pub(super) async fn list_settings(
    row_digests: &mut RowDigests,
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let rows = sqlx::query(PLAIN_SETTINGS).fetch_all(db).await.map_err(StoreError::read("settings"))?;
    let digests: Result<Vec<_>, StoreError> = rows.iter().map(plain_settings).collect();
    row_digests.set_settings(digests?);
    Ok(())
}

fn plain_settings(row: &SqliteRow) -> Result<RowDigest, StoreError> {
    let row = Reader::new(row, "target_settings", "place")?;
    let mut hasher = RowHasher::default();
    for column in ["system", "switch", "draft", "base_url"] {
        hasher.part(row.get::<String>(column)?.as_bytes());
    }
    Ok(hasher.finish(row.get("place")?))
}

/// The first row that does not match its digest: edited, inserted or removed by hand.
pub(super) async fn edited_row(
    row_digests: &RowDigests,
    db: &mut SqliteConnection,
) -> Result<Option<String>, StoreError> {
    let mut found = of_rows(db).await?;
    if row_digests.lists_settings() {
        list_settings(&mut found, db).await?;
    }
    Ok(row_digests.first_difference(&found).map(str::to_owned))
}

/// The digests of the current rows, unverified.
pub(super) async fn of_rows(db: &mut SqliteConnection) -> Result<RowDigests, StoreError> {
    let mut row_digests = RowDigests::default();
    for table in ALL {
        let rows = sqlx::query(table.all).fetch_all(&mut *db).await.map_err(StoreError::read("secrets"))?;
        for row in &rows {
            row_digests.set(table.row(row)?);
        }
    }
    rows::tokens(db).await?.iter().for_each(|token| row_digests.set(of_token(token)));
    Ok(row_digests)
}

/// Covers all fields of a token.
pub(super) fn of_token(token: &StoredToken) -> RowDigest {
    let mut hasher = RowHasher::default();
    let times = [Some(token.created_at), Some(token.expires_at), token.revoked_at];
    let times = times.map(|time| format!("{:?}", time.map(Timestamp::as_microsecond)));
    let texts = [token.name.as_str(), token.role.as_str(), &times[0], &times[1], &times[2]];
    // Omitted if it is the default, so that digests of tokens from before namespaces existed stay valid.
    let namespace = Some(token.namespace.as_str().as_bytes()).filter(|_| !token.namespace.is_default());
    let parts = texts.map(str::as_bytes).into_iter().chain([&token.hash.0[..]]).chain(namespace);
    parts.for_each(|part| hasher.part(part));
    hasher.finish(format!("tokens/{}", token.id))
}

// === impl SecretTable ===

impl SecretTable {
    /// The digest of everything that determines where the secret of a row is sent.
    pub(super) fn row(&self, row: &SqliteRow) -> Result<RowDigest, StoreError> {
        let reader = Reader::new(row, self.table, "target")?;
        let mut hasher = RowHasher::default();
        for column in self.texts {
            let text: Option<String> = reader.get(column)?;
            hasher.part(&[u8::from(text.is_some())]);
            hasher.part(text.unwrap_or_default().as_bytes());
        }
        hasher.part(&reader.get::<i64>(self.time)?.to_be_bytes());
        hasher.part(&reader.get::<i64>("secret_key")?.to_be_bytes());
        hasher.part(&reader.get::<Vec<u8>>("secret")?);
        let names = self.names_of(row)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(hasher.finish(self.place(&names)))
    }

    /// The place of the row with this key in the list of digests.
    pub(super) fn place(&self, names: &[&str]) -> String {
        format!("{}/{}", self.table, names.join("/"))
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

    /// The key of a row.
    pub(super) fn names_of(&self, row: &SqliteRow) -> Result<Vec<String>, StoreError> {
        let reader = Reader::new(row, self.table, "target")?;
        self.names.iter().map(|name| reader.get(name)).collect()
    }

    /// The use of a row's secret.
    pub(super) fn used_for(&self, row: &SqliteRow) -> Result<SecretUse, StoreError> {
        if !self.names.contains(&"used_for") {
            return Ok(SecretUse::TicketSystem);
        }
        Reader::new(row, self.table, "target")?.name("used_for", SecretUse::parse)
    }
}
