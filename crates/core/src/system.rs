//! The port to ticket systems: what the delivery needs of Jira, ServiceNow, and whatever comes third.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::clean::clean;
use crate::fault::{Fault, FaultKind};
use crate::incident::Incident;
use crate::limits::{self, MAX_NAME, MAX_REASON};
use crate::marker::Marker;

/// The ticket systems we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Jira,
    ServiceNow,
}

/// One configured connection to a ticket system.
///
/// The order of calls for a create is `prepare`, then [`create`](Self::create) after the caller has made its intent
/// durable. `prepare` reads, and may be repeated at will; `create` writes at most one ticket, for it repeats a request
/// only where the first was definitely refused.
#[async_trait]
pub trait TicketSystem: Send + Sync + fmt::Debug {
    /// Where its tickets go. Frozen on a delivery at its first send.
    fn destination(&self) -> Destination;

    /// The account that calls are made as.
    fn login(&self) -> Login;

    /// Who creates its tickets, and as what kind. Frozen on a delivery at its first send, as the destination is.
    fn made_by(&self) -> Authorship;

    /// Where people read the ticket that they call `key`; `None` if the key alone does not determine it.
    fn ticket_url(&self, key: &str) -> Option<String>;

    /// How long a created ticket may stay unseen by [`look_up`](Self::look_up).
    fn visibility(&self) -> Visibility;

    /// Renders the ticket for this connection, asking it what the project offers.
    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault>;

    /// Renders the ticket without asking anybody: what could not be checked is said in the adjustments.
    fn render_offline(&self, ticket_draft: &TicketDraft) -> Rendered;

    /// Creates the ticket. Begins no request after `within` has passed, and gives up waiting then.
    async fn create(
        &self,
        ticket_draft: &TicketDraft,
        rendered: &Rendered,
        within: Duration,
    ) -> Result<Created, Fault>;

    /// Searches `destination` for tickets that bear a marker. An empty result is only returned when the credentials
    /// were proven to see the place just then; else it is a fault.
    async fn look_up(&self, search: &Search) -> Result<SearchResult, Fault>;

    /// Reads one ticket by its ID or key, with the login and at the address of `destination`. `None` where the system
    /// says that this account has no such ticket, and the login was shown to work; else a fault.
    async fn read(&self, destination: &Destination, id_or_key: &str) -> Result<Option<ReadTicket>, Fault>;

    /// Proves authentication and access, step by step, writing nothing.
    async fn test(&self) -> Vec<Check>;
}

/// Where tickets go: what must stay the same between a send and the look-up for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// The address that requests go to, without a trailing slash. Credentials of another address are never sent there.
    pub base_url: String,
    /// The project key, or the table.
    pub place: String,
}

/// An account of a ticket system, as its vendor counts refused logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The address and the account; the same for every connection that logs in as it. It holds no secret.
    pub name: String,
    /// Whether the vendor locks the account after a few refused logins in a row: it does for passwords, not for tokens.
    pub is_lockable: bool,
}

/// Who creates a ticket, and as what kind: both decide whether a search shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authorship {
    /// The account's name; of a token without a name its fingerprint. Empty for what was sent before this was kept.
    pub account: String,
    /// The issue type; empty where there is none.
    pub issue_type: String,
}

/// When a look-up shows a ticket that was created before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// At once: the search reads what the create wrote.
    Immediate,
    /// After an index was brought up to date. Which default bound applies depends on the kind of installation.
    Indexed(Index),
}

/// The search indexes we know, by how far they lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    JiraCloud,
    JiraDataCenter,
}

/// What is to become a ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketDraft {
    pub incident: Incident,
    pub marker: Marker,
}

/// A ticket as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The very bytes of the create request.
    pub body: String,
    pub summary: String,
    /// The priority in the system's own words, for example "Highest" or "1 - Critical"; `None` where none is sent.
    pub priority: Option<String>,
    pub labels: Vec<String>,
    /// The description in the system's own markup.
    pub description: String,
    /// A plain-text reading of the description.
    pub plain_text: String,
    /// Whether the marker stands in the description, for want of a field to bear it.
    pub marker_in_text: bool,
    /// What was cut, dropped or could not be checked, and why.
    pub adjustments: Vec<Adjustment>,
}

/// A field that is not as it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The field, in the system's own words, for example `priority`.
    pub field: String,
    pub reason: String,
}

/// A ticket that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRef {
    /// The system's own id: Jira's numeric id, ServiceNow's `sys_id`.
    pub id: String,
    /// What people call it: `SEC-42`, `INC0010002`.
    pub key: String,
    /// Where people read it.
    pub url: String,
}

/// A create that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub ticket: TicketRef,
    /// What the system dropped or changed of what was sent.
    pub adjustments: Vec<Adjustment>,
}

/// What to search for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub marker: Marker,
    pub destination: Destination,
    /// Whether the marker was sent in the description, so that a search of other fields proves nothing.
    pub marker_in_text: bool,
    /// Tickets of ours that are known to exist and were made after the send of unknown outcome: if the same search shows one of
    /// them, the index has come that far.
    pub canaries: Vec<Marker>,
}

/// What a search showed. Every ticket in it was checked to bear the exact marker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchResult {
    /// Oldest first.
    pub tickets: Vec<FoundTicket>,
    pub canary_seen: bool,
}

