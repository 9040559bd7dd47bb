//! Replies of Jira.

use std::cell::Cell;
use std::sync::Arc;

use serde_json::{Value, json};
use ticketing_core::fault::Fault;
use ticketing_core::secret::SecretKind;
use ticketing_core::system::{
    Created, Dialing, Rendered, Search, SearchResult, System, TicketDraft, TicketRef, TicketSystem,
};
use ticketing_jira::{Flavour, SettingsDraft};
use ticketing_vendor::Draft;

use super::replies::{self, HTML, check_fault, decoded, marker};
use super::tickets::{check_plain, example_draft, short_draft};
use crate::canned::reply::{Reply, file};
use crate::canned::{Request, Server, WITHIN};

/// Limits of Jira, in UTF-16 code units.
const MAX_SUMMARY: usize = 255;
const MAX_DESCRIPTION: usize = 32_767;
/// How often a create is sent at most: once, and twice without what Jira refuses.
const MAX_CREATES: usize = 3;
/// The fields of a create screen without labels.
const WITHOUT_LABELS: [&str; 2] = ["priority", "description"];

thread_local! {
    static HERE: Site = Site::start();
}

/// A Jira, and a ticket for it.
struct Site {
    server: Server,
    example: TicketDraft,
    /// The ticket of the example.
    rendered: Rendered,
    short: TicketDraft,
    /// Connections to a project whose create screen has no labels, as they have seen.
    without_labels: [Arc<dyn TicketSystem>; 2],
}

// === impl Site ===

impl Site {
    fn start() -> Self {
        let server = Server::start();
        let example = example_draft();
        let rendered = connect(&server, Flavour::Cloud).render_offline(&example);
        let without_labels = [Flavour::Cloud, Flavour::DataCenter].map(|flavour| connect(&server, flavour));
        Self { server, example, rendered, short: short_draft(), without_labels }
    }

    /// The ticket of a draft, for a project whose create screen has or lacks labels.
    fn render(&self, flavour: Flavour, has_labels: bool, draft: &TicketDraft) -> Rendered {
        if has_labels {
            return connect(&self.server, flavour).render_offline(draft);
        }
        let [cloud, data_center] = &self.without_labels;
        let jira = if flavour == Flavour::Cloud { cloud } else { data_center };
        let prepared = self.server.answering(sound, jira.prepare(draft));
        let prepared = prepared.expect("the project is sound");
        assert!(prepared.marker_in_text, "the create screen has no labels");
        prepared
    }

    /// `reply` answers every create.
    fn create(&self, reply: &Reply) -> Result<Created, Fault> {
        let jira = connect(&self.server, Flavour::Cloud);
        let creates = Cell::new(0);
        let answer = |request: &Request| match (request.method.as_str(), request.resource()) {
            ("POST", "issue") => {
                creates.set(creates.get() + 1);
                reply.clone()
            }
            _ => sound(request),
        };
        let outcome = self
            .server
            .answering(answer, jira.create(&self.example, &self.rendered, Dialing::default(), WITHIN));
        let sent = creates.get();
        assert!((1..=MAX_CREATES).contains(&sent), "{sent} creates");
        assert!(sent == 1 || reply.status == 400, "sent again after {}: {outcome:?}", reply.status);
        match &outcome {
            Ok(created) => self.check_ticket(&created.ticket, reply.status),
            Err(fault) => check_fault(fault, reply.status),
        }
        outcome
    }

