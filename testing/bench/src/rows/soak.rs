//! The server under a steady load for minutes or hours, with a retention so short that it always works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{CALLERS, Site};
use crate::load::{each, incident};
use crate::measure::Bench;
use crate::statistics::slope;
use crate::workbench::size;

/// Deliveries in a minute.
const DELIVERIES: usize = 1_000;
const MINUTE: Duration = Duration::from_secs(60);
const MB: f64 = 1_000_000.0;
/// The part of the run, from its beginning, that no slope counts: caches fill, and nothing is old enough to be removed.
const WARM_UP: f64 = 1.0 / 3.0;

/// What was measured at the end of a minute.
#[derive(Debug, Clone, Copy)]
struct Sample {
    minute: f64,
    /// In megabytes.
    memory: f64,
    disk: f64,
}

/// Runs for so many minutes, and prints memory and disk after each, and their slopes at the end.
pub(crate) async fn run(bench: &Bench, minutes: u32, retention: Duration) -> Result<()> {
    let retention = format!("{}ms", retention.as_millis());
    let flags = ["--event-retention", "--incident-retention"].map(|flag| format!("{flag}={retention}"));
    let site = Site::start_with(bench, flags.to_vec()).await?;
    println!("soak: {DELIVERIES} deliveries a minute, retention {retention}");
    println!("minute  memory (RSS), MB  disk, MB  CPU, s  slowest call, ms");
    let mut samples = Vec::new();
    let mut delivered = 0;
    let mut cpu = site.server.cpu()?;
    for minute in 1..=minutes {
        let began = Instant::now();
        let slowest = submit_for_a_minute(&site, minute).await?;
        delivered += DELIVERIES;
        site.server.until_delivered(&site.jira, delivered).await?;
        tokio::time::sleep_until(began + MINUTE).await;
        let sample = Sample {
            minute: minute.into(),
            memory: site.server.memory()? as f64 / MB,
            disk: size(&site.data)? as f64 / MB,
        };
        let used = site.server.cpu()?.saturating_sub(std::mem::replace(&mut cpu, site.server.cpu()?));
        let slowest = slowest.as_millis();
        let Sample { memory, disk, .. } = sample;
        println!("{minute:6}  {memory:16.1}  {disk:8.2}  {:6.1}  {slowest:16}", used.as_secs_f64());
        samples.push(sample);
    }
    print_slopes(&samples);
    let data = site.stop(delivered).await?;
    super::footprint::print_parts(&crate::database::sizes_by_name(&data.join("ticketing.db"))?, delivered);
    std::fs::remove_dir_all(&data)?;
    Ok(())
}

/// Submits at regular times. Returns the duration of the slowest call.
async fn submit_for_a_minute(site: &Site, minute: u32) -> Result<Duration> {
    let began = Instant::now();
    let slowest = Arc::new(AtomicU64::new(0));
    let found = slowest.clone();
    each(site.server.clients(CALLERS).await?, DELIVERIES, move |mut client, index| {
        let found = found.clone();
        async move {
            tokio::time::sleep_until(began + MINUTE * u32::try_from(index)? / DELIVERIES as u32).await;
            let called = Instant::now();
            client.submit_incident(incident(&format!("SOAK-{minute}-{index}"))).await?;
            found.fetch_max(called.elapsed().as_micros().try_into()?, Ordering::Relaxed);
            Ok(())
        }
    })
    .await?;
    Ok(Duration::from_micros(slowest.load(Ordering::Relaxed)))
}

fn print_slopes(samples: &[Sample]) {
    let skipped = (samples.len() as f64 * WARM_UP) as usize;
    let counted = &samples[skipped..];
    let of = |value: fn(&Sample) -> f64| {
        slope(&counted.iter().map(|sample| (sample.minute, value(sample))).collect::<Vec<_>>())
    };
    let memory = of(|sample| sample.memory) * 60.0;
    let disk = of(|sample| sample.disk);
    println!(
        "slope after the first {skipped} minutes: memory {memory:+.2} MB an hour, disk {disk:+.3} MB a minute"
    );
    println!(
        "  that is {:.0} bytes of disk for each delivery, which are kept forever",
        disk * MB / DELIVERIES as f64
    );
}