/// A ticket that bears our marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTicket {
    pub ticket: TicketRef,
    pub created_at: Option<Timestamp>,
}

/// A ticket as the system shows it, created by anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTicket {
    /// Its present key, which differs from the one asked for where the ticket was moved.
    pub ticket: TicketRef,
    /// The project key, or the table.
    pub place: String,
    /// The marker of our form that stands on the ticket, of whichever incident or installation.
    pub marker: Option<Marker>,
    pub created_at: Option<Timestamp>,
}

/// One step of a connection test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// For example `authentication`, `project`, `create_permission`.
    pub name: String,
    #[serde(alias = "passed", deserialize_with = "outcome_or_passed")]
    pub outcome: CheckOutcome,
    /// What was found.
    pub detail: String,
    /// How to fix it; empty if there is nothing to fix.
    pub hint: String,
    pub duration: Duration,
    /// What went wrong, where a call failed.
    #[serde(default)]
    pub fault_kind: Option<FaultKind>,
}

/// The result of one step of a connection test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckOutcome {
    Passed,
    Failed,
    /// Reading cannot show it.
    Unproven,
    /// Not tried, because a step that it depends on failed.
    Skipped,
}

/// Rows of earlier versions say only whether the step passed.
fn outcome_or_passed<'de, D: Deserializer<'de>>(stored: D) -> Result<CheckOutcome, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Outcome(CheckOutcome),
        Passed(bool),
    }
    Ok(match Stored::deserialize(stored)? {
        Stored::Outcome(outcome) => outcome,
        Stored::Passed(true) => CheckOutcome::Passed,
        Stored::Passed(false) => CheckOutcome::Failed,
    })
}

// === impl System ===

impl System {
    pub const ALL: [Self; 2] = [Self::Jira, Self::ServiceNow];

    /// The name in the store, and of the system's one target.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jira => "jira",
            Self::ServiceNow => "servicenow",
        }
    }

    /// The name that people know.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Jira => "Jira",
            Self::ServiceNow => "ServiceNow",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.as_str() == text)
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl TicketRef ===

impl TicketRef {
    /// Whether both name one ticket: the same ID on the same site, or the same key where an ID is not known. A ticket that was
    /// moved has another key.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (here, there) = (site_of(&self.url), site_of(&other.url));
        let is_same_site = here == there || here.is_empty() || there.is_empty();
        let is_same_name = match (self.id.as_str(), other.id.as_str()) {
            ("", _) | (_, "") => self.key == other.key,
            (id, other) => id == other,
        };
        is_same_site && is_same_name
    }
}

/// The address of a ticket up to where the site's own pages begin.
fn site_of(url: &str) -> &str {
    let pages = ["/browse/", "/nav_to.do"].into_iter().filter_map(|page| url.find(page));
    &url[..pages.min().unwrap_or(url.len())]
}

// === impl Adjustment ===

impl Adjustment {
    pub fn new(field: &str, reason: impl Into<String>) -> Self {
        let reason = limits::cut(&clean(&reason.into()).text, MAX_REASON);
        Self { field: limits::cut(field, MAX_NAME), reason }
    }
}

// === impl Check ===

impl Check {
    pub fn passed(name: &str, detail: impl Into<String>, duration: Duration) -> Self {
        let detail = limits::cut(&clean(&detail.into()).text, MAX_REASON);
        let (name, outcome) = (name.to_owned(), CheckOutcome::Passed);
        Self { name, outcome, detail, hint: String::new(), duration, fault_kind: None }
    }

    pub fn unproven(name: &str, detail: impl Into<String>, duration: Duration) -> Self {
        Self { outcome: CheckOutcome::Unproven, ..Self::passed(name, detail, duration) }
    }

    /// Not tried, because the step `failed` failed.
    pub fn skipped(name: &str, failed: &str) -> Self {
        let detail = format!("not tried: {failed} failed");
        Self { outcome: CheckOutcome::Skipped, ..Self::passed(name, detail, Duration::ZERO) }
    }

    pub fn failed(name: &str, fault: &Fault, duration: Duration) -> Self {
        let (detail, hint) = (fault.message.clone(), fault.hint.clone());
        let (name, outcome) = (name.to_owned(), CheckOutcome::Failed);
        Self { name, outcome, detail, hint, duration, fault_kind: Some(fault.kind) }
    }

    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.outcome == CheckOutcome::Failed
    }

    /// Whether the login was refused.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        self.fault_kind.is_some_and(FaultKind::is_login_refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ticket_is_told_from_another_by_site_and_id() {
        let ticket = |id: &str, key: &str, site: &str| {
            let url = if site.is_empty() { String::new() } else { format!("{site}/browse/{key}") };
            TicketRef { id: id.to_owned(), key: key.to_owned(), url }
        };
        let known = ticket("1", "SEC-1", "https://a.example");
        for same in [
            ticket("1", "OPS-7", "https://a.example"),
            ticket("", "SEC-1", "https://a.example"),
            ticket("", "SEC-1", ""),
        ] {
            assert!(known.is_same(&same) && same.is_same(&known), "{same:?}");
        }
        for other in [
            ticket("2", "SEC-1", "https://a.example"),
            ticket("1", "SEC-1", "https://b.example"),
            ticket("", "SEC-2", ""),
        ] {
            assert!(!known.is_same(&other) && !other.is_same(&known), "{other:?}");
        }
    }
}
