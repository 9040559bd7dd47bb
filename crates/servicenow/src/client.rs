//! Requests to the Table API.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Dialing;
use ticketing_egress::{Authorization, HttpClient, Redactor, Reply, Request, redact_reply};
use url::Url;

use crate::faults;
use crate::settings::Settings;
use crate::wire::Answer;

/// Timeout of one read.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum timeout of an optional read.
const MAX_OPTIONAL: Duration = Duration::from_secs(5);

/// Maximum length of a refusal that is read, in bytes.
const MAX_REFUSAL: usize = 64 * 1024;

/// One instance, and an account on it.
#[derive(Debug)]
pub(crate) struct Client {
    instance: Url,
    authorization: Authorization,
    /// Redacts the credentials, in case the instance echoes them.
    password: SecretString,
    /// A possible cause if the login is refused.
    oddity: Option<String>,
    client: HttpClient,
}

/// When the last request must have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Timestamp);

// === impl Client ===

impl Client {
    pub(crate) fn new(settings: &Settings, client: HttpClient) -> Self {
        Self {
            instance: settings.instance.clone(),
            authorization: Authorization::basic(&settings.username, &settings.password),
            password: settings.password.clone(),
            oddity: settings.oddity(),
            client,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.client.now()
    }

    /// Timeout of an optional read, as a part of the time of a request.
    pub(crate) fn optional_budget(&self) -> Duration {
        MAX_OPTIONAL.min(self.client.max_timeout() / 3)
    }

    /// Begins to open a connection to the instance.
    pub(crate) fn dial(&self) -> Dialing {
        self.client.dial(&self.instance)
    }

    pub(crate) fn deadline(&self, within: Duration) -> Deadline {
        Deadline(self.now().saturating_add(within).unwrap_or(Timestamp::MAX))
    }

    /// Reads records of a table.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        table: &str,
        query: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<(T, Reply), Fault> {
        let request = self.request(Method::GET, self.address(&[table], query), None, timeout);
        let reply = self.send(Dialing::default(), request).await?;
        self.read(reply, 200)
    }

    /// Reads one record; `None` if the instance reports that the account sees no such record.
    pub(crate) async fn record<T: DeserializeOwned>(
        &self,
        table: &str,
        sys_id: &str,
        fields: &str,
        timeout: Duration,
    ) -> Result<Option<T>, Fault> {
        let query = [("sysparm_fields", fields), ("sysparm_exclude_reference_link", "true")];
        let request = self.request(Method::GET, self.address(&[table, sys_id], &query), None, timeout);
        let reply = self.send(Dialing::default(), request).await?;
        if reply.status == 404 && faults::is_from_instance(&reply) {
            let fault = self.fault(&reply);
            return if fault.kind == FaultKind::NotFound { Ok(None) } else { Err(fault) };
        }
        self.read(reply, 200).map(|(record, _)| Some(record))
    }

    /// Inserts a record. Only a 201 with a result is a success. A refusal comes with its reply, so that `evidence.rs` can
    /// tell whether it concerns the record or the connection.
    pub(crate) async fn insert<T: DeserializeOwned>(
        &self,
        table: &str,
        query: &[(&str, &str)],
        body: &str,
        dialing: Dialing,
        deadline: Deadline,
    ) -> Result<T, (Fault, Option<Reply>)> {
        let timeout = self.time_left(deadline).map_err(|fault| (fault, None))?;
        let request =
            self.request(Method::POST, self.address(&[table], query), Some(body.to_owned()), timeout);
        let reply = self.send(dialing, request).await.map_err(|fault| (fault, None))?;
        if reply.status == 201 {
            return self.read(reply, 201).map(|(record, _)| record).map_err(|fault| (fault, None));
        }
        Err((self.fault(&reply), Some(reply)))
    }

    /// Updates a record.
    pub(crate) async fn update<T: DeserializeOwned>(
        &self,
        table: &str,
        sys_id: &str,
        body: String,
        deadline: Deadline,
    ) -> Result<T, Fault> {
        let timeout = self.time_left(deadline)?;
        let query = [("sysparm_exclude_reference_link", "true")];
        let request =
            self.request(Method::PATCH, self.address(&[table, sys_id], &query), Some(body), timeout);
        let reply = self.send(Dialing::default(), request).await?;
        self.read(reply, 200).map(|(record, _)| record)
    }

    /// The time left until a deadline.
    pub(crate) fn time_left(&self, deadline: Deadline) -> Result<Duration, Fault> {
        let left = Duration::try_from(deadline.0.duration_since(self.now())).unwrap_or_default();
        let late = || Fault::new(FaultKind::TooLate, "the request was not sent: its deadline had passed");
        if left.is_zero() { Err(late()) } else { Ok(left) }
    }

    fn address(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.instance.clone();
        url.set_path(&format!("/api/now/table/{}", segments.join("/")));
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    fn request(&self, method: Method, url: Url, body: Option<String>, timeout: Duration) -> Request {
        let is_read = method == Method::GET;
        let authorization = Some(self.authorization.clone());
        Request { method, url, authorization, body: body.map(Into::into), timeout, is_read }
    }

    async fn send(&self, dialing: Dialing, request: Request) -> Result<Reply, Fault> {
        let reply = self.client.send_over(dialing, request).await?;
        let redactor = self.redactor();
        if !(200..300).contains(&reply.status) {
            // Of a long body only the beginning is read, without a partial secret at the cut.
            let body = if reply.body.len() > MAX_REFUSAL {
                redactor.redact_excerpt(&reply.body)
            } else {
                reply.body
            };
            return Ok(Reply { body, ..reply });
        }
        let body = redact_reply(reply.body, self.password.expose_secret(), |text| redactor.redact(text));
        Ok(Reply { body, ..reply })
    }

    fn read<T: DeserializeOwned>(&self, reply: Reply, success: u16) -> Result<(T, Reply), Fault> {
        if reply.status != success || reply.is_html() {
            return Err(self.fault(&reply));
        }
        match serde_json::from_str::<Answer<T>>(&reply.body) {
            Ok(answer) => Ok((answer.result, reply)),
            Err(_) if reply.body.trim().is_empty() => Err(faults::unreadable(&reply, "an empty body")),
            Err(_) => Err(faults::unreadable(&reply, "not the answer of a Table API")),
        }
    }

    fn fault(&self, reply: &Reply) -> Fault {
        let mut fault = faults::of(reply, |words| self.discreet(words));
        if let (FaultKind::Unauthorized, Some(oddity)) = (fault.kind, &self.oddity) {
            fault.hint.push_str(&format!("; note that {oddity}"));
        }
        fault
    }

    /// An instance, or an intermediary, may echo what it was sent.
    pub(crate) fn discreet(&self, words: &str) -> String {
        self.redactor().redact_excerpt(words)
    }

    fn redactor(&self) -> Redactor {
        self.authorization.add_to(self.client.redactor()).with(self.password.expose_secret())
    }
}
