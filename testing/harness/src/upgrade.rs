//! Data folders of older versions.

use std::path::Path;

/// Downgrades the database in a data folder to the first schema, as the first version wrote it. No server may
/// be using it.
pub async fn make_older(data: &Path) {
    ticketing_store::make_older(&data.join("ticketing.db")).await.unwrap();
}
