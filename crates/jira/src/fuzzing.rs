//! Entry points for `ticketing-fuzz`: rendering and parsing without a connection.
//!
//! Always compiled but hidden from the documentation: a feature would be enabled by every build of the whole
//! workspace. A program that does not call this does not contain it.

use serde_json::Value;
use ticketing_core::content::Content;
use ticketing_core::fault::Fault;
use ticketing_core::marker::Marker;
use ticketing_core::system::{Rendered, Search, SearchResult, TicketDraft, TicketRef};
use ticketing_egress::Reply;

use crate::client::Api;
use crate::look_up::search_result;
use crate::meta::Offer;
use crate::render;
use crate::settings::Settings;
use crate::site::Site;
use crate::wire::{CreateField, MetaPage, Myself, Named, Permissions, Project, SearchPage, ServerInfo};
use crate::{create, faults, ticket};

/// The flavor of Jira.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cloud,
    DataCenter,
}

// === impl Kind ===

impl Kind {
    fn api(self) -> Api {
        match self {
            Self::Cloud => Api::V3,
            Self::DataCenter => Api::V2,
        }
    }
}

/// The ticket of a draft, for a project whose create screen has or lacks labels.
#[must_use]
pub fn render(settings: &Settings, kind: Kind, labels: bool, ticket_draft: &TicketDraft) -> Rendered {
    let offer = Offer { labels, ..Offer::assumed("Task", "not asked") };
    ticket::render(settings, kind.api(), &offer, ticket_draft)
}

/// The description with the marker, as sent and as text.
#[must_use]
pub fn description(kind: Kind, ticket_draft: &TicketDraft) -> (Value, String) {
    let description =
        render::description(&Content::of(&ticket_draft.incident), Some(&ticket_draft.marker), kind.api());
    (description.value, description.markup)
}

/// The fault of an unsuccessful reply, and the refused fields.
#[must_use]
pub fn classified(reply: &Reply) -> (Fault, Vec<(String, String)>) {
    (faults::classify(reply, faults::Purpose::Create), faults::refused_fields(reply))
}

/// The ticket in the 201 of a create.
///
/// # Errors
/// If it contains none.
pub fn created(reply: &Reply) -> Result<TicketRef, Fault> {
    let issue = create::created(reply)?;
    Ok(TicketRef { id: issue.id, key: issue.key, url: String::new() })
}

/// The tickets with a marker on a page of search results, and why there may be more; `None` if it is not such
/// a page.
#[must_use]
pub fn searched(
    kind: Kind,
    body: &str,
    search: &Search,
    settings: &Settings,
) -> Option<(SearchResult, Option<&'static str>)> {
    let page: SearchPage = serde_json::from_str(body).ok()?;
    let flaw = page.complaint().or(page.shortfall(kind.api(), page.issues.len()));
    let site: &Site = &settings.site;
    Some((search_result(search, &page.issues, site), flaw))
}

/// Parses a body as each requested resource, and as the offer of a project.
pub fn resources(body: &str) {
    let _ = serde_json::from_str::<ServerInfo>(body);
    let _ = serde_json::from_str::<Myself>(body);
    let _ = serde_json::from_str::<Project>(body);
    let _ = serde_json::from_str::<Permissions>(body);
    let issue_type: Named =
        serde_json::from_value(serde_json::json!({ "id": "1" })).expect("an ID is all that it needs");
    let types = serde_json::from_str::<MetaPage<Named>>(body).ok().map(MetaPage::rows).unwrap_or_default();
    let issue_type = types.first().unwrap_or(&issue_type);
    if let Ok(page) = serde_json::from_str::<MetaPage<CreateField>>(body) {
        let _ = Offer::of_fields(issue_type, page.rows());
    }
}

/// A marker that a reply may contain.
#[must_use]
pub fn marker() -> Marker {
    Marker::parse("rhythmx-0123456789abcdef0123456789abcdef").expect("a marker by its form")
}
