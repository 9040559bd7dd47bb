//! Bearer tokens: made and revoked from beside the server, read by it at every call.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::Database;
use super::rows::Reader;
use crate::access::{Role, TokenHash};
use crate::store::StoreError;
use crate::store::types::StoredToken;

impl Database {
    pub(in crate::store) async fn token(&self, id: &str) -> Result<Option<StoredToken>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM tokens WHERE id = ?").bind(id).fetch_optional(&self.readers).await;
        row.map_err(StoreError::read("a token"))?.as_ref().map(token).transpose()
    }
}

/// All tokens, by name and age.
pub(super) async fn all(db: &mut SqliteConnection) -> Result<Vec<StoredToken>, StoreError> {
    let rows = sqlx::query("SELECT * FROM tokens ORDER BY name, created_at, id").fetch_all(db).await;
    rows.map_err(StoreError::read("tokens"))?.iter().map(token).collect()
}

pub(super) async fn insert(db: &mut SqliteConnection, token: &StoredToken) -> Result<(), StoreError> {
    let query = sqlx::query("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, NULL)").bind(&token.id);
    let query = query.bind(&token.name).bind(token.role.as_str()).bind(&token.hash.0[..]);
    let query = query.bind(token.created_at.as_microsecond()).bind(token.expires_at.as_microsecond());
    query.execute(db).await.map_err(StoreError::write("a token"))?;
    Ok(())
}

pub(super) async fn revoke(db: &mut SqliteConnection, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
    let done = query.bind(now.as_microsecond()).bind(id).execute(db).await;
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
        hash: TokenHash(hash),
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.time_if("revoked_at")?,
    })
}
