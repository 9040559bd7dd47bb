//! Fields that an operator maps.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use ticketing_core::content_settings::{ContentSettings, FieldSource, FieldValue, Mapping};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Check, CheckOutcome, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_simulator::{Call, Effect, Profile, Project, Reply, Rule, ScreenField, Vendor, When};

use crate::support::{Site, adjusted, ticket_draft};

fn text(name: &str, template: &str) -> (String, FieldValue) {
    let value = FieldSource::Template(template.to_owned());
    (name.to_owned(), FieldValue { value, droppable: false })
}

fn raw(name: &str, json: Value) -> (String, FieldValue) {
    (name.to_owned(), FieldValue { value: FieldSource::Json(json), droppable: false })
}

fn droppable((name, value): (String, FieldValue)) -> (String, FieldValue) {
    (name, FieldValue { droppable: true, ..value })
}

fn mapping(settings: &ContentSettings) -> Mapping {
    let mut violations = Violations::default();
    Mapping::parse(settings, "jira", "content", &mut violations).unwrap_or_else(|| panic!("{violations}"))
}

fn fields<const N: usize>(fields: [(String, FieldValue); N]) -> ContentSettings {
    ContentSettings { fields: Some(BTreeMap::from(fields)), ..ContentSettings::default() }
}

/// A site with a field of every type, and more than one page of them.
fn profile(vendor: Vendor) -> Profile {
    let mut project = Project::new("10100", "SEC");
    for number in 0..60 {
        let name = format!("Other {number}");
        project.fields.push(ScreenField::custom(20_000 + number, &name, "string", None, "textfield"));
    }
    project.fields.extend(ScreenField::of_every_type());
    Profile::of(vendor).with_project(project)
}

async fn site_with(vendor: Vendor, profile: Profile, settings: &ContentSettings) -> Site {
    let site = match vendor {
        Vendor::JiraCloud => Site::cloud_with(profile).await,
        _ => Site::data_center_with(profile).await,
    };
    Site { jira: site.jira.with_mapping(mapping(settings)), ..site }
}

async fn site(vendor: Vendor, settings: &ContentSettings) -> Site {
    site_with(vendor, profile(vendor), settings).await
}

fn check<'c>(checks: &'c [Check], name: &str) -> &'c Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{checks:?}"))
}

#[tokio::test]
async fn value_of_every_type_reaches_the_ticket() {
    let settings = fields([
        text("Source", "RhythmX {{ severity }}"),
        text("Impact", "{{ investigation_notes }}"),
        text("Link", "{{ url }}"),
        text("Score", "{{ risk.score }}"),
        text("Seen on", "{{ timeline.first_alert }}"),
        text("Seen at", "{{ timeline.first_alert }}"),
        text("Color", "RED"),
        text("Colors", "red, blue"),
        text("Place", "Europe > Paris"),
        text("Analyst", "ada@example.com"),
        text("Team group", "soc"),
        text("Tags", "{{ tactics | map(attribute='id') | join(',') }}"),
        text("components", "Network, endpoint"),
        text("Fix versions", "2026.1"),
        text("Security Level", "confidential"),
        text("assignee", "grace@example.com"),
        text("Due date", "2026-11-29"),
        text("environment", "production"),
        text("parent", "SEC-1"),
        text("Sprint", "37"),
        text("Epic Link", "SEC-1"),
        text("Team", "36885b3c-1bf0-4f85-a357-c5b858c31de4"),
        raw("Asset", json!([{ "workspaceId": "w", "id": "w:1" }])),
        text("labels", "siem {{ id }}"),
    ]);
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let site = site(vendor, &settings).await;
        let draft = ticket_draft("INC-1");
        let (rendered, created) = site.push(&draft).await.unwrap();
        assert_eq!((rendered.adjustments, created.adjustments), (vec![], vec![]));
        let ticket = site.only_ticket();
        assert_eq!(ticket["customfield_10101"], "RhythmX CRITICAL");
        assert_eq!(ticket["customfield_10102"].is_object(), vendor == Vendor::JiraCloud);
        assert_eq!(ticket["customfield_10104"], 92.5);
        assert_eq!(ticket["customfield_10105"], "2026-09-21");
        assert_eq!(ticket["customfield_10107"]["value"], "red");
        assert_eq!(ticket["customfield_10108"][1]["value"], "blue");
        assert_eq!(ticket["customfield_10110"]["child"]["value"], "Paris");
        assert_eq!(ticket["customfield_10111"]["displayName"], "Ada Lovelace");
        assert_eq!(ticket["assignee"]["displayName"], "Grace Hopper");
        assert_eq!(ticket["components"][1]["name"], "Endpoint");
        assert_eq!(ticket["security"]["name"], "Confidential");
        assert_eq!(ticket["customfield_10113"], json!(["TA0006"]));
        assert_eq!(ticket["customfield_10114"], 37);
        assert_eq!(ticket["labels"], json!(["INC-1", draft.marker.as_str(), "siem", "soc"]));
        let second = site.jira.prepare_from_memory(&ticket_draft("INC-2")).expect("all is known");
        assert!(second.body.contains("customfield_10111"));
    }
}

