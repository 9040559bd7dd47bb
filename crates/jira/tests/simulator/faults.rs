//! The meaning of a failed create.

use serde_json::json;
use ticketing_core::fault::{Certainty, Fault, FaultKind};
use ticketing_core::system::Dialing;
use ticketing_core::system::TicketSystem;
use ticketing_simulator::{Call, Credential, Effect, Profile, Reply, Vendor};

use crate::support::{Site, WITHIN, api_token, ticket_draft};

async fn create(site: &Site) -> Fault {
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap_err()
}

/// Every registered HTTP status and some unregistered ones, with what it means for a create.
const STATUSES: [(u16, FaultKind); 45] = [
    (200, FaultKind::UnreadableReply),
    (202, FaultKind::Dropped),
    (203, FaultKind::UnreadableReply),
    (204, FaultKind::UnreadableReply),
    (205, FaultKind::UnreadableReply),
    (206, FaultKind::UnreadableReply),
    (300, FaultKind::Redirected),
    (301, FaultKind::Redirected),
    (302, FaultKind::Redirected),
    (303, FaultKind::Redirected),
    (304, FaultKind::Redirected),
    (307, FaultKind::Redirected),
    (308, FaultKind::Redirected),
    (400, FaultKind::Rejected),
    (401, FaultKind::Unauthorized),
    (402, FaultKind::Forbidden),
    (403, FaultKind::Rejected),
    (404, FaultKind::Rejected),
    (405, FaultKind::Rejected),
    (406, FaultKind::Rejected),
    (407, FaultKind::UnreadableReply),
    (408, FaultKind::ServerError),
    (409, FaultKind::Conflict),
    (410, FaultKind::Rejected),
    (411, FaultKind::Rejected),
    (412, FaultKind::UnreadableReply),
    (413, FaultKind::TooLarge),
    (414, FaultKind::Rejected),
    (415, FaultKind::Rejected),
    (417, FaultKind::UnreadableReply),
    (421, FaultKind::UnreadableReply),
    (422, FaultKind::Rejected),
    (423, FaultKind::UnreadableReply),
    (425, FaultKind::UnreadableReply),
    (429, FaultKind::RateLimited),
    (431, FaultKind::Rejected),
    (451, FaultKind::UnreadableReply),
    (500, FaultKind::ServerError),
    (501, FaultKind::ServerError),
    (502, FaultKind::ServerError),
    (503, FaultKind::ServerError),
    (504, FaultKind::ServerError),
    (507, FaultKind::ServerError),
    (520, FaultKind::ServerError),
    (524, FaultKind::ServerError),
];

#[tokio::test]
async fn every_status_of_a_create_has_its_verdict() {
    let site = Site::cloud().await;
    for (status, kind) in STATUSES {
        site.simulator.faults().clear();
        site.inject(Call::Create, Effect::EmptyBody { status, applied: false });
        let fault = create(&site).await;
        assert_eq!((fault.kind, fault.status), (kind, Some(status)), "{fault:?}");
    }
}

#[tokio::test]
async fn keeps_beginning_of_long_refusal() {
    for length in [100_000, 5_000_000] {
        let site = Site::cloud().await;
        let text = format!("Enter the affected host {}", "x".repeat(length));
        let body = json!({ "errorMessages": [text], "errors": {} });
        site.inject(Call::Create, Effect::Answer(Reply::json(400, &body)));
        let fault = create(&site).await;
        assert!(fault.message.contains("Enter the affected host xx"), "{fault}");
        assert!(fault.message.len() < 600 && fault.kind == FaultKind::Rejected, "{fault}");
    }
}

#[tokio::test]
async fn transport_failure_after_send_is_unknown_outcome() {
    let table = [
        (Effect::ApplyThenReset, FaultKind::ConnectionLost, 1),
        (Effect::TruncatedBody, FaultKind::ConnectionLost, 1),
        (Effect::EmptyBody { status: 201, applied: true }, FaultKind::UnreadableReply, 1),
        (Effect::HugeBody(5_000_000), FaultKind::UnreadableReply, 1),
        (Effect::Html { status: 200 }, FaultKind::Dormant, 0),
        (Effect::ForeignSuccess, FaultKind::UnreadableReply, 0),
        (Effect::Redirect { status: 302, location: "/login.jsp".to_owned() }, FaultKind::Redirected, 0),
    ];
    for (effect, kind, tickets) in table {
        let site = Site::cloud().await;
        site.inject(Call::Create, effect.clone());
        let fault = create(&site).await;
        assert_eq!((fault.kind, fault.kind.certainty()), (kind, Certainty::Ambiguous), "{effect:?}");
        assert_eq!(site.simulator.tickets().len(), tickets, "{effect:?}");
    }
}

