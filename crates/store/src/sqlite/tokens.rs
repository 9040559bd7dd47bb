//! Bearer tokens: created and revoked by offline commands, read by the server at every call.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use ticketing_core::clock::to_stored_resolution;
use ticketing_secrets::row_digests::RowDigests;

use super::Database;
use super::audit::Head;
use super::row_digests;
use super::rows;
use crate::StoreError;
use crate::port;
use crate::types::StoredToken;

const INSERT: &str = "
    INSERT INTO tokens (id, name, role, hash, created_at, expires_at, namespace) VALUES (?, ?, ?, ?, ?, ?, ?)";

#[async_trait]
impl port::Tokens for Database {
    async fn token(&self, id: &str) -> Result<Option<StoredToken>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let row =
            sqlx::query("SELECT * FROM tokens WHERE id = ?").bind(id).fetch_optional(&mut *snapshot).await;
        let row = row.map_err(StoreError::read("a token"))?;
        let Some(token) = row.as_ref().map(rows::token).transpose()? else { return Ok(None) };
        let head = Head::load(&mut snapshot, &self.state.audit_key).await?;
        if head.row_digests.is_current(&row_digests::of_token(&token)) {
            return Ok(Some(token));
        }
        tracing::error!(token = %token.id, "this token was edited or inserted by hand, and is not accepted");
        Ok(None)
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let mut tokens = rows::tokens(&mut snapshot).await?;
        let head = Head::load(&mut snapshot, &self.state.audit_key).await?;
        tokens.retain(|token| head.row_digests.is_current(&row_digests::of_token(token)));
        Ok(tokens)
    }
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
