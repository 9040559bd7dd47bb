//! Many incidents at once to a Jira that takes its time, and what an analyst's CreateTicket waits for in the middle.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::{CALLERS, Site, delivery, plain_delivery};
use crate::load::{create_one, incident, rate, submit, submit_paced};
use crate::measure::{Bench, Findings, Line, Plot, in_turns};

/// The highest concurrency by default.
const AT_A_TIME: usize = 64;
const LIMIT: &str = "POST alone, 64 at a time";

/// How a burst went.
struct Burst {
    /// Until every ticket was recorded.
    elapsed: Duration,
    /// The analyst's call.
    analyst: Duration,
}

pub(super) async fn unlimited(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(1_000, 40);
    let latency = Duration::from_millis(bench.pick(300, 20));
    let body = delivery::body(bench).await?;
    let analysts = RefCell::new(Vec::new());
    let ours = async || {
        let burst = burst(bench, count, latency).await?;
        analysts.borrow_mut().push(burst.analyst.as_secs_f64());
        Ok(burst.elapsed.as_secs_f64())
    };
    let plain = async || {
        let elapsed = plain_delivery::post_all(&body, latency, AT_A_TIME, count).await?;
        Ok(elapsed.as_secs_f64())
    };
    let [times, limits] = in_turns(bench.scale.rounds, ours, plain).await?;
    let work =
        format!("{count} incidents at once, Jira answers in {} ms, default flags", latency.as_millis());
    let lines = vec![
        Line::alone(work, "s", times).against(LIMIT, limits),
        Line::alone("an analyst's CreateTicket in the middle of it", "s", analysts.into_inner()),
    ];
    Ok(Findings { lines, ..Findings::default() })
}

async fn burst(bench: &Bench, count: usize, latency: Duration) -> Result<Burst> {
    let site = Site::start(bench).await?;
    site.jira.answer_after(latency);
    let clients = site.server.clients(CALLERS).await?;
    let began = Instant::now();
    let pushes = tokio::spawn(submit(clients, "BURST", count));
    let analyst = analyst(&site, count / 5).await?;
    pushes.await.context("the callers panicked")??;
    site.server.until_delivered(&site.jira, count + 1).await?;
    let elapsed = began.elapsed();
    site.finish(count + 1).await?;
    Ok(Burst { elapsed, analyst })
}

/// The duration of a CreateTicket that is called when there are this many tickets.
async fn analyst(site: &Site, after: usize) -> Result<Duration> {
    let mut client = site.server.client().await?;
    while site.jira.tickets() < after {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let began = Instant::now();
    create_one(&mut client, incident("ANALYST")).await?;
    Ok(began.elapsed())
}

/// Measured once: it takes two minutes, and its rate is given.
pub(super) async fn throttled(bench: &Bench) -> Result<Findings> {
    let count = bench.pick(1_000, 40);
    let allowed = bench.pick(10.0, 20.0);
    let until = Duration::from_secs(bench.pick(120, 4));
    let site = Site::start(bench).await?;
    site.jira.answer_after(Duration::from_millis(bench.pick(300, 20)));
    site.jira.limit(allowed);
    let clients = site.server.clients(CALLERS).await?;
    let began = Instant::now();
    let arrival = Duration::from_secs(bench.pick(10, 1));
    let pushes = tokio::spawn(submit_paced(clients, "THROTTLED", count, arrival));
    let analyst = analyst(&site, count / 5).await?;
    pushes.await.context("the callers panicked")??;
    tokio::time::sleep_until(began + until).await;
    let tickets = site.jira.tickets();
    let share = 100.0 * site.jira.throttled() as f64 / site.jira.creates().max(1) as f64;
    // What is left is not measured.
    site.jira.limit(1_000.0);
    site.finish(count + 1).await?;
    let seconds = until.as_secs();
    let work = format!(
        "{count} incidents in {} s, Jira allows {allowed}/s: tickets after {seconds} s",
        arrival.as_secs()
    );
    let most = ((seconds as f64 + 1.0) * allowed).min((count + 1) as f64);
    let lines = vec![
        Line::alone(work, "tickets", vec![tickets as f64]).against("as many as Jira allows", vec![most]),
        Line::alone("creates answered with 429 in it", "%", vec![share]),
        Line::alone("an analyst's CreateTicket in the middle of it", "s", vec![analyst.as_secs_f64()]),
    ];
    Ok(Findings { lines, ..Findings::default() })
}

/// The first plot.
pub(super) async fn latency(bench: &Bench) -> Result<Findings> {
    let latencies: &[u64] = bench.pick(&[0, 10, 30, 100, 300, 1_000], &[0, 10]);
    let count = bench.pick(1_000, 40);
    let body = delivery::body(bench).await?;
    let [mut ours, mut plain] = [Vec::new(), Vec::new()];
    for millis in latencies {
        let latency = Duration::from_millis(*millis);
        let site = Site::start(bench).await?;
        site.jira.answer_after(latency);
        let clients = site.server.clients(CALLERS).await?;
        let began = Instant::now();
        submit(clients, "LATENCY", count).await?;
        site.server.until_delivered(&site.jira, count).await?;
        ours.push(rate(count, began.elapsed()));
        site.finish(count).await?;
        plain.push(rate(count, plain_delivery::post_all(&body, latency, AT_A_TIME, count).await?));
    }
    let plot = Plot {
        file: "tickets-by-latency",
        title: "1,000 incidents at once, default flags",
        axes: ["latency of a create in Jira, ms", "tickets per second"],
        points: latencies.iter().map(ToString::to_string).collect(),
        series: vec![("RhythmX Ticketing", ours), (LIMIT, plain)],
    };
    Ok(Findings { plots: vec![plot], ..Findings::default() })
}
