//! Create metadata of the project: issue types, and the fields of the create screen.
//!
//! It improves rendering but is optional: if Jira does not return it, or too slowly, or in an unknown format,
//! tickets are created from the settings alone, with adjustments that list what could not be checked. The
//! only requirement is that the login works and sees the project.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Adjustment;

use crate::choice::Choice;
use crate::client::{Api, Client};
use crate::issue_type;
use crate::wire::{CreateField, MetaPage, Myself, Named, Project};

const PAGE: usize = 50;
const MAX_PAGES: usize = 20;
/// Fields that are sent, or that Jira fills in.
const NO_CONCERN: [&str; 7] =
    ["project", "issuetype", "summary", "description", "priority", "labels", "reporter"];

/// What a project offers for our tickets.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) issue_type: Choice,
    pub(crate) priorities: Priorities,
    pub(crate) labels: bool,
    pub(crate) description: bool,
    /// Whether Jira reported this, rather than the settings.
    pub(crate) is_known: bool,
    /// Required fields that are not sent, by ID and name.
    pub(crate) unfilled: Vec<(String, String)>,
    /// What could not be checked, or may be missing.
    pub(crate) remarks: Vec<Adjustment>,
}

/// The available priorities.
#[derive(Debug, Clone)]
pub(crate) enum Priorities {
    Offered(Vec<Named>),
    /// The create screen has no such field.
    OffScreen,
    /// Unknown: the usual names are used.
    Unknown,
}

// === impl Offer ===

impl Offer {
    /// The defaults where no metadata is available.
    pub(crate) fn assumed(issue_type: &str, why: &str) -> Self {
        let remarks = ["issuetype", "priority", "labels"].map(|field| Adjustment::new(field, why));
        Self {
            issue_type: Choice::named(issue_type),
            priorities: Priorities::Unknown,
            labels: true,
            description: true,
            is_known: false,
            unfilled: Vec::new(),
            remarks: remarks.to_vec(),
        }
    }

    pub(crate) fn of_fields(issue_type: &Named, fields: Vec<CreateField>) -> Self {
        let mut offer = Self {
            issue_type: Choice::with_id(&issue_type.id, &issue_type.name),
            priorities: Priorities::OffScreen,
            labels: false,
            description: false,
            is_known: true,
            unfilled: Vec::new(),
            remarks: Vec::new(),
        };
        for field in fields {
            let id = field.field_id.or(field.key).unwrap_or_default();
            match id.as_str() {
                "priority" => offer.priorities = Priorities::Offered(named(field.allowed_values)),
                "labels" => offer.labels = true,
                "description" => offer.description = true,
                id if field.required && !field.has_default_value && !NO_CONCERN.contains(&id) => {
                    let reason = format!(
                        "the project requires \"{}\", which is not sent: the ticket may be refused; make it optional or \
                         give it a default for {}",
                        field.name, issue_type.name
                    );
                    offer.remarks.push(Adjustment::new(id, reason));
                    offer.unfilled.push((id.to_owned(), field.name));
                }
                _ => {}
            }
        }
        offer
    }
}

/// Reads what `project` offers for the issue type `issue_type`, within the time of an optional read.
pub(crate) async fn offer(
    client: &Client,
    api: Api,
    project: &str,
    issue_type: &str,
) -> Result<Offer, Fault> {
    let began = client.now();
    let types =
        match pages::<Named>(client, api, &["issue", "createmeta", project, "issuetypes"], began).await {
            Ok(types) => types,
            Err(fault) => return without_meta(client, api, project, issue_type, fault).await,
        };
    let found = match issue_type::find(&types, issue_type) {
        Some(found) => Some(found),
        None => by_project(client, api, project, issue_type, &types).await,
    };
    let Some(found) = found else { return Err(not_offered(project, issue_type, &types)) };
    match pages(client, api, &["issue", "createmeta", project, "issuetypes", &found.id], began).await {
        Ok(fields) => Ok(Offer::of_fields(found, fields)),
        Err(fault) => without_meta(client, api, project, issue_type, fault).await,
    }
}

/// The type of this name in the project, which may have more details than the create screen.
async fn by_project<'t>(
    client: &Client,
    api: Api,
    project: &str,
    issue_type: &str,
    types: &'t [Named],
) -> Option<&'t Named> {
    let budget = client.optional_budget();
    let answer = client.read_within::<Project>(api, &["project", project], &[], budget).await;
    let known = answer.ok()?.value.issue_types;
    let known = named(known);
    let found = issue_type::find(&known, issue_type)?;
    types.iter().find(|offered| offered.id == found.id)
}

