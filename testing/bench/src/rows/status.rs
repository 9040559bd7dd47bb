//! GetStatus with 8 callers, beside tonic with the same bytes.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::bare_tonic::{BareTonic, RawClient};
use crate::load::{each, rate};
use crate::measure::{Bench, Findings, Line, in_turns};
use crate::server::{Credentials, Server, Start};

const CALLERS: usize = 8;

pub(super) async fn run(bench: &Bench) -> Result<Findings> {
    let plain = measure(bench, "GetStatus, 8 callers", None).await?;
    let folder = bench.workbench.path("tls");
    let data = bench.workbench.empty_data()?;
    let credentials = Credentials::make(bench.program(), &folder, &data).await?;
    let secured = Some((credentials, data));
    let secured = measure(bench, "GetStatus, 8 callers, TLS and token", secured).await?;
    Ok(Findings { lines: vec![plain, secured], ..Findings::default() })
}

async fn measure(
    bench: &Bench,
    work: &str,
    secured: Option<(Credentials, std::path::PathBuf)>,
) -> Result<Line> {
    let (credentials, data) = match secured {
        Some((credentials, data)) => (Some(credentials), data),
        None => (None, bench.workbench.empty_data()?),
    };
    // The bench is one caller, whose rate is limited by default.
    let flags = vec!["--call-rate=100000".to_owned(), "--call-burst=100000".to_owned()];
    let start = Start { flags, credentials: credentials.clone() };
    let server = Server::start(bench.program(), &data, &start).await?;
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        clients.push(RawClient::new(server.channel().await?, credentials.as_ref()));
    }
    let answer = clients[0].get_status().await?;
    let file = bench.workbench.path("messages");
    let bare = BareTonic::start(&file, &[answer], credentials.as_ref()).await?;
    let bare_clients = bare.clients(CALLERS).await?;
    let [ours, limit] =
        in_turns(bench.scale.rounds, || calls(bench, &clients), || calls(bench, &bare_clients)).await?;
    server.stop().await?;
    Ok(Line::alone(work, "1/s", ours).against("tonic with the same bytes", limit))
}

/// Calls for a fixed time, as far as the first thousands tell how many that are.
async fn calls(bench: &Bench, clients: &[RawClient]) -> Result<f64> {
    let long = Duration::from_millis(bench.pick(2_000, 200));
    let trial = bench.pick(1_000, 100);
    let elapsed = timed(clients, trial).await?;
    let count = (rate(trial, elapsed) * long.as_secs_f64()) as usize;
    Ok(rate(count, timed(clients, count).await?))
}

async fn timed(clients: &[RawClient], count: usize) -> Result<Duration> {
    let began = Instant::now();
    each(clients.to_vec(), count, |mut client, _| async move { client.get_status().await.map(drop) }).await?;
    Ok(began.elapsed())
}
