//! Logs offline commands on the data folder while the server runs: tokens created and revoked, keys rotated.
//! Such a command has no log of its own, but writes an audit entry.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use ticketing_core::error_chain::ErrorChain;
use ticketing_store::{OFFLINE_CREDENTIAL, Store, StoreError};

/// Interval between reads of the audit.
const INTERVAL: Duration = Duration::from_secs(2);
/// Number of entries per read.
const PAGE: u32 = 100;

/// Logs entries added from now on, until `closing`.
pub(crate) async fn log_offline_changes(store: Store, closing: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match log_after(&store, seen).await {
            Ok(newest) => seen = Some(newest),
            Err(StoreError::Closed) => return,
            Err(error) => {
                let error = ErrorChain(&error);
                tracing::warn!(%error, "failed to read what was done on the data folder");
            }
        }
    }
}

/// Logs the entries after `seen`, or none if it is not known yet. Returns the number of the newest entry.
async fn log_after(store: &Store, seen: Option<u64>) -> Result<u64, StoreError> {
    let Some(mut seen) = seen else {
        let newest = store.audit(None, 1).await?;
        return Ok(newest.first().map_or(0, |entry| entry.seq));
    };
    loop {
        let entries = store.audit_after(seen, PAGE).await?;
        let Some(last) = entries.last() else { return Ok(seen) };
        seen = last.seq;
        for entry in entries.iter().filter(|entry| entry.actor.credential == OFFLINE_CREDENTIAL) {
            tracing::info!(
                actor = %entry.actor.name, source = %entry.actor.source, action = %entry.action,
                subject = %entry.subject, outcome = %entry.outcome, "changed on the data folder"
            );
        }
    }
}
