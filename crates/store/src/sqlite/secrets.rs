//! The secrets of a connection: that for its ticket system is in the row of the settings, any other in its
//! own row.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use ticketing_core::secret::{Secret, SecretKind, SecretUse};
use ticketing_host::entropy::Entropy;
use ticketing_secrets::encryption::CiphertextContext;
use ticketing_secrets::row_digests::RowDigests;

use super::State;
use super::keys::{KeyId, Keyring};
use super::row_digests::{self, SecretTable};
use super::rows::Reader;
use super::rows::one_row;
use crate::StoreError;

const SAVE: &str = "
    UPDATE target_settings SET secret_kind = ?, secret_key = ?, secret = ?, secret_origin = ?, secret_set_at = ?
    WHERE target = ?";

const REMOVE: &str = "
    UPDATE target_settings SET secret_kind = NULL, secret = NULL, secret_origin = NULL, secret_set_at = NULL
    WHERE target = ?";

const SAVE_FURTHER: &str = "
    INSERT INTO target_secrets
        (secret_kind, secret_key, secret, secret_origin, secret_set_at, target, base_url, used_for)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (target, base_url, used_for) DO UPDATE SET secret_kind = excluded.secret_kind,
        secret_key = excluded.secret_key, secret = excluded.secret, secret_origin = excluded.secret_origin,
        secret_set_at = excluded.secret_set_at";

const REMOVE_FURTHER: &str = "DELETE FROM target_secrets WHERE target = ? AND base_url = ? AND used_for = ?";

/// One secret of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) connection: &'a str,
    /// The base URL of a retired connection; empty for the active one.
    pub(super) base_url: &'a str,
    pub(super) used_for: SecretUse,
}

/// A secret at rest: the columns that every table with secrets has.
#[derive(Debug)]
pub(super) struct SealedSecret {
    kind: SecretKind,
    /// The data key that encrypts it.
    pub(super) key: KeyId,
    pub(super) ciphertext: Vec<u8>,
    /// Empty until it is bound.
    origin: String,
    /// In microseconds.
    pub(super) set_at: i64,
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, <sqlx::Sqlite as sqlx::Database>::Arguments>;

// === impl SealedSecret ===

impl SealedSecret {
    /// Encrypts a secret for its row, with the newest data key.
    pub(super) async fn seal(
        secret: &Secret,
        (table, connection, used_for): (&SecretTable, &str, SecretUse),
        (keys, entropy): (&Keyring, &dyn Entropy),
        db: &mut SqliteConnection,
    ) -> Result<Self, StoreError> {
        let origin = secret.origin.clone().unwrap_or_default();
        let place = place(table, connection, used_for, &origin);
        let (key, cipher) = keys.newest(db).await?;
        let ciphertext = cipher.encrypt(secret.value.expose_secret().as_bytes(), place, entropy);
        Ok(Self { kind: secret.kind, key, ciphertext, origin, set_at: secret.set_at.as_microsecond() })
    }

    fn read(table: &SecretTable, row: &SqliteRow) -> Result<Self, StoreError> {
        let row = Reader::new(row, table.table, "target")?;
        Ok(Self {
            kind: row.name("secret_kind", SecretKind::parse)?,
            key: row.get("secret_key")?,
            ciphertext: row.get("secret")?,
            origin: row.get("secret_origin")?,
            set_at: row.get(table.time)?,
        })
    }

    /// Binds `secret_kind`, `secret_key`, `secret` and `secret_origin`, in this order.
    pub(super) fn bind_to<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        let query = query.bind(self.kind.as_str()).bind(self.key);
        query.bind(self.ciphertext.as_slice()).bind(&self.origin)
    }
}

// === impl Of ===

