//! Replies of ServiceNow.

use std::sync::Arc;

use serde_json::{Value, json};
use ticketing_core::fault::Fault;
use ticketing_core::secret::SecretKind;
use ticketing_core::system::{
    Created, Dialing, Rendered, Search, SearchResult, System, TicketDraft, TicketSystem,
};
use ticketing_servicenow::SettingsDraft;
use ticketing_vendor::Draft;

use super::replies::{self, HTML, check_fault, decoded, marker};
use super::tickets::{example_draft, short_draft};
use crate::canned::reply::{Reply, file};
use crate::canned::{Request, Server, WITHIN};

thread_local! {
    static HERE: Instance = Instance::start();
}

/// An instance of ServiceNow.
struct Instance {
    server: Server,
    example: TicketDraft,
    /// The ticket of the example.
    rendered: Rendered,
    short: TicketDraft,
}

/// The ticket of a draft.
pub(super) fn render(draft: &TicketDraft) -> Rendered {
    HERE.with(|here| connect(&here.server, None).render_offline(draft))
}

// === impl Instance ===

impl Instance {
    fn start() -> Self {
        let server = Server::start();
        let example = example_draft();
        let rendered = connect(&server, None).render_offline(&example);
        Self { server, example, rendered, short: short_draft() }
    }

    /// `reply` answers the insert.
    fn create(&self, reply: &Reply) -> Result<Created, Fault> {
        let servicenow = connect(&self.server, None);
        let answer = |request: &Request| match request.method.as_str() {
            "POST" => reply.clone(),
            _ => sound(request),
        };
        let create = servicenow.create(&self.example, &self.rendered, Dialing::default(), WITHIN);
        let outcome = self.server.answering(answer, create);
        match &outcome {
            Ok(created) => {
                assert_eq!(reply.status, 201, "{created:?}");
                self.check_address(&created.ticket.url);
            }
            Err(fault) => check_fault(fault, reply.status),
        }
        outcome
    }

    /// `body` answers every read.
    fn search(&self, body: &str) -> Result<SearchResult, Fault> {
        let servicenow = connect(&self.server, None);
        let destination = servicenow.destination();
        let search = Search { marker: marker(), destination, marker_in_text: false, canaries: vec![] };
        let found = self.server.answering(|_| Reply::new(200, body), servicenow.look_up(&search))?;
        let named = decoded(body).is_none_or(|body| body.contains(marker().hex()));
        assert!(found.tickets.is_empty() || named, "a record without the marker: {found:?}");
        found.tickets.iter().for_each(|found| self.check_address(&found.ticket.url));
        Ok(found)
    }

    /// `body` answers the search for the assignment group, which is returned.
    fn assign(&self, body: &str) -> Result<String, Fault> {
        let servicenow = connect(&self.server, Some("Security"));
        let prepared = self.server.answering(|_| Reply::new(200, body), servicenow.prepare(&self.short))?;
        let ticket: Value = serde_json::from_str(&prepared.body).expect("a body is JSON");
        let group = ticket["assignment_group"].as_str().unwrap_or_default();
        let named = decoded(body).is_none_or(|body| body.contains(group));
        assert!(!group.is_empty() && named, "a group that was not found: {group}");
        Ok(group.to_owned())
    }

    fn check_address(&self, url: &str) {
        let page = url.strip_prefix(&self.server.url);
        let id = page.and_then(|page| page.strip_prefix("/nav_to.do?uri=incident.do%3Fsys_id%3D"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!(id.is_some_and(|id| id.bytes().all(plain)), "{url}");
    }
}

/// A connection that has cached nothing.
fn connect(server: &Server, assignment_group: Option<&str>) -> Arc<dyn TicketSystem> {
    let draft = SettingsDraft {
        instance: Some(server.url.clone()),
        username: Some("u".to_owned()),
        assignment_group: assignment_group.map(str::to_owned),
        ..SettingsDraft::default()
    };
    replies::connect(&Draft::new(System::ServiceNow, draft), SecretKind::Password, &server.client)
}

/// What a sound instance answers that has no ticket of ours yet.
fn sound(request: &Request) -> Reply {
    match (request.method.as_str(), request.resource()) {
        ("PATCH", _) => Reply::new(200, json!({ "result": record() }).to_string()),
        (_, "incident" | "sys_journal_field") => Reply::new(200, json!({ "result": [] }).to_string()),
        _ => Reply::new(404, failure("No Record found", "Record doesn't exist or ACL restricts it")),
    }
}

fn record() -> Value {
    let marker = marker();
    json!({
        "sys_id": marker.hex(), "number": { "value": "INC0010002", "display_value": "INC0010002" }, "priority": 1,
        "assignment_group": { "link": "https://acme.example/x", "value": "c5" }, "correlation_id": marker.as_str(),
        "sys_created_on": "2026-01-31 12:00:00",
    })
}

fn failure(message: &str, detail: &str) -> String {
    json!({ "error": { "message": message, "detail": detail }, "status": "failure" }).to_string()
}

pub(super) fn create_seeds() -> Vec<Vec<u8>> {
    let to_insert = |status, headers: &[(&str, &str)], body: &str| file(status, "", headers, body);
    vec![
        to_insert(201, &[], &json!({ "result": record() }).to_string()),
        to_insert(
            403,
            &[],
            &failure("Operation Failed", "Error during insert of incident (x), business rule 'y'"),
        ),
        to_insert(400, &[], &failure("Invalid table u_x", "")),
        to_insert(401, &[], &failure("User Not Authenticated", "Required to provide Auth information")),
        to_insert(429, &[("x-ratelimit-reset", "1800003600")], &failure("Rate limit exceeded", "")),
        to_insert(200, &[HTML], "<!DOCTYPE html><html><title>Instance Hibernating page</title>"),
        to_insert(202, &[], ""),
    ]
}

pub(super) fn create(input: &[u8]) {
    let reply = Reply::parse(input);
    let _ = HERE.with(|here| here.create(&reply));
}

pub(super) fn search_seeds() -> Vec<Vec<u8>> {
    let group = json!({ "sys_id": "c5", "name": "Security", "active": "true" });
    [json!({ "result": [record(), record()] }), json!({ "result": record() }), json!({ "result": [group] })]
        .map(|page| page.to_string().into_bytes())
        .to_vec()
}

pub(super) fn search(input: &[u8]) {
    let Ok(body) = std::str::from_utf8(input) else { return };
    let _ = HERE.with(|here| here.search(body));
    let _ = HERE.with(|here| here.assign(body));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_reach_tickets_and_a_group() {
        let [rows, record, groups] =
            [0, 1, 2].map(|seed| String::from_utf8(search_seeds()[seed].clone()).unwrap());
        HERE.with(|here| {
            assert_eq!(here.create(&Reply::parse(&create_seeds()[0])).unwrap().ticket.key, "INC0010002");
            for body in [rows, record] {
                assert_eq!(here.search(&body).unwrap().tickets.len(), 1, "{body}");
            }
            assert_eq!(here.assign(&groups).unwrap(), "c5");
        });
    }
}
