//! Dispatches requests to the three ticket systems.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::message::{Answer, Request};
use crate::profile::Vendor;
use crate::site_request::SiteRequest;
use crate::state::State;
use crate::{jira, servicenow};

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