    fn check_ticket(&self, ticket: &TicketRef, status: u16) {
        assert_eq!(status, 201, "{ticket:?}");
        let (project, number) = ticket.key.rsplit_once('-').expect("a key has a number");
        assert!(!project.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()), "{ticket:?}");
        assert!(!ticket.id.is_empty() && ticket.id.bytes().all(|byte| byte.is_ascii_digit()), "{ticket:?}");
        assert!(ticket.url.starts_with(&format!("{}/browse/", self.server.url)), "{ticket:?}");
    }

    /// `body` answers every search.
    fn search(&self, flavour: Flavour, body: &str) -> Result<SearchResult, Fault> {
        let jira = connect(&self.server, flavour);
        let destination = jira.destination();
        let search = Search { marker: marker(), destination, marker_in_text: false, canaries: vec![] };
        let answer = |request: &Request| match request.resource() {
            "search" | "jql" => Reply::new(200, body),
            _ => sound(request),
        };
        let found = self.server.answering(answer, jira.look_up(&search))?;
        let named = decoded(body).is_none_or(|body| body.replace('\\', "").contains(marker().as_str()));
        assert!(found.tickets.is_empty() || named, "a ticket without the marker: {found:?}");
        for found in &found.tickets {
            assert!(found.ticket.url.starts_with(&format!("{}/browse/", self.server.url)), "{found:?}");
        }
        Ok(found)
    }

    /// `reply` answers its resource, to a connection that knows the flavor and to one that does not.
    fn read(&self, reply: &Reply) {
        let jira = connect(&self.server, Flavour::Auto);
        let answer = |request: &Request| match request.resource() == reply.resource {
            true => reply.clone(),
            false => sound(request),
        };
        let checks = self.server.answering(answer, jira.test());
        assert!(!checks.is_empty(), "a test says what it found");
        let jira = connect(&self.server, Flavour::Cloud);
        match self.server.answering(answer, jira.prepare(&self.short)) {
            Ok(rendered) => check_rendered(&rendered, &self.short),
            Err(fault) => assert!(!fault.message.is_empty(), "{fault:?}"),
        }
    }
}

/// The ticket of a draft, for a project whose create screen has or lacks labels.
pub(super) fn render(flavour: Flavour, has_labels: bool, draft: &TicketDraft) -> Rendered {
    HERE.with(|here| here.render(flavour, has_labels, draft))
}

/// Checks that a ticket is within Jira's limits, and bears its marker.
pub(super) fn check_rendered(rendered: &Rendered, ticket_draft: &TicketDraft) {
    assert!(rendered.description.encode_utf16().count() <= MAX_DESCRIPTION, "the description is too long");
    assert!(rendered.summary.encode_utf16().count() <= MAX_SUMMARY, "the summary is too long");
    assert!(!rendered.summary.trim().is_empty() && !rendered.summary.contains('\n'), "{}", rendered.summary);
    check_plain(&rendered.summary);
    check_plain(&rendered.plain_text);
    let body: Value = serde_json::from_str(&rendered.body).expect("a body is JSON");
    let marked = body["fields"]["labels"][0] == ticket_draft.marker.as_str() || rendered.marker_in_text;
    assert!(marked, "a ticket bears its marker");
}

/// A connection that has cached nothing.
fn connect(server: &Server, flavour: Flavour) -> Arc<dyn TicketSystem> {
    let text = |text: &str| Some(text.to_owned());
    let draft = SettingsDraft {
        url: text(&server.url),
        email: text("a@acme.example"),
        project_key: text("SEC"),
        flavour: Some(flavour),
        ..SettingsDraft::default()
    };
    replies::connect(&Draft::new(System::Jira, draft), SecretKind::ApiToken, &server.client)
}

/// What a sound Data Center answers, and a Cloud site that need not say what it is. Its create screen has no labels.
fn sound(request: &Request) -> Reply {
    let field = |id: &&str| json!({ "fieldId": id, "name": id, "required": false });
    let fields: Vec<Value> = WITHOUT_LABELS.iter().map(field).collect();
    let issue_types = json!([{ "id": "10002", "name": "Task", "subtask": false }]);
    let permission = json!({ "havePermission": true });
    let body = match request.resource() {
        "serverInfo" => json!({ "deploymentType": "Server", "version": "9.12.0" }),
        "myself" => json!({ "displayName": "A", "name": "a", "key": "a" }),
        "SEC" => json!({ "key": "SEC", "name": "Security", "archived": false }),
        "mypermissions" => {
            json!({ "permissions": { "BROWSE_PROJECTS": permission, "CREATE_ISSUES": permission } })
        }
        "issuetypes" => {
            json!({ "issueTypes": issue_types, "values": issue_types, "total": 1, "isLast": true })
        }
        "10002" => json!({ "fields": fields, "values": fields, "total": fields.len(), "isLast": true }),
        "search" | "jql" => json!({ "issues": [], "total": 0, "isLast": true }),
        "comment" => return Reply::new(201, "{}"),
        _ => return Reply::new(404, "{}"),
    };
    Reply::new(200, body.to_string())
}

