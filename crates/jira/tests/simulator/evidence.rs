//! Whether a refused create concerns the ticket or the connection, and the hint.

use serde_json::json;
use ticketing_core::fault::{Fault, FaultKind, Scope};
use ticketing_core::system::Dialing;
use ticketing_core::system::TicketSystem;
use ticketing_simulator::{Call, Effect, Reply, Vendor};

use crate::support::{Site, WITHIN, ticket_draft};

const FIREWALL: &str =
    "<html><head><title>403 Forbidden</title></head><body>Request blocked. Support ID: 1234</body></html>";

async fn both() -> [Site; 2] {
    [Site::cloud().await, Site::data_center().await]
}

/// A create that gets this reply, prepared without faults.
async fn create(site: &Site, reply: Reply) -> Fault {
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.inject(Call::Create, Effect::Answer(reply));
    site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap_err()
}

fn messages(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "errorMessages": [text], "errors": {} }))
}

#[tokio::test]
async fn refusal_concerns_ticket_when_login_may_create() {
    let page = |status| Reply::html(status, FIREWALL).header("server", "ModSecurity");
    let table = [
        (page(403), "ModSecurity"),
        (
            Reply::json(403, &json!({ "error": "access denied", "ray": "8" })).header("server", "cloudflare"),
            "Cloudflare",
        ),
        (page(406), "ModSecurity"),
        (page(404), "ModSecurity"),
        (Reply::html(403, "<html><title>Nein</title></html>"), "a gateway in front of Jira"),
        (messages(403, "Vorgang kann nicht erstellt werden."), "refuses this ticket alone"),
        (messages(400, "Inbound Hostname: please enter the affected host"), "validator"),
        (messages(400, "ホスト名を入力してください"), "validator"),
        (messages(400, "please enter the IP address of the host"), "validator"),
        (
            Reply::json(400, &json!({ "errors": { "customfield_10014": "Epic Link is required." } })),
            "customfield_10014",
        ),
    ];
    for (reply, words) in table {
        for site in both().await {
            let fault = create(&site, reply.clone()).await;
            assert_eq!((fault.kind, fault.status), (FaultKind::Rejected, Some(reply.status)), "{reply:?}");
            assert_eq!((fault.kind.scope(), fault.is_ambiguous()), (Scope::Ticket, false));
            assert!(fault.hint.contains(words) && !fault.hint.contains("grant"), "{}", fault.hint);
        }
    }
}

#[tokio::test]
async fn refusal_concerns_connection_without_permission() {
    for reply in [messages(403, "no"), messages(400, "Sie haben keine Berechtigung."), messages(404, "no")] {
        let site = Site::cloud().await;
        site.simulator.edit(|profile| profile.withdraw("CREATE_ISSUES"));
        let fault = create(&site, reply.clone()).await;
        let expected = if reply.status == 404 { FaultKind::NotFound } else { FaultKind::Forbidden };
        assert_eq!((fault.kind, fault.status), (expected, Some(reply.status)));
        assert!(fault.hint.contains("Create issues"), "{}", fault.hint);
        assert!(fault.message.contains("lacks CREATE_ISSUES"), "{}", fault.message);
    }
}

#[tokio::test]
async fn refusal_concerns_connection_when_read_is_refused() {
    let table = [
        (messages(401, "no"), FaultKind::Unauthorized),
        (messages(403, "no"), FaultKind::Forbidden),
        (messages(404, "no"), FaultKind::Forbidden),
        (Reply::html(200, "<html>"), FaultKind::Forbidden),
    ];
    for (read, kind) in table {
        let site = Site::data_center().await;
        site.inject(Call::Auth, Effect::Answer(read.clone()));
        let fault = create(&site, messages(403, "no")).await;
        assert_eq!((fault.kind, fault.is_ambiguous()), (kind, false), "{read:?}");
    }
}

#[tokio::test]
async fn failed_read_does_not_blame_connection() {
    for effect in [
        Effect::Html { status: 503 },
        Effect::DropBefore,
        Effect::Hang { applied: false },
        Effect::Answer(messages(429, "slow down")),
    ] {
        let site = Site::cloud().await;
        site.inject(Call::Auth, effect.clone());
        let fault = create(&site, messages(403, "no")).await;
        assert_eq!(fault.kind, FaultKind::Rejected, "{effect:?}");
    }
}

