//! Requests to Jira: address, credentials, timeouts.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Dialing;
use ticketing_egress::{HttpClient, Redactor, Reply, Request, redact_reply};

use crate::faults::{self, Purpose};
use crate::settings::Settings;

/// Maximum total time of optional reads.
const MAX_OPTIONAL: Duration = Duration::from_secs(5);

/// The REST API versions: Cloud uses ADF in 3, Data Center wiki markup in 2. Both support 2 well enough to
/// detect the flavor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    V2,
    V3,
}

/// Sends requests to one site with one account.
#[derive(Debug)]
pub(crate) struct Client {
    client: HttpClient,
    settings: Settings,
    read_timeout: Duration,
}

/// A parsed reply, with its duration.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) reply: Reply,
}

// === impl Client ===

impl Client {
    pub(crate) fn new(client: HttpClient, settings: Settings, read_timeout: Duration) -> Self {
        Self { client, settings, read_timeout }
    }

    /// Reads a resource and parses the JSON of a 200.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        api: Api,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer<T>, Fault> {
        self.read_within(api, path, query, self.read_timeout).await
    }

    /// The same with its own timeout, for optional or urgent reads.
    pub(crate) async fn read_within<T: DeserializeOwned>(
        &self,
        api: Api,
        path: &[&str],
        query: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Answer<T>, Fault> {
        let timeout = timeout.min(self.read_timeout);
        let reply = self.read_reply(api, path, query, timeout).await?;
        self.understand(reply, path)
    }

    /// Reads a resource: returns the reply, whatever its status.
    pub(crate) async fn get(&self, api: Api, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, Fault> {
        self.read_reply(api, path, query, self.read_timeout).await
    }

    /// Classifies the reply to a failed read.
    pub(crate) fn classify_read(&self, reply: &Reply) -> Fault {
        self.without_secret(faults::classify(reply, Purpose::Project))
    }

    /// Sends a body without writing anything, and parses the JSON of a 200.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        api: Api,
        path: &[&str],
        body: String,
    ) -> Result<Answer<T>, Fault> {
        let request = Request { is_read: true, ..self.post(api, path, body, self.read_timeout) };
        let reply = self.send(Dialing::default(), request).await?;
        self.understand(reply, path)
    }

    /// Timeout of an optional read: a part of the time of a request, so that the rest is left for required
    /// ones.
    pub(crate) fn optional_budget(&self) -> Duration {
        MAX_OPTIONAL.min(self.client.max_timeout() / 3)
    }

    /// The rest of the time that began at `began`.
    pub(crate) fn left(&self, began: Timestamp, within: Duration) -> Duration {
        within.saturating_sub(self.client.now().duration_since(began).unsigned_abs())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.client.now()
    }

    /// Adds a comment to a newly created ticket.
    pub(crate) async fn comment(
        &self,
        api: Api,
        issue: &str,
        body: String,
        within: Duration,
    ) -> Result<(), Fault> {
        let path = ["issue", issue, "comment"];
        let reply = self.send(Dialing::default(), self.post(api, &path, body, within)).await?;
        match reply.status {
            201 if !reply.is_html() => Ok(()),
            _ => Err(self.without_secret(faults::classify(&reply, Purpose::Project))),
        }
    }

    /// Begins to open a connection to the site.
    pub(crate) fn dial(&self) -> Dialing {
        self.client.dial(&self.base(Api::V2, &[]))
    }

    /// Sends the create request.
    pub(crate) async fn create(
        &self,
        api: Api,
        body: String,
        dialing: Dialing,
        within: Duration,
    ) -> Result<Reply, Fault> {
        self.send(dialing, self.post(api, &["issue"], body, within)).await
    }

    /// Classifies the reply to a failed create.
    pub(crate) fn classify_create(&self, reply: &Reply) -> Fault {
        self.without_secret(faults::classify(reply, Purpose::Create))
    }

    fn understand<T: DeserializeOwned>(&self, reply: Reply, path: &[&str]) -> Result<Answer<T>, Fault> {
        let purpose = match path.last() {
            Some(&("serverInfo" | "myself" | "mypermissions")) => Purpose::Account,
            _ => Purpose::Project,
        };
        if reply.status != 200 {
            return Err(self.without_secret(faults::classify(&reply, purpose)));
        }
        // serverInfo needs no login, so an anonymous answer is as good.
        if path.last() != Some(&"serverInfo")
            && let Some(fault) = faults::answered_anonymously(&reply)
        {
            return Err(self.without_secret(fault));
        }
        match serde_json::from_str(&reply.body) {
            Ok(value) => Ok(Answer { value, reply }),
            Err(_) => {
                let expected = format!("a readable {}", path.last().unwrap_or(&"answer"));
                Err(self.without_secret(faults::unreadable(&reply, &expected, purpose)))
            }
        }
    }

    pub(crate) fn without_secret(&self, mut fault: Fault) -> Fault {
        fault.message = self.redact(&fault.message);
        fault.hint = self.redact(&fault.hint);
        if let (FaultKind::Unauthorized, Some(oddity)) = (fault.kind, &self.settings.oddity) {
            fault.hint.push_str(&format!("; note that {oddity}"));
        }
        fault
    }

    /// `text` without the credentials for Jira and for the proxy.
    fn redact(&self, text: &str) -> String {
        self.redactor().redact(text)
    }

    fn redactor(&self) -> Redactor {
        self.settings.login.add_to(self.client.redactor())
    }

    async fn read_reply(
        &self,
        api: Api,
        path: &[&str],
        query: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Reply, Fault> {
        let mut url = self.base(api, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = Request::get(url, Some(self.settings.login.authorization()), timeout);
        self.send(Dialing::default(), request).await
    }

    fn post(&self, api: Api, path: &[&str], body: String, timeout: Duration) -> Request {
        let authorization = Some(self.settings.login.authorization());
        Request::post(self.base(api, path), authorization, body.into(), timeout)
    }

    async fn send(&self, dialing: Dialing, request: Request) -> Result<Reply, Fault> {
        if request.timeout.is_zero() {
            return Err(Fault::new(FaultKind::TooLate, "the request was not sent: its deadline had passed"));
        }
        let reply = self.client.send_over(dialing, request).await?;
        // A reply may echo what was sent. It is redacted before any part of it is used.
        let redactor = self.redactor();
        let body = if (200..300).contains(&reply.status) {
            redact_reply(reply.body, self.settings.login.secret(), |text| redactor.redact(text))
        } else {
            redactor.redact_excerpt(&reply.body)
        };
        Ok(Reply { body, ..reply })
    }

    fn base(&self, api: Api, path: &[&str]) -> url::Url {
        let version = match api {
            Api::V2 => "2",
            Api::V3 => "3",
        };
        match &self.settings.gateway {
            Some(gateway) => {
                let prefix = ["ex", "jira", &gateway.cloud_id, "rest", "api", version];
                gateway.site.join(&[&prefix, path].concat())
            }
            None => self.settings.site.join(&[&["rest", "api", version], path].concat()),
        }
    }
}
