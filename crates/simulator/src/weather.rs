//! Scripted weather: which calls go wrong, when, and how.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Every call.
    Any,
    /// Creating a ticket.
    Create,
    /// Searching tickets: JQL, or a table query.
    Search,
    /// Reading one ticket.
    Read,
    /// Changing a ticket: fields, properties, comments, work notes.
    Update,
    /// Asking what the site offers: server info, project, issue types, fields, priorities, groups.
    Meta,
    /// Asking who one is and what one may do: `myself`, `mypermissions`, an incident list without a query.
    Auth,
    /// Anything else.
    Other,
}

/// Which of the matching calls a rule strikes. Calls are counted from the moment the rule was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them.
    Always,
    /// The next so many.
    Next(u64),
    /// Every so-manieth: `EveryNth(20)` strikes the 20th, 40th, 60th.
    EveryNth(u64),
    /// Only this one, from 1.
    Nth(u64),
    /// All but the first so many.
    AfterFirst(u64),
}

/// When a throttled client is told to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date so many seconds from now.
    DateIn(u64),
    /// This text, sensible or not.
    Text(String),
    /// No `Retry-After` at all.
    Absent,
}

/// What happens to a call. "Applied" means that the ticket system carried the request out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Answers so, without applying.
    Answer(Reply),
    /// Applies, then answers so: the gateway that gives up a moment too early.
    ApplyThenAnswer(Reply),
    /// 429 with the vendor's own headers, not applied.
    Throttle {
        /// The `Retry-After` header.
        retry_after: RetryAfter,
        /// Jira Cloud's `RateLimit-Reason`, such as `jira-burst-based`; the other vendors ignore it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Reads the request and closes the connection, not applied.
    DropBefore,
    /// Applies and closes the connection with no answer.
    ApplyThenDrop,
    /// Reads the request and resets the connection (RST), not applied.
    ResetBefore,
    /// Applies and resets the connection (RST).
    ApplyThenReset,
    /// Never answers; ends when the client goes.
    Hang {
        /// Whether it is applied first.
        applied: bool,
    },
    /// Waits, then goes on as usual; a client that leaves meanwhile is not served. In JSON a number of
    /// milliseconds.
    Delay(#[serde(with = "millis")] Duration),
    /// Closes the connection with no answer now and applies so much later. In JSON a number of milliseconds.
    ApplyLate(#[serde(with = "millis")] Duration),
    /// Applies, announces the whole answer, sends half of it and closes.
    TruncatedBody,
    /// Applies and sends the answer drop by drop.
    SlowBody {
        /// Bytes in a drop, at least 1.
        bytes: usize,
        /// The pause before each drop. In JSON a number of milliseconds.
        #[serde(with = "millis")]
        every: Duration,
    },
    /// Applies and answers with the usual status and a body of so many bytes.
    HugeBody(u64),
    /// Applies and answers with a gzip body that unpacks to 64 MiB.
    GzipBomb,
    /// Answers with no body.
    EmptyBody {
        /// The status.
        status: u16,
        /// Whether it is applied first.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with bytes that announce JSON and are none.
    Garbage {
        /// The status.
        status: u16,
        /// Whether it is applied first.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with the vendor's HTML page: the login page, or the hibernating instance. Not applied.
    Html {
        /// The status.
        status: u16,
    },
    /// Answers with a redirect. Not applied.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Answers 201 with the body of another ticket system. Not applied.
    ForeignSuccess,
    /// Applies and answers as usual with keep-alive, then closes the connection once the next request
    /// has arrived on it, without applying that one.
    CloseIdle,
    /// A search that returns all rows whatever was asked.
    ReturnsEverything,
    /// A search that returns no rows.
    ReturnsNothing,
    /// A search that returns every row twice.
    ReturnsTwice,
}

/// A scripted answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

impl Reply {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.to_string() }
            .header("content-type", "application/json")
    }

    /// An answer with an HTML body.
    pub fn html(status: u16, body: &str) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.to_owned() }.header("content-type", "text/html")
    }

    /// Adds a header, or replaces the one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Effect {
    /// 429 with the vendor's headers and this `Retry-After`.
    pub fn throttle(retry_after: RetryAfter) -> Self {
        Self::Throttle { retry_after, reason: Some("jira-burst-based".to_owned()) }
    }

    /// 503 with `Retry-After` in seconds, not applied.
    pub fn unavailable(retry_after: u64) -> Self {
        let reply = Reply::html(503, "<html><body>Service Unavailable</body></html>");
        Self::Answer(reply.header("retry-after", &retry_after.to_string()))
    }

    /// 504 without applying.
    pub fn gateway_timeout() -> Self {
        Self::Answer(gateway_timeout())
    }

    /// 504 although it was applied.
    pub fn apply_then_gateway_timeout() -> Self {
        Self::ApplyThenAnswer(gateway_timeout())
    }

    /// Jira Data Center's 403 that asks for a CAPTCHA, `login_url` being its login page.
    pub fn captcha(login_url: &str) -> Self {
        Self::Answer(captcha(login_url))
    }

    /// 200 with an empty body and the header that says the login failed.
    pub fn authenticated_failed() -> Self {
        let reply = Reply { status: 200, headers: BTreeMap::new(), body: String::new() };
        Self::Answer(reply.header("x-seraph-loginreason", "AUTHENTICATED_FAILED"))
    }
}

/// One line of weather.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The calls it concerns.
    pub on: Call,
    /// Which of them it strikes.
    pub when: When,
    /// What then happens.
    pub then: Effect,
}

impl Rule {
    /// A rule.
    pub fn new(on: Call, when: When, then: Effect) -> Self {
        Self { on, when, then }
    }
}

/// The weather of a simulator: its rules in order. The first rule that strikes a call decides; every rule
/// counts every call that it concerns.
#[derive(Debug, Default)]
pub struct Weather(Mutex<Vec<(Rule, u64)>>);

impl Weather {
    /// Adds a rule after the others; it counts calls from now on.
    pub fn push(&self, rule: Rule) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((rule, 0));
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a call and says what strikes it.
    pub(crate) fn strike(&self, call: Call) -> Option<Effect> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for (rule, seen) in
            rules.iter_mut().filter(|(rule, _)| matches!(rule.on, Call::Any) || rule.on == call)
        {
            *seen += 1;
            if struck.is_none() && rule.when.strikes(*seen) {
                struck = Some(rule.then.clone());
            }
        }
        struck
    }
}

impl When {
    fn strikes(self, seen: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Next(count) => seen <= count,
            Self::EveryNth(step) => step > 0 && seen.is_multiple_of(step),
            Self::Nth(number) => seen == number,
            Self::AfterFirst(count) => seen > count,
        }
    }
}

pub(crate) fn captcha(login_url: &str) -> Reply {
    let reason = format!("CAPTCHA_CHALLENGE; login-url={login_url}");
    Reply::html(403, "<html><head><title>Forbidden (403)</title></head><body>Basic Authentication Failure - Reason : AUTHENTICATION_DENIED</body></html>")
        .header("x-seraph-loginreason", "AUTHENTICATION_DENIED")
        .header("x-authentication-denied-reason", &reason)
}

fn gateway_timeout() -> Reply {
    Reply::html(504, "<html><head><title>504 Gateway Time-out</title></head></html>")
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
