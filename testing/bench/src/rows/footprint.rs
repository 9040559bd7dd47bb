//! Memory, the size of the binary, and the disk that a delivery takes.

use std::time::Duration;

use anyhow::Result;

use super::{CALLERS, Site, events};
use crate::database::sizes_by_name;
use crate::load::submit;
use crate::measure::{Bench, Findings, Line};
use crate::workbench::size;

const MB: f64 = 1_000_000.0;
const KB: f64 = 1_000.0;
/// Until a start has settled.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) async fn run(bench: &Bench) -> Result<Findings> {
    let streams = bench.pick(1_000, 100);
    let deliveries = bench.pick(3_000, 100);
    let [mut idle, mut with_streams, mut disk] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..bench.scale.rounds {
        let site = Site::start(bench).await?;
        tokio::time::sleep(bench.pick(SETTLE, Duration::from_millis(100))).await;
        idle.push(site.server.memory()? as f64 / MB);
        let open = events::idle_streams(&site.server, streams).await?;
        tokio::time::sleep(bench.pick(SETTLE, Duration::from_millis(100))).await;
        with_streams.push(site.server.memory()? as f64 / MB);
        drop(open);
        submit(site.server.clients(CALLERS).await?, "DISK", deliveries).await?;
        let empty = size(&bench.workbench.empty_data()?)?;
        let data = site.stop(deliveries).await?;
        let bytes = size(&data)?.saturating_sub(empty);
        print_parts(&sizes_by_name(&data.join("ticketing.db"))?, deliveries);
        std::fs::remove_dir_all(&data)?;
        disk.push(bytes as f64 / deliveries as f64 / KB);
    }
    let binary = std::fs::metadata(bench.program())?.len() as f64 / MB;
    let lines = vec![
        Line::alone("memory (RSS), idle", "MB", idle),
        Line::alone(format!("memory (RSS), {streams} idle event streams"), "MB", with_streams),
        Line::alone("size of the binary", "MB", vec![binary]),
        Line::alone("disk for one delivery with its events", "kB", disk),
    ];
    Ok(Findings { lines, ..Findings::default() })
}

/// Prints what the disk of one delivery consists of, the largest part first.
pub(super) fn print_parts(sizes: &[(String, u64)], deliveries: usize) {
    let parts = sizes.iter().map(|(name, bytes)| (name, *bytes as f64 / deliveries as f64));
    for (name, bytes) in parts.filter(|(_, bytes)| *bytes >= 1.0) {
        eprintln!("  {bytes:6.0} bytes a delivery: {name}");
    }
}
