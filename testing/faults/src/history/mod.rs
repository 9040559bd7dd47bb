//! Histories: many incidents under random faults, while the server is killed, stopped and suspended. Records
//! what callers and subscribers see, and checks it against the promises.
//!
//! A seed determines the incidents, the actions of callers and operators, the faults of the n-th create and
//! look-up of each incident, and the faults of the server after a number of incidents. It does not determine
//! the interleaving of threads: which request is in progress when the server is killed, and so how many
//! creates an incident needs. A bug that depends on rare timing may need several runs of its seed, or a
//! larger one; a bug in the interpretation of a reply is reproduced at once.
//!
//! A history consists of rounds, each with new ticket systems and a new database, so that its length is not
//! limited by memory. A single round can be replayed.

mod callers;
mod checker;
mod naive;
mod plan;
mod progress;
mod random_faults;
mod record;
mod round;
mod seeded_random;
mod subscribers;

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use futures_util::FutureExt;
use tokio::time::Instant;

use self::checker::{Promise, Verdict};
use self::naive::NaiveOutcome;
use self::record::Entry;
use self::round::Round;
use crate::panic_message::panic_message;
use crate::weakened_server::build_without_guard;

/// How many broken promises are printed with all their entries.
const MAX_TRACES: usize = 3;
/// How many are printed in total.
const MAX_PRINTED: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Number of deliveries.
    #[arg(long, default_value_t = 2_000)]
    deliveries: usize,
    /// The seed of incidents, actions and faults.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Number of times that the process is killed, stopped or suspended; default once per 500 deliveries.
    /// With 0 the server runs in this process.
    #[arg(long)]
    kills: Option<usize>,
    /// Faults per thousand first creates; a third of that for later ones.
    #[arg(long, default_value_t = 600)]
    fault_rate: u64,
    /// Maximum number of deliveries per round.
    #[arg(long, default_value_t = 10_000)]
    round_size: usize,
    /// Runs only this round, counted from 0.
    #[arg(long)]
    only_round: Option<u64>,
    /// Number of concurrent callers.
    #[arg(long, default_value_t = 48)]
    callers: usize,
    /// Maximum number of unfinished deliveries.
    #[arg(long, default_value_t = 2_000)]
    window: usize,
    /// Concurrent creates per ticket system. 1 to 64.
    #[arg(long, default_value_t = 64)]
    concurrency: u16,
    /// Folder of the databases; by default in memory, if possible.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Runs only the naive client.
    #[arg(long)]
    naive_only: bool,
    /// Skips the naive client.
    #[arg(long, conflicts_with = "naive_only")]
    no_naive: bool,
    /// Writes the record to this file, as JSON lines.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Runs nothing, and checks a file written by --record.
    #[arg(long)]
    check: Option<PathBuf>,
    /// Disables this guard, to check that the checker detects it.
    #[arg(long)]
    without: Option<String>,
}

/// The results of all rounds.
#[derive(Debug, Default)]
struct Sum {
    deliveries: usize,
    delivered: usize,
    failed: usize,
    cancelled: usize,
    unknown_outcomes: usize,
    creates: usize,
    searches: u64,
    events: usize,
    server_faults: usize,
    void: usize,
    duplicated: usize,
    lost: usize,
    unexplained: usize,
    naive: NaiveOutcome,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    if let Some(file) = &arguments.check {
        return check(file);
    }
    let began = Instant::now();
    let mut sum = Sum::default();
    let mut aborted = None;
    let program = arguments.without.as_deref().map(build_without_guard).transpose()?;
    let rounds = arguments.rounds(program.as_deref())?;
    let mut record =
        arguments.record.as_ref().map(File::create).transpose().context("--record")?.map(BufWriter::new);
    for round in &rounds {
        if !arguments.naive_only {
            let started = Instant::now();
            let result = AssertUnwindSafe(round.run()).catch_unwind().await;
            let entries = match result.unwrap_or_else(|payload| Err(Error::msg(panic_message(&*payload)))) {
                Ok(entries) => entries,
                Err(why) => {
                    aborted = Some((round.number, why));
                    break;
                }
            };
            if let Some(file) = &mut record {
                record::write(&entries, file)?;
            }
            let verdict = checker::check(&entries);
            println!("round {}: {}; {:.0?}", round.number, describe(&verdict), started.elapsed());
            print_failures(&verdict, &entries);
            if !verdict.broken.is_empty() {
                println!("round {} again: {}", round.number, arguments.replay_command(round.number));
            }
            sum.add(&verdict);
        }
        if !arguments.no_naive {
            sum.add_naive(naive::run(round, arguments.callers * 4).await?);
        }
    }
    println!(
        "{} creates, {} look-ups and {} events in {:.0?}; the naive client made {} tickets too many of {}",
        sum.creates,
        sum.searches,
        sum.events,
        began.elapsed(),
        sum.naive.surplus,
        sum.naive.deliveries,
    );
    println!("{}", sum.last_line(&arguments));
    if let Some((round, why)) = aborted {
        bail!(
            "round {round} could not be played to its end, again with `{}`: {why:#}",
            arguments.replay_command(round)
        );
    }
    sum.verdict(arguments.seed)
}

/// Checks an earlier record.
fn check(file: &PathBuf) -> Result<()> {
    let mut sum = Sum::default();
    let mut seed = 0;
    for entries in record::read(BufReader::new(File::open(file).context("--check")?))? {
        let verdict = checker::check(&entries);
        println!("round {}: {}", verdict.setting.round, describe(&verdict));
        print_failures(&verdict, &entries);
        sum.add(&verdict);
        seed = verdict.setting.seed;
    }
    println!("history: seed {seed}, {}", sum.counts());
    sum.verdict(seed)
}

