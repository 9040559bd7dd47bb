//! Creates a database without a server.

use std::path::Path;
use std::sync::Arc;

use ticketing_host::clock::{SystemClock, ThisMachine};
use ticketing_host::entropy::SystemEntropy;
use ticketing_store::{DEFAULT_BUSY_TIMEOUT, KeySource, Store, StoreOptions};

/// Creates the database in the folder `data`, with a key beside it.
pub async fn create_database(data: &Path) {
    let options = StoreOptions {
        clock: Arc::new(SystemClock::start()),
        entropy: Arc::new(SystemEntropy),
        machine: Arc::new(ThisMachine),
        key: KeySource::BesideDatabase,
        restored: false,
        busy_timeout: DEFAULT_BUSY_TIMEOUT,
    };
    let (store, _) = Store::open(&data.join("ticketing.db"), options).await.unwrap();
    store.close().await;
}
