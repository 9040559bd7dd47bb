//! Preparing and creating tickets.

use std::time::Duration;

use serde_json::json;
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Dialing, TicketSystem, Visibility};
use ticketing_simulator::{Call, Effect, Named, Profile, Project, Reply, RetryAfter, Rule, Vendor, When};

use crate::incidents;
use crate::support::{Site, WITHIN, adjusted, api_token, ticket_draft, ticket_draft_of};

/// The default index bounds.
const CLOUD: Duration = Duration::from_secs(180);
const DATA_CENTER: Duration = Duration::from_secs(900);

#[tokio::test]
async fn incident_becomes_a_ticket_on_cloud() {
    let site = Site::cloud().await;
    let ticket_draft = ticket_draft("INC-1");
    let (rendered, created) = site.push(&ticket_draft).await.unwrap();
    assert_eq!((rendered.adjustments, created.adjustments), (vec![], vec![]));
    assert_eq!(created.ticket.key, "SEC-1");
    assert_eq!(created.ticket.url, format!("{}/browse/SEC-1", site.simulator.base_url()));
    let ticket = site.only_ticket();
    assert_eq!(ticket["priority"]["name"], "Highest");
    assert_eq!(ticket["issuetype"]["name"], "Task");
    assert_eq!(ticket["labels"], json!([ticket_draft.marker.as_str(), "soc"]));
    assert_eq!(ticket["description"]["type"], "doc");
    assert_eq!(site.jira.visibility(), Visibility::Indexed(CLOUD));
}

#[tokio::test]
async fn creates_ticket_under_data_center_context_path() {
    let profile = Profile::of(Vendor::JiraDataCenter).with_context_path("/jira");
    let site = Site::data_center_with(profile).await;
    let ticket_draft = ticket_draft("INC-1");
    assert_eq!(site.jira.visibility(), Visibility::Indexed(DATA_CENTER));
    let (_, created) = site.push(&ticket_draft).await.unwrap();
    assert!(created.ticket.url.ends_with("/jira/browse/SEC-1"), "{}", created.ticket.url);
    let ticket = site.only_ticket();
    assert!(ticket["description"].as_str().unwrap().starts_with("{color:#de350b}*CRITICAL*{color} user"));
    assert_eq!(ticket["labels"][0], ticket_draft.marker.as_str());
}

#[tokio::test]
async fn scoped_token_uses_gateway_and_links_to_site() {
    let profile = Profile::of(Vendor::JiraCloud);
    let cloud_id = profile.cloud_id.clone();
    // The simulator's gateway is on the same host as its site.
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("cloud-scoped-token"), |draft| {
        draft.cloud_id = Some(cloud_id);
        draft.gateway_url = draft.url.clone();
    })
    .await;
    let (_, created) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(created.ticket.url, format!("{}/browse/SEC-1", site.simulator.base_url()));
    assert!(site.simulator.requests().iter().all(|request| request.path.starts_with("/ex/jira/")));
}

#[tokio::test]
async fn marker_goes_into_description_without_labels() {
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let profile = Profile::of(vendor).without_field("labels");
        let site = match vendor {
            Vendor::JiraCloud => Site::cloud_with(profile).await,
            _ => Site::data_center_with(profile).await,
        };
        let ticket_draft = ticket_draft("INC-1");
        let (rendered, _) = site.push(&ticket_draft).await.unwrap();
        assert_eq!(adjusted(&rendered.adjustments), ["labels"]);
        assert!(rendered.plain_text.ends_with(&format!("RhythmX marker: {}", ticket_draft.marker)));
        let search_result = site.look_up(&ticket_draft, &[]).await.unwrap();
        assert_eq!(search_result.tickets.len(), 1, "{vendor:?}");
    }
}

#[tokio::test]
async fn omits_priority_off_screen() {
    let site = Site::cloud_with(Profile::of(Vendor::JiraCloud).without_field("priority")).await;
    let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!((rendered.priority, adjusted(&rendered.adjustments)), (None, vec!["priority"]));
}

#[tokio::test]
async fn scheme_without_highest_gets_the_closest_priority() {
    let site = Site::cloud_with(Profile::of(Vendor::JiraCloud).without_priority("Highest")).await;
    let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(rendered.priority.as_deref(), Some("High"));
    assert_eq!(site.only_ticket()["priority"]["name"], "High");
}

