//! Power cuts: what was acknowledged is there after each of them, whatever the disk had not written yet.
//!
//! The real server keeps its data on a disk of `ticketing-disk`, which forgets what was not synced. It stands still after
//! so many more changes, the server is killed, and what it finds when it is started again is what had been synced, and
//! what of the rest had arrived by chance.

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

use crate::guards::program_without;
use crate::matrix::{Cell, words};
use power_cycle::PowerCycle;

pub(crate) use disk_faults::cells as disk_fault_cells;

/// How long the disk may take to stand still, if there is enough to do.
const UNTIL_STILL: Duration = Duration::from_secs(10);
/// A sync takes so long at least, as on a real disk, so that others come in while one goes on.
const SYNC: Duration = Duration::from_millis(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often the power is cut. Every fifth time it is in the first start of a new server, or soon after.
    #[arg(long, default_value_t = 100)]
    cuts: u32,
    /// Decides when the power goes, and what that takes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Without syncing what is committed: the run must find what is gone.
    #[arg(long)]
    weakened: bool,
}

/// What came of a run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    pub(crate) cuts: u64,
    /// Pushes that the server said it keeps.
    pub(crate) acknowledged: usize,
    /// What was acknowledged, and is not there: in words.
    pub(crate) gone: Vec<String>,
    /// Markers that stand on more than one ticket.
    pub(crate) twice: Vec<String>,
    pub(crate) forgotten: u64,
}

/// A disk, mounted until it is dropped.
#[derive(Debug)]
struct Mounted {
    disk: Disk,
    folder: TempDir,
}

/// The disk's cells of the matrix.
pub(crate) fn cells() -> Vec<Cell> {
    [cells::cells(), checkpoint::cells(), torn_log::cells(), upgrade::cells()].concat()
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { cuts, seed, weakened } = arguments;
    println!("seed {seed}");
    // Before anything else: where there is no such disk, nothing was shown.
    drop(Mounted::mount()?);
    let began = Instant::now();
    let program = weakened.then(|| program_without("synchronous")).transpose()?;
    let plan = move || match &program {
        Some(program) => Plan::new().with_program(program),
        None => Plan::new(),
    };
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let played = tokio::spawn({
        let outcome = outcome.clone();
        async move { play(&plan, cuts, seed, &mut *outcome.lock().await).await }
    });
    let broke = played.await.err().map(words);
    let outcome = outcome.lock().await;
    outcome.gone.iter().for_each(|gone| println!("GONE   {gone}"));
    outcome.twice.iter().for_each(|twice| println!("TWICE  {twice}"));
    println!("power: {outcome}; {:.0?}", began.elapsed());
    let again = format!("{} power --cuts {cuts} --seed {seed}", crate::command());
    if outcome.acknowledged == 0 {
        let why = broke.map(|why| format!(": {why}")).unwrap_or_default();
        bail!("nothing was acknowledged, so nothing was shown; again with `{again}`{why}");
    }
    match (weakened, outcome.is_good(), broke) {
        (false, true, None) | (true, false, _) => Ok(()),
        (false, _, Some(why)) => bail!("a promise broke, again with `{again}`: {why}"),
        (false, false, None) => bail!("a promise broke, again with `{again}`"),
        (true, true, Some(why)) => bail!("nothing that was acknowledged is gone, but: {why}"),
        (true, true, None) => bail!("nothing is gone, although nothing was synced"),
    }
}

async fn play(plan: &(dyn Fn() -> Plan + Sync), cuts: u32, seed: u64, outcome: &mut Outcome) {
    // Each of them is two cuts.
    first_start::play(plan, u64::from(cuts / 10), seed, outcome).await;
    let left = u64::from(cuts).saturating_sub(outcome.cuts);
    PowerCycle::begin(plan(), seed).await.play(left, outcome).await;
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.gone.is_empty() && self.twice.is_empty()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cuts, acknowledged, gone, twice, forgotten } = self;
        let (gone, twice) = (gone.len(), twice.len());
        write!(
            f,
            "{cuts} cuts, {acknowledged} acknowledged, {gone} gone, {twice} twice, {forgotten} sectors forgotten"
        )
    }
}

// === impl Mounted ===

impl Mounted {
    fn mount() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let disk = Disk::mount(folder.path(), Options::default())?;
        disk.fail(Fault::SlowSync(SYNC));
        Ok(Self { disk, folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The server dies with the power.
    async fn cut(&self, server: &mut Server, random: &mut Random) {
        let seed = random.next_u64();
        server.kill_and(|| self.disk.cut(seed)).await;
    }

    /// Waits until the disk stands still at what it was told to stand still at.
    async fn until_held(&self, what: &str) {
        self.until_still().await;
        assert!(self.disk.wait_until_still(Duration::ZERO), "there is no {what}");
    }

    /// Waits until the disk stands still. If it does not come so far, it is cut as it is.
    async fn until_still(&self) {
        let wait = async {
            while !self.disk.wait_until_still(Duration::ZERO) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(UNTIL_STILL, wait).await;
    }
}
