//! CreateTicket with one caller.

use std::cell::RefCell;

use anyhow::Result;

use super::{Site, delivery, plain_delivery};
use crate::load::create;
use crate::measure::{Bench, Findings, Line, in_turns};
use crate::statistics::percentile;

const LIMIT: &str = "SQLite with 3 commits, and a POST";

pub(super) async fn run(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(500, 20);
    let body = delivery::body(bench).await?;
    let slowest = RefCell::new([Vec::new(), Vec::new()]);
    let ours = async || {
        let site = Site::start(bench).await?;
        let durations = create(site.server.clients(1).await?, "ONE", count).await?;
        site.finish(count).await?;
        slowest.borrow_mut()[0].push(percentile(&durations, 99.0));
        Ok(percentile(&durations, 50.0))
    };
    let plain = async || {
        let durations = plain_delivery::deliver(bench, &body, 1, count).await?.durations;
        slowest.borrow_mut()[1].push(percentile(&durations, 99.0));
        Ok(percentile(&durations, 50.0))
    };
    let [p50, plain_p50] = in_turns(bench.scale.rounds, ours, plain).await?;
    let [p99, plain_p99] = slowest.into_inner();
    let lines = vec![
        Line::alone("CreateTicket, one at a time, p50", "ms", p50).against(LIMIT, plain_p50),
        Line::alone("CreateTicket, one at a time, p99", "ms", p99).against(LIMIT, plain_p99),
    ];
    Ok(Findings { lines, ..Findings::default() })
}