#[tokio::test]
async fn names_missing_issue_type_and_offered_ones() {
    let site = Site::with(
        Vendor::JiraCloud,
        Profile::of(Vendor::JiraCloud),
        &api_token("cloud-api-token"),
        |draft| draft.issue_type = Some("Epic".to_owned()),
    )
    .await;
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Misconfigured);
    assert!(fault.hint.contains("Task, Bug, Story, Incident"), "{}", fault.hint);
}

#[tokio::test]
async fn finds_issue_type_on_later_page_ignoring_case() {
    let mut project = Project::new("10100", "SEC");
    project.issue_types = (0..60).map(|n| Named::new(n.to_string(), format!("Type {n}"))).collect();
    project.issue_types.push(Named::new("777", "TASK"));
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let profile = Profile::of(vendor).with_project(project.clone());
        let site = match vendor {
            Vendor::JiraCloud => Site::cloud_with(profile).await,
            _ => Site::data_center_with(profile).await,
        };
        site.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!(site.only_ticket()["issuetype"]["id"], "777", "{vendor:?}");
    }
}

#[tokio::test]
async fn drops_fields_refused_by_400() {
    let site = Site::cloud().await;
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.simulator.edit(|profile| {
        for project in &mut profile.projects {
            project.screen.retain(|field| field != "labels" && field != "priority");
        }
    });
    let created = site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap();
    assert_eq!(adjusted(&created.adjustments), ["labels", "priority"]);
    let ticket = site.only_ticket();
    assert_eq!(ticket["labels"], json!([]));
    assert!(ticket["description"].to_string().contains(ticket_draft.marker.as_str()));
    assert_eq!(site.look_up(&ticket_draft, &[]).await.unwrap().tickets.len(), 1);
}

#[tokio::test]
async fn fails_on_refused_required_field() {
    let site = Site::cloud().await;
    let errors =
        json!({ "errorMessages": [], "errors": { "priority": "no", "customfield_1": "is required" } });
    site.inject(Call::Create, Effect::Answer(Reply::json(400, &errors)));
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Rejected);
    assert!(fault.message.contains("customfield_1: is required"), "{}", fault.message);
    let posts = site.simulator.requests().iter().filter(|request| request.path.ends_with("/issue")).count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn repeats_refused_create_at_most_twice() {
    let site = Site::cloud().await;
    for field in ["priority", "labels"] {
        let errors = json!({ "errors": { field: "Field cannot be set." } });
        site.simulator.faults().push(Rule::new(
            Call::Create,
            When::Next(if field == "priority" { 1 } else { 9 }),
            Effect::Answer(Reply::json(400, &errors)),
        ));
    }
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Rejected);
    let posts = site.simulator.requests().iter().filter(|request| request.path.ends_with("/issue")).count();
    assert_eq!(posts, 3);
}

#[tokio::test]
async fn detects_flavour_from_account_without_server_info() {
    let hollow = Effect::Answer(Reply::json(200, &json!({})));
    let page = Effect::Answer(Reply::html(404, "<html>"));
    for (vendor, bound) in [(Vendor::JiraCloud, CLOUD), (Vendor::JiraDataCenter, DATA_CENTER)] {
        for effect in [hollow.clone(), page.clone(), Effect::Hang { applied: false }] {
            let site = match vendor {
                Vendor::JiraCloud => Site::cloud().await,
                _ => Site::data_center().await,
            };
            site.simulator.faults().push(Rule::new(Call::Meta, When::Next(1), effect));
            let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
            assert_eq!(rendered.adjustments, []);
            assert_eq!(site.jira.visibility(), Visibility::Indexed(bound));
        }
    }
}

