//! Bearer tokens: created and revoked by offline commands, read by the server at every call.
//!
//! A token that was read is valid as long as no connection has changed the database. SQLite knows this: `PRAGMA
//! data_version` on a connection that never writes changes with every commit of another one, in any process.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use ticketing_core::clock::to_stored_resolution;
use ticketing_secrets::audit::AuditKey;
use ticketing_secrets::row_digests::RowDigests;
use tokio::sync::Mutex;

use super::Database;
use super::audit::Head;
use super::row_digests;
use super::rows;
use crate::StoreError;
use crate::port;
use crate::types::StoredToken;

const INSERT: &str = "
    INSERT INTO tokens (id, name, role, hash, created_at, expires_at, namespace) VALUES (?, ?, ?, ?, ?, ?, ?)";

/// Maximum number of known tokens. Callers may present any ID.
const MAX_KNOWN: usize = 1_000;

/// Tokens that were read since the last change of the database.
#[derive(Debug, Default)]
pub(super) struct KnownTokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Opened at the first read; discarded after a failure.
    db: Option<SqliteConnection>,
    version: i64,
    /// By ID; `None` if there is no such token.
    tokens: HashMap<String, Option<StoredToken>>,
}

#[async_trait]
impl port::Tokens for Database {
    async fn token(&self, id: &str) -> Result<Option<StoredToken>, StoreError> {
        let mut known = self.tokens.0.lock().await;
        if self.readers.is_closed() {
            return Err(StoreError::Closed);
        }
        let outcome = known.token(id, &self.readers.connect_options(), &self.state.audit_key).await;
        if outcome.is_err() {
            *known = Known::default();
        }
        outcome
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let mut tokens = rows::tokens(&mut snapshot).await?;
        let head = Head::load(&mut snapshot, &self.state.audit_key).await?;
        tokens.retain(|token| head.row_digests.is_current(&row_digests::of_token(token)));
        Ok(tokens)
    }
}

// === impl KnownTokens ===

impl KnownTokens {
    /// Closes the connection; the database must be closed for reads.
    pub(super) async fn close(&self) {
        let Some(db) = self.0.lock().await.db.take() else { return };
        if let Err(error) = db.close().await {
            tracing::warn!(%error, "failed to close a connection of the database");
        }
    }
}

// === impl Known ===

impl Known {
    async fn token(
        &mut self,
        id: &str,
        connect: &SqliteConnectOptions,
        audit_key: &AuditKey,
    ) -> Result<Option<StoredToken>, StoreError> {
        if self.db.is_none() {
            self.db = Some(connect.connect().await.map_err(StoreError::begin)?);
        }
        let Self { db: Some(db), version, tokens } = self else { return Err(StoreError::Closed) };
        // Before the token: what is committed in between is noticed by the next call.
        let current = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *db).await;
        let current = current.map_err(StoreError::read("the version of the data"))?;
        if *version != current || tokens.len() >= MAX_KNOWN {
            *version = current;
            tokens.clear();
        }
        if let Some(token) = tokens.get(id) {
            return Ok(token.clone());
        }
        let token = read(db, id, audit_key).await?;
        tokens.insert(id.to_owned(), token.clone());
        Ok(token)
    }
}

/// The token with an ID, unless its row was edited.
async fn read(
    db: &mut SqliteConnection,
    id: &str,
    audit_key: &AuditKey,
) -> Result<Option<StoredToken>, StoreError> {
    let mut snapshot = db.begin().await.map_err(StoreError::begin)?;
    let row = sqlx::query("SELECT * FROM tokens WHERE id = ?").bind(id).fetch_optional(&mut *snapshot).await;
    let row = row.map_err(StoreError::read("a token"))?;
    let Some(token) = row.as_ref().map(rows::token).transpose()? else { return Ok(None) };
    let head = Head::load(&mut snapshot, audit_key).await?;
    if head.row_digests.is_current(&row_digests::of_token(&token)) {
        return Ok(Some(token));
    }
    tracing::error!(token = %token.id, "this token was edited or inserted by hand, and is not accepted");
    Ok(None)
}

pub(super) async fn insert(
    db: &mut SqliteConnection,
    row_digests: &mut RowDigests,
    token: &StoredToken,
) -> Result<(), StoreError> {
    row_digests.set(row_digests::of_token(token));
    let query = sqlx::query(INSERT).bind(&token.id);
    let query = query.bind(&token.name).bind(token.role.as_str()).bind(&token.hash.0[..]);
    let query = query.bind(token.created_at.as_microsecond()).bind(token.expires_at.as_microsecond());
    let query = query.bind(token.namespace.as_str());
    query.execute(db).await.map_err(StoreError::write("a token"))?;
    Ok(())
}

/// Revokes a token. A token edited by hand stays invalid afterwards.
pub(super) async fn revoke(
    db: &mut SqliteConnection,
    row_digests: &mut RowDigests,
    token: &StoredToken,
    now: Timestamp,
) -> Result<(), StoreError> {
    let revoked_at = Some(to_stored_resolution(now));
    row_digests.set(row_digests::of_token(&StoredToken { revoked_at, ..token.clone() }));
    let query = sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ?");
    let done = query.bind(now.as_microsecond()).bind(&token.id).execute(db).await;
    done.map_err(StoreError::write("a token"))?;
    Ok(())
}
