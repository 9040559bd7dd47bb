//! Events to many subscribers: all that are stored, and those of now.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use prost::Message;
use rhythmx_ticketing::v1::stream_ticket_events_request::Start as From;
use rhythmx_ticketing::v1::{StreamTicketEventsRequest, StreamTicketEventsResponse};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Streaming;

use super::{CALLERS, Site};
use crate::bare_tonic::{BareTonic, RawClient};
use crate::database::fill;
use crate::load::{rate, submit_paced};
use crate::measure::{Bench, Findings, Line, in_turns};
use crate::server::{Server, Start};
use crate::statistics::percentile;

/// How long a subscriber waits for the next message.
const SILENCE: Duration = Duration::from_secs(60);
/// The tag of an event in a response; a bookmark has another.
const EVENT: u8 = 0x0a;

/// The part of a response that is decoded.
#[derive(Clone, PartialEq, Message)]
struct TimedResponse {
    #[prost(message, optional, tag = "1")]
    event: Option<TimedEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct TimedEvent {
    #[prost(message, optional, tag = "3")]
    time: Option<prost_types::Timestamp>,
}

pub(super) async fn replay(bench: &Bench) -> Result<Findings> {
    let deliveries = bench.pick(5_000, 100);
    let subscribers = bench.pick(32, 8);
    let workbench = &bench.workbench;
    let data = workbench.empty_data()?;
    let [delivered, failed] = [&workbench.delivered, &workbench.failed];
    let numbers: Vec<u64> = (0..deliveries).collect();
    fill(&data.join("ticketing.db"), &numbers, delivered, failed)?;
    let flags = vec!["--bookmark-interval=1s".to_owned()];
    let server = Server::start(bench.program(), &data, &Start { flags, ..Start::default() }).await?;
    let from_oldest = StreamTicketEventsRequest { start: Some(From::Oldest(())), ..Default::default() };
    let request = Bytes::from(from_oldest.encode_to_vec());

    let mut client = RawClient::new(server.channel().await?, None);
    let messages = newest_read(client.stream_events(request.clone()).await?).await?;
    ensure!(messages.len() as u64 >= deliveries, "{} events of {deliveries} deliveries", messages.len());
    let bare = BareTonic::start(&workbench.path("messages"), &messages, None).await?;
    let bare_clients = bare.clients(subscribers).await?;
    let mut clients = Vec::new();
    for _ in 0..subscribers {
        clients.push(RawClient::new(server.channel().await?, None));
    }
    let count = messages.len();
    let ours = || read_all(&clients, &request, count);
    let limit = || read_all(&bare_clients, &request, count);
    let [rates, limits] = in_turns(bench.scale.rounds, ours, limit).await?;
    server.stop().await?;
    let work = format!("replay of {count} events to {subscribers} subscribers");
    let line = Line::alone(work, "messages/s", rates).against("tonic with the same bytes", limits);
    Ok(Findings { lines: vec![line], ..Findings::default() })
}

/// Reads events up to the newest one.
async fn newest_read(mut stream: Streaming<Bytes>) -> Result<Vec<Bytes>> {
    let mut messages = Vec::new();
    // Bookmarks are sent only between events, and after the last one.
    while let Some(message) = next(&mut stream).await? {
        match message.first() {
            Some(&EVENT) => messages.push(message),
            _ if messages.is_empty() => {}
            _ => return Ok(messages),
        }
    }
    Ok(messages)
}

async fn next(stream: &mut Streaming<Bytes>) -> Result<Option<Bytes>> {
    let message = tokio::time::timeout(SILENCE, stream.message()).await;
    Ok(message.context("a stream fell silent")??)
}

/// Messages per second of all subscribers together.
async fn read_all(clients: &[RawClient], request: &Bytes, count: usize) -> Result<f64> {
    let began = Instant::now();
    let mut subscribers = JoinSet::new();
    for mut client in clients.iter().cloned() {
        let request = request.clone();
        subscribers.spawn(async move {
            let mut stream = client.stream_events(request).await?;
            let mut events = 0;
            while events < count {
                let message = next(&mut stream).await?.context("a stream ended")?;
                events += usize::from(message.first() == Some(&EVENT));
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(subscriber) = subscribers.join_next().await {
        subscriber.context("a subscriber panicked")??;
    }
    Ok(rate(count * clients.len(), began.elapsed()))
}

pub(super) async fn live(bench: &Bench) -> Result<Findings> {
    let per_second = bench.pick(1_200, 100);
    let seconds = bench.pick(4, 1);
    let subscribers = bench.pick(32, 8);
    let medians = RefCell::new(Vec::new());
    let mut slowest = Vec::new();
    for _ in 0..bench.scale.rounds {
        let latencies = latencies(bench, per_second, seconds, subscribers).await?;
        medians.borrow_mut().push(percentile(&latencies, 50.0));
        slowest.push(percentile(&latencies, 99.0));
    }
    let work = format!(
        "{per_second} events/s to {subscribers} subscribers, from the event's time to the subscriber"
    );
    let lines = vec![
        Line::alone(format!("{work}, p50"), "ms", medians.into_inner()),
        Line::alone(format!("{work}, p99"), "ms", slowest),
    ];
    Ok(Findings { lines, ..Findings::default() })
}

/// From the time of each event to its reception. Jira does not answer meanwhile, so that an event is a push.
async fn latencies(
    bench: &Bench,
    per_second: usize,
    seconds: usize,
    subscribers: usize,
) -> Result<Vec<Duration>> {
    let site = Site::start(bench).await?;
    site.jira.hold();
    let count = per_second * seconds;
    let mut tasks = JoinSet::new();
    for _ in 0..subscribers {
        let mut client = RawClient::new(site.server.channel().await?, None);
        let mut stream = client.stream_events(Bytes::new()).await?;
        // The bookmark of the start.
        next(&mut stream).await?;
        tasks.spawn(async move { receive(stream, count).await });
    }
    let clients = site.server.clients(CALLERS).await?;
    submit_paced(clients, "LIVE", count, Duration::from_secs(seconds as u64)).await?;
    let mut latencies = Vec::new();
    while let Some(received) = tasks.join_next().await {
        latencies.extend(received.context("a subscriber panicked")??);
    }
    site.jira.release();
    site.finish(count).await?;
    Ok(latencies)
}

async fn receive(mut stream: Streaming<Bytes>, count: usize) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while latencies.len() < count {
        let message = next(&mut stream).await?.context("a stream ended")?;
        let received = since_epoch()?;
        let response = TimedResponse::decode(message)?;
        let Some(time) = response.event.and_then(|event| event.time) else { continue };
        let at = Duration::new(u64::try_from(time.seconds)?, u32::try_from(time.nanos)?);
        latencies.push(received.saturating_sub(at));
    }
    Ok(latencies)
}

#[allow(clippy::disallowed_methods, reason = "compared with the times of events, which are of this machine")]
fn since_epoch() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Opens this many streams over as few connections as the server's limits allow, and reads the first message of each.
pub(super) async fn idle_streams(
    server: &Server,
    count: usize,
) -> Result<Vec<Streaming<StreamTicketEventsResponse>>> {
    const PER_CONNECTION: usize = 100;
    let mut streams = Vec::new();
    while streams.len() < count {
        let mut client = server.client().await?;
        for _ in 0..PER_CONNECTION.min(count - streams.len()) {
            let mut stream = client.stream_ticket_events(StreamTicketEventsRequest::default()).await?;
            ensure!(stream.message().await?.is_some(), "a stream ended at once");
            streams.push(stream);
        }
    }
    Ok(streams)
}
