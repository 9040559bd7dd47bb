//! Applies each effect.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use serde_json::json;

use crate::call::Call;
use crate::effect::{Effect, Reply, RetryAfter};
use crate::ending::{Ending, Outcome};
use crate::message::{Answer, Request};
use crate::points::Point;
use crate::profile::Vendor;
use crate::raw::Raw;
use crate::response::{Body, Response, plain, with_body};
use crate::shared::Shared;
use crate::site_request::SearchFault;

/// Decompressed size of a gzip bomb.
const BOMB_MIB: usize = 64;
const CHUNK: usize = 64 * 1024;

/// A call whose request was read.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) ending: &'a Ending,
    pub(crate) call: Call,
    /// Number of the record of its outcome.
    pub(crate) number: usize,
    pub(crate) request: Request,
}

// === impl Exchange ===

impl Exchange<'_> {
    /// Executes the request and records whether it was applied.
    pub(crate) fn apply(&self) -> Answer {
        self.apply_with(SearchFault::None)
    }

    fn apply_with(&self, search_fault: SearchFault) -> Answer {
        apply(self.shared, self.call, self.number, &self.request, search_fault)
    }

    fn apply_if(&self, applied: bool) {
        if applied {
            self.apply();
        }
    }

    /// Runs independently of the connection and of outages: an accepted request is applied eventually.
    fn apply_late(&self, pause: Duration) {
        let (shared, call, number, request) =
            (self.shared.clone(), self.call, self.number, self.request.clone());
        let released = shared.faults.released();
        tokio::spawn(async move {
            tokio::select! {
                () = shared.is_dropped.cancelled() => return,
                () = released => {}
                () = tokio::time::sleep(pause) => {}
            }
            apply(&shared, call, number, &request, SearchFault::None);
        });
    }

    /// Executes the request without its credentials.
    fn apply_without_credentials(&self) -> Answer {
        let mut request = self.request.clone();
        request.headers.remove(http::header::AUTHORIZATION);
        apply(self.shared, self.call, self.number, &request, SearchFault::None)
    }
}

fn apply(shared: &Shared, call: Call, number: usize, request: &Request, search_fault: SearchFault) -> Answer {
    let answer = shared.apply(request, search_fault);
    if answer.applied {
        let now = shared.clock.now();
        shared.state().record.applied(number, answer.created.as_ref(), now);
        shared.points.reach(call, Point::Applied);
    }
    answer
}

pub(crate) async fn play(exchange: &Exchange<'_>, effect: Effect) -> Outcome {
    let apply = || exchange.apply();
    let reply = |answer: &Answer| Outcome::Reply(plain(answer));
    match effect {
        Effect::DropBefore => Outcome::Close,
        Effect::ApplyThenDrop => {
            apply();
            Outcome::Close
        }
        Effect::ResetBefore => Outcome::Reset,
        Effect::ApplyThenReset => {
            apply();
            Outcome::Reset
        }
        Effect::Hang { applied } => {
            exchange.apply_if(applied);
            Outcome::Raw(Raw::silence(None))
        }
        Effect::Delay(pause) => {
            tokio::time::sleep(pause).await;
            reply(&apply())
        }
        Effect::ApplyLate(pause) => {
            exchange.apply_late(pause);
            Outcome::Close
        }
        Effect::CloseIdle => {
            exchange.ending.close_at_next_request();
            reply(&apply())
        }
        Effect::SlowRead { .. } => reply(&apply()),
        Effect::ReturnsEverything => reply(&exchange.apply_with(SearchFault::Everything)),
        Effect::ReturnsNothing => reply(&exchange.apply_with(SearchFault::Nothing)),
        Effect::ReturnsTwice => reply(&exchange.apply_with(SearchFault::Twice)),
        Effect::ReturnsForeign => reply(&exchange.apply_with(SearchFault::Foreign)),
        Effect::EndlessPages => reply(&exchange.apply_with(SearchFault::Endless)),
        Effect::IgnoresLogin => reply(&exchange.apply_without_credentials()),
        other => odd_bytes(exchange, other),
    }
}