#[tokio::test]
async fn does_not_retry_refused_login() {
    let table = [
        (messages(401, "no"), FaultKind::Unauthorized),
        (messages(403, "no").header("x-seraph-loginreason", "AUTHENTICATED_FAILED"), FaultKind::Unauthorized),
        (messages(403, "no").header("x-seraph-loginreason", "AUTHENTICATION_DENIED"), FaultKind::LockedOut),
        (messages(403, "no").header("x-seraph-loginreason", "AUTHORISATION_FAILED"), FaultKind::Forbidden),
        (messages(400, "no").header("x-ausername", "anonymous"), FaultKind::Unauthorized),
        (messages(402, "no"), FaultKind::Forbidden),
    ];
    for (reply, kind) in table {
        for site in both().await {
            let fault = create(&site, reply.clone()).await;
            assert_eq!(fault.kind, kind, "{reply:?}");
            let last = site.simulator.requests().pop().unwrap();
            assert!(last.method == "POST" && last.path.ends_with("/issue"), "asked after it: {last:?}");
        }
    }
}

#[tokio::test]
async fn anonymous_reply_points_to_login() {
    let site = Site::data_center().await;
    site.inject(Call::Auth, Effect::Answer(messages(401, "You are not authenticated.")));
    let text = "Anonymous users do not have permission to create issues in this project. Please try logging in first.";
    let fault = create(&site, messages(400, text)).await;
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.hint.contains("token"), "{}", fault.hint);
}

#[tokio::test]
async fn names_intermediary_with_a_fix() {
    let redirect = |location: &str| {
        Reply { status: 302, headers: [].into(), body: String::new() }.header("location", location)
    };
    let table = [
        (
            redirect("https://id.atlassian.com/login?continue=secret"),
            FaultKind::Redirected,
            "https://id.atlassian.com/login",
        ),
        (redirect("/login.jsp?os_destination=%2F"), FaultKind::Redirected, "/login.jsp"),
        (redirect("https://jira.new.example/rest/api/2/issue"), FaultKind::Redirected, "set jira.url to it"),
        (
            Reply::html(200, "<?xml version=\"1.0\"?><html><input type=\"password\"/>"),
            FaultKind::Dormant,
            "login page",
        ),
        (
            Reply::html(401, "<html>acme.okta.com").header("www-authenticate", "x"),
            FaultKind::Unauthorized,
            "Okta",
        ),
        (Reply::html(503, "<html><title>Wartung</title>"), FaultKind::ServerError, "maintenance"),
        (Reply::html(522, "<html>").header("cf-ray", "8"), FaultKind::ServerError, "Cloudflare"),
        (Reply::html(402, "<html>"), FaultKind::Forbidden, "billing"),
        (Reply::html(413, "<html>"), FaultKind::TooLarge, "of this size"),
    ];
    for (reply, kind, words) in table {
        let site = Site::data_center().await;
        let fault = create(&site, reply.clone()).await;
        assert_eq!(fault.kind, kind, "{reply:?}");
        assert!(fault.hint.contains(words) && !fault.hint.contains("secret"), "{}", fault.hint);
    }
}

#[tokio::test]
async fn redacts_secret_in_redirect() {
    let site = Site::with(
        Vendor::JiraCloud,
        ticketing_simulator::Profile::of(Vendor::JiraCloud),
        &crate::support::api_token("cloud-api-token"),
        |_| {},
    )
    .await;
    let location = "https://login.example/cloud-api-token/x?t=cloud-api-token".to_owned();
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.inject(Call::Create, Effect::Redirect { status: 302, location });
    let fault = site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap_err();
    assert!(
        fault.hint.contains("[secret]") && !format!("{fault:?}").contains("cloud-api-token"),
        "{fault:?}"
    );
}

#[tokio::test]
async fn anonymous_answer_is_refused_login() {
    for header in [("x-ausername", "anonymous"), ("x-seraph-loginreason", "AUTHENTICATED_FAILED")] {
        let site = Site::data_center().await;
        let nothing = json!({ "values": [], "isLast": true, "total": 0, "version": "10.3.24" });
        site.inject(Call::Meta, Effect::Answer(Reply::json(200, &nothing).header(header.0, header.1)));
        let fault = site.jira.prepare(&ticket_draft("INC-1")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{header:?}");
        assert!(fault.hint.contains("token"), "{}", fault.hint);
    }
}
