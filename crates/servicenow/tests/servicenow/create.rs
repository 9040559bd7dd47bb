//! Results of a create, with and without faults.

use std::time::Duration;

use serde_json::json;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::{Created, Dialing, TicketSystem};
use ticketing_simulator::{Call, Effect, Reply};

use crate::support::{GROUP, GROUP_ID, Site, fields, ticket_draft, ticket_draft_of};

fn adjusted(created: &Created) -> Vec<&str> {
    created.adjustments.iter().map(|adjustment| adjustment.field.as_str()).collect()
}

fn kind(outcome: Result<Created, Fault>) -> FaultKind {
    outcome.expect_err("the create fails").kind
}

#[tokio::test]
async fn creates_ticket_as_rendered_with_link() {
    let site = Site::start().await;
    let ticket_draft = ticket_draft("INC-1");
    let created = site.push(&ticket_draft).await.unwrap();
    let ticket = site.only_ticket();
    assert_eq!(created.adjustments, []);
    assert_eq!(created.ticket.id, ticket_draft.marker.hex());
    assert_eq!(created.ticket.key, ticket.key);
    let base = site.simulator.base_url();
    assert_eq!(
        created.ticket.url,
        format!("{base}/nav_to.do?uri=incident.do%3Fsys_id%3D{}", ticket_draft.marker.hex())
    );
    assert_eq!(ticket.correlation_id(), Some(ticket_draft.marker.as_str()));
    assert_eq!(ticket.fields["assignment_group"], GROUP_ID);
    assert_eq!(ticket.fields["priority"], "1");
    let rendered = site.system.prepare(&ticket_draft).await.unwrap();
    assert_eq!(ticket.fields["description"], rendered.description);
    assert_eq!(ticket.fields["short_description"], rendered.summary);
}

#[tokio::test]
async fn second_insert_returns_existing_ticket() {
    for status in [400, 403, 409] {
        let site = Site::of(|profile| profile.duplicate_status = status).await;
        let first = site.push(&ticket_draft("INC-1")).await.unwrap();
        let second = site.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!((first.ticket, second.adjustments.len()), (second.ticket, 0), "status {status}");
        site.only_ticket();
    }
}

#[tokio::test]
async fn unreadable_collision_is_unknown_outcome() {
    let site = Site::of(|_| {}).await;
    site.push(&ticket_draft("INC-1")).await.unwrap();
    site.answer(Call::Read, Reply::html(503, "busy"));
    assert_eq!(kind(site.push(&ticket_draft("INC-1")).await), FaultKind::Conflict);
}

#[tokio::test]
async fn finds_ticket_by_correlation_id_when_sys_id_differs() {
    let site = Site::of(|profile| profile.ignores_sys_id = true).await;
    let created = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&created), ["sys_id"]);
    assert_eq!(site.look_up(&ticket_draft("INC-1")).await.unwrap().tickets[0].ticket, created.ticket);
}

#[tokio::test]
async fn finds_ticket_by_sys_id_without_correlation_id() {
    let site = Site::of(|profile| profile.ignores_correlation_id = true).await;
    let created = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&created), ["correlation_id"]);
    assert_eq!(site.look_up(&ticket_draft("INC-1")).await.unwrap().tickets[0].ticket, created.ticket);
}

#[tokio::test]
async fn reports_ticket_without_any_marker() {
    let site = Site::of(|profile| {
        profile.ignores_correlation_id = true;
        profile.ignores_sys_id = true;
    })
    .await;
    let created = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&created), ["sys_id", "correlation_id"]);
    assert!(created.adjustments[1].reason.contains("can therefore not be found again"));
}