/// Effects whose replies violate HTTP.
fn odd_bytes(exchange: &Exchange<'_>, effect: Effect) -> Outcome {
    Outcome::Raw(match effect {
        Effect::StatusLineOnly => Raw::status_line(&exchange.apply()),
        Effect::StopSending => {
            let answer = exchange.apply();
            Raw::announcing(&answer, answer.body.len() as u64, &answer.body[..answer.body.len() / 2])
        }
        Effect::AnnounceMore(announced) => {
            let answer = exchange.apply();
            Raw::announcing(&answer, announced, &answer.body)
        }
        Effect::Interim(status) => Raw::after_interim(&exchange.apply(), status),
        Effect::BrokenChunks => Raw::broken_chunks(&exchange.apply()),
        other => return Outcome::Reply(odd_answer(exchange, other)),
    })
}

/// Effects whose replies are valid but unusual HTTP.
fn odd_answer(exchange: &Exchange<'_>, effect: Effect) -> Response {
    let shared = exchange.shared;
    let vendor = exchange.shared.vendor;
    match effect {
        Effect::Answer(reply) => plain(&scripted(&reply)),
        Effect::ApplyThenAnswer(reply) => {
            exchange.apply();
            plain(&scripted(&reply))
        }
        Effect::Throttle { retry_after, reason } => {
            plain(&throttled(shared, &retry_after, reason.as_deref()))
        }
        Effect::TruncatedBody => truncated(&exchange.apply()),
        Effect::SlowBody { bytes, every } => slow(&exchange.apply(), bytes.max(1), every),
        Effect::HugeBody(bytes) => huge(&exchange.apply(), bytes),
        Effect::GzipBomb => plain(&bomb(&exchange.apply())),
        Effect::LongHeader(bytes) => plain(&exchange.apply().with_header("x-long", "x".repeat(bytes))),
        Effect::EmptyBody { status, applied } => {
            exchange.apply_if(applied);
            plain(&Answer::empty(status))
        }
        Effect::Garbage { status, applied } => {
            exchange.apply_if(applied);
            plain(&Answer::empty(status).with_body("application/json", &b"{\"id\":\xff\xfe\x00"[..]))
        }
        Effect::Html { status } => plain(&Answer::html(status, page(vendor))),
        Effect::ErrorWithin200 => plain(&error_within_200(vendor)),
        Effect::Redirect { status, location } => {
            plain(&Answer::empty(status).with_header("location", location))
        }
        _ => plain(&foreign_success(vendor)),
    }
}

fn scripted(reply: &Reply) -> Answer {
    let mut answer = Answer::empty(reply.status);
    answer.headers = reply.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    answer.body = Bytes::from(reply.body.clone());
    answer
}

