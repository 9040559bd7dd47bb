//! Durable accept: while Jira answers nothing, so that almost nothing else is written.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::{CALLERS, Site};
use crate::database::{GroupCommit, Naive, Stage};
use crate::load::{each, rate, submit};
use crate::measure::{Bench, Findings, Line};

const WORK: &str = "durable accept (SubmitIncident), 32 callers";

pub(super) async fn run(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(3_000, 100);
    let [mut rates, mut limits, mut peers] = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..bench.scale.rounds {
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => rates.push(ours(bench, count).await?),
                1 => limits.push(plain(bench, count).await?),
                _ => peers.push(naive(bench, count).await?),
            }
        }
    }
    let limit = Line::alone(WORK, "1/s", rates.clone());
    let limit = limit.against("SQLite, the same rows, one thread, group commit", limits);
    let peer =
        Line::alone("the same", "1/s", rates).against("sqlx, the same rows, a transaction each", peers);
    Ok(Findings { lines: vec![limit, peer], ..Findings::default() })
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
    each(callers, count, |writer, index| async move { writer.commit(Stage::Accept, index as u64).await })
        .await?;
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
