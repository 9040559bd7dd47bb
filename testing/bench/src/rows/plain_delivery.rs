//! A delivery done plainly: three commits of its rows, and a POST of its body over a connection that stays open.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::database::{GroupCommit, Stage};
use crate::fake_jira::FakeJira;
use crate::load::{each, rate};
use crate::measure::Bench;

/// What the durations of a run have in common.
pub(super) struct PlainDeliveries {
    pub(super) per_second: f64,
    pub(super) durations: Vec<Duration>,
}

/// One connection to Jira.
#[derive(Debug, Clone)]
struct Poster {
    connection: Arc<Mutex<SendRequest<Full<Bytes>>>>,
    body: Arc<str>,
}

/// Delivers `count` incidents with this many workers.
pub(super) async fn deliver(
    bench: &Bench,
    body: &Bytes,
    workers: usize,
    count: usize,
) -> Result<PlainDeliveries> {
    let jira = FakeJira::start().await?;
    let database = bench.workbench.empty_data()?.join("ticketing.db");
    let writer = Arc::new(GroupCommit::open(&database, &bench.workbench.stages)?);
    let posters = Poster::many(&jira, body, workers).await?;
    let workers = posters.into_iter().map(|poster| (writer.clone(), poster)).collect();
    let began = Instant::now();
    let durations = each(workers, count, |(writer, poster), index| async move {
        let number = index as u64;
        writer.commit(Stage::Accept, number).await?;
        writer.commit(Stage::Intend, number).await?;
        poster.post(number).await?;
        writer.commit(Stage::Record, number).await
    })
    .await?;
    jira.check(count)?;
    Ok(PlainDeliveries { per_second: rate(count, began.elapsed()), durations })
}

/// Creates `count` tickets, so many at a time, and stores nothing. Returns how long that took.
pub(super) async fn post_all(
    body: &Bytes,
    latency: Duration,
    at_a_time: usize,
    count: usize,
) -> Result<Duration> {
    let jira = FakeJira::start().await?;
    jira.answer_after(latency);
    let posters = Poster::many(&jira, body, at_a_time).await?;
    let began = Instant::now();
    each(posters, count, |poster, index| async move { poster.post(index as u64).await }).await?;
    jira.check(count)?;
    Ok(began.elapsed())
}

// === impl Poster ===

impl Poster {
    async fn many(jira: &FakeJira, body: &Bytes, count: usize) -> Result<Vec<Self>> {
        let body: Arc<str> = std::str::from_utf8(body)?.into();
        let mut posters = Vec::new();
        for _ in 0..count {
            let stream = TcpStream::connect(jira.url.trim_start_matches("http://")).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            posters.push(Self { connection: Arc::new(Mutex::new(sender)), body: body.clone() });
        }
        Ok(posters)
    }

    /// Creates a ticket with the marker of this number.
    async fn post(&self, number: u64) -> Result<()> {
        let start = self.body.find("\"rhythmx-").map_or(0, |quote| quote + "\"rhythmx-".len());
        let end = start + self.body[start..].find('"').unwrap_or(0);
        let body = format!("{}{number:032x}{}", &self.body[..start], &self.body[end..]);
        let request = Request::post("/rest/api/3/issue")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let reply = self.connection.lock().await.send_request(request).await?;
        ensure!(reply.status() == StatusCode::CREATED, "the fake answered {}", reply.status());
        reply.into_body().collect().await?;
        Ok(())
    }
}
