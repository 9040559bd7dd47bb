//! The group to which a ticket is assigned.

use serde_json::{Value, json};
use ticketing_core::system::{Check, TicketSystem};
use ticketing_simulator::{Call, Effect, Reply};

use crate::support::{GROUP, GROUP_ID, Site, ticket_draft};

const OTHER_ID: &str = "0123456789abcdef0123456789abcdef";

fn group(sys_id: &str, active: &str) -> Value {
    json!({ "sys_id": sys_id, "name": GROUP, "active": active })
}

async fn check(groups: &[Value]) -> Check {
    let site = Site::start().await;
    site.answer(Call::Meta, Reply::json(200, &json!({ "result": groups })));
    site.system
        .test()
        .await
        .into_iter()
        .find(|check| check.name == "assignment_group")
        .expect("the group is checked")
}

#[tokio::test]
async fn selects_the_active_group_of_a_name() {
    let found = check(&[group(OTHER_ID, "false"), group(GROUP_ID, "true")]).await;
    assert!(!found.has_failed() && found.detail.contains(GROUP_ID), "{found:?}");
}

#[tokio::test]
async fn refuses_an_inactive_group() {
    let found = check(&[group(GROUP_ID, "false")]).await;
    assert!(
        found.has_failed() && found.detail.contains("inactive") && found.hint.contains("activate"),
        "{found:?}"
    );
}

#[tokio::test]
async fn lists_the_active_groups_of_one_name() {
    let found = check(&[group(OTHER_ID, "true"), group(GROUP_ID, "true")]).await;
    assert!(
        found.has_failed() && found.hint.contains(OTHER_ID) && found.hint.contains(GROUP_ID),
        "{found:?}"
    );
}

#[tokio::test]
async fn accepts_group_of_unknown_activity() {
    assert!(!check(&[json!({ "sys_id": GROUP_ID, "name": GROUP })]).await.has_failed());
}

#[tokio::test]
async fn group_sys_id_needs_no_look_up() {
    let effects = [
        Effect::Html { status: 500 },
        Effect::Hang { applied: false },
        Effect::Answer(Reply::json(403, &json!({ "error": { "message": "no" } }))),
    ];
    for effect in effects {
        let site = Site::with(|_| {}, |draft| draft.assignment_group = Some(GROUP_ID.to_owned())).await;
        site.strike(Call::Meta, effect);
        let rendered = site.system.prepare(&ticket_draft("INC-1")).await.unwrap();
        assert!(rendered.adjustments.iter().any(|adjustment| adjustment.reason.starts_with("not checked")));
        site.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!(site.only_ticket().fields["assignment_group"], GROUP_ID);
    }
}

#[tokio::test]
async fn keeps_group_while_group_table_fails() {
    let site = Site::start().await;
    site.push(&ticket_draft("INC-1")).await.unwrap();
    site.clock.advance(std::time::Duration::from_secs(301));
    site.strike(Call::Meta, Effect::Html { status: 500 });
    let rendered = site.system.prepare(&ticket_draft("INC-2")).await.unwrap();
    assert!(rendered.body.contains(GROUP_ID), "{}", rendered.body);
}

#[tokio::test]
async fn field_required_by_data_policy_fails_the_test() {
    let rule = |conditions: &str| {
        let field = json!({ "table": "incident", "field": "caller_id", "mandatory": "true" });
        let mut rule = field;
        rule["sys_data_policy.conditions"] = conditions.into();
        rule
    };
    for (rows, passes) in [(json!([rule("")]), false), (json!([rule("state=6^EQ")]), true), (json!([]), true)]
    {
        let site = Site::of(|_| {}).await;
        site.answer(Call::Meta, Reply::json(200, &json!({ "result": rows })));
        let checks = site.system.test().await;
        let found = checks.iter().find(|check| check.name == "required_fields").unwrap();
        assert_eq!(found.has_failed(), !passes, "{found:?}");
        assert!(passes || found.hint.contains("caller_id"), "{found:?}");
    }
}
