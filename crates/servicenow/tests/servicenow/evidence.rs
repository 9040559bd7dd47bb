//! Whether a refused insert concerns the ticket or the connection, and the hint.

use serde_json::json;
use ticketing_core::fault::{Fault, FaultKind, Scope};
use ticketing_simulator::{Call, Effect, Reply};

use crate::support::{Site, ticket_draft};

fn failure(status: u16, detail: &str) -> Reply {
    let error = json!({ "message": "Operation Failed", "detail": detail });
    Reply::json(status, &json!({ "error": error, "status": "failure" }))
}

async fn insert(site: &Site, reply: Reply) -> Fault {
    site.answer(Call::Create, reply);
    site.push(&ticket_draft("INC-1")).await.expect_err("the insert is refused")
}

#[tokio::test]
async fn refusal_concerns_ticket_when_table_is_readable() {
    let blocked = Reply::html(403, "<html><title>403</title>Your support ID is: 1</html>");
    let table = [
        (failure(403, "Incidents about Oracle databases need a configuration item"), "business rule"),
        (failure(403, "Geschäftsregel abgebrochen"), "business rule"),
        (failure(403, "Operation against file 'incident' was aborted by Business Rule 'x'"), "business rule"),
        (failure(403, "Data Policy Exception: Following fields are mandatory: Caller"), "default value"),
        (failure(403, "ACL Exception Insert Failed due to security constraints"), "sn_incident_write"),
        (blocked, "F5 BIG-IP"),
        (
            Reply::json(403, &json!({ "error": "access denied", "ray": "8" })).header("server", "cloudflare"),
            "Cloudflare",
        ),
    ];
    for (reply, words) in table {
        let site = Site::of(|_| {}).await;
        let fault = insert(&site, reply.clone()).await;
        assert_eq!((fault.kind, fault.status), (FaultKind::Rejected, Some(403)), "{reply:?}");
        assert_eq!((fault.kind.scope(), fault.is_ambiguous()), (Scope::Ticket, false));
        assert!(fault.hint.contains(words), "{}", fault.hint);
    }
}

#[tokio::test]
async fn refusal_concerns_connection_when_read_is_refused() {
    let table = [
        (failure(401, "no"), FaultKind::Unauthorized),
        (failure(403, "no"), FaultKind::Forbidden),
        (Reply::html(200, "<html>"), FaultKind::Forbidden),
    ];
    for (read, kind) in table {
        let site = Site::of(|_| {}).await;
        site.answer(Call::Auth, read.clone());
        let fault = insert(&site, failure(403, "no")).await;
        assert_eq!((fault.kind, fault.status, fault.is_ambiguous()), (kind, Some(403), false), "{read:?}");
    }
}

#[tokio::test]
async fn failed_read_does_not_blame_connection() {
    for effect in [Effect::Html { status: 503 }, Effect::DropBefore, Effect::Hang { applied: false }] {
        let site = Site::of(|_| {}).await;
        site.strike(Call::Auth, effect.clone());
        assert_eq!(insert(&site, failure(403, "no")).await.kind, FaultKind::Rejected, "{effect:?}");
    }
}

#[tokio::test]
async fn does_not_retry_refused_login_and_hints_at_oauth() {
    let site = Site::of(|_| {}).await;
    let refusal = failure(401, "no").header("www-authenticate", "BASIC realm=\"Service-now\", Bearer");
    let fault = insert(&site, refusal).await;
    assert_eq!((fault.kind, site.simulator.requests().len()), (FaultKind::Unauthorized, 1));
    assert!(fault.hint.contains("OAuth") && fault.hint.contains("MFA"), "{}", fault.hint);
    let site = Site::of(|_| {}).await;
    let fault = insert(&site, failure(401, "no").header("x-mfa_token", "invalid")).await;
    assert!(fault.hint.starts_with("the instance asks for multi-factor"), "{}", fault.hint);
}

#[tokio::test]
async fn names_intermediary_with_a_fix() {
    let login = "https://acme.service-now.com/login_with_sso.do";
    let redirect = Reply { status: 302, headers: [].into(), body: String::new() };
    let redirect = redirect.header("location", &format!("{login}?glide_sso_id=secret"));
    let table = [
        (redirect, FaultKind::Redirected, login),
        (Reply::html(200, "<title>Instance Hibernating page</title>"), FaultKind::Dormant, "hibernat"),
        (Reply::html(200, "<html><title>Instanz im Ruhezustand</title>"), FaultKind::Dormant, "hibernat"),
        (Reply::html(200, "<html><input type='password'>"), FaultKind::Dormant, "login page"),
        (Reply::html(403, "<html>Zscaler"), FaultKind::Rejected, "Zscaler"),
        (Reply::html(503, "<html>Maintenance"), FaultKind::ServerError, "maintenance"),
    ];
    for (reply, kind, words) in table {
        let fault = insert(&Site::of(|_| {}).await, reply.clone()).await;
        assert_eq!(fault.kind, kind, "{reply:?}");
        assert!(fault.hint.contains(words) && !fault.hint.contains("secret"), "{}", fault.hint);
    }
}
