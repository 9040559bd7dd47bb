//! The limit of the store: the same rows through plain SQLite on one thread, with group commit and prepared statements.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context, Result, anyhow};
use rusqlite::{Connection, Statement};
use tokio::sync::oneshot;

use super::sample::{DELIVERIES, Names, Sample, Table, run, values};

/// Maximum number of writes in a transaction, as in the store.
const MAX_BATCH: usize = 256;

/// The commits of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Accept,
    /// The claim with the intent to send.
    Intend,
    Record,
}

/// The rows that each commit of a delivery writes.
#[derive(Debug, Clone)]
pub(crate) struct Stages {
    accept: Vec<Table>,
    intend: Vec<Table>,
    record: Vec<Table>,
}

/// The writing thread.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    queue: Sender<Job>,
}

#[derive(Debug)]
struct Job {
    stage: Stage,
    number: u64,
    done: oneshot::Sender<Result<(), String>>,
}

/// A table with its statement.
type Prepared<'a> = (&'a Table, Statement<'a>);

// === impl Stages ===

impl Stages {
    /// From samples of a delivery that was accepted, that is being sent, and that is delivered.
    pub(crate) fn of(accepted: &Sample, sending: &Sample, delivered: &Sample) -> Self {
        Self {
            accept: accepted.tables.clone(),
            intend: added(accepted, sending),
            record: added(sending, delivered),
        }
    }

    pub(super) fn accept(&self) -> &[Table] {
        &self.accept
    }
}

/// What a sample has in addition to an earlier one: the delivery as it is then, and new rows of other tables.
fn added(earlier: &Sample, later: &Sample) -> Vec<Table> {
    let mut added: Vec<Table> = later.deliveries().cloned().into_iter().collect();
    for table in later.tables.iter().filter(|table| table.name != DELIVERIES) {
        let rows = table.rows.get(earlier.rows_in(&table.name)..).unwrap_or_default().to_vec();
        added.push(Table { rows, ..table.clone() });
    }
    added.retain(|table| !table.rows.is_empty());
    added
}

// === impl GroupCommit ===

impl GroupCommit {
    /// Starts the thread over a database without deliveries.
    pub(crate) fn open(database: &Path, stages: &Stages) -> Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let db = super::open(database)?;
        let stages = stages.clone();
        thread::Builder::new()
            .name("plain-sqlite".to_owned())
            .spawn(move || write_all(&db, &stages, &jobs))?;
        Ok(Self { queue })
    }

    /// Writes the rows of a stage of the delivery with this number; returns after the commit.
    pub(crate) async fn commit(&self, stage: Stage, number: u64) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.queue.send(Job { stage, number, done }).map_err(|_| anyhow!("the writing thread ended"))?;
        answer.await.context("the writing thread ended")?.map_err(|error| anyhow!(error))
    }
}

fn write_all(db: &Connection, stages: &Stages, jobs: &Receiver<Job>) {
    let prepared = [Stage::Accept, Stage::Intend, Stage::Record].map(|stage| prepare(db, stages, stage));
    let [Ok(mut accept), Ok(mut intend), Ok(mut record)] = prepared else { return };
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(MAX_BATCH - 1));
        let written = db.execute_batch("BEGIN IMMEDIATE").map_err(anyhow::Error::from).and_then(|()| {
            for job in &batch {
                match job.stage {
                    Stage::Accept => write(&mut accept, job)?,
                    Stage::Intend => write(&mut intend, job)?,
                    Stage::Record => write(&mut record, job)?,
                }
            }
            Ok(db.execute_batch("COMMIT")?)
        });
        let written = written.map_err(|error| format!("{error:#}"));
        if written.is_err() {
            // The answer has the error that matters.
            let _ = db.execute_batch("ROLLBACK");
        }
        for job in batch {
            let _ = job.done.send(written.clone());
        }
    }
}

fn prepare<'a>(db: &'a Connection, stages: &'a Stages, stage: Stage) -> Result<Vec<Prepared<'a>>> {
    let tables = match stage {
        Stage::Accept => &stages.accept,
        Stage::Intend => &stages.intend,
        Stage::Record => &stages.record,
    };
    let prepare = |table: &'a Table| {
        let is_update = table.name == DELIVERIES && stage != Stage::Accept;
        let statement = if is_update { table.update() } else { table.insert() };
        Ok((table, db.prepare(&statement)?))
    };
    tables.iter().map(prepare).collect()
}

fn write(tables: &mut [Prepared<'_>], job: &Job) -> Result<()> {
    let names = Names::numbered(job.number);
    for (table, statement) in tables {
        for row in &table.rows {
            let mut values = values(row, &names, 0);
            if table.name == DELIVERIES && job.stage != Stage::Accept {
                values.push(names.delivery().to_owned().into());
            }
            run(statement, values)?;
        }
    }
    Ok(())
}
