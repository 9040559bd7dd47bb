//! The meaning of each status, through the real client.

use std::time::Duration;

use serde_json::json;
use ticketing_core::fault::FaultKind;
use ticketing_simulator::{Call, Reply};

use crate::support::{PASSWORD, Site, connect, draft, ticket_draft};

fn failure(status: u16, message: &str, detail: &str) -> Reply {
    let error = json!({ "message": message, "detail": detail });
    Reply::json(status, &json!({ "error": error, "status": "failure" }))
}

/// Status, message, detail, verdict.
const TABLE: [(u16, &str, &str, FaultKind); 33] = [
    (200, "", "", FaultKind::UnreadableReply),
    (201, "", "", FaultKind::UnreadableReply),
    (202, "", "", FaultKind::Dropped),
    (204, "", "", FaultKind::UnreadableReply),
    (301, "", "", FaultKind::Redirected),
    (302, "", "", FaultKind::Redirected),
    (400, "Exception while reading request", "", FaultKind::Rejected),
    (400, "Invalid table incidents", "", FaultKind::Misconfigured),
    (400, "Requested URI does not represent any resource", "", FaultKind::Misconfigured),
    (401, "User Not Authenticated", "Required to provide Auth information", FaultKind::Unauthorized),
    (402, "", "", FaultKind::Forbidden),
    (403, "", "", FaultKind::Rejected),
    (403, "Operation Failed", "ACL Exception Insert Failed due to security constraints", FaultKind::Rejected),
    (403, "User Not Authorized", "Failed API level ACL Validation", FaultKind::Rejected),
    (403, "Insufficient rights to query records", "", FaultKind::Rejected),
    (
        403,
        "Operation Failed",
        "Operation against file 'incident' was aborted by Business Rule 'x^1'",
        FaultKind::Rejected,
    ),
    (
        403,
        "Operation Failed",
        "Data Policy Exception: The following fields are mandatory: x",
        FaultKind::Rejected,
    ),
    (403, "Operation Failed", "Data too long for column 'short_description'", FaultKind::Rejected),
    (403, "Operation Failed", "Unique Key violation detected by database", FaultKind::Conflict),
    (404, "Invalid table incidents", "", FaultKind::Misconfigured),
    (404, "No Record found", "", FaultKind::Rejected),
    (405, "Method not supported", "", FaultKind::Rejected),
    (406, "", "", FaultKind::Rejected),
    (408, "", "", FaultKind::ServerError),
    (409, "", "", FaultKind::Conflict),
    (410, "", "", FaultKind::Rejected),
    (413, "", "", FaultKind::TooLarge),
    (415, "Unsupported media type", "", FaultKind::Rejected),
    (422, "", "", FaultKind::Rejected),
    (429, "Rate limit exceeded", "Rate limit of 100 requests per hour", FaultKind::RateLimited),
    (500, "", "", FaultKind::ServerError),
    (503, "", "", FaultKind::ServerError),
    (504, "", "", FaultKind::ServerError),
];

#[tokio::test]
async fn every_status_has_its_verdict() {
    let site = Site::of(|_| {}).await;
    for (status, message, detail, kind) in TABLE {
        site.simulator.faults().clear();
        site.answer(Call::Create, failure(status, message, detail));
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert_eq!((fault.status, fault.kind), (Some(status), kind), "{status} {message} {detail}");
        assert!(fault.message.contains(message), "{fault}");
    }
    assert_eq!(site.simulator.tickets().len(), 0);
}

#[tokio::test]
async fn fixable_refusals_name_the_setting() {
    let site = Site::of(|_| {}).await;
    for (status, message, detail, kind) in TABLE {
        site.simulator.faults().clear();
        site.answer(Call::Create, failure(status, message, detail));
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        let mendable = [
            FaultKind::Unauthorized,
            FaultKind::Forbidden,
            FaultKind::Misconfigured,
            FaultKind::NotFound,
            FaultKind::Redirected,
        ];
        assert!(!mendable.contains(&kind) || fault.hint.contains("servicenow."), "{fault}");
    }
}

#[tokio::test]
async fn reads_retry_after_from_either_header() {
    let site = Site::of(|_| {}).await;
    let table =
        [("retry-after", "90", Some(90)), ("x-ratelimit-reset", "120", Some(120)), ("x-other", "1", None)];
    for (header, value, seconds) in table {
        site.simulator.faults().clear();
        site.answer(Call::Create, failure(429, "Rate limit exceeded", "").header(header, value));
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert_eq!(fault.retry_after, seconds.map(Duration::from_secs), "{header}");
    }
}

#[tokio::test]
async fn redacts_echoed_secret() {
    let site = Site::of(|_| {}).await;
    let basic = "cmh5dGhteC5pbnRlZ3JhdGlvbjpzZXJ2aWNlbm93LXBhc3N3b3Jk";
    let echo = format!("Authorization: Basic {basic}, password {PASSWORD}");
    site.answer(Call::Create, failure(500, "Exception", &echo));
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert!(fault.message.contains("Basic [secret]"), "{fault}");
    assert!(!format!("{fault:?}").contains(PASSWORD) && !format!("{fault:?}").contains(basic));
}

#[tokio::test]
async fn keeps_beginning_of_long_refusal() {
    for length in [100_000, 5_000_000] {
        let site = Site::of(|_| {}).await;
        let detail = format!("Unknown urgency {}", "x".repeat(length));
        site.answer(Call::Create, failure(400, "Operation Failed", &detail));
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert!(fault.message.contains("Unknown urgency xx"), "{fault}");
        assert!(fault.message.len() < 600 && fault.kind == FaultKind::Rejected, "{fault}");
    }
}

#[tokio::test]
async fn repeats_only_the_title_of_a_page() {
    let site = Site::of(|_| {}).await;
    site.answer(
        Call::Create,
        Reply::html(403, "<html><title>Blocked</title><p>jdoe from 10.0.0.1</p></html>"),
    );
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.message, "HTTP 403 Forbidden: a page called \"Blocked\"");
}

#[tokio::test]
async fn redacts_escaped_secret_echo() {
    const ODD: &str = r#"pass"w<o>r&d's+/x"#;
    const ON_A_PAGE: &str = "pass&quot;w&lt;o&gt;r&amp;d&#39;s+/x";
    let mut site = Site::of(|_| {}).await;
    site.system = connect(&draft(&site.simulator), ODD, site.clock.clone());
    let page = Reply::html(500, &format!("<title>{ON_A_PAGE} failed</title>"));
    for echo in [failure(500, ODD, ON_A_PAGE), failure(500, "", "pass%22w%3Co%3Er%26d%27s%2B%2Fx"), page] {
        site.simulator.faults().clear();
        site.answer(Call::Create, echo);
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert!(fault.message.contains("[secret]") && !fault.message.contains("pass"), "{fault}");
    }
}
