//! Testing a connection.

use serde_json::json;
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Check, TicketSystem};
use ticketing_jira::Flavour;
use ticketing_simulator::{Call, Effect, Point, Profile, Project, Reply, Rule, Vendor, When};

use crate::support::{Site, WITHIN, api_token, pat, ticket_draft};

const STEPS: [&str; 9] = [
    "reach",
    "authentication",
    "project",
    "create_permission",
    "issue_type",
    "priority",
    "labels",
    "description",
    "required_fields",
];

fn failed(checks: &[Check]) -> Vec<&str> {
    assert_eq!(checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), STEPS);
    let failed = checks.iter().filter(|check| check.has_failed());
    failed.map(|check| check.name.as_str()).collect()
}

#[tokio::test]
async fn valid_connection_passes_all_steps() {
    for site in [Site::cloud().await, Site::data_center().await] {
        let checks = site.jira.test().await;
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
        assert!(checks[5].detail.contains("Critical -> Highest"), "{}", checks[5].detail);
    }
}

#[tokio::test]
async fn refused_login_fails_authentication_with_a_hint() {
    for (vendor, secret) in [(Vendor::JiraCloud, api_token("wrong")), (Vendor::JiraDataCenter, pat("wrong"))]
    {
        let site = Site::with(vendor, Profile::of(vendor), &secret, |_| {}).await;
        let checks = site.jira.test().await;
        assert_eq!(failed(&checks), ["authentication"], "{checks:?}");
        assert!(checks.iter().any(|check| check.hint.contains("token")), "{checks:?}");
    }
}

#[tokio::test]
async fn scoped_token_hint_names_cloud_id() {
    let profile = Profile::of(Vendor::JiraCloud);
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("cloud-scoped-token"), |_| {}).await;
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), ["authentication"]);
    assert!(checks[1].hint.contains("jira.cloud_id"), "{}", checks[1].hint);
}

#[tokio::test]
async fn missing_project_and_permission_fail_their_steps() {
    let site = Site::cloud().await;
    site.simulator.edit(|profile| profile.withdraw("CREATE_ISSUES"));
    assert_eq!(failed(&site.jira.test().await), ["create_permission"]);
    site.simulator.edit(|profile| profile.projects = vec![Project::new("1", "OPS")]);
    assert_eq!(failed(&site.jira.test().await), ["project"]);
}

#[tokio::test]
async fn unavailable_issue_type_fails_its_step() {
    let profile = Profile::of(Vendor::JiraDataCenter);
    let site = Site::with(Vendor::JiraDataCenter, profile, &pat("data-center-pat"), |draft| {
        draft.issue_type = Some("Epic".to_owned());
    })
    .await;
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), ["issue_type"]);
    assert!(checks[4].hint.contains("Task"), "{}", checks[4].hint);
}

#[tokio::test]
async fn finds_translated_issue_type_and_offers_nearest() {
    let translated = |wanted: &'static str| async move {
        let mut profile = Profile::of(Vendor::JiraCloud);
        let types = &mut profile.projects[0].issue_types;
        let id = types[0].id.clone();
        let name = std::mem::replace(&mut types[0].name, "Écart".to_owned());
        profile.untranslated.insert(id, name);
        let site = Site::with(Vendor::JiraCloud, profile, &api_token("cloud-api-token"), |draft| {
            draft.issue_type = Some(wanted.to_owned());
        })
        .await;
        site.jira.test().await
    };
    for wanted in ["Task", "écart"] {
        assert_eq!(failed(&translated(wanted).await), [""; 0], "{wanted}");
    }
    let checks = translated("Ecart").await;
    assert_eq!(failed(&checks), ["issue_type"]);
    assert!(checks[4].hint.starts_with("set jira.issue_type to one of: Écart"), "{}", checks[4].hint);
}

#[tokio::test]
async fn links_lead_to_where_people_see_data_center() {
    let public = "https://jira.corp.example/jira";
    let mut profile = Profile::of(Vendor::JiraDataCenter);
    profile.base_url = Some(public.to_owned());
    for (flavour, by_settings) in
        [(None, None), (Some(Flavour::DataCenter), None), (None, Some("issues.corp.example"))]
    {
        let site = Site::with(Vendor::JiraDataCenter, profile.clone(), &pat("data-center-pat"), |draft| {
            (draft.flavour, draft.public_url) = (flavour, by_settings.map(str::to_owned));
        })
        .await;
        let expected = by_settings.map_or(public, |_| "https://issues.corp.example");
        let (_, created) = site.push(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!(created.ticket.url, format!("{expected}/browse/{}", created.ticket.key));
        let found = site.look_up(&ticket_draft("INC-1"), &[]).await.unwrap();
        assert_eq!(found.tickets[0].ticket.url, created.ticket.url);
        let checks = site.jira.test().await;
        assert!(checks[0].detail.ends_with(&format!("; links lead to {expected}")), "{}", checks[0].detail);
    }
}

#[tokio::test]
async fn refused_password_explains_odd_characters() {
    let profile = Profile::of(Vendor::JiraDataCenter);
    let site = Site::with(Vendor::JiraDataCenter, profile, &api_token("\"data-center-password\""), |draft| {
        draft.email = Some("analyst".to_owned());
    })
    .await;
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), ["authentication"]);
    assert!(checks[1].hint.contains("the password that was given is in quotation marks"), "{checks:?}");
}