#[tokio::test]
async fn creates_ticket_without_create_metadata() {
    let table = [
        Effect::Answer(Reply::json(500, &json!({ "errorMessages": ["Internal server error"] }))),
        Effect::Answer(Reply::json(503, &json!({}))),
        Effect::Answer(Reply::json(410, &json!({}))),
        Effect::Answer(Reply::html(403, "<html><title>Blocked</title></html>")),
        Effect::Answer(Reply::json(200, &json!({ "odd": true }))),
        Effect::Html { status: 200 },
        Effect::Garbage { status: 200, applied: false },
        Effect::HugeBody(5_000_000),
        Effect::Hang { applied: false },
        Effect::Redirect { status: 302, location: "/elsewhere".to_owned() },
    ];
    for effect in table {
        let site = Site::cloud().await;
        let shown = format!("{effect:?}");
        // The first of these calls is serverInfo, the second asks for the issue types.
        site.simulator.faults().push(Rule::new(Call::Meta, When::Nth(2), effect));
        let (rendered, _) =
            site.push(&ticket_draft("INC-1")).await.unwrap_or_else(|fault| panic!("{shown}: {fault}"));
        assert_eq!(adjusted(&rendered.adjustments), ["issuetype", "priority", "labels"], "{shown}");
        assert!(rendered.adjustments[0].reason.starts_with("not checked: "), "{shown}");
        assert_eq!(site.only_ticket()["priority"]["name"], "Highest");
    }
}

#[tokio::test]
async fn refetches_missing_create_metadata_after_a_minute() {
    let site = Site::cloud().await;
    let ticket_draft = ticket_draft("INC-1");
    site.simulator.faults().push(Rule::new(Call::Meta, When::Nth(2), Effect::Html { status: 500 }));
    assert_eq!(site.jira.prepare(&ticket_draft).await.unwrap().adjustments.len(), 3);
    assert_eq!(site.jira.prepare(&ticket_draft).await.unwrap().adjustments.len(), 3);
    site.clock.advance(Duration::from_secs(61));
    assert_eq!(site.jira.prepare(&ticket_draft).await.unwrap().adjustments, []);
}

#[tokio::test]
async fn sends_description_off_screen_as_comment() {
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let profile = Profile::of(vendor).without_field("description");
        let site = match vendor {
            Vendor::JiraCloud => Site::cloud_with(profile).await,
            _ => Site::data_center_with(profile).await,
        };
        let (rendered, created) = site.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!((adjusted(&rendered.adjustments), created.adjustments), (vec!["description"], vec![]));
        let comment = site.only_ticket()["comments"][0]["body"].to_string();
        assert!(comment.contains("CRITICAL"), "{comment}");
    }
}

#[tokio::test]
async fn drops_refused_description_without_create_metadata() {
    let site = Site::cloud_with(Profile::of(Vendor::JiraCloud).without_field("description")).await;
    site.simulator.faults().push(Rule::new(Call::Meta, When::Nth(2), Effect::Html { status: 500 }));
    site.inject(Call::Update, Effect::Html { status: 403 });
    let (_, created) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&created.adjustments), ["description", "description"]);
    assert!(created.adjustments[1].reason.contains("may be missing"), "{:?}", created.adjustments);
}

#[tokio::test]
async fn refuses_screen_without_field_for_marker() {
    let profile = Profile::of(Vendor::JiraCloud).without_field("description").without_field("labels");
    let fault = Site::cloud_with(profile).await.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Misconfigured);
    assert!(fault.hint.contains("Labels or Description"), "{}", fault.hint);
}

#[tokio::test]
async fn uses_default_names_without_create_metadata() {
    let site = Site::cloud().await;
    // The first of these calls is serverInfo, the second asks for the issue types.
    let refusal = Effect::Answer(Reply::json(403, &json!({ "errorMessages": ["no"] })));
    site.simulator.faults().push(Rule::new(Call::Meta, When::Nth(2), refusal));
    let (rendered, _) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&rendered.adjustments), ["issuetype", "priority", "labels"]);
    assert_eq!(site.only_ticket()["priority"]["name"], "Highest");
}

#[tokio::test]
async fn refetches_create_metadata_after_five_minutes_or_refusal() {
    let site = Site::cloud().await;
    let ticket_draft = ticket_draft("INC-1");
    let metas = || site.simulator.requests().iter().filter(|r| r.path.contains("createmeta")).count();
    site.jira.prepare(&ticket_draft).await.unwrap();
    site.jira.prepare(&ticket_draft).await.unwrap();
    assert_eq!(metas(), 2);
    site.clock.advance(Duration::from_secs(301));
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    assert_eq!(metas(), 4);
    site.inject(Call::Create, Effect::Answer(Reply::json(400, &json!({}))));
    site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap_err();
    site.jira.prepare(&ticket_draft).await.unwrap();
    assert_eq!(metas(), 6);
}

