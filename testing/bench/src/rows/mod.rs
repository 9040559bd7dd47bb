//! The rows, one function each.

mod accept;
mod burst;
mod delivery;
mod events;
mod footprint;
mod growth;
mod one_at_a_time;
mod plain_delivery;
pub(crate) mod soak;
mod status;

use std::path::PathBuf;

use anyhow::Result;

use crate::fake_jira::FakeJira;
use crate::measure::{Bench, Findings, Row};
use crate::server::{Server, Start};

/// Callers of the rows with many.
const CALLERS: usize = 32;

pub(crate) async fn run(bench: &Bench, row: Row) -> Result<Findings> {
    match row {
        Row::Accept => accept::run(bench).await,
        Row::Delivery => delivery::submit_to_recorded(bench).await,
        Row::Create => delivery::create(bench).await,
        Row::Burst => burst::unlimited(bench).await,
        Row::Throttled => burst::throttled(bench).await,
        Row::Latency => burst::latency(bench).await,
        Row::OneAtATime => one_at_a_time::run(bench).await,
        Row::Replay => events::replay(bench).await,
        Row::Live => events::live(bench).await,
        Row::Status => status::run(bench).await,
        Row::Growth => growth::run(bench).await,
        Row::Footprint => footprint::run(bench).await,
    }
}

/// A server with default flags over a new database, connected to a Jira of its own.
struct Site {
    server: Server,
    jira: FakeJira,
    data: PathBuf,
}

impl Site {
    async fn start(bench: &Bench) -> Result<Self> {
        Self::start_with(bench, vec![]).await
    }

    /// The same with flags.
    async fn start_with(bench: &Bench, flags: Vec<String>) -> Result<Self> {
        let data = bench.workbench.folder("data")?;
        let jira = FakeJira::start().await?;
        let server = Server::start(bench.program(), &data, &Start { flags, ..Start::default() }).await?;
        server.configure(&jira).await?;
        Ok(Self { server, jira, data })
    }

    /// Waits until everything is delivered; then there must be exactly `asked` tickets. Returns the size of the data
    /// folder in bytes.
    async fn finish(self, asked: usize) -> Result<u64> {
        let data = self.stop(asked).await?;
        let size = crate::workbench::size(&data)?;
        std::fs::remove_dir_all(&data)?;
        Ok(size)
    }

    /// The same, and keeps the data folder, which it returns.
    async fn stop(self, asked: usize) -> Result<PathBuf> {
        self.server.until_delivered(&self.jira, asked).await?;
        self.jira.check(asked)?;
        self.server.stop().await?;
        Ok(self.data)
    }
}
