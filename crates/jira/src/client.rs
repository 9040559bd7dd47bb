//! The requests: which address, who asks, how long.

use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_outbound::{Door, Reply, Request};

use crate::faults;
use crate::settings::Settings;

/// The REST API versions: Cloud speaks ADF in 3, Data Center wiki markup in 2. Both know 2 well enough to be asked
/// which of them they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    V2,
    V3,
}

/// Sends requests to one site as one account.
#[derive(Debug)]
pub(crate) struct Client {
    door: Door,
    settings: Settings,
    read_timeout: Duration,
}

/// A reading that a reply held, and how long it took to come.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) reply: Reply,
}

// === impl Client ===

impl Client {
    pub(crate) fn new(door: Door, settings: Settings, read_timeout: Duration) -> Self {
        Self { door, settings, read_timeout }
    }

    /// Asks for a resource.
    pub(crate) async fn get(&self, api: Api, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, Fault> {
        self.send(Method::GET, api, path, query, None, self.read_timeout).await
    }

    /// Asks for a resource and reads the JSON of a 200.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        api: Api,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer<T>, Fault> {
        let reply = self.get(api, path, query).await?;
        self.understand(reply, path.last().unwrap_or(&"answer"))
    }

    /// Asks with a body, writing nothing, and reads the JSON of a 200.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        api: Api,
        path: &[&str],
        body: String,
    ) -> Result<Answer<T>, Fault> {
        let reply = self.send(Method::POST, api, path, &[], Some(body), self.read_timeout).await?;
        self.understand(reply, path.last().unwrap_or(&"answer"))
    }

    /// Sends the one request that writes.
    pub(crate) async fn create(&self, api: Api, body: String, within: Duration) -> Result<Reply, Fault> {
        self.send(Method::POST, api, &["issue"], &[], Some(body), within).await
    }

    /// Judges a reply that is no success.
    pub(crate) fn judge(&self, reply: &Reply) -> Fault {
        self.without_secret(faults::judge(reply))
    }

    fn understand<T: DeserializeOwned>(&self, reply: Reply, expected: &str) -> Result<Answer<T>, Fault> {
        if reply.status != 200 {
            return Err(self.judge(&reply));
        }
        match serde_json::from_str(&reply.body) {
            Ok(value) => Ok(Answer { value, reply }),
            Err(_) => Err(self.without_secret(faults::unreadable(&reply, &format!("a readable {expected}")))),
        }
    }

    pub(crate) fn without_secret(&self, mut fault: Fault) -> Fault {
        fault.message = self.hide(&fault.message);
        fault
    }

    /// `text` without anything that proves who we are, to Jira or to the proxy on the way.
    fn hide(&self, text: &str) -> String {
        self.door.hide(&self.settings.login.hide(text))
    }

    async fn send(
        &self,
        method: Method,
        api: Api,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<String>,
        timeout: Duration,
    ) -> Result<Reply, Fault> {
        if timeout.is_zero() {
            return Err(Fault::new(FaultKind::TooLate, "no time was left to send the request"));
        }
        let mut url = self.base(api, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let authorization = Some(self.settings.login.authorization());
        let reply = self.door.send(Request { method, url, authorization, body, timeout }).await?;
        // A refusal may repeat what it was sent. It is made harmless before a part of it goes anywhere.
        let refused = !(200..300).contains(&reply.status);
        Ok(if refused { Reply { body: self.hide(&reply.body), ..reply } } else { reply })
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
