//! A Jira Cloud on loopback that is as fast as the machine allows.
//!
//! Unlike the simulator it validates nothing. It answers a create at once, after a delay, when it is released, or with
//! 429 above a rate; and it counts the tickets of each marker.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What markers start with.
const MARKER: &str = "rhythmx-";
/// Numbers of tickets have as many digits from the first on, so that rows of different tickets are of equal size.
const FIRST_NUMBER: usize = 1_000_001;

/// The site, until it is dropped.
#[derive(Debug)]
pub(crate) struct FakeJira {
    pub(crate) url: String,
    site: Arc<Site>,
    listening: AbortHandle,
}

#[derive(Debug)]
struct Site {
    /// In milliseconds.
    delay: AtomicU64,
    /// Whether creates are answered; otherwise they wait.
    answers: watch::Sender<bool>,
    limit: Mutex<Option<RateLimit>>,
    refuses: AtomicBool,
    creates: AtomicU64,
    throttled: AtomicU64,
    tickets: Mutex<Tickets>,
}

#[derive(Debug, Default)]
struct Tickets {
    /// In the order of their numbers.
    markers: Vec<String>,
    by_marker: HashMap<String, Vec<usize>>,
    /// The body of the last create.
    last_body: Bytes,
}

/// A token bucket.
#[derive(Debug)]
struct RateLimit {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

#[derive(Deserialize)]
struct NewIssue {
    fields: NewFields,
}

#[derive(Deserialize)]
struct NewFields {
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Query {
    jql: String,
}

// === impl FakeJira ===

impl FakeJira {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let site = Arc::new(Site {
            delay: AtomicU64::new(0),
            answers: watch::Sender::new(true),
            limit: Mutex::new(None),
            refuses: AtomicBool::new(false),
            creates: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            tickets: Mutex::default(),
        });
        let listening = tokio::spawn(listen(listener, site.clone())).abort_handle();
        Ok(Self { url, site, listening })
    }

    /// Answers creates after this delay.
    pub(crate) fn answer_after(&self, delay: Duration) {
        self.site.delay.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Leaves creates without an answer until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.site.answers.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.site.answers.send_replace(true);
    }

    /// Answers 429 with `Retry-After` to creates beyond this rate. The burst is one second's worth.
    pub(crate) fn limit(&self, per_second: f64) {
        let limit = RateLimit { per_second, tokens: per_second, at: Instant::now() };
        *lock(&self.site.limit) = Some(limit);
    }

    /// Whether creates are refused with 400.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.site.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Number of creates, whatever the answer.
    pub(crate) fn creates(&self) -> u64 {
        self.site.creates.load(Ordering::Relaxed)
    }

    /// Number of creates that were answered with 429.
    pub(crate) fn throttled(&self) -> u64 {
        self.site.throttled.load(Ordering::Relaxed)
    }

    pub(crate) fn tickets(&self) -> usize {
        lock(&self.site.tickets).markers.len()
    }

    /// The body of the last create that was accepted.
    pub(crate) fn last_body(&self) -> Bytes {
        lock(&self.site.tickets).last_body.clone()
    }

