//! The port to ticket systems, which each adapter implements.

use std::any::Any;
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

/// The supported ticket systems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// The default of auto-push.
    #[default]
    Jira,
    ServiceNow,
}

/// One configured connection to a ticket system.
///
/// A create calls `prepare`, then, after the caller has made its intent durable, [`create`](Self::create).
/// `prepare` only reads, and may be repeated; `create` writes at most one ticket, because it repeats a
/// request only after a definite failure.
#[async_trait]
pub trait TicketSystem: Send + Sync + fmt::Debug {
    /// The destination of its tickets. Fixed on a delivery at its first send.
    fn destination(&self) -> Destination;

    /// The account of its calls.
    fn login(&self) -> Login;

    /// The account that creates its tickets, and the issue type. Fixed on a delivery at its first send, like
    /// the destination.
    fn made_by(&self) -> Authorship;

    /// The URL of the ticket with the key `key`; `None` if the key alone does not determine it.
    fn ticket_url(&self, key: &str) -> Option<String>;

    /// How long a created ticket may be invisible to [`look_up`](Self::look_up).
    fn visibility(&self) -> Visibility;

    /// Renders the ticket for this connection, after reading what the project offers.
    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault>;

    /// What [`prepare`](Self::prepare) would return now, if that takes no network call.
    fn prepare_from_memory(&self, _ticket_draft: &TicketDraft) -> Option<Rendered> {
        None
    }

    /// Renders the ticket without a network call; the adjustments list what could not be checked.
    fn render_offline(&self, ticket_draft: &TicketDraft) -> Rendered;

    /// Begins to open the network connection of a create, and sends no request: so it can be called while the intent
    /// becomes durable. What goes wrong is reported by the create.
    fn dial(&self) -> Dialing {
        Dialing::default()
    }

    /// Creates the ticket, over the connection of `dialing` if there is one. Begins no request after `within` has
    /// passed, and stops waiting then.
    async fn create(
        &self,
        ticket_draft: &TicketDraft,
        rendered: &Rendered,
        dialing: Dialing,
        within: Duration,
    ) -> Result<Created, Fault>;

    /// Searches `destination` for tickets with a marker. Returns an empty result only if the credentials were
    /// just proven to see the place; otherwise a fault.
    async fn look_up(&self, search: &Search) -> Result<SearchResult, Fault>;

    /// Reads a ticket by its ID or key, with the login and at the address of `destination`. `None` if the
    /// system reports no such ticket to a login that was proven to work; otherwise a fault.
    async fn read(&self, destination: &Destination, id_or_key: &str) -> Result<Option<ReadTicket>, Fault>;

    /// Tests authentication and access, step by step, without writing.
    async fn test(&self) -> Vec<Check>;
}

/// A network connection that an adapter is opening for one create, ahead of it; by default none. Dropped, it is closed.
#[derive(Default)]
pub struct Dialing(Option<Box<dyn Any + Send>>);

/// The destination of tickets: what a send and its look-up must share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// The base URL of requests, without a trailing slash. Credentials of another URL are never sent there.
    pub base_url: String,
    /// The project key, or the table name.
    pub place: String,
}

/// An account of a ticket system, as its vendor counts failed logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The address and the account; equal for all connections of one login. Contains no secret.
    pub name: String,
    /// Whether the vendor locks the account after a few consecutive refused logins: it does so for passwords,
    /// not for tokens.
    pub is_lockable: bool,
}

/// The account that creates a ticket, and the issue type: both determine whether a search finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authorship {
    /// The name of the account; for an anonymous token, its fingerprint. Empty for tickets of older versions.
    pub account: String,
    /// The issue type; empty if there is none.
    pub issue_type: String,
}

/// When a look-up finds a ticket that was created before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// At once: the search reads the primary database.
    Immediate,
    /// Once an index has caught up, within the index bound at the latest.
    Indexed(Duration),
}

/// The input for a ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketDraft {
    pub incident: Incident,
    pub marker: Marker,
}

/// A rendered ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The exact body of the create request.
    pub body: String,
    pub summary: String,
    /// The priority as the system names it, for example "Highest" or "1 - Critical"; `None` if none is sent.
    pub priority: Option<String>,
    pub labels: Vec<String>,
    /// The description in the system's markup.
    pub description: String,
    /// The description as plain text.
    pub plain_text: String,
    /// Whether the description contains the marker, because no field can hold it.
    pub marker_in_text: bool,
    /// What was cut, dropped or could not be checked, with the reason.
    pub adjustments: Vec<Adjustment>,
}

/// A field that differs from what was intended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The name of the field in the system, for example `priority`.
    pub field: String,
    pub reason: String,
}

/// A reference to a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRef {
    /// The system's internal ID: Jira's numeric ID, ServiceNow's `sys_id`.
    pub id: String,
    /// The key that people use: `SEC-42`, `INC0010002`.
    pub key: String,
    /// The URL for people.
    pub url: String,
}

/// A successful create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub ticket: TicketRef,
    /// What the system dropped or changed.
    pub adjustments: Vec<Adjustment>,
}

/// A search for tickets by their marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub marker: Marker,
    pub destination: Destination,
    /// Whether the marker was sent in the description, so that a search of other fields proves nothing.
    pub marker_in_text: bool,
    /// Canaries: known tickets of ours that were created after the send of unknown outcome. If the same
    /// search shows one of them, the index has caught up.
    pub canaries: Vec<Marker>,
}

/// The result of a search. Every ticket in it was verified to have the exact marker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchResult {
    /// Oldest first.
    pub tickets: Vec<FoundTicket>,
    pub canary_seen: bool,
}