#[tokio::test]
async fn reports_fields_off_screen_without_failing() {
    let profile = Profile::of(Vendor::JiraCloud).without_field("labels").without_field("priority");
    let checks = Site::cloud_with(profile).await.jira.test().await;
    assert_eq!(failed(&checks), [""; 0]);
    assert!(checks[6].detail.contains("marker is in the description"), "{}", checks[6].detail);
}

#[tokio::test]
async fn redacts_token_in_successful_reply() {
    let site = Site::cloud().await;
    let me = serde_json::json!({ "accountId": "1", "displayName": "Bot with cloud-api-token" });
    site.inject(Call::Auth, Effect::Answer(Reply::json(200, &me)));
    let checks = site.jira.test().await;
    assert!(checks[1].detail.contains("Bot with [secret]"), "{checks:?}");
    assert!(!format!("{checks:?}").contains("cloud-api-token"), "{checks:?}");
    let issue = serde_json::json!({ "id": "10001", "key": "cloud-api-token-1" });
    site.inject(Call::Create, Effect::Answer(Reply::json(201, &issue)));
    let fault = site.push(&ticket_draft("INC-1")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnreadableReply, "a secret is no key: {fault}");
    assert!(!format!("{fault:?}").contains("cloud-api-token"), "{fault:?}");
}

#[tokio::test]
async fn passes_although_server_info_is_blocked() {
    let page = |status| Effect::Answer(Reply::html(status, "<html><title>Blocked</title></html>"));
    for effect in [page(403), page(404), page(200), page(503), Effect::Hang { applied: false }] {
        for site in [Site::cloud().await, Site::data_center().await] {
            site.simulator.faults().push(Rule::new(Call::Meta, When::Next(1), effect.clone()));
            let checks = site.jira.test().await;
            assert_eq!(failed(&checks), [""; 0], "{effect:?}");
            assert!(checks[0].detail.contains("serverInfo was not answered"), "{}", checks[0].detail);
        }
    }
}

#[tokio::test]
async fn passes_without_create_metadata() {
    let site = Site::cloud().await;
    // After serverInfo and the project.
    site.simulator.faults().push(Rule::new(
        Call::Meta,
        When::Nth(3),
        Effect::Answer(Reply::json(500, &json!({}))),
    ));
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), [""; 0], "{checks:?}");
    assert!(checks[4].detail.contains("not checked"), "{}", checks[4].detail);
    assert_eq!(checks[8].detail, "could not be checked");
}

#[tokio::test]
async fn unfilled_required_field_fails_by_name() {
    let mut project = Project::new("10100", "SEC");
    project.screen.insert("environment".to_owned());
    project.required.insert("environment".to_owned());
    let checks =
        Site::cloud_with(Profile::of(Vendor::JiraCloud).with_project(project)).await.jira.test().await;
    assert_eq!(failed(&checks), ["required_fields"]);
    assert!(checks[8].hint.contains("\"Environment\" (environment)"), "{}", checks[8].hint);
}

#[tokio::test]
async fn reports_description_off_screen() {
    let profile = Profile::of(Vendor::JiraCloud).without_field("description");
    let checks = Site::cloud_with(profile.clone()).await.jira.test().await;
    assert_eq!(failed(&checks), [""; 0]);
    assert!(checks[7].detail.contains("first comment"), "{}", checks[7].detail);
    let checks = Site::cloud_with(profile.without_field("labels")).await.jira.test().await;
    assert_eq!(failed(&checks), ["description"]);
}

#[tokio::test]
async fn refusing_everything_fails_authentication() {
    let text = |text: &str| Effect::Answer(Reply::json(403, &json!({ "message": text })));
    let table = [
        (text("The IP address has been rejected because it is not on the allowlist."), "IP allowlist"),
        (text("Basic Authentication has been disabled on this instance."), "jira.personal_access_token"),
        (text("Die Anmeldung wurde abgelehnt."), "personal access token"),
        (text("XSRF check failed"), "User-Agent"),
    ];
    for (effect, words) in table {
        let site = Site::data_center().await;
        site.inject(Call::Any, effect);
        let checks = site.jira.test().await;
        assert_eq!(failed(&checks), ["authentication"]);
        assert!(checks[1].hint.contains(words) && !checks[1].hint.contains("grant"), "{}", checks[1].hint);
    }
}

#[tokio::test]
async fn sso_redirect_fails_reach_and_names_target() {
    let site = Site::data_center().await;
    let location = "https://login.idp.corp.example/oauth2/authorize?client_id=jira".to_owned();
    site.inject(Call::Any, Effect::Redirect { status: 302, location });
    let checks = site.jira.test().await;
    assert_eq!(failed(&checks), ["reach"]);
    let detail = &checks[0].detail;
    let hint = &checks[0].hint;
    assert!(detail.ends_with("it points to https://login.idp.corp.example/oauth2/authorize"), "{detail}");
    assert!(hint.contains("single sign-on") && hint.contains("login.idp.corp.example"), "{hint}");
}

#[tokio::test]
async fn reads_share_a_connection_and_a_create_has_its_own() {
    let site = Site::cloud().await;
    let opened = || site.simulator.reached(Call::Connection, Point::Accepted);
    site.jira.test().await;
    let ticket_draft = ticket_draft("INC-1");
    let rendered = site.jira.prepare(&ticket_draft).await.unwrap();
    site.look_up(&ticket_draft, &[]).await.unwrap();
    assert!(site.simulator.requests().len() > 5);
    assert_eq!(opened(), 1);
    let dialing = site.jira.dial();
    site.jira.create(&ticket_draft, &rendered, dialing, WITHIN).await.unwrap();
    assert_eq!(opened(), 2);
}
