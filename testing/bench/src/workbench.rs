//! Folders with databases: an empty one to copy, and samples of real deliveries.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rhythmx_ticketing::v1;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::database::{Sample, Stages};
use crate::fake_jira::FakeJira;
use crate::load::{incident, submit};
use crate::server::{Server, Start};

/// More than are sent at a time, so that some wait.
const HELD: usize = 100;
/// How long a sample may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder of a run, and what was prepared in it.
#[derive(Debug)]
pub(crate) struct Workbench {
    folder: TempDir,
    next: AtomicU32,
    /// A data folder with a configured Jira and no delivery.
    empty: PathBuf,
    pub(crate) delivered: Sample,
    pub(crate) failed: Sample,
    pub(crate) stages: Stages,
}

// === impl Workbench ===

impl Workbench {
    /// Prepares everything with a server of its own.
    pub(crate) async fn prepare(program: &Path, parent: &Path) -> Result<Self> {
        fs::create_dir_all(parent)?;
        let folder = tempfile::tempdir_in(parent)?;
        let data = folder.path().join("samples");
        fs::create_dir(&data)?;
        let jira = FakeJira::start().await?;
        let server = Server::start(program, &data, &Start::default()).await?;
        server.configure(&jira).await?;
        server.stop().await?;
        let empty = folder.path().join("empty");
        copy(&data, &empty)?;

        let server = Server::start(program, &data, &Start::default()).await?;
        submit(server.clients(1).await?, "DELIVERED", 1).await?;
        server.until_delivered(&jira, 1).await?;
        let retry = v1::RetrySettings { max_retry_attempts: Some(0), ..Default::default() };
        let never = v1::ConfigureRequest { retry: Some(retry), ..Default::default() };
        server.client().await?.configure(never).await?;
        jira.refuse(true);
        server.client().await?.submit_incident(incident("REFUSED")).await?;
        until(&server, "a refused delivery FAILED", |counts| counts.failed == 1).await?;
        jira.refuse(false);
        jira.hold();
        submit(server.clients(8).await?, "HELD", HELD).await?;
        until(&server, "a held delivery ATTEMPTING", |counts| counts.attempting > 0).await?;
        let database = server.database();
        let waiting = Sample::take(&database, &format!("HELD-{}", HELD - 1))?;
        let sending = sending(&database)?;
        let delivered = Sample::take(&database, "DELIVERED-0")?;
        let failed = Sample::take(&database, "REFUSED")?;
        let stages = Stages::of(&waiting, &sending, &delivered);
        jira.release();
        server.until_delivered(&jira, HELD + 1).await?;
        jira.check(HELD + 1)?;
        server.stop().await?;
        fs::remove_dir_all(&data)?;
        Ok(Self { folder, next: AtomicU32::new(0), empty, delivered, failed, stages })
    }

    /// A path that was not used before.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// A new folder without a database.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A new data folder with a configured Jira and no delivery.
    pub(crate) fn empty_data(&self) -> Result<PathBuf> {
        let path = self.path("data");
        copy(&self.empty, &path)?;
        Ok(path)
    }
}

/// A held delivery that is being sent.
fn sending(database: &Path) -> Result<Sample> {
    for number in 0..HELD {
        let sample = Sample::take(database, &format!("HELD-{number}"))?;
        if sample.is_in_state("ATTEMPTING") {
            return Ok(sample);
        }
    }
    bail!("no delivery is ATTEMPTING")
}

async fn until(server: &Server, what: &str, is_so: impl Fn(&v1::DeliveryCounts) -> bool) -> Result<()> {
    let began = Instant::now();
    while !is_so(&server.counts().await?) {
        let counts = server.counts().await?;
        if began.elapsed() > PATIENCE {
            bail!("waited in vain until {what}: {counts:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        fs::copy(file.path(), &target).with_context(|| format!("failed to copy {}", target.display()))?;
    }
    Ok(())
}

/// The size of all files of a data folder, in bytes.
pub(crate) fn size(data: &Path) -> Result<u64> {
    let sizes = fs::read_dir(data)?.map(|file| Ok(file?.metadata()?.len()));
    sizes.sum()
}
