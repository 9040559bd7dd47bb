//! Reads and the start over the size of the database, beside one that has a page of deliveries.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rhythmx_ticketing::{Client, v1};
use tokio::time::Instant;

use crate::database::{failed_numbers, fill};
use crate::measure::{Bench, Findings, Line, Plot};
use crate::server::{Server, Start};
use crate::statistics::{Summary, millis, percentile};

/// Sizes of a full run, in deliveries.
const SIZES: [u64; 4] = [10_000, 100_000, 500_000, 1_000_000];
/// Of files that are too large to be checked at a start.
const QUICK_SIZES: [u64; 2] = [4_000, 10_000];
/// The size of the rows about reads, if the largest database has it.
const READ_SIZE: u64 = 500_000;
/// Deliveries in the small database, all FAILED: a page.
const PAGE: u64 = 50;
const SMALL: &str = "a database of 50 FAILED deliveries";
/// How many bytes more of its files a server may read for one call than over the small database. A scan of the
/// smallest index of deliveries exceeds it at 10,000 deliveries.
const MAX_MORE_BYTES: u64 = 512 << 10;
/// Small enough that a page does not look like a scan.
const CHECKED_PAGE: i32 = 10;

/// What was measured of a database.
#[derive(Debug, Default, Clone)]
struct Timings {
    start: Vec<f64>,
    status: Vec<f64>,
    list: Vec<f64>,
}

pub(super) async fn run(bench: &Bench) -> Result<Findings> {
    let mut sizes = if bench.scale.is_quick { QUICK_SIZES.to_vec() } else { SIZES.to_vec() };
    if !bench.scale.is_quick {
        sizes.retain(|size| *size < bench.scale.largest);
        sizes.push(bench.scale.largest);
    }
    let data = bench.workbench.empty_data()?;
    let small_data = bench.workbench.empty_data()?;
    add(bench, &small_data, &failed_numbers(PAGE))?;
    let server = start(bench, &small_data).await?;
    server.until_idle().await?;
    server.stop().await?;
    let mut timings = Vec::new();
    let mut small = Timings::default();
    let mut filled = 0;
    for size in &sizes {
        let numbers: Vec<u64> = (filled..*size).collect();
        add(bench, &data, &numbers)?;
        filled = *size;
        // The first start after a change by hand is not measured: it may check the file.
        let server = start(bench, &data).await?;
        let counts = server.counts().await?;
        ensure!(counts.delivered + counts.failed == *size, "the server counts {counts:?}, not {size}");
        server.until_idle().await?;
        server.stop().await?;
        if bench.scale.is_quick {
            check_bytes(bench, &data, &small_data).await?;
        }
        let mut of_size = Timings::default();
        small = Timings::default();
        for _ in 0..bench.scale.rounds {
            round(bench, [(&data, &mut of_size), (&small_data, &mut small)]).await?;
        }
        timings.push((*size, of_size, small.clone()));
    }
    std::fs::remove_dir_all(&data)?;
    Ok(findings(&timings, &small))
}

fn add(bench: &Bench, data: &Path, numbers: &[u64]) -> Result<()> {
    fill(&data.join("ticketing.db"), numbers, &bench.workbench.delivered, &bench.workbench.failed)
}

async fn start(bench: &Bench, data: &Path) -> Result<Server> {
    Server::start(bench.program(), data, &Start::default()).await
}

/// Starts both servers, and calls them in turns.
async fn round(bench: &Bench, mut sides: [(&PathBuf, &mut Timings); 2]) -> Result<()> {
    let mut running = Vec::new();
    for (data, timings) in &mut sides {
        let server = start(bench, data).await?;
        timings.start.push(millis(server.started_in));
        let client = server.client().await?;
        running.push((server, client));
    }
    let mut durations = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for _ in 0..bench.pick(20, 5) {
        for ((_, client), (status, list)) in running.iter_mut().zip(&mut durations) {
            let began = Instant::now();
            client.get_status().await?;
            status.push(began.elapsed());
            let began = Instant::now();
            list_by_state(client, v1::DeliveryState::Failed, 0).await?;
            list.push(began.elapsed());
        }
    }
    for ((_, timings), (status, list)) in sides.iter_mut().zip(&durations) {
        timings.status.push(percentile(status, 50.0));
        timings.list.push(percentile(list, 50.0));
    }
    for (server, _) in running {
        server.stop().await?;
    }
    Ok(())
}

