//! From a push to the recorded ticket, with a Jira that answers at once.

use std::cell::RefCell;

use anyhow::Result;
use bytes::Bytes;
use tokio::time::Instant;

use super::{CALLERS, Site, plain_delivery};
use crate::load::{create as create_tickets, rate, submit};
use crate::measure::{Bench, Findings, Line, in_turns};
use crate::statistics::millis;

const LIMIT: &str = "SQLite with 3 group commits each, and a POST; 32 workers";

pub(super) async fn submit_to_recorded(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(3_000, 100);
    let body = body(bench).await?;
    let cpu = RefCell::new(Vec::new());
    let ours = async || {
        let site = Site::start(bench).await?;
        let clients = site.server.clients(CALLERS).await?;
        let cpu_before = site.server.cpu()?;
        let began = Instant::now();
        submit(clients, "DELIVER", count).await?;
        site.server.until_delivered(&site.jira, count).await?;
        let rate = rate(count, began.elapsed());
        let used = site.server.cpu()?.saturating_sub(cpu_before);
        cpu.borrow_mut().push(millis(used) / count as f64);
        site.finish(count).await?;
        Ok(rate)
    };
    let plain = async || Ok(plain_delivery::deliver(bench, &body, CALLERS, count).await?.per_second);
    let [rates, limits] = in_turns(bench.scale.rounds, ours, plain).await?;
    let lines = vec![
        Line::alone("submit to recorded ticket, default flags", "1/s", rates).against(LIMIT, limits),
        Line::alone("CPU time of the server for it", "ms each", cpu.into_inner()),
    ];
    Ok(Findings { lines, ..Findings::default() })
}

pub(super) async fn create(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(3_000, 100);
    let body = body(bench).await?;
    let ours = async || {
        let site = Site::start(bench).await?;
        let clients = site.server.clients(CALLERS).await?;
        let began = Instant::now();
        create_tickets(clients, "CREATE", count).await?;
        let rate = rate(count, began.elapsed());
        site.finish(count).await?;
        Ok(rate)
    };
    let plain = async || Ok(plain_delivery::deliver(bench, &body, CALLERS, count).await?.per_second);
    let [rates, limits] = in_turns(bench.scale.rounds, ours, plain).await?;
    let lines = vec![Line::alone("CreateTicket, 32 callers", "1/s", rates).against(LIMIT, limits)];
    Ok(Findings { lines, ..Findings::default() })
}

/// The body of a real create.
pub(super) async fn body(bench: &Bench) -> Result<Bytes> {
    let site = Site::start(bench).await?;
    create_tickets(site.server.clients(1).await?, "BODY", 1).await?;
    let body = site.jira.last_body();
    site.finish(1).await?;
    Ok(body)
}