#[tokio::test]
async fn refused_connection_is_definite_failure() {
    let site = Site::cloud().await;
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.simulator.stop().await;
    let fault = site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap_err();
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::Connect, false));
}

#[tokio::test]
async fn captcha_is_lockout_with_any_status() {
    for status in [200, 401, 403] {
        let site = Site::data_center().await;
        let reply = Reply::html(status, "<html><head><title>Forbidden (403)</title></head></html>")
            .header("x-seraph-loginreason", "AUTHENTICATION_DENIED")
            .header("x-authentication-denied-reason", "CAPTCHA_CHALLENGE; login-url=https://x/login.jsp");
        site.inject(Call::Create, Effect::Answer(reply));
        let fault = create(&site).await;
        assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::LockedOut, false), "{status}");
        assert!(fault.hint.contains("CAPTCHA"), "{}", fault.hint);
    }
}

#[tokio::test]
async fn wrong_passwords_lock_out_on_data_center() {
    let basic = Credential::Basic { user: "analyst@example.com".to_owned(), secret: "right".to_owned() };
    let mut profile = Profile::of(Vendor::JiraDataCenter).only_credential(basic);
    profile.captcha_after = Some(2);
    let site = Site::with(Vendor::JiraDataCenter, profile, &api_token("wrong"), |_| {}).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(site.jira.prepare(&ticket_draft("INC-1")).await.unwrap_err().kind);
    }
    assert_eq!(kinds, [FaultKind::Unauthorized, FaultKind::Unauthorized, FaultKind::LockedOut]);
}

#[tokio::test]
async fn empty_success_with_failed_login_is_refused() {
    let site = Site::cloud().await;
    site.inject(Call::Create, Effect::authenticated_failed());
    let fault = create(&site).await;
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::Unauthorized, false));
}

#[tokio::test]
async fn distinguishes_refused_login_from_missing_project() {
    let profile = Profile::of(Vendor::JiraCloud);
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("expired"), |_| {}).await;
    let fault = site.jira.prepare(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
}

#[tokio::test]
async fn repeats_jira_error_text_without_secrets() {
    let text = |status: u16, body: &str| Reply { status, headers: [].into(), body: body.to_owned() };
    let table = [
        (
            Reply::json(400, &json!({ "errorMessages": ["Field 'x' is required"], "errors": {} })),
            "Field 'x' is required",
        ),
        (Reply::json(403, &json!({ "message": "not you" })), "not you"),
        (
            Reply::json(400, &json!({ "errorMessages": null, "errors": [{ "detail": "odd shape" }] })),
            "odd shape",
        ),
        (Reply::json(400, &json!({ "errorMessage": "bad" })), "bad"),
        (
            text(
                401,
                "<status><status-code>401</status-code><message>Client must be authenticated</message></status>",
            ),
            "Client must be authenticated",
        ),
        (text(400, "plain words"), "plain words"),
        (Reply::html(502, "<html><head><title>Bad gateway</title></head></html>"), "Bad gateway"),
        (Reply::json(400, &json!({ "message": "token cloud-api-token is odd" })), "token [secret] is odd"),
        (Reply::json(400, &json!({ "message": "cloud&#45;api&#45;token is odd" })), "[secret] is odd"),
        (Reply::json(400, &json!({ "message": "cloud%2Dapi%2dtoken is odd" })), "[secret] is odd"),
        (text(500, r#"{ "message": "cloud\\u002dapi-token is odd" }"#), "[secret] is odd"),
        (Reply::html(502, "<title>cloud&#x2D;api&#x2d;token is odd</title>"), "[secret] is odd"),
    ];
    for (reply, words) in table {
        let site = Site::cloud().await;
        site.inject(Call::Create, Effect::Answer(reply));
        let fault = create(&site).await;
        assert!(fault.message.contains(words), "{}", fault.message);
        let shown = format!("{fault:?} {:?}", site.jira);
        assert!(!shown.contains("cloud-api-token"), "{shown}");
    }
}