fn not_offered(project: &str, issue_type: &str, types: &[Named]) -> Fault {
    if issue_type::find_any(types, issue_type).is_some_and(|found| found.subtask) {
        let message = format!("\"{issue_type}\" is a sub-task type, of which no issue can be created alone");
        return Fault::new(FaultKind::Misconfigured, message).with_hint(offered_hint(types, issue_type));
    }
    let message = format!("project {project} offers no issue type \"{issue_type}\" to this account");
    Fault::new(FaultKind::Misconfigured, message).with_hint(offered_hint(types, issue_type))
}

fn offered_hint(types: &[Named], issue_type: &str) -> String {
    match issue_type::nearest_first(types, issue_type).as_slice() {
        [] => "the account may create no issues in this project: grant it Create issues".to_owned(),
        offered => format!("set jira.issue_type to one of: {}", offered.join(", ")),
    }
}

/// A Jira without create metadata may still create: Data Center before 8.4 knows no such resource, some sites
/// refuse it or switch it off, and it may be too large to read. Reads of the account and the project rule out a wrong
/// login and a missing project.
async fn without_meta(
    client: &Client,
    api: Api,
    project: &str,
    issue_type: &str,
    fault: Fault,
) -> Result<Offer, Fault> {
    if is_final(fault.kind) {
        return Err(fault);
    }
    client.read::<Myself>(api, &["myself"], &[]).await?;
    client.read::<Project>(api, &["project", project], &[]).await?;
    Ok(Offer::assumed(
        issue_type,
        &format!("not checked: Jira did not say what the project offers ({})", fault.message),
    ))
}

/// Whether the next request would fail in the same way, or must not be sent.
pub(crate) fn is_final(kind: FaultKind) -> bool {
    match kind {
        FaultKind::NotPermitted
        | FaultKind::Dns
        | FaultKind::Connect
        | FaultKind::Tls
        | FaultKind::Misconfigured
        | FaultKind::Unauthorized
        | FaultKind::LockedOut
        | FaultKind::RateLimited => true,
        FaultKind::TooLate
        | FaultKind::Rejected
        | FaultKind::Forbidden
        | FaultKind::NotFound
        | FaultKind::TooLarge
        | FaultKind::TimedOut
        | FaultKind::ConnectionLost
        | FaultKind::Redirected
        | FaultKind::Conflict
        | FaultKind::ServerError
        | FaultKind::UnreadableReply
        | FaultKind::Dormant
        | FaultKind::Dropped
        | FaultKind::Restored => false,
    }
}

async fn pages<T: DeserializeOwned>(
    client: &Client,
    api: Api,
    path: &[&str],
    began: Timestamp,
) -> Result<Vec<T>, Fault> {
    let mut rows = Vec::new();
    for _ in 0..MAX_PAGES {
        let start = rows.len().to_string();
        let size = PAGE.to_string();
        let query = [("startAt", start.as_str()), ("maxResults", size.as_str())];
        let left: Duration = client.left(began, client.optional_budget());
        let page: MetaPage<T> = client.read_within(api, path, &query, left).await?.value;
        if page.is_hollow() {
            return Err(Fault::new(FaultKind::UnreadableReply, "HTTP 200 without issue types or fields"));
        }
        let is_last = page.is_last;
        let total = page.total;
        let more = page.rows();
        let empty = more.is_empty();
        rows.extend(more);
        let last = is_last.unwrap_or_else(|| total.is_none_or(|total| rows.len() >= total));
        if empty || last {
            break;
        }
    }
    Ok(rows)
}

// === impl MetaPage ===

impl<T> MetaPage<T> {
    /// Whether it lacks every list of such a page.
    fn is_hollow(&self) -> bool {
        self.issue_types.is_none() && self.fields.is_none() && self.values.is_none()
    }

    pub(crate) fn rows(self) -> Vec<T> {
        self.issue_types.or(self.fields).or(self.values).unwrap_or_default()
    }
}

fn named(values: Option<Vec<Value>>) -> Vec<Named> {
    values.into_iter().flatten().filter_map(|value| serde_json::from_value(value).ok()).collect()
}
