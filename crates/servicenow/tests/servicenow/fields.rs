//! Columns that an operator maps.

use std::collections::{BTreeMap, BTreeSet};

use ticketing_core::content_settings::{ContentSettings, FieldSource, FieldValue, Mapping};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Check, CheckOutcome, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_simulator::Profile;

use crate::support::{Site, ticket_draft};

fn text(name: &str, template: &str) -> (String, FieldValue) {
    let value = FieldSource::Template(template.to_owned());
    (name.to_owned(), FieldValue { value, droppable: false })
}

fn droppable((name, value): (String, FieldValue)) -> (String, FieldValue) {
    (name, FieldValue { droppable: true, ..value })
}

async fn site<const N: usize>(change: impl FnOnce(&mut Profile), fields: [(String, FieldValue); N]) -> Site {
    let site = Site::with(change, |_| {}).await;
    let settings = ContentSettings {
        summary_template: Some("{{ id }} on {{ connection }}".to_owned()),
        introduction_template: Some("Runbook for {{ severity }}".to_owned()),
        fields: Some(BTreeMap::from(fields)),
    };
    let mut violations = Violations::default();
    let mapping = Mapping::parse(&settings, "servicenow", "content", &mut violations);
    let mapping = mapping.unwrap_or_else(|| panic!("{violations}"));
    Site { system: site.system.with_mapping(mapping), ..site }
}

async fn fields_check(site: &Site) -> Check {
    let checks = site.system.test().await;
    checks.iter().find(|check| check.name == "fields").unwrap_or_else(|| panic!("{checks:?}")).clone()
}

#[tokio::test]
async fn value_of_every_type_reaches_the_ticket() {
    let fields = [
        text("Caller", "ada@example.com"),
        text("assigned_to", "grace"),
        text("Configuration item", "mail-01"),
        text("Category", "security incident"),
        text("Channel", "siem"),
        text("due_date", "{{ timeline.last_alert }}"),
        text("Confirmed", "yes"),
        text("u_risk_score", "{{ risk.score | int }}"),
        text("Source", "RhythmX"),
        text("Watchers", "Ada Lovelace, grace@example.com"),
    ];
    let site = site(|_| {}, fields).await;
    let created = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(created.adjustments, vec![]);
    let ticket = site.only_ticket().fields;
    let ada = format!("{:032x}", 1);
    let grace = format!("{:032x}", 2);
    for (column, expected) in [
        ("caller_id", ada.as_str()),
        ("assigned_to", grace.as_str()),
        ("cmdb_ci", "109562a3c611227500a7b7ff98cc0dc7"),
        ("category", "security"),
        ("contact_type", "siem"),
        ("due_date", "1970-01-01 00:00:00"),
        ("u_confirmed", "true"),
        ("u_risk_score", "92"),
        ("u_source", "RhythmX"),
        ("u_watchers", format!("{ada},{grace}").as_str()),
        ("short_description", "INC-1 on servicenow"),
    ] {
        assert_eq!(ticket[column], expected, "{column}");
    }
    assert!(ticket["description"].as_str().unwrap().starts_with("Runbook for CRITICAL\n\n"));
    assert!(site.system.prepare_from_memory(&ticket_draft("INC-2")).is_some());
    assert_eq!(fields_check(&site).await.outcome, CheckOutcome::Passed);
}

#[tokio::test]
async fn every_wrong_column_is_named_with_its_setting_at_once() {
    let fields = [
        text("Callers", "ada@example.com"),
        text("Category", "securty"),
        text("Caller", "absent@example.com"),
        text("Short description", "x"),
        droppable(text("u_nowhere", "x")),
    ];
    let site = site(|_| {}, fields).await;
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Misconfigured);
    for expected in [
        "fields[\"Callers\"]: is no column of the table; nearest: Caller",
        "fields[\"Category\"]: takes no value \"securty\"; nearest: Network, Software, Security incident",
        "fields[\"Caller\"]: names \"absent@example.com\"",
        "fields[\"Short description\"]: cannot be mapped: set summary_template",
    ] {
        assert!(fault.message.contains(expected), "{expected}: {}", fault.message);
    }
    assert!(!fault.message.contains("u_nowhere"));
    assert_eq!(fields_check(&site).await.outcome, CheckOutcome::Failed);
    assert!(site.simulator.tickets().is_empty());
}

#[tokio::test]
async fn values_are_sent_unchecked_where_the_dictionary_may_not_be_read() {
    let hidden: [fn(&mut Profile); 2] =
        [|profile| profile.hides_dictionary = true, |profile| profile.withdraw("read_dictionary")];
    for hide in hidden {
        let fields = [text("caller_id", "ada@example.com"), text("category", "security")];
        let site = site(hide, fields).await;
        let draft = ticket_draft("INC-1");
        let rendered = site.system.prepare(&draft).await.unwrap();
        let unchecked: Vec<&str> = rendered.adjustments.iter().map(|left| left.field.as_str()).collect();
        assert_eq!(unchecked, ["caller_id", "category"]);
        site.push(&draft).await.unwrap();
        assert_eq!(site.only_ticket().fields["caller_id"], format!("{:032x}", 1));
        assert_eq!(site.only_ticket().fields["category"], "security");
        let check = fields_check(&site).await;
        assert_eq!(check.outcome, CheckOutcome::Unproven);
        assert!(check.detail.contains("sys_dictionary"), "{}", check.detail);
    }
}

#[tokio::test]
async fn label_needs_a_readable_dictionary() {
    let site = site(|profile| profile.hides_dictionary = true, [text("Caller", "ada@example.com")]).await;
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert!(fault.message.contains("use the column's name"), "{}", fault.message);
}

#[tokio::test]
async fn ambiguous_record_is_refused() {
    let twice = |profile: &mut Profile| {
        let again = ticketing_simulator::Named::new("109562a3c611227500a7b7ff98cc0dc8", "mail-01");
        profile.records.get_mut("cmdb_ci").unwrap().push(again);
    };
    let site = site(twice, [text("cmdb_ci", "mail-01")]).await;
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert!(fault.message.contains("as 2 records of cmdb_ci do: give the sys_id"), "{}", fault.message);
}

#[tokio::test]
async fn value_that_was_not_stored_is_reported() {
    let fields = [text("u_source", "RhythmX"), text("u_gone", "x")];
    let site = site(|profile| profile.hides_dictionary = true, fields).await;
    site.simulator.edit(|profile| profile.columns.iter_mut().for_each(|column| column.max_length = 3));
    let created = site.push(&ticket_draft("INC-1")).await.unwrap();
    let changed: Vec<_> =
        created.adjustments.iter().map(|left| (left.field.as_str(), left.reason.as_str())).collect();
    assert!(changed.contains(&("u_source", "is \"Rhy\", not the value that was sent")), "{changed:?}");
}

#[tokio::test]
async fn mapped_column_satisfies_a_data_policy() {
    let demand = |profile: &mut Profile| profile.mandatory = BTreeSet::from(["u_source".to_owned()]);
    let mapped = site(demand, [text("Source", "x")]).await;
    mapped.push(&ticket_draft("INC-1")).await.unwrap();
    let fault = Site::with(demand, |_| {}).await.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert!(fault.message.contains("Data Policy Exception"), "{}", fault.message);
}