/// The default size of a page is 0.
async fn list_by_state(client: &mut Client, state: v1::DeliveryState, page_size: i32) -> Result<usize> {
    let filter = v1::DeliveryFilter { states: vec![state.into()], ..Default::default() };
    let request = v1::ListDeliveriesRequest { filter: Some(filter), page_size, ..Default::default() };
    Ok(client.list_deliveries(request).await?.deliveries.len())
}

/// Fails if a call reads much more of the files of a large database than of a small one.
async fn check_bytes(bench: &Bench, data: &Path, small_data: &Path) -> Result<()> {
    let large = bytes_of_calls(bench, data).await?;
    let small = bytes_of_calls(bench, small_data).await?;
    let (Some(large), Some(small)) = (large, small) else {
        println!("growth: not checked whether anything scans: only root may read /proc/PID/io");
        return Ok(());
    };
    for ((call, bytes), (_, least)) in large.iter().zip(&small) {
        let more = bytes.saturating_sub(*least);
        ensure!(
            more <= MAX_MORE_BYTES,
            "{call} reads {bytes} bytes of a database of {} deliveries, and {least} of one with {PAGE}: does it scan?",
            QUICK_SIZES[1]
        );
    }
    Ok(())
}

/// The bytes that the start and each call read; for each call a new server, whose caches are empty.
async fn bytes_of_calls(bench: &Bench, data: &Path) -> Result<Option<Vec<(String, u64)>>> {
    let mut found = Vec::new();
    let mut server = start(bench, data).await?;
    let Some(bytes) = server.bytes_read() else { return Ok(None) };
    found.push(("the start with GetStatus".to_owned(), bytes));
    for state in [v1::DeliveryState::Pending, v1::DeliveryState::Delivered, v1::DeliveryState::Failed] {
        server.stop().await?;
        server = start(bench, data).await?;
        let before = server.bytes_read().unwrap_or_default();
        list_by_state(&mut server.client().await?, state, CHECKED_PAGE).await?;
        let bytes = server.bytes_read().unwrap_or_default() - before;
        found.push((format!("ListDeliveries of {}", state.as_str_name()), bytes));
    }
    server.stop().await?;
    Ok(Some(found))
}

fn findings(timings: &[(u64, Timings, Timings)], small: &Timings) -> Findings {
    let mut lines = Vec::new();
    let of_reads = timings.iter().find(|(size, _, _)| *size == READ_SIZE).or(timings.last());
    if let Some((size, ours, small)) = of_reads {
        let work = |call: &str| format!("{call} at {size} deliveries");
        let [status, list] = [work("GetStatus"), work("ListDeliveries of FAILED, a page of 50,")];
        lines.push(Line::alone(status, "ms", ours.status.clone()).against(SMALL, small.status.clone()));
        lines.push(Line::alone(list, "ms", ours.list.clone()).against(SMALL, small.list.clone()));
    }
    if let Some((size, ours, small)) = timings.last() {
        let work = format!("start to the first answer at {size} deliveries");
        lines.push(Line::alone(work, "ms", ours.start.clone()).against(SMALL, small.start.clone()));
    }
    let sizes = std::iter::once((PAGE, small)).chain(timings.iter().map(|(size, ours, _)| (*size, ours)));
    let sizes: Vec<(u64, &Timings)> = sizes.collect();
    let median = |values: &[f64]| Summary::of(values).map_or(0.0, |summary| summary.median);
    let series = |of: fn(&Timings) -> &[f64]| sizes.iter().map(|(_, timings)| median(of(timings))).collect();
    let plot = Plot {
        file: "cost-by-size",
        title: "Reads and the start over the size of the database",
        axes: ["deliveries in the database", "milliseconds"],
        points: sizes.iter().map(|(size, _)| size.to_string()).collect(),
        series: vec![
            ("start to the first answer", series(|timings| &timings.start)),
            ("ListDeliveries of FAILED", series(|timings| &timings.list)),
            ("GetStatus", series(|timings| &timings.status)),
        ],
    };
    Findings { lines, plots: vec![plot] }
}
