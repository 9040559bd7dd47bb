//! What floods do to an honest caller: the time of its calls alone, and beside each flood.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rhythmx_ticketing::v1::TicketSystem;
use ticketing_harness::{Flood, Plan, World, flood};
use tokio::time::Instant;

/// Frames of one connection, unless it is closed before.
const MOST: u32 = 20_000;
/// How many times longer an honest caller's p99 may become.
const SLOWDOWN: f64 = 2.0;
/// How much larger the memory may become.
const GROWTH: u64 = 32 * 1_024 * 1_024;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds of calls, alone and beside each flood.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// How long calls took.
struct Times(Vec<Duration>);

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let mut world = Plan::new().in_a_process().start().await;
    let time = Duration::from_secs(arguments.seconds);
    calls(&mut world, "warm", time / 5).await;
    let memory = world.server.memory();
    let alone = calls(&mut world, "alone", time).await.p99();
    println!("alone: p99 {alone:?}");
    let mut worst: f64 = 0.0;
    for kind in Flood::ALL {
        let (stop, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let attack = tokio::spawn({
            let (stop, connections, address) =
                (stop.clone(), connections.clone(), world.server.address.clone());
            async move {
                // A peer that is cut off comes back at once.
                while !stop.load(Ordering::Relaxed) {
                    let _ = flood(&address, kind, MOST).await;
                    connections.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let p99 = calls(&mut world, &format!("{kind:?}"), time).await.p99();
        stop.store(true, Ordering::Relaxed);
        attack.await?;
        let ratio = p99.as_secs_f64() / alone.as_secs_f64();
        worst = worst.max(ratio);
        println!(
            "{kind:?}: p99 {p99:?}, {ratio:.2} times, {} connections",
            connections.load(Ordering::Relaxed)
        );
    }
    let grown = world.server.peak_memory().saturating_sub(memory);
    world.finish().await;
    println!("floods: p99 {worst:.2} times at worst, memory {:.1} MiB more", grown as f64 / 1_048_576.0);
    if worst > SLOWDOWN {
        bail!("an honest caller's p99 more than doubled");
    }
    if grown > GROWTH {
        bail!("memory grew by more than 32 MiB");
    }
    Ok(())
}

/// Pushes, one after the other.
async fn calls(world: &mut World, name: &str, time: Duration) -> Times {
    let (begun, mut times) = (Instant::now(), vec![]);
    while begun.elapsed() < time {
        let call = Instant::now();
        world.push(&format!("INC-{name}-{}", times.len()), TicketSystem::Jira).await;
        times.push(call.elapsed());
    }
    Times(times)
}

// === impl Times ===

impl Times {
    fn p99(mut self) -> Duration {
        self.0.sort_unstable();
        self.0[(self.0.len() * 99 / 100).min(self.0.len() - 1)]
    }
}