    /// Fails unless there are exactly `asked` tickets, each with a marker of its own.
    pub(crate) fn check(&self, asked: usize) -> Result<()> {
        let tickets = lock(&self.site.tickets);
        if let Some((marker, numbers)) = tickets.by_marker.iter().find(|(_, numbers)| numbers.len() > 1) {
            bail!("{} tickets have the marker {marker}", numbers.len());
        }
        let created = tickets.markers.len();
        ensure!(created == asked, "{created} tickets were created, {asked} were requested");
        Ok(())
    }
}

impl Drop for FakeJira {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, site: Arc<Site>) {
    loop {
        // A connection that ended before it was accepted is not an error of the listener.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(handle_connection(stream, site.clone()));
    }
}

async fn handle_connection(stream: TcpStream, site: Arc<Site>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    // The server under test may close it at any time.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

// === impl Site ===

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return reply(400, &json!({})) };
        let body = body.to_bytes();
        let path = head.uri.path();
        let resource = path.split_once("/rest/api/").and_then(|(_, rest)| rest.split_once('/'));
        let resource: Vec<&str> = resource.map_or(Vec::new(), |(_, rest)| rest.split('/').collect());
        match (&head.method, resource.as_slice()) {
            (&Method::POST, ["issue"]) => self.create(body).await,
            (&Method::POST, ["search", "jql"]) => self.search(&body),
            (&Method::GET, ["issue", "createmeta", _, "issuetypes"]) => reply(200, &issue_types()),
            (&Method::GET, ["issue", "createmeta", _, "issuetypes", _]) => reply(200, &fields()),
            (&Method::GET, ["issue", id]) => self.read(id),
            (&Method::GET, ["serverInfo"]) => {
                reply(200, &json!({ "deploymentType": "Cloud", "version": "1001.0.0" }))
            }
            (&Method::GET, ["myself"]) => reply(200, &json!({ "accountId": "5b10", "displayName": "Bench" })),
            (&Method::GET, ["mypermissions"]) => reply(200, &permissions()),
            (&Method::GET, ["project", key]) => {
                reply(200, &json!({ "id": "10000", "key": key, "name": "Security" }))
            }
            _ => reply(404, &json!({ "errorMessages": ["no such resource"], "errors": {} })),
        }
    }

    async fn create(&self, body: Bytes) -> Response<Full<Bytes>> {
        self.creates.fetch_add(1, Ordering::Relaxed);
        if let Some(wait) = lock(&self.limit).as_mut().and_then(|limit| limit.take(Instant::now())) {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            let mut reply = reply(429, &json!({ "errorMessages": ["rate limit exceeded"], "errors": {} }));
            let seconds = wait.as_secs_f64().ceil().max(1.0).to_string();
            reply.headers_mut().insert(header::RETRY_AFTER, seconds.parse().expect("digits are a header"));
            return reply;
        }
        let issue = serde_json::from_slice::<NewIssue>(&body).ok();
        let labels = issue.map(|issue| issue.fields.labels).unwrap_or_default();
        let marker = labels.into_iter().find(|label| label.starts_with(MARKER));
        let (Some(marker), false) = (marker, self.refuses.load(Ordering::Relaxed)) else {
            return reply(400, &json!({ "errorMessages": [], "errors": { "summary": "refused" } }));
        };
        let number = lock(&self.tickets).add(marker, body);
        self.pause().await;
        reply(201, &json!({ "id": number.to_string(), "key": format!("SEC-{number}") }))
    }

    async fn pause(&self) {
        match self.delay.load(Ordering::Relaxed) {
            0 => {}
            millis => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        // The sender is in this site.
        let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
    }

    fn read(&self, id_or_key: &str) -> Response<Full<Bytes>> {
        let number = id_or_key.trim_start_matches("SEC-").parse::<usize>().ok();
        let index = number.and_then(|number| number.checked_sub(FIRST_NUMBER));
        let tickets = lock(&self.tickets);
        match index.and_then(|index| tickets.markers.get(index).map(|marker| (index, marker))) {
            Some((index, marker)) => reply(200, &issue(index, marker)),
            None => reply(404, &json!({ "errorMessages": ["Issue does not exist"], "errors": {} })),
        }
    }

    fn search(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let Ok(Query { jql }) = serde_json::from_slice(body) else { return reply(400, &json!({})) };
        let tickets = lock(&self.tickets);
        let markers = jql.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let mut indexes: Vec<usize> =
            markers.filter_map(|marker| tickets.by_marker.get(marker)).flatten().copied().collect();
        indexes.sort_unstable();
        indexes.dedup();
        let issues: Vec<Value> =
            indexes.iter().map(|index| issue(*index, &tickets.markers[*index])).collect();
        reply(200, &json!({ "issues": issues, "isLast": true }))
    }
}

// === impl Tickets ===

impl Tickets {
    /// Returns the number of the new ticket.
    fn add(&mut self, marker: String, body: Bytes) -> usize {
        let index = self.markers.len();
        self.by_marker.entry(marker.clone()).or_default().push(index);
        self.markers.push(marker);
        self.last_body = body;
        FIRST_NUMBER + index
    }
}

// === impl RateLimit ===

impl RateLimit {
    /// Takes a token; if there is none, returns the time until there is one.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let gained = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.per_second);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

fn issue(index: usize, marker: &str) -> Value {
    let number = FIRST_NUMBER + index;
    let project = json!({ "id": "10000", "key": "SEC" });
    let created = "2026-01-31T12:00:00.000+0000";
    json!({
        "id": number.to_string(), "key": format!("SEC-{number}"),
        "fields": { "labels": [marker], "project": project, "created": created, "description": null },
    })
}

fn issue_types() -> Value {
    json!({ "total": 1, "issueTypes": [{ "id": "10001", "name": "Task", "subtask": false }] })
}

fn fields() -> Value {
    let field = |id: &str| json!({ "fieldId": id, "name": id, "required": false, "hasDefaultValue": true });
    let mut priority = field("priority");
    let names = ["Highest", "High", "Medium", "Low", "Lowest"];
    let choices = names.iter().zip(1..).map(|(name, id)| json!({ "id": id.to_string(), "name": name }));
    priority["allowedValues"] = choices.collect();
    json!({ "total": 4, "fields": [field("summary"), field("description"), field("labels"), priority] })
}

fn permissions() -> Value {
    let granted = json!({ "havePermission": true });
    json!({ "permissions": { "BROWSE_PROJECTS": granted, "CREATE_ISSUES": granted } })
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status has three digits");
    let json = header::HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    // How Jira Cloud identifies the account of a call.
    reply.headers_mut().insert("x-aaccountid", header::HeaderValue::from_static("5b10"));
    reply
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn check_fails_for_missing_and_duplicate_tickets() {
        let jira = FakeJira::start().await.unwrap();
        lock(&jira.site.tickets).add("rhythmx-1".to_owned(), Bytes::new());
        assert!(jira.check(1).is_ok());
        assert!(jira.check(2).is_err());
        lock(&jira.site.tickets).add("rhythmx-1".to_owned(), Bytes::new());
        assert!(jira.check(2).is_err());
    }

    #[test]
    fn rate_limit_refills_with_time() {
        let now = Instant::now();
        let mut limit = RateLimit { per_second: 2.0, tokens: 1.0, at: now };
        assert_eq!(limit.take(now), None);
        assert_eq!(limit.take(now), Some(Duration::from_millis(500)));
        assert_eq!(limit.take(now + Duration::from_millis(500)), None);
    }
}