/// A ticket with our marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTicket {
    pub ticket: TicketRef,
    pub created_at: Option<Timestamp>,
}

/// A ticket as the system shows it, created by anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTicket {
    /// Its current key, which differs from the requested one if the ticket was moved.
    pub ticket: TicketRef,
    /// The project key, or the table name.
    pub place: String,
    /// A marker on the ticket, of any incident or installation.
    pub marker: Option<Marker>,
    pub created_at: Option<Timestamp>,
}

/// A step of a connection test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// For example `authentication`, `project`, `create_permission`.
    pub name: String,
    #[serde(alias = "passed", deserialize_with = "outcome_or_passed")]
    pub outcome: CheckOutcome,
    /// The finding.
    pub detail: String,
    /// How to fix it; empty if there is nothing to fix.
    pub hint: String,
    pub duration: Duration,
    /// The fault, if a call failed.
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

    /// The name in the store, also of the system's only connection.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jira => "jira",
            Self::ServiceNow => "servicenow",
        }
    }

    /// The display name.
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

// === impl Dialing ===

impl Dialing {
    /// Wraps the adapter's own connection.
    pub fn new<T: Any + Send>(connection: T) -> Self {
        Self(Some(Box::new(connection)))
    }

    /// The connection, if it is of the adapter's own type.
    #[must_use]
    pub fn into_inner<T: Any>(self) -> Option<T> {
        self.0?.downcast().ok().map(|connection| *connection)
    }
}

impl fmt::Debug for Dialing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialing").field(&self.0.is_some()).finish()
    }
}

// === impl Visibility ===

impl Visibility {
    /// How long a search may take to show everything that was applied, counted from when nothing more can be
    /// applied.
    #[must_use]
    pub fn index_bound(self) -> Duration {
        match self {
            Self::Immediate => Duration::ZERO,
            Self::Indexed(bound) => bound,
        }
    }
}

// === impl TicketRef ===

impl TicketRef {
    /// Whether both refer to the same ticket: the same ID on the same site, or the same key if an ID is
    /// unknown. A moved ticket has another key.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let here = site_of(&self.url);
        let there = site_of(&other.url);
        let is_same_site = here == there || here.is_empty() || there.is_empty();
        let is_same_name = match (self.id.as_str(), other.id.as_str()) {
            ("", _) | (_, "") => self.key == other.key,
            (id, other) => id == other,
        };
        is_same_site && is_same_name
    }
}

/// The URL of a ticket up to where the site's pages begin.
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
        let name = name.to_owned();
        let outcome = CheckOutcome::Passed;
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
        let detail = fault.message.clone();
        let hint = fault.hint.clone();
        let name = name.to_owned();
        let outcome = CheckOutcome::Failed;
        Self { name, outcome, detail, hint, duration, fault_kind: Some(fault.kind) }
    }

    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.outcome == CheckOutcome::Failed
    }

    /// The fault, if the login was refused.
    #[must_use]
    pub fn refused_login(&self) -> Option<Fault> {
        let kind = self.fault_kind.filter(|kind| kind.is_login_refused())?;
        Some(Fault::new(kind, &self.detail).with_hint(&self.hint))
    }
}

/// At most [`limits::MAX_ADJUSTMENTS`], each within its limits; the last one says how many are not listed.
#[must_use]
pub fn bounded_adjustments(all: Vec<Adjustment>) -> Vec<Adjustment> {
    let (count, kept) = (
        all.len(),
        if all.len() > limits::MAX_ADJUSTMENTS { limits::MAX_ADJUSTMENTS - 1 } else { all.len() },
    );
    let mut listed: Vec<_> =
        all.into_iter().take(kept).map(|given| Adjustment::new(&given.field, given.reason)).collect();
    if count > kept {
        listed.push(Adjustment::new("", format!("{} more adjustments are not listed", count - kept)));
    }
    listed
}

// === impl TicketRef ===

impl TicketRef {
    /// The reference within its limits, as it can be shown. One that entered before there were limits may exceed them.
    #[must_use]
    pub fn bounded(self) -> Self {
        let url =
            if self.url.chars().nth(limits::MAX_TICKET_URL).is_none() { self.url } else { String::new() };
        Self {
            id: limits::cut(&self.id, limits::MAX_TICKET_NAME),
            key: limits::cut(&self.key, limits::MAX_TICKET_NAME),
            url,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifies_ticket_by_site_and_id() {
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

    #[test]
    fn bounds_every_text_of_an_adjustment_and_a_ticket() {
        let huge = "é".repeat(1_000_000);
        let adjustment = Adjustment::new(&huge, huge.clone());
        assert_eq!(adjustment.field.chars().count(), MAX_NAME);
        assert_eq!(adjustment.reason.chars().count(), MAX_REASON);
        let ticket = TicketRef { id: huge.clone(), key: huge.clone(), url: huge }.bounded();
        assert_eq!((ticket.id.chars().count(), ticket.key.chars().count()), (255, 255));
        assert_eq!(ticket.url, "");
    }

    #[test]
    fn lists_at_most_fifty_adjustments_and_counts_the_rest() {
        let of = |count: usize| bounded_adjustments(vec![Adjustment::new("labels", "not sent"); count]);
        assert_eq!(of(50).len(), 50);
        let many = of(1_000);
        assert_eq!(many.len(), limits::MAX_ADJUSTMENTS);
        assert_eq!(many[49].reason, "951 more adjustments are not listed");
    }
}
