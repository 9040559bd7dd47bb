//! Captures logs and panics of servers in this process; a server in its own process has a log file.

use std::io;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

/// The crates whose panics are the server's; a failing test panics, too. All folders of `crates/`.
const SHIPPED_CRATES: [&str; 14] = [
    "contract",
    "core",
    "egress",
    "engine",
    "failpoints",
    "host",
    "ingress",
    "jira",
    "retry",
    "secrets",
    "server",
    "servicenow",
    "store",
    "vendor",
];

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Appends to the log.
#[derive(Debug, Clone, Copy)]
struct LogWriter;

/// Starts capturing, and returns the offset at which the new log begins.
pub(crate) fn start_capture() -> usize {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // More than is logged by default.
        let ours = SHIPPED_CRATES.map(|name| (format!("ticketing_{name}"), Level::TRACE));
        let targets = Targets::new().with_default(Level::INFO).with_targets(ours);
        let layer =
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(LogWriter).with_filter(targets);
        // A test may have its own subscriber, and checks that itself.
        let _ = tracing_subscriber::registry().with(layer).try_init();
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            usual(info);
        }));
    });
    edit(|log| log.len())
}

/// The log since that offset. Concurrent servers in this process share one log.
pub(crate) fn since(from: usize) -> Vec<u8> {
    edit(|log| log[from..].to_vec())
}

fn note(info: &PanicHookInfo<'_>) {
    let is_of = |file: &str| SHIPPED_CRATES.iter().any(|name| file.contains(&format!("crates/{name}/src/")));
    if let Some(place) = info.location().filter(|place| is_of(place.file())) {
        let message = info.payload_as_str().unwrap_or_default();
        edit(|log| log.extend(format!("panicked at {place}: {message}\n").bytes()));
    }
}

fn edit<T>(edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    edit(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

// === impl LogWriter ===

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        edit(|log| log.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_log_from_its_start() {
        tracing::info!(target: "ticketing_server", "before");
        let from = start_capture();
        tracing::trace!(target: "ticketing_server", "the canary");
        let log = String::from_utf8(since(from)).unwrap();
        assert!(log.contains("the canary") && !log.contains("before"), "{log}");
    }

    #[test]
    fn captures_every_crate_that_ships() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates");
        let folders = std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().file_name());
        let mut folders: Vec<_> = folders.map(|name| name.into_string().unwrap()).collect();
        folders.sort();
        assert_eq!(folders, SHIPPED_CRATES);
    }
}