#[tokio::test]
async fn rate_limit_does_not_refetch_create_metadata() {
    let site = Site::cloud().await;
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.inject(Call::Create, Effect::throttle(RetryAfter::Seconds(1)));
    let before = site.simulator.requests().len();
    site.jira.create(&ticket_draft, &rendered, Dialing::default(), WITHIN).await.unwrap_err();
    site.jira.prepare(&ticket_draft).await.unwrap();
    assert_eq!(site.simulator.requests().len(), before + 1);
}

#[tokio::test]
async fn announces_unsent_required_field() {
    let mut project = Project::new("10100", "SEC");
    project.screen.insert("environment".to_owned());
    project.required.insert("environment".to_owned());
    let site = Site::cloud_with(Profile::of(Vendor::JiraCloud).with_project(project)).await;
    let rendered = site.jira.prepare(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(adjusted(&rendered.adjustments), ["environment"]);
}

#[tokio::test]
async fn offline_rendering_lists_unchecked_fields() {
    let site = Site::cloud().await;
    let render_offline = site.jira.render_offline(&ticket_draft("INC-1"));
    assert_eq!(adjusted(&render_offline.adjustments), ["issuetype", "priority", "labels"]);
}

#[tokio::test]
async fn created_issue_with_absurd_key_is_looked_up() {
    let site = Site::cloud().await;
    let body = json!({ "id": "10001", "key": format!("SEC-{}", "9".repeat(3_000_000)) });
    site.inject(Call::Create, Effect::ApplyThenAnswer(Reply::json(201, &body)));
    let ticket_draft = ticket_draft("INC-1");
    let fault = site.push(&ticket_draft).await.unwrap_err();
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::UnreadableReply, true));
    assert!(fault.message.len() < 1_000);
    assert_eq!(site.look_up(&ticket_draft, &[]).await.unwrap().tickets[0].ticket.key, "SEC-1");
}

#[tokio::test]
async fn refusal_of_a_field_in_megabytes_is_cut() {
    let site = Site::cloud().await;
    let body = json!({ "errors": { "priority": "x".repeat(3_000_000) }, "errorMessages": [] });
    site.simulator.faults().push(Rule::new(
        Call::Create,
        When::Next(1),
        Effect::Answer(Reply::json(400, &body)),
    ));
    let (_, created) = site.push(&ticket_draft("INC-1")).await.unwrap();
    assert_eq!(created.adjustments.len(), 1);
    assert_eq!(created.adjustments[0].field, "priority");
    assert!(created.adjustments[0].reason.len() < 2_000, "{}", created.adjustments[0].reason.len());
}

#[tokio::test]
async fn cuts_emoji_texts_to_jira_limits() {
    let mut fields = incidents::least();
    fields.activity.primary_rule = "🔴 ".repeat(128);
    fields.investigation_notes = "👩‍💻".repeat(13_000);
    let ticket_draft = ticket_draft_of(fields);
    for site in [Site::cloud().await, Site::data_center().await] {
        let (rendered, _) = site.push(&ticket_draft).await.unwrap();
        assert_eq!(adjusted(&rendered.adjustments), ["description", "summary"]);
        assert!(site.only_ticket()["summary"].as_str().unwrap().ends_with("… (risk 12, INC-2026-0042)"));
    }
}

#[tokio::test]
async fn ticket_reports_cleaned_text() {
    let mut fields = incidents::least();
    fields.actor.name = "invoice\u{202e}fdp.exe".to_owned();
    fields.investigation_notes = "a\u{200b}b\u{fffe}\0\r\nc".to_owned();
    for site in [Site::cloud().await, Site::data_center().await] {
        let (rendered, _) = site.push(&ticket_draft_of(fields.clone())).await.unwrap();
        let [cleaned] = rendered.adjustments.as_slice() else { panic!("{:?}", rendered.adjustments) };
        assert_eq!(
            cleaned.reason,
            "3 invisible characters removed from investigation_notes; \
             1 bidirectional control shown as [U+…] in actor.name"
        );
        assert!(rendered.summary.contains("invoice[U+202E]fdp.exe:"), "{}", rendered.summary);
        assert!(rendered.plain_text.ends_with("\nab\nc"), "{}", rendered.plain_text);
    }
}
