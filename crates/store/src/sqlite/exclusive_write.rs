//! Writes with statements of their own.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::State;
use crate::StoreError;

/// A rare write with its own statements, in a transaction of its own.
#[async_trait]
pub(super) trait ExclusiveWrite: Send + Sync + 'static {
    type Answer: Send + 'static;

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<Self::Answer, StoreError>;

    /// Whether it removes or replaces secrets.
    fn replaces_secrets(&self) -> bool {
        false
    }
}
