//! Replies of ticket systems.

use std::sync::LazyLock;

use secrecy::SecretString;
use serde_json::{Value, json};
use ticketing_core::fault::{Certainty, Fault, FaultKind};
use ticketing_core::system::{Destination, Rendered, Search};
use ticketing_core::violation::Violations;
use ticketing_egress::{redact, title_of_page};
use ticketing_jira::fuzzing::{self as jira, Kind};
use ticketing_jira::{Secret, SecretKind, Settings, SettingsDraft};
use ticketing_servicenow::fuzzing as servicenow;

use super::renders::ticket_draft;
use super::reply::{read, write};
use crate::contract;

const HTML: (&str, &str) = ("content-type", "text/html");
/// The secret that `hidden` must redact.
const SECRET: &str = "s3cr3t+/=&<\"0";

static SENT: LazyLock<Rendered> = LazyLock::new(|| {
    let ticket_draft = ticket_draft(&contract::incidents()[0]).expect("the example is taken");
    servicenow::render(&ticket_draft)
});

/// Settings of a Jira Cloud connection.
pub(super) static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let text = |text: &str| Some(text.to_owned());
    let (url, email) = (text("https://acme.atlassian.net"), text("a@acme.example"));
    let draft = SettingsDraft { url, email, project_key: text("SEC"), ..SettingsDraft::default() };
    let secret = Secret { kind: SecretKind::ApiToken, value: SecretString::from("secret") };
    let settings = Settings::parse(&draft, Some(&secret), "jira", &mut Violations::default());
    settings.expect("the settings are sound")
});

pub(super) fn jira_create_seeds() -> Vec<Vec<u8>> {
    let issue = json!({ "id": "10001", "key": "SEC-42", "self": "https://acme.atlassian.net/rest/api/3/issue/10001" });
    let refusal = json!({
        "errorMessages": ["You do not have permission to create issues in this project."],
        "errors": { "priority": "Field 'priority' cannot be set.", "labels": ["is not on the screen"] },
    });
    vec![
        write(201, &[], &issue.to_string()),
        write(400, &[], &refusal.to_string()),
        write(401, &[("x-seraph-loginreason", "AUTHENTICATED_FAILED")], "Client must be authenticated"),
        write(
            403,
            &[("x-authentication-denied-reason", "CAPTCHA_CHALLENGE; login-url=x"), HTML],
            "<html><title>Log in</title>",
        ),
        write(
            404,
            &[("content-type", "application/xml")],
            "<status><message>null for uri</message></status>",
        ),
        write(429, &[("retry-after", "120")], "{\"message\":\"slow down\"}"),
        write(
            503,
            &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), HTML],
            "<!DOCTYPE html><TITLE>Down</TITLE>",
        ),
    ]
}

pub(super) fn jira_create(input: &[u8]) {
    let reply = read(input);
    let (fault, fields) = jira::classified(&reply);
    check_fault(&fault, reply.status);
    assert!(fields.is_empty() || reply.status == 400, "only a refusal names fields");
    match jira::created(&reply) {
        Ok(ticket) => {
            let (project, number) = ticket.key.rsplit_once('-').expect("a key has a number");
            assert!(!project.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()), "{ticket:?}");
            assert!(
                !ticket.id.is_empty() && ticket.id.bytes().all(|byte| byte.is_ascii_digit()),
                "{ticket:?}"
            );
        }
        Err(fault) => check_fault(&fault, reply.status),
    }
}

