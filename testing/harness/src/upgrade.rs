//! Data folders of former servers.

use std::path::Path;

/// Takes the database in a data folder back to the first schema, as the first servers left theirs. No server may be at work
/// there.
pub async fn make_older(data: &Path) {
    ticketing_store::make_older(&data.join("ticketing.db")).await.unwrap();
}
