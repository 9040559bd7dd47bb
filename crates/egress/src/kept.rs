//! Connections kept open after a reply, for reads.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::sleep;
use url::Url;

use crate::connection::{Connection, MAX_IDLE};

/// Maximum number of kept connections of a client.
const MAX_KEPT: usize = 4;

/// The kept connections of one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeptConnections(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The one used last comes last.
    connections: Vec<Connection>,
    /// A task closes those that are unused for too long.
    has_sweeper: bool,
}

// === impl KeptConnections ===

impl KeptConnections {
    /// The connection for `url` that was used last.
    pub(crate) fn take(&self, url: &Url) -> Option<Connection> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = state.connections.iter().rposition(|connection| connection.is_usable(url))?;
        Some(state.connections.remove(index))
    }

    /// Keeps a connection whose last reply was read to its end, unless there are enough.
    pub(crate) fn keep(&self, connection: Connection) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.connections.retain(Connection::is_fresh);
        if state.connections.len() >= MAX_KEPT || !connection.is_fresh() {
            return;
        }
        state.connections.push(connection);
        if !state.has_sweeper {
            state.has_sweeper = true;
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

/// Closes connections that are unused for too long, until none is left.
async fn sweep(state: Weak<Mutex<State>>) {
    loop {
        sleep(MAX_IDLE).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.connections.retain(Connection::is_fresh);
        if state.connections.is_empty() {
            state.has_sweeper = false;
            return;
        }
    }
}