fn throttled(shared: &Shared, retry_after: &RetryAfter, reason: Option<&str>) -> Answer {
    let now = shared.clock.now();
    let seconds = match retry_after {
        RetryAfter::Seconds(seconds) | RetryAfter::DateIn(seconds) => *seconds,
        RetryAfter::Text(_) | RetryAfter::Absent => 60,
    };
    let reset = now
        .saturating_add(jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
        .unwrap_or(Timestamp::MAX);
    let answer = match shared.vendor {
        Vendor::JiraCloud => Answer::json(429, &json!({ "errorMessages": ["Rate limit exceeded."] }))
            .with_header("x-ratelimit-limit", "100")
            .with_header("x-ratelimit-remaining", "0")
            .with_header("x-ratelimit-reset", reset.strftime("%Y-%m-%dT%H:%MZ").to_string())
            .with_header("ratelimit-reason", reason.unwrap_or("jira-burst-based")),
        Vendor::JiraDataCenter => Answer::json(429, &json!({ "message": "Rate limit exceeded." }))
            .with_header("x-ratelimit-limit", "10")
            .with_header("x-ratelimit-remaining", "0")
            .with_header("x-ratelimit-interval-seconds", "1")
            .with_header("x-ratelimit-fillrate", "1"),
        Vendor::ServiceNow => Answer::servicenow_error(
            429,
            "Rate limit exceeded",
            Some("Rate limit of 100 requests per hour for Table API exceeded"),
        )
        .with_header("x-ratelimit-limit", "100")
        .with_header("x-ratelimit-reset", reset.as_second().to_string())
        .with_header("x-ratelimit-rule", "e36d5c4b0b1b13006f2f9a1b3fb4b1b3"),
    };
    match retry_after {
        RetryAfter::Seconds(seconds) => answer.with_header("retry-after", seconds.to_string()),
        RetryAfter::DateIn(_) => answer.with_header("retry-after", http_date(reset)),
        RetryAfter::Text(text) => answer.with_header("retry-after", text.clone()),
        RetryAfter::Absent => answer,
    }
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn truncated(answer: &Answer) -> Response {
    let half = answer.body.slice(..answer.body.len() / 2);
    let frames = stream::unfold(Some(half), |half| async move {
        match half {
            Some(half) => Some((Ok(Frame::data(half)), None)),
            None => {
                // Yields once, so that the first half is sent before the connection is aborted.
                tokio::task::yield_now().await;
                Some((Err(io::Error::new(io::ErrorKind::ConnectionAborted, "scripted")), None))
            }
        }
    });
    with_body(&announced(answer, answer.body.len() as u64), streamed(frames))
}

fn slow(answer: &Answer, bytes: usize, every: Duration) -> Response {
    let frames = stream::unfold(answer.body.clone(), move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let drop = rest.split_to(bytes.min(rest.len()));
        Some((Ok(Frame::data(drop)), rest))
    });
    with_body(&announced(answer, answer.body.len() as u64), streamed(frames))
}

fn huge(answer: &Answer, bytes: u64) -> Response {
    let chunk = Bytes::from(vec![b' '; CHUNK]);
    let frames = stream::unfold(bytes, move |left| {
        let chunk = chunk.clone();
        async move {
            let size = left.min(CHUNK as u64);
            // Fits, since it is at most CHUNK.
            (size > 0).then(|| (Ok(Frame::data(chunk.slice(..size as usize))), left - size))
        }
    });
    with_body(&announced(answer, bytes), streamed(frames))
}

fn streamed(frames: impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + 'static) -> Body {
    StreamBody::new(frames).boxed_unsync()
}

fn announced(answer: &Answer, length: u64) -> Answer {
    answer.clone().with_header("content-length", length.to_string())
}

fn bomb(answer: &Answer) -> Answer {
    /// Compressed only once, since that takes seconds in debug builds.
    static PACKED: LazyLock<Bytes> = LazyLock::new(|| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mebibyte = vec![b' '; 1024 * 1024];
        let written: Result<(), io::Error> = (0..BOMB_MIB).try_for_each(|_| encoder.write_all(&mebibyte));
        Bytes::from(written.and_then(|()| encoder.finish()).unwrap_or_default())
    });
    let mut bomb = answer.clone().with_header("content-encoding", "gzip");
    bomb.body = PACKED.clone();
    bomb
}

fn page(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => {
            "<!DOCTYPE html><html><head><title>Log in</title></head><body>Log in to your account</body></html>"
        }
        Vendor::ServiceNow => {
            "<!DOCTYPE html><html><head><title>Instance Hibernating page</title></head>\
             <body>Your instance is hibernating.</body></html>"
        }
    }
}

fn error_within_200(vendor: Vendor) -> Answer {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => Answer::jira_messages(200, &["Something went wrong."]),
        Vendor::ServiceNow => {
            Answer::servicenow_error(200, "Transaction cancelled", Some("maximum execution time exceeded"))
        }
    }
}

fn foreign_success(vendor: Vendor) -> Answer {
    let body = match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => {
            json!({ "result": { "sys_id": "c537bae64f411200adf9f8e18110c76e", "number": "INC0010002" } })
        }
        Vendor::ServiceNow => {
            json!({ "id": "10000", "key": "ED-24", "self": "https://example.com/rest/api/3/issue/10000" })
        }
    };
    Answer::json(201, &body)
}