pub(super) fn jira_search_seeds() -> Vec<Vec<u8>> {
    let marker = jira::marker();
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

pub(super) fn jira_search(input: &[u8]) {
    let Ok(body) = std::str::from_utf8(input) else { return };
    let marker = jira::marker();
    let destination =
        Destination { base_url: "https://acme.atlassian.net".to_owned(), place: "SEC".to_owned() };
    let search = Search { marker: marker.clone(), destination, marker_in_text: false, canaries: vec![] };
    for kind in [Kind::Cloud, Kind::DataCenter] {
        let Some((search_result, _)) = jira::searched(kind, body, &search, &SETTINGS) else { continue };
        let named = said(body).is_none_or(|said| said.replace('\\', "").contains(marker.as_str()));
        assert!(search_result.tickets.is_empty() || named, "a ticket without the marker: {search_result:?}");
        for found in &search_result.tickets {
            assert!(found.ticket.url.starts_with("https://acme.atlassian.net/browse/"), "{found:?}");
        }
    }
}

/// The body with its JSON escapes decoded, which could hide a marker. `None` for a body that the readers
/// accept because they skip parts that no JSON value can hold, such as 1e400 or a list nested 200 deep.
fn said(body: &str) -> Option<String> {
    serde_json::from_str::<Value>(body).ok().map(|page| page.to_string())
}

pub(super) fn jira_resources_seeds() -> Vec<Vec<u8>> {
    let field = json!({
        "fieldId": "priority", "key": "priority", "name": "Priority", "required": true, "hasDefaultValue": false,
        "allowedValues": [{ "id": "1", "name": "Highest" }, "odd"],
    });
    let resources = [
        json!({ "issueTypes": [{ "id": "10002", "name": "Task", "subtask": false }], "total": 1, "isLast": true }),
        json!({ "fields": [field], "total": 1 }),
        json!({ "values": [{ "key": "labels", "id": "1", "required": false }], "isLast": true }),
        json!({ "deploymentType": "Cloud", "version": "1001.0.0" }),
        json!({ "accountId": "5b10", "displayName": "A", "name": "a", "key": "a" }),
        json!({ "key": "SEC", "name": "Security", "archived": false }),
        json!({ "permissions": { "CREATE_ISSUES": { "havePermission": true } } }),
    ];
    resources.map(|resource| resource.to_string().into_bytes()).to_vec()
}

pub(super) fn jira_resources(input: &[u8]) {
    if let Ok(body) = std::str::from_utf8(input) {
        jira::resources(body);
    }
}

fn record() -> Value {
    let marker = jira::marker();
    json!({
        "sys_id": marker.hex(), "number": { "value": "INC0010002", "display_value": "INC0010002" }, "priority": 1,
        "assignment_group": { "link": "https://acme.example/x", "value": "c5" }, "correlation_id": marker.as_str(),
        "sys_created_on": "2026-01-31 12:00:00",
    })
}

pub(super) fn servicenow_create_seeds() -> Vec<Vec<u8>> {
    let failure = |message: &str, detail: &str| {
        json!({ "error": { "message": message, "detail": detail }, "status": "failure" }).to_string()
    };
    vec![
        write(201, &[], &json!({ "result": record() }).to_string()),
        write(
            403,
            &[],
            &failure("Operation Failed", "Error during insert of incident (x), business rule 'y'"),
        ),
        write(400, &[], &failure("Invalid table u_x", "")),
        write(401, &[], &failure("User Not Authenticated", "Required to provide Auth information")),
        write(429, &[("x-ratelimit-reset", "1800003600")], &failure("Rate limit exceeded", "")),
        write(200, &[HTML], "<!DOCTYPE html><html><title>Instance Hibernating page</title>"),
        write(202, &[], ""),
    ]
}

pub(super) fn servicenow_create(input: &[u8]) {
    let reply = read(input);
    check_fault(&servicenow::judged(&reply), reply.status);
    let found = servicenow::record(&reply.body, &TABLE, &jira::marker(), &SENT);
    if let Some(ticket) = found.and_then(|read| read.ticket) {
        check_address(&ticket.url);
    }
}

pub(super) fn servicenow_search_seeds() -> Vec<Vec<u8>> {
    [json!({ "result": [record(), record()] }), json!({ "result": record() })]
        .map(|page| page.to_string().into_bytes())
        .to_vec()
}

pub(super) fn servicenow_search(input: &[u8]) {
    let Ok(body) = std::str::from_utf8(input) else { return };
    let marker = jira::marker();
    let rows = servicenow::rows(body, &TABLE, &marker, &SENT).unwrap_or_default();
    let page = said(body);
    for row in rows {
        let named = page.as_ref().is_none_or(|page| page.contains(marker.hex()));
        assert!(!row.bears || named, "a record without the marker: {row:?}");
        if let Some(ticket) = row.ticket {
            check_address(&ticket.url);
        }
    }
}

/// The table of ServiceNow tickets.
static TABLE: LazyLock<Destination> = LazyLock::new(|| Destination {
    base_url: "https://acme.service-now.com".to_owned(),
    place: "incident".to_owned(),
});

fn check_address(url: &str) {
    let id = url.strip_prefix("https://acme.service-now.com/nav_to.do?uri=incident.do%3Fsys_id%3D");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    assert!(id.is_some_and(|id| id.bytes().all(plain)), "{url}");
}

/// Checks that a fault is bounded and printable, and is a definite failure only if the status proves one.
fn check_fault(fault: &Fault, status: u16) {
    assert!(fault.message.chars().count() <= 500, "{fault:?}");
    assert!(!fault.message.chars().any(char::is_control), "{fault:?}");
    let definite = fault.kind.certainty() == Certainty::Definite;
    // Jira marks an anonymous request in a header of a reply with status 200.
    let kept_out = status == 200 && matches!(fault.kind, FaultKind::Unauthorized | FaultKind::LockedOut);
    let refused = kept_out || matches!(status, 400..=407 | 410..=499);
    assert!(refused || !definite, "after {status} a ticket may be there: {fault:?}");
}

pub(super) fn hidden_seeds() -> Vec<Vec<u8>> {
    let pages = [
        "<html><head><title>x</title></head>",
        "&lt;title&gt; %3Ctitle%3E \\u003ctitle",
        "a&amp;b \\\"c\\\" %2B+",
        "",
    ];
    pages.map(Vec::from).to_vec()
}

/// Inserts the secret at three positions of the page.
pub(super) fn hidden(input: &[u8]) {
    let page = String::from_utf8_lossy(input);
    let middle = page.char_indices().map(|(at, _)| at).nth(page.chars().count() / 2).unwrap_or(0);
    let echoed = [SECRET, &page[..middle], SECRET, &page[middle..], SECRET].concat();
    let hidden = redact(&echoed, SECRET);
    assert!(!hidden.contains(SECRET), "{hidden}");
    let title = title_of_page(&format!("<title>{hidden}</title>"));
    assert!(title.is_none_or(|title| !title.contains(SECRET)));
    let _ = title_of_page(&page);
}