#[tokio::test]
async fn reports_group_that_was_not_applied() {
    let site = Site::start().await;
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.system.prepare(&ticket_draft).await.unwrap();
    let result = json!({ "sys_id": ticket_draft.marker.hex(), "number": "INC7", "priority": "4", "assignment_group": "" });
    site.answer(Call::Create, Reply::json(201, &json!({ "result": result })));
    let created = site
        .system
        .create(&ticket_draft, &rendered, Dialing::default(), Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(adjusted(&created), ["priority", "assignment_group"]);
    assert_eq!(created.ticket.key, "INC7");
}

#[tokio::test]
async fn answer_without_ticket_is_unknown_outcome() {
    let no_sys_id = json!({ "result": { "number": "INC1" } });
    let table = [
        (Effect::Html { status: 200 }, FaultKind::Dormant),
        (Effect::Html { status: 201 }, FaultKind::Dormant),
        (Effect::Answer(Reply::json(202, &json!({}))), FaultKind::Dropped),
        (Effect::Answer(Reply::json(200, &json!({ "result": {} }))), FaultKind::UnreadableReply),
        (Effect::EmptyBody { status: 201, applied: true }, FaultKind::UnreadableReply),
        (Effect::Answer(Reply::json(201, &no_sys_id)), FaultKind::UnreadableReply),
        (Effect::ForeignSuccess, FaultKind::UnreadableReply),
        (Effect::HugeBody(8 * 1024 * 1024), FaultKind::UnreadableReply),
        (Effect::TruncatedBody, FaultKind::ConnectionLost),
        (
            Effect::Redirect { status: 302, location: "https://elsewhere.example/".to_owned() },
            FaultKind::Redirected,
        ),
    ];
    for (effect, expected) in table {
        let site = Site::of(|_| {}).await;
        let shown = format!("{effect:?}");
        site.strike(Call::Create, effect);
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert_eq!(fault.kind, expected, "{shown}");
        assert!(fault.is_ambiguous(), "{shown}");
    }
}

#[tokio::test]
async fn data_policy_and_acl_refusals_concern_ticket() {
    let policy = Site::of(|profile| {
        profile.mandatory.insert("caller_id".to_owned());
    })
    .await;
    let fault = policy.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!((fault.kind, fault.status), (FaultKind::Rejected, Some(403)));
    assert!(fault.message.contains("caller_id"));
    let acl = Site::of(|profile| profile.withdraw("create")).await;
    let fault = acl.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!((fault.kind, fault.status), (FaultKind::Rejected, Some(403)));
    assert!(fault.hint.contains("servicenow.username"));
    let neither = Site::of(|profile| {
        profile.withdraw("create");
        profile.withdraw("read");
    })
    .await;
    let fault = neither.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!((fault.kind, fault.status), (FaultKind::Forbidden, Some(403)));
}

#[tokio::test]
async fn writes_overflow_into_work_notes() {
    let site = Site::of(|_| {}).await;
    let mut long = fields("INC-1");
    long.investigation_notes = "seen [code]<script>[/code] ".repeat(400);
    let ticket_draft = ticket_draft_of(long);
    let rendered = site.system.prepare(&ticket_draft).await.unwrap();
    assert_eq!(rendered.adjustments[0].field, "description");
    assert_eq!(site.push(&ticket_draft).await.unwrap().adjustments, []);
    let ticket = site.only_ticket();
    let notes = ticket.fields["work_notes"][0].as_str().unwrap();
    assert!(notes.contains("seen [ code]<script>[ /code]") && !notes.contains("[code]"));
    assert!(ticket.fields["description"].as_str().unwrap().contains("see the work notes"));
}

#[tokio::test]
async fn missing_or_ambiguous_group_is_misconfiguration() {
    let missing = Site::with(|_| {}, |draft| draft.assignment_group = Some("No such group".to_owned())).await;
    let twice = Site::with(
        |profile| *profile = profile.clone().with_group("0123456789abcdef0123456789abcdef", GROUP),
        |draft| draft.assignment_group = Some(GROUP.to_owned()),
    )
    .await;
    let no_id = Site::with(|_| {}, |draft| draft.assignment_group = Some("f".repeat(32))).await;
    for site in [missing, twice, no_id] {
        let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Misconfigured, "{fault}");
        assert!(fault.hint.contains("servicenow.assignment_group"));
        assert_eq!(site.simulator.tickets().len(), 0);
    }
}

#[tokio::test]
async fn checks_group_name_when_query_is_ignored() {
    let site = Site::start().await;
    site.strike(Call::Meta, Effect::ReturnsEverything);
    site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(site.only_ticket().fields["assignment_group"], GROUP_ID);
}

#[tokio::test]
async fn caches_group_for_five_minutes_or_until_refusal() {
    let site = Site::with(|_| {}, |draft| draft.assignment_group = Some(GROUP_ID.to_owned())).await;
    let asked = || {
        let requests = site.simulator.requests();
        requests.iter().filter(|request| request.path.contains("sys_user_group")).count()
    };
    site.push(&ticket_draft("INC-1")).await.unwrap();
    site.push(&ticket_draft("INC-2")).await.unwrap();
    assert_eq!(asked(), 1);
    site.clock.advance(Duration::from_secs(300));
    site.push(&ticket_draft("INC-3")).await.unwrap();
    assert_eq!(asked(), 2);
    site.simulator.edit(|profile| profile.withdraw("create"));
    site.push(&ticket_draft("INC-4")).await.unwrap_err();
    site.push(&ticket_draft("INC-4")).await.unwrap_err();
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn offline_rendering_lists_unchecked_fields() {
    let site = Site::start().await;
    let render_offline = site.system.render_offline(&ticket_draft("INC-1"));
    let fields: Vec<_> =
        render_offline.adjustments.iter().map(|adjustment| adjustment.field.as_str()).collect();
    assert_eq!(fields, ["assignment_group", "priority"]);
}

#[tokio::test]
async fn created_record_with_absurd_number_is_looked_up() {
    let site = Site::of(|_| {}).await;
    let ticket_draft = ticket_draft("INC-1");
    let result = json!({ "sys_id": ticket_draft.marker.hex(), "number": "9".repeat(3_000_000) });
    site.strike(Call::Create, Effect::ApplyThenAnswer(Reply::json(201, &json!({ "result": result }))));
    let fault = site.push(&ticket_draft).await.unwrap_err();
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::UnreadableReply, true));
    assert_eq!(site.look_up(&ticket_draft).await.unwrap().tickets.len(), 1);
}

#[tokio::test]
async fn record_without_believable_sys_id_is_not_absent() {
    let site = Site::of(|_| {}).await;
    let ticket_draft = ticket_draft("INC-1");
    let row =
        json!({ "sys_id": "f".repeat(100_000), "number": "INC1", "correlation_id": ticket_draft.marker });
    site.answer(Call::Search, Reply::json(200, &json!({ "result": [row] })));
    assert_eq!(site.look_up(&ticket_draft).await.unwrap_err().kind, FaultKind::UnreadableReply);
}