impl Of<'_> {
    /// Encrypts a secret and writes it. For the secret of a ticket system, the settings row must exist already; the caller
    /// that saves that row updates its digest.
    pub(super) async fn save(
        self,
        secret: &Secret,
        state: &State,
        row_digests: &mut RowDigests,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let (table, statement) = match self.used_for {
            SecretUse::TicketSystem => (&row_digests::SETTINGS, SAVE),
            SecretUse::Proxy => (&row_digests::FURTHER, SAVE_FURTHER),
        };
        let sealed = SealedSecret::seal(
            secret,
            (table, self.connection, self.used_for),
            (&state.keys, &*state.entropy),
            db,
        )
        .await?;
        let query = sealed.bind_to(sqlx::query(statement)).bind(sealed.set_at).bind(self.connection);
        let query = match self.used_for {
            SecretUse::TicketSystem => query,
            SecretUse::Proxy => query.bind(self.base_url).bind(self.used_for.as_str()),
        };
        let done = query.execute(&mut *db).await;
        one_row(table.table, &done.map_err(StoreError::write("a secret"))?)?;
        match self.used_for {
            SecretUse::TicketSystem => Ok(()),
            SecretUse::Proxy => note(row_digests, table, &self.names(), db).await,
        }
    }

    pub(super) async fn remove(
        self,
        row_digests: &mut RowDigests,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let query = match self.used_for {
            SecretUse::TicketSystem => sqlx::query(REMOVE).bind(self.connection),
            SecretUse::Proxy => {
                row_digests.remove(&row_digests::FURTHER.place(&self.names()));
                let query = sqlx::query(REMOVE_FURTHER).bind(self.connection).bind(self.base_url);
                query.bind(self.used_for.as_str())
            }
        };
        query.execute(db).await.map(drop).map_err(StoreError::write("a secret"))
    }

    fn names(&self) -> [&str; 3] {
        [self.connection, self.base_url, self.used_for.as_str()]
    }
}

/// The secrets of the connection in `row`, and unusable ones. `base_url` is empty for the active connection.
pub(super) async fn of_connection(
    keys: &Keyring,
    row_digests: &RowDigests,
    (table, row): (&SecretTable, &SqliteRow),
    base_url: &str,
    db: &mut SqliteConnection,
) -> Result<(BTreeMap<SecretUse, Secret>, Vec<StoreError>), StoreError> {
    let reader = Reader::new(row, table.table, "target")?;
    let further = sqlx::query("SELECT * FROM target_secrets WHERE target = ? AND base_url = ?");
    let further = further.bind(reader.get::<String>("target")?).bind(base_url).fetch_all(&mut *db).await;
    let further = further.map_err(StoreError::read("secrets"))?;
    let has_own = reader.get::<Option<Vec<u8>>>("secret")?.is_some();
    let own = has_own.then_some((table, row));
    let mut secrets = BTreeMap::new();
    let mut lost = vec![];
    for (table, row) in own.into_iter().chain(further.iter().map(|row| (&row_digests::FURTHER, row))) {
        match decrypt(keys, row_digests, table, row, db).await {
            Err(error @ StoreError::Undecryptable { .. }) => lost.push(error),
            secret => {
                secrets.insert(table.used_for(row)?, secret?);
            }
        }
    }
    Ok((secrets, lost))
}

/// The secret of a row, if the row matches its digest.
pub(super) async fn decrypt(
    keys: &Keyring,
    row_digests: &RowDigests,
    table: &SecretTable,
    row: &SqliteRow,
    db: &mut SqliteConnection,
) -> Result<Secret, StoreError> {
    let connection: String = Reader::new(row, table.table, "target")?.get("target")?;
    let is_current = table.row(row).is_ok_and(|row| row_digests.is_current(&row));
    let sealed = SealedSecret::read(table, row)?;
    let place = place(table, &connection, table.used_for(row)?, &sealed.origin);
    let cipher = keys.get(db, sealed.key).await?.filter(|_| is_current);
    let value = cipher.and_then(|cipher| cipher.decrypt_text(&sealed.ciphertext, place).ok());
    let lost = || StoreError::Undecryptable { table: table.table, column: "secret", id: connection.clone() };
    let value = value.ok_or_else(lost)?;
    let SealedSecret { kind, origin, set_at, .. } = sealed;
    // A secret that was set before its address is not bound yet.
    let origin = Some(origin).filter(|origin| !origin.is_empty());
    let set_at = Timestamp::from_microsecond(set_at)
        .map_err(|error| StoreError::bad(table.table, table.time, &connection, &error))?;
    Ok(Secret { kind, value, origin, set_at })
}

/// Updates the digest of a newly written row.
pub(super) async fn note(
    row_digests: &mut RowDigests,
    table: &SecretTable,
    names: &[&str],
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    row_digests.remove(&table.place(names));
    let all = row_digests::of_rows(db).await?;
    row_digests.take(all, &table.place(names));
    Ok(())
}

fn place<'a>(
    table: &SecretTable,
    connection: &'a str,
    used_for: SecretUse,
    origin: &'a str,
) -> CiphertextContext<'a> {
    let column = match used_for {
        SecretUse::TicketSystem => "secret",
        SecretUse::Proxy => used_for.as_str(),
    };
    CiphertextContext { table: table.table, row: connection, column, origin }
}
