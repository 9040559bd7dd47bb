//! Bearer tokens: made and revoked from beside the server, read by it at every call.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use ticketing_core::namespace::Namespace;

use super::Database;
use super::audit::Head;
use super::row_digests::{RowDigest, RowDigests};
use super::rows::Reader;
use crate::StoreError;
use crate::port;
use crate::types::StoredToken;
use ticketing_core::clock::to_stored_resolution;
use ticketing_core::role::Role;
use ticketing_secrets::TokenHash;

const INSERT: &str = "
    INSERT INTO tokens (id, name, role, hash, created_at, expires_at, namespace) VALUES (?, ?, ?, ?, ?, ?, ?)";

#[async_trait]
impl port::Tokens for Database {
    async fn token(&self, id: &str) -> Result<Option<StoredToken>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let row =
            sqlx::query("SELECT * FROM tokens WHERE id = ?").bind(id).fetch_optional(&mut *snapshot).await;
        let row = row.map_err(StoreError::read("a token"))?;
        let Some(token) = row.as_ref().map(token).transpose()? else { return Ok(None) };
        let head = Head::load(&mut snapshot, &self.state.audit_key).await?;
        if head.row_digests.is_current(&RowDigest::of_token(&token)) {
            return Ok(Some(token));
        }
        tracing::error!(token = %token.id, "this token was edited or put in by hand, and is not accepted");
        Ok(None)
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let mut tokens = all(&mut snapshot).await?;
        let head = Head::load(&mut snapshot, &self.state.audit_key).await?;
        tokens.retain(|token| head.row_digests.is_current(&RowDigest::of_token(token)));
        Ok(tokens)
    }
}

/// All tokens, by name and age.
pub(super) async fn all(db: &mut SqliteConnection) -> Result<Vec<StoredToken>, StoreError> {
    let rows = sqlx::query("SELECT * FROM tokens ORDER BY name, created_at, id").fetch_all(db).await;
    rows.map_err(StoreError::read("tokens"))?.iter().map(token).collect()
}

pub(super) async fn insert(
    db: &mut SqliteConnection,
    row_digests: &mut RowDigests,
    token: &StoredToken,
) -> Result<(), StoreError> {
    row_digests.set(RowDigest::of_token(token));
    let query = sqlx::query(INSERT).bind(&token.id);
    let query = query.bind(&token.name).bind(token.role.as_str()).bind(&token.hash.0[..]);
    let query = query.bind(token.created_at.as_microsecond()).bind(token.expires_at.as_microsecond());
    let query = query.bind(token.namespace.as_str());
    query.execute(db).await.map_err(StoreError::write("a token"))?;
    Ok(())
}

/// Revokes a token. One that was edited by hand is not accepted after that either.
pub(super) async fn revoke(
    db: &mut SqliteConnection,
    row_digests: &mut RowDigests,
    token: &StoredToken,
    now: Timestamp,
) -> Result<(), StoreError> {
    let revoked_at = Some(to_stored_resolution(now));
    row_digests.set(RowDigest::of_token(&StoredToken { revoked_at, ..token.clone() }));
    let query = sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ?");
    let done = query.bind(now.as_microsecond()).bind(&token.id).execute(db).await;
    done.map_err(StoreError::write("a token"))?;
    Ok(())
}

fn token(row: &SqliteRow) -> Result<StoredToken, StoreError> {
    let row = Reader::new(row, "tokens", "id")?;
    let hash: Vec<u8> = row.get("hash")?;
    let hash = <[u8; 32]>::try_from(hash).map_err(|_| row.bad("hash", &"it is not 32 bytes long"))?;
    Ok(StoredToken {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.name("role", |name| name.parse::<Role>().ok())?,
        namespace: row.name("namespace", |name| Namespace::parse(name).ok())?,
        hash: TokenHash(hash),
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.time_if("revoked_at")?,
    })
}
