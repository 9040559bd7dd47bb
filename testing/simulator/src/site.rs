//! Dispatches requests to the three ticket systems.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::fault_script::Call;
use crate::message::{Answer, Request};
use crate::profile::Vendor;
use crate::state::State;
use crate::{jira, servicenow};

/// A fault of the result of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SearchFault {
    #[default]
    None,
    Everything,
    Nothing,
    Twice,
    Foreign,
    Endless,
}

/// Markers of fabricated rows that replace these in a search with foreign rows: an empty one, and similar
/// ones.
pub(crate) fn lookalikes(markers: &[String]) -> Vec<String> {
    let like = |marker: &String| [format!("{marker}0"), format!("x-{marker}"), marker.to_uppercase()];
    std::iter::once(String::new()).chain(markers.iter().flat_map(like)).collect()
}

/// A request to a ticket system.
#[derive(Debug)]
pub(crate) struct SiteRequest<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) request: &'a Request,
    pub(crate) now: Timestamp,
    /// Scheme, host and port.
    pub(crate) origin: &'a str,
    pub(crate) search_fault: SearchFault,
}

pub(crate) fn respond(vendor: Vendor, turn: &mut SiteRequest<'_>) -> Answer {
    match vendor {
        Vendor::JiraCloud => jira::respond(jira::Flavour::Cloud, turn),
        Vendor::JiraDataCenter => jira::respond(jira::Flavour::DataCenter, turn),
        Vendor::ServiceNow => servicenow::respond(turn),
    }
}

pub(crate) fn classify(vendor: Vendor, request: &Request) -> Call {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => jira::classify(request),
        Vendor::ServiceNow => servicenow::classify(request),
    }
}

pub(crate) fn add_foreign_ticket(
    vendor: Vendor,
    state: &mut State,
    fields: Map<String, Value>,
    now: Timestamp,
) -> String {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => jira::add_foreign_issue(state, fields, now),
        Vendor::ServiceNow => servicenow::add_foreign_record(state, fields, now),
    }
}
