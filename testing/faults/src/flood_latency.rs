//! Effect of floods on an honest caller: the latency of its calls alone, and during each flood.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rhythmx_ticketing::v1::TicketSystem;
use ticketing_harness::{Flood, Plan, World, flood};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Frames per connection, unless it is closed before.
const MAX_FRAMES: u32 = 20_000;
/// Maximum factor by which an honest caller's p99 may grow.
const SLOWDOWN: f64 = 2.0;
/// Maximum growth of the memory.
const GROWTH: u64 = 32 * 1_024 * 1_024;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds of calls during each flood; half of it alone before, and half during a flood of another
    /// server.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Latencies of calls.
#[derive(Default)]
struct Times(Vec<Duration>);

/// A peer that floods, and reconnects at once when it is cut off.
struct Attack {
    stop: Arc<AtomicBool>,
    connections: JoinHandle<u64>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let other_server = start_other_listener().await?;
    let mut world = Plan::new().in_a_process().start().await;
    let time = Duration::from_secs(arguments.seconds);
    calls(&mut world, "warm", time / 5).await;
    let memory = world.server.memory();
    let mut alone = Times::default();
    let mut beside = Times::default();
    let mut floods = vec![];
    // Alternating, because a machine is not equally fast all the time.
    for kind in Flood::ALL {
        alone.0.extend(calls(&mut world, &format!("alone-{kind:?}"), time / 2).await.0);
        let attack = Attack::on(&other_server, kind);
        beside.0.extend(calls(&mut world, &format!("beside-{kind:?}"), time / 2).await.0);
        attack.end().await?;
        let attack = Attack::on(&world.server.address, kind);
        floods.push((kind, calls(&mut world, &format!("{kind:?}"), time).await.p99(), attack.end().await?));
    }
    let alone = alone.p99();
    let beside = beside.p99();
    let times = |p99: Duration| p99.as_secs_f64() / alone.as_secs_f64();
    println!("alone: p99 {alone:?}");
    println!("beside floods of another server: p99 {beside:?}, {:.2} times", times(beside));
    for (kind, p99, connections) in &floods {
        println!("{kind:?}: p99 {p99:?}, {:.2} times, {connections} connections", times(*p99));
    }
    let worst = floods.iter().map(|(_, p99, _)| times(*p99)).fold(0.0, f64::max);
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

/// An address that closes every connection at once: a flood of it costs only the attacker's own work, which
/// here uses the same cores.
async fn start_other_listener() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        loop {
            let _ = listener.accept().await;
        }
    });
    Ok(address)
}

/// Sequential pushes.
async fn calls(world: &mut World, name: &str, time: Duration) -> Times {
    let begun = Instant::now();
    let mut times = vec![];
    while begun.elapsed() < time {
        let call = Instant::now();
        world.push(&format!("INC-{name}-{}", times.len()), TicketSystem::Jira).await;
        times.push(call.elapsed());
    }
    Times(times)
}

// === impl Attack ===

impl Attack {
    fn on(address: &str, kind: Flood) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let address = address.to_owned();
        let connections = tokio::spawn(async move {
            let mut connections = 0;
            while !stopped.load(Ordering::Relaxed) {
                let _ = flood(&address, kind, MAX_FRAMES).await;
                connections += 1;
            }
            connections
        });
        Self { stop, connections }
    }

    /// Number of connections it used.
    async fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.connections.await?)
    }
}

// === impl Times ===

impl Times {
    fn p99(mut self) -> Duration {
        self.0.sort_unstable();
        self.0[(self.0.len() * 99 / 100).min(self.0.len() - 1)]
    }
}
