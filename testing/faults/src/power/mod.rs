//! Power cuts: acknowledged writes survive each of them, whatever the disk had not written yet.
//!
//! The real server stores its data on a disk of `ticketing-disk`, which drops unsynced data. After a number
//! of changes the disk freezes and the server is killed. The next start finds the synced data, and a random
//! part of the rest.

mod acknowledged;
mod cells;
mod checkpoint;
mod disk_faults;
mod first_start;
mod power_cycle;
mod torn_log;
mod upgrade;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;
use ticketing_disk::{Disk, Fault, Options, Random};
use ticketing_harness::{Plan, Server};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::matrix::cell::Cell;
use crate::panic_message::task_panic_message;
use crate::weakened_server::build_without_guard;
use power_cycle::PowerCycle;

pub(crate) use disk_faults::cells as disk_fault_cells;

/// Time limit for the disk to freeze under load.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(10);
/// Minimum duration of a sync, as on a real disk, so that further commits arrive during one.
const MIN_SYNC_TIME: Duration = Duration::from_millis(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Number of power cuts. Every fifth one is during the first start of a new server, or soon after.
    #[arg(long, default_value_t = 100)]
    cuts: u32,
    /// Determines when the power is cut, and what is lost.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Without syncing commits: the run must detect the loss.
    #[arg(long)]
    weakened: bool,
}

/// The results of a run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    pub(crate) cuts: u64,
    /// Number of pushes that the server acknowledged.
    pub(crate) acknowledged: usize,
    /// Descriptions of acknowledged writes that are missing.
    pub(crate) lost: Vec<String>,
    /// Markers that more than one ticket has.
    pub(crate) duplicated: Vec<String>,
    pub(crate) sectors_lost: u64,
}

/// A simulated disk, mounted until it is dropped.
#[derive(Debug)]
struct MountedDisk {
    disk: Disk,
    folder: TempDir,
}

/// The disk cells of the matrix.
pub(crate) fn cells() -> Vec<Cell> {
    [cells::cells(), checkpoint::cells(), torn_log::cells(), upgrade::cells()].concat()
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { cuts, seed, weakened } = arguments;
    println!("seed {seed}");
    // Fails early on a machine that cannot mount such a disk.
    drop(MountedDisk::mount()?);
    let began = Instant::now();
    let program = weakened.then(|| build_without_guard("synchronous")).transpose()?;
    let plan = move || match &program {
        Some(program) => Plan::new().with_program(program),
        None => Plan::new(),
    };
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let played = tokio::spawn({
        let outcome = outcome.clone();
        async move { cut_repeatedly(&plan, cuts, seed, &mut *outcome.lock().await).await }
    });
    let broke = played.await.err().map(task_panic_message);
    let outcome = outcome.lock().await;
    outcome.lost.iter().for_each(|lost| println!("LOST   {lost}"));
    outcome.duplicated.iter().for_each(|duplicated| println!("DUPLICATED  {duplicated}"));
    println!("power: {outcome}; {:.0?}", began.elapsed());
    let again = format!("{} power --cuts {cuts} --seed {seed}", crate::replay_prefix());
    if outcome.acknowledged == 0 {
        let why = broke.map(|why| format!(": {why}")).unwrap_or_default();
        bail!("nothing was acknowledged, so nothing was shown; again with `{again}`{why}");
    }
    match (weakened, outcome.is_intact(), broke) {
        (false, true, None) | (true, false, _) => Ok(()),
        (false, _, Some(why)) => bail!("a promise broke, again with `{again}`: {why}"),
        (false, false, None) => bail!("a promise broke, again with `{again}`"),
        (true, true, Some(why)) => bail!("nothing that was acknowledged is lost, but: {why}"),
        (true, true, None) => bail!("nothing is lost, although nothing was synced"),
    }
}

async fn cut_repeatedly(plan: &(dyn Fn() -> Plan + Sync), cuts: u32, seed: u64, outcome: &mut Outcome) {
    // Each first start has two cuts.
    first_start::run(plan, u64::from(cuts / 10), seed, outcome).await;
    let left = u64::from(cuts).saturating_sub(outcome.cuts);
    PowerCycle::begin(plan(), seed).await.run(left, outcome).await;
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn is_intact(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cuts, acknowledged, lost, duplicated, sectors_lost } = self;
        let lost = lost.len();
        let duplicated = duplicated.len();
        write!(
            f,
            "{cuts} cuts, {acknowledged} acknowledged, {lost} lost, {duplicated} created twice, {sectors_lost} sectors dropped"
        )
    }
}

// === impl MountedDisk ===

impl MountedDisk {
    fn mount() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let disk = Disk::mount(folder.path(), Options::default())?;
        disk.fail(Fault::SlowSync(MIN_SYNC_TIME));
        Ok(Self { disk, folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Cuts the power and kills the server.
    async fn cut(&self, server: &mut Server, random: &mut Random) {
        let seed = random.next_u64();
        server.kill_and(|| self.disk.cut(seed)).await;
    }

    /// Waits until the disk freezes at the configured operation.
    async fn until_held(&self, what: &str) {
        self.until_frozen().await;
        assert!(self.disk.wait_until_frozen(Duration::ZERO), "there is no {what}");
    }

    /// Waits until the disk freezes. If it does not, the power is cut all the same.
    async fn until_frozen(&self) {
        let wait = async {
            while !self.disk.wait_until_frozen(Duration::ZERO) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(FREEZE_TIMEOUT, wait).await;
    }
}