fn describe(verdict: &Verdict) -> String {
    let Verdict { deliveries, unknown_outcomes, server_faults, void, broken, .. } = verdict;
    let void = void.len();
    let broken = broken.len();
    format!(
        "{deliveries} deliveries, {unknown_outcomes} of unknown outcome, {server_faults} kills, {void} void, {broken} broken"
    )
}

/// The broken promises, and the complete entries of the first ones.
fn print_failures(verdict: &Verdict, entries: &[Entry]) {
    for broken in verdict.broken.iter().take(MAX_PRINTED) {
        let delivery = broken.delivery.as_deref().unwrap_or("-");
        println!("BROKEN {:?}, delivery {delivery}: {}", broken.promise, broken.why);
    }
    if verdict.broken.len() > MAX_PRINTED {
        println!("... and {} more", verdict.broken.len() - MAX_PRINTED);
    }
    let mut shown = verdict.broken.iter().filter_map(|broken| broken.delivery.as_deref()).collect::<Vec<_>>();
    shown.dedup();
    for delivery in shown.into_iter().take(MAX_TRACES) {
        println!("entries about {delivery}:");
        for entry in checker::entries_about(entries, delivery) {
            println!("    {}", serde_json::to_string(&entry).unwrap_or_default());
        }
    }
}

// === impl Arguments ===

impl Arguments {
    /// The command that replays one round.
    fn replay_command(&self, round: u64) -> String {
        let Self { deliveries, seed, fault_rate, round_size, callers, window, concurrency, .. } = self;
        let without = self.without.as_deref().map(|guard| format!(" --without {guard}")).unwrap_or_default();
        format!(
            "{} history --deliveries {deliveries} --seed {seed} --kills {} --fault-rate {fault_rate} --round-size {round_size} \
             --callers {callers} --window {window} --concurrency {concurrency}{without} --only-round {round} --no-naive",
            crate::replay_prefix(),
            self.kills(),
        )
    }

    fn kills(&self) -> usize {
        self.kills.unwrap_or(self.deliveries.div_ceil(500))
    }

    fn rounds<'a>(&'a self, program: Option<&'a Path>) -> Result<Vec<Round<'a>>> {
        let count = self.deliveries.div_ceil(self.round_size.max(2)).max(1);
        let kills = self.kills();
        let share = |whole: usize, round: usize| whole * (round + 1) / count - whole * round / count;
        let rounds = (0..count).map(|round| Round {
            data: self.data.as_deref(),
            seed: self.seed,
            number: round as u64,
            deliveries: share(self.deliveries, round),
            server_faults: share(kills, round),
            fault_rate: self.fault_rate,
            callers: self.callers.max(1),
            window: self.window,
            concurrency: self.concurrency,
            program,
        });
        let wanted = rounds.filter(|round| self.only_round.is_none_or(|only| only == round.number));
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() { bail!("there are {count} rounds, counted from 0") } else { Ok(wanted) }
    }
}

// === impl Sum ===

impl Sum {
    fn add(&mut self, verdict: &Verdict) {
        self.deliveries += verdict.deliveries;
        self.delivered += verdict.delivered;
        self.failed += verdict.failed;
        self.cancelled += verdict.cancelled;
        self.unknown_outcomes += verdict.unknown_outcomes;
        self.creates += verdict.creates;
        self.searches += verdict.searches;
        self.events += verdict.events;
        self.server_faults += verdict.server_faults;
        self.void += verdict.void.len();
        let broken = |promise| verdict.broken.iter().filter(|broken| broken.promise == promise).count();
        self.duplicated += broken(Promise::NotTwice);
        self.lost += broken(Promise::NotLost);
        self.unexplained += broken(Promise::Explained);
    }

    fn add_naive(&mut self, naive_outcome: NaiveOutcome) {
        self.naive.deliveries += naive_outcome.deliveries;
        self.naive.duplicated += naive_outcome.duplicated;
        self.naive.surplus += naive_outcome.surplus;
        self.naive.lost += naive_outcome.lost;
    }

    fn counts(&self) -> String {
        let Self { deliveries, delivered, failed, cancelled, .. } = self;
        let Self { unknown_outcomes, server_faults, void, duplicated, lost, unexplained, .. } = self;
        let void = if *void > 0 { format!(", {void} void") } else { String::new() };
        format!(
            "{deliveries} deliveries, {delivered} delivered, {failed} failed, {cancelled} cancelled, {unknown_outcomes} of unknown \
             outcome, {server_faults} kills{void}, {duplicated} created twice, {lost} lost, {unexplained} unexplained"
        )
    }

    fn last_line(&self, arguments: &Arguments) -> String {
        let NaiveOutcome { deliveries, duplicated, lost, .. } = self.naive;
        let seed = arguments.seed;
        let naive = format!("naive client on the same faults: {duplicated} created twice, {lost} lost");
        match (arguments.naive_only, arguments.no_naive) {
            (true, _) => format!("history: seed {seed}; {naive} of {deliveries}"),
            (_, true) => format!("history: seed {seed}, {}", self.counts()),
            _ => format!("history: seed {seed}, {}; {naive}", self.counts()),
        }
    }

    fn verdict(&self, seed: u64) -> Result<()> {
        let broken = self.duplicated + self.lost + self.unexplained;
        if broken > 0 {
            bail!("{broken} promises broke with seed {seed}");
        }
        // A machine that is too slow for the bounds proves nothing.
        if self.void * 100 > self.deliveries {
            bail!("{} of {} deliveries are void: this machine is too slow", self.void, self.deliveries);
        }
        Ok(())
    }
}
