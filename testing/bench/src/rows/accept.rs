//! Durable accept: while Jira answers nothing, so that almost nothing else is written.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::{CALLERS, Site};
use crate::database::{GroupCommit, Naive, Stage};
use crate::load::{each, rate, submit};
use crate::measure::{Bench, Findings, Line, in_turns};

const WORK: &str = "durable accept (SubmitIncident), 32 callers";

pub(super) async fn run(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(5_000, 100);
    let rounds = bench.scale.rounds;
    let [ours, limit] = in_turns(rounds, || ours(bench, count), || plain(bench, count)).await?;
    let [again, naive] = in_turns(rounds, || self::ours(bench, count), || self::naive(bench, count)).await?;
    let lines = vec![
        Line::alone(WORK, "1/s", ours).against("SQLite, the same rows, one thread, group commit", limit),
        Line::alone(WORK, "1/s", again).against("sqlx, the same rows, a transaction each", naive),
    ];
    Ok(Findings { lines, ..Findings::default() })
}

async fn ours(bench: &Bench, count: usize) -> Result<f64> {
    let site = Site::start(bench).await?;
    site.jira.hold();
    let clients = site.server.clients(CALLERS).await?;
    let began = Instant::now();
    submit(clients, "ACCEPT", count).await?;
    let rate = rate(count, began.elapsed());
    site.jira.release();
    site.finish(count).await?;
    Ok(rate)
}

async fn plain(bench: &Bench, count: usize) -> Result<f64> {
    let database = bench.workbench.empty_data()?.join("ticketing.db");
    let writer = Arc::new(GroupCommit::open(&database, &bench.workbench.stages)?);
    let began = Instant::now();
    let callers = vec![writer; CALLERS];
    each(callers, count, |writer, index| async move { writer.commit(Stage::Accept, index as u64).await }).await?;
    Ok(rate(count, began.elapsed()))
}

async fn naive(bench: &Bench, count: usize) -> Result<f64> {
    let database = bench.workbench.empty_data()?.join("ticketing.db");
    let naive = Naive::open(&database, &bench.workbench.stages).await?;
    let began = Instant::now();
    let callers = vec![naive; CALLERS];
    each(callers, count, |naive, index| async move { naive.accept(index as u64).await }).await?;
    Ok(rate(count, began.elapsed()))
}