#[tokio::test]
async fn test_names_required_fields_and_passes_once_they_are_mapped() {
    let severity = ScreenField::custom(10_300, "Severity", "option", None, "select");
    let severity = severity.with_options(&[("1", "Sev 1"), ("2", "Sev 2")]).required();
    let owner = ScreenField::custom(10_301, "Owner", "user", None, "userpicker").required();
    let project = Project::new("10100", "SEC").with_field(severity).with_field(owner);
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let profile = Profile::of(vendor).with_project(project.clone());
        let unmapped = site_with(vendor, profile.clone(), &ContentSettings::default()).await;
        let checks = unmapped.jira.test().await;
        let required = check(&checks, "required_fields");
        assert!(required.has_failed());
        assert!(
            required.detail.contains("\"Severity\" (customfield_10300), one of Sev 1, Sev 2"),
            "{}",
            required.detail
        );
        assert!(required.detail.contains("\"Owner\" (customfield_10301), a user"), "{}", required.detail);
        assert!(
            required.hint.starts_with("set fields[\"customfield_10300\"], fields[\"customfield_10301\"]")
        );
        let fault = unmapped.push(&ticket_draft("INC-1")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Rejected);
        let settings = fields([text("Severity", "sev 1"), text("Owner", "ada@example.com")]);
        let mapped = site_with(vendor, profile, &settings).await;
        let checks = mapped.jira.test().await;
        assert!(!checks.iter().any(Check::has_failed), "{checks:?}");
        assert_eq!(check(&checks, "required_fields").outcome, CheckOutcome::Passed);
        assert!(check(&checks, "fields").detail.contains("Severity -> customfield_10300"));
        mapped.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!(mapped.only_ticket()["customfield_10300"]["value"], "Sev 1");
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_with_its_setting_at_once() {
    let settings = fields([
        text("Colour", "red"),
        text("Color", "reddish"),
        text("Score", "{{ actor.name }}"),
        text("Analyst", "absent@example.com"),
        text("summary", "x"),
    ]);
    let site = site(Vendor::JiraCloud, &settings).await;
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Misconfigured);
    for expected in [
        "fields[\"Colour\"]: is not on the create screen; nearest: Color",
        "fields[\"Color\"]: takes no value \"reddish\"; nearest: red",
        "fields[\"Score\"]: takes a number, not \"j.doe\"",
        "fields[\"Analyst\"]: names \"absent@example.com\", a user that Jira does not show",
        "fields[\"summary\"]: cannot be mapped: set summary_template",
    ] {
        assert!(fault.message.contains(expected), "{expected}: {}", fault.message);
    }
    let checks = site.jira.test().await;
    assert!(check(&checks, "fields").has_failed(), "{checks:?}");
    assert!(site.simulator.tickets().is_empty());
    assert!(site.jira.prepare_from_memory(&ticket_draft("INC-1")).is_none());
    let unset = site.jira.render_offline(&ticket_draft("INC-1"));
    assert!(unset.adjustments.iter().any(|left| left.reason.contains("fields[\"Colour\"]")));
}

#[tokio::test]
async fn wrong_value_of_one_incident_concerns_its_ticket_alone() {
    let site = site(Vendor::JiraCloud, &fields([text("Color", "{{ actor.name }}")])).await;
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Rejected);
}