pub(super) fn create_seeds() -> Vec<Vec<u8>> {
    let issue = json!({ "id": "10001", "key": "SEC-42", "self": "https://acme.atlassian.net/rest/api/3/issue/10001" });
    let refusal = json!({
        "errorMessages": ["You do not have permission to create issues in this project."],
        "errors": { "priority": "Field 'priority' cannot be set.", "labels": ["is not on the screen"] },
    });
    let denied = [("x-authentication-denied-reason", "CAPTCHA_CHALLENGE; login-url=x"), HTML];
    let down = [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), HTML];
    let to_create = |status, headers: &[(&str, &str)], body: &str| file(status, "", headers, body);
    vec![
        to_create(201, &[], &issue.to_string()),
        to_create(400, &[], &refusal.to_string()),
        to_create(401, &[("x-seraph-loginreason", "AUTHENTICATED_FAILED")], "Client must be authenticated"),
        to_create(403, &denied, "<html><title>Log in</title>"),
        to_create(
            404,
            &[("content-type", "application/xml")],
            "<status><message>null for uri</message></status>",
        ),
        to_create(429, &[("retry-after", "120")], "{\"message\":\"slow down\"}"),
        to_create(503, &down, "<!DOCTYPE html><TITLE>Down</TITLE>"),
    ]
}

pub(super) fn create(input: &[u8]) {
    let reply = Reply::parse(input);
    let _ = HERE.with(|here| here.create(&reply));
}

pub(super) fn search_seeds() -> Vec<Vec<u8>> {
    let marker = marker();
    let issue = |description: Value| {
        let fields = json!({ "labels": [marker.as_str()], "description": description, "created": "2026-01-31T12:00:00.000+0000" });
        json!({ "id": "10001", "key": "SEC-42", "fields": fields })
    };
    let document = json!({ "type": "doc", "content": [{ "type": "text", "text": format!("RhythmX marker: {marker}") }] });
    let escaped = marker.as_str().replace('-', "\\-");
    let pages = [
        json!({ "issues": [issue(document)], "isLast": true }),
        json!({ "issues": [issue(escaped.into())], "total": 1, "startAt": 0, "warningMessages": ["x"] }),
    ];
    pages.map(|page| page.to_string().into_bytes()).to_vec()
}

pub(super) fn search(input: &[u8]) {
    let Ok(body) = std::str::from_utf8(input) else { return };
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let _ = HERE.with(|here| here.search(flavour, body));
    }
}

pub(super) fn resources_seeds() -> Vec<Vec<u8>> {
    let field = json!({
        "fieldId": "priority", "key": "priority", "name": "Priority", "required": true, "hasDefaultValue": false,
        "allowedValues": [{ "id": "1", "name": "Highest" }, "odd"],
    });
    let issue_type = json!({ "id": "10002", "name": "Task", "subtask": false });
    let labels = json!({ "key": "labels", "id": "1", "required": false });
    let resources = [
        ("issuetypes", json!({ "issueTypes": [issue_type], "total": 1, "isLast": true })),
        ("10002", json!({ "fields": [field], "total": 1 })),
        ("10002", json!({ "values": [labels], "isLast": true })),
        ("serverInfo", json!({ "deploymentType": "Cloud", "version": "1001.0.0" })),
        ("myself", json!({ "accountId": "5b10", "displayName": "A", "name": "a", "key": "a" })),
        ("SEC", json!({ "key": "SEC", "name": "Security", "archived": false })),
        ("mypermissions", json!({ "permissions": { "CREATE_ISSUES": { "havePermission": true } } })),
    ];
    resources.map(|(resource, body)| file(200, resource, &[], &body.to_string())).to_vec()
}

pub(super) fn resources(input: &[u8]) {
    let reply = Reply::parse(input);
    HERE.with(|here| here.read(&reply));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_reach_tickets() {
        let pages = search_seeds().into_iter().map(|page| String::from_utf8(page).unwrap());
        HERE.with(|here| {
            assert_eq!(here.create(&Reply::parse(&create_seeds()[0])).unwrap().ticket.key, "SEC-42");
            for (flavour, page) in [Flavour::Cloud, Flavour::DataCenter].into_iter().zip(pages) {
                assert_eq!(here.search(flavour, &page).unwrap().tickets.len(), 1, "{page}");
            }
        });
    }
}
