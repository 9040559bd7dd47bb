//! Create metadata of the project: issue types, and the fields of the create screen.
//!
//! It improves rendering but is optional: if Jira does not return it, or too slowly, or in an unknown format,
//! tickets are created from the settings alone, with adjustments that list what could not be checked. The
//! only requirement is that the login works and sees the project.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Adjustment;

use crate::choice::Choice;
use crate::client::{Api, Client};
use crate::faults::is_final;
use crate::fields::{self, Applied, Field};
use crate::issue_type;
use crate::wire::{CreateField, MetaPage, Myself, Named, Project};

const PAGE: usize = 50;
const MAX_PAGES: usize = 20;
/// What a project offers for our tickets.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) issue_type: Choice,
    pub(crate) priorities: Priorities,
    pub(crate) labels: bool,
    pub(crate) description: bool,
    /// Whether Jira reported this, rather than the settings.
    pub(crate) is_known: bool,
    /// The fields of the create screen; empty if Jira did not list them.
    pub(crate) fields: Arc<[Field]>,
    /// What could not be checked.
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
            fields: Arc::default(),
            remarks: remarks.to_vec(),
        }
    }

    pub(crate) fn of_fields(issue_type: &Named, fields: Vec<CreateField>) -> Self {
        let id = |field: &CreateField| field.field_id.clone().or_else(|| field.key.clone());
        let is_on_screen = |wanted: &str| fields.iter().any(|field| id(field).as_deref() == Some(wanted));
        let priorities = fields.iter().find(|field| id(field).as_deref() == Some("priority"));
        let priorities = priorities.map(|field| Priorities::Offered(named(field.allowed_values.clone())));
        Self {
            issue_type: Choice::with_id(&issue_type.id, &issue_type.name),
            priorities: priorities.unwrap_or(Priorities::OffScreen),
            labels: is_on_screen("labels"),
            description: is_on_screen("description"),
            is_known: true,
            fields: fields.into_iter().filter_map(Field::of).collect(),
            remarks: Vec::new(),
        }
    }

    /// The fields for a mapping; `None` if Jira did not list them.
    pub(crate) fn known_fields(&self) -> Option<&[Field]> {
        self.is_known.then_some(&self.fields)
    }

    /// Required fields that neither this code, nor Jira, nor a mapping fills.
    pub(crate) fn unfilled(&self, applied: &Applied) -> Vec<&Field> {
        let is_unfilled = |field: &&Field| {
            field.is_required && fields::own(&field.id).is_none() && !applied.fills(&field.id)
        };
        self.fields.iter().filter(is_unfilled).collect()
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
        let size = page.max_results.unwrap_or(PAGE);
        let more = page.rows();
        let count = more.len();
        rows.extend(more);
        let is_complete = match (is_last, total) {
            (Some(is_last), _) => is_last,
            (None, Some(total)) => rows.len() >= total,
            (None, None) => count < size,
        };
        if count == 0 || is_complete {
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