#[tokio::test]
async fn droppable_field_is_left_out_with_an_adjustment() {
    let settings = fields([
        droppable(text("Color", "reddish")),
        droppable(text("Nowhere", "x")),
        droppable(text("Analyst", "no.one@example.com")),
        text("Source", "RhythmX"),
    ]);
    let site = site(Vendor::JiraCloud, &settings).await;
    let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&rendered.adjustments), ["Analyst", "Color", "Nowhere"]);
    assert_eq!(site.only_ticket()["customfield_10101"], "RhythmX");
}

#[tokio::test]
async fn refused_fields_are_dropped_in_one_retry_if_all_are_droppable() {
    let refusal = json!({
        "errorMessages": [], "errors": { "customfield_10101": "No.", "customfield_10104": "Neither." },
    });
    let refuse_once = |site: &Site| {
        let refusal = Effect::Answer(Reply::json(400, &refusal));
        site.simulator.faults().push(Rule::new(Call::Create, When::Nth(1), refusal));
    };
    let both = fields([droppable(text("Source", "x")), droppable(text("Score", "1"))]);
    let site_of_both = site(Vendor::JiraCloud, &both).await;
    refuse_once(&site_of_both);
    let (_, created) = site_of_both.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&created.adjustments), ["customfield_10101", "customfield_10104"]);
    assert!(site_of_both.only_ticket().get("customfield_10101").is_none());
    let one = fields([droppable(text("Source", "x")), text("Score", "1")]);
    let site_of_one = site(Vendor::JiraCloud, &one).await;
    refuse_once(&site_of_one);
    let fault = site_of_one.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert!(fault.hint.contains("fields[\"Score\"]"), "{}", fault.hint);
    assert!(site_of_one.simulator.tickets().is_empty());
}

#[tokio::test]
async fn values_are_sent_unchecked_without_create_metadata() {
    let settings = fields([
        raw("customfield_10107", json!({ "value": "red" })),
        text("components", "Network"),
        text("customfield_10101", "RhythmX"),
    ]);
    let site = site(Vendor::JiraCloud, &settings).await;
    // The calls are serverInfo, in the test project, then the issue types.
    let hide = |site: &Site, nth: u64| {
        let hidden = Effect::Answer(Reply::json(404, &json!({ "errorMessages": ["no"], "errors": {} })));
        site.simulator.faults().push(Rule::new(Call::Meta, When::Nth(nth), hidden));
    };
    hide(&site, 2);
    let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
    let unchecked: Vec<&str> = adjusted(&rendered.adjustments);
    for id in ["customfield_10107", "components", "customfield_10101"] {
        assert!(unchecked.contains(&id), "{unchecked:?}");
    }
    let ticket = site.only_ticket();
    assert_eq!(ticket["components"][0]["name"], "Network");
    assert_eq!(ticket["customfield_10107"]["value"], "red");
    hide(&site, 3);
    let checks = site.jira.test().await;
    assert_eq!(check(&checks, "fields").outcome, CheckOutcome::Unproven, "{checks:?}");
}

#[tokio::test]
async fn people_are_found_with_hidden_emails_and_without_the_permission_to_browse() {
    let settings = fields([text("Analyst", "ada@example.com")]);
    let mut profile = profile(Vendor::JiraCloud);
    profile.hides_emails = true;
    profile.withdraw("USER_PICKER");
    let site = site_with(Vendor::JiraCloud, profile, &settings).await;
    site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(site.only_ticket()["customfield_10111"]["displayName"], "Ada Lovelace");
}

#[tokio::test]
async fn summary_and_introduction_come_from_templates() {
    let settings = ContentSettings {
        summary_template: Some("{{ id }}: {{ actor.name }}\n on {{ connection }}".to_owned()),
        introduction_template: Some("Runbook: https://wiki.example/{{ severity | lower }}".to_owned()),
        ..ContentSettings::default()
    };
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let site = site(vendor, &settings).await;
        let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!(rendered.summary, "INC-1: j.doe on jira");
        assert!(rendered.plain_text.starts_with("Runbook: https://wiki.example/critical\n"));
        assert!(site.only_ticket()["description"].to_string().contains("wiki.example/critical"));
    }
}

#[tokio::test]
async fn mapped_priority_replaces_the_one_of_the_risk() {
    let site = site(Vendor::JiraCloud, &fields([text("priority", "lowest")])).await;
    let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(rendered.priority.as_deref(), Some("Lowest"));
    assert_eq!(site.only_ticket()["priority"]["name"], "Lowest");
}
