//! Fields that an operator maps, from Configure to the ticket.

use std::collections::HashMap;

use rhythmx_ticketing::v1::connection_settings::Settings;
use rhythmx_ticketing::v1::field_value::Value;
use rhythmx_ticketing::v1::{self, CheckOutcome, DeliveryState, TicketSystem};
use ticketing_harness::{Plan, World, incident, refusal};
use ticketing_simulator::{Profile, Project, ScreenField, Vendor};
use tonic::Code;

#[tokio::test]
async fn required_select_and_user_are_named_then_filled() {
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let mut world = Plan::new().with_jira(vendor, requiring(vendor)).start().await;
        let test = world.client.test_connection(tested()).await.unwrap().test.unwrap();
        assert!(!test.passed);
        let required = check(&test, "required_fields");
        assert_eq!(required.outcome(), CheckOutcome::Failed);
        for named in
            ["\"Severity\" (customfield_10300), one of Sev 1, Sev 2", "\"Owner\" (customfield_10301), a user"]
        {
            assert!(required.detail.contains(named), "{}", required.detail);
        }
        let fields = [
            ("Severity", "{% if severity == 'LOW' %}Sev 2{% else %}Sev 1{% endif %}"),
            ("Owner", "ada@example.com"),
        ];
        let shown = configure(&mut world, content(&fields)).await.unwrap();
        let shown = shown.connections[0].content.clone().unwrap();
        assert_eq!(shown.fields, content(&fields).fields);
        let test = world.client.test_connection(tested()).await.unwrap().test.unwrap();
        assert!(test.passed, "{test:?}");
        assert_eq!(check(&test, "fields").outcome(), CheckOutcome::Passed);
        world.restart().await;
        let preview = world.preview(incident("INC-1"), TicketSystem::Jira).await.ticket.unwrap();
        assert!(preview.body.contains("customfield_10300"), "{}", preview.body);
        let delivery = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
        assert_eq!(delivery.state(), DeliveryState::Delivered, "{delivery:?}");
        let ticket = world.jira.tickets()[0].fields.clone();
        assert_eq!(ticket["customfield_10300"]["value"], "Sev 1");
        assert_eq!(ticket["customfield_10301"]["displayName"], "Ada Lovelace");
        world.finish().await;
    }
}

#[tokio::test]
async fn errors_of_templates_are_refused_with_their_line() {
    let mut world = Plan::new().start().await;
    let wrong = content(&[("Severity", "\n{{ sevrity }}"), ("description", "x")]);
    let wrong = v1::ContentSettings { summary_template: Some("{% if %}".to_owned()), ..wrong };
    let error = configure(&mut world, wrong).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("line 1: syntax error"), "{}", error.message());
    let fields = refusal::<v1::ConfigureResponse>(Err(error)).fields;
    assert_eq!(
        fields,
        ["connections[0].content.summary_template", "connections[0].content.fields[\"Severity\"]"]
    );
    let reserved = configure(&mut world, content(&[("description", "x")])).await;
    assert_eq!(refusal(reserved).fields, ["connections[0].content.fields[\"description\"]"]);
    world.finish().await;
}

#[tokio::test]
async fn disabled_connection_takes_no_invalid_template() {
    let mut world = Plan::new().start_unconfigured().await;
    let wrong =
        v1::ContentSettings { summary_template: Some("{{ sevrity }}".to_owned()), ..Default::default() };
    let refused = refusal(configure(&mut world, wrong).await);
    assert_eq!(refused.fields, ["connections[0].content.summary_template"]);
    world.finish().await;
}

#[tokio::test]
async fn wrong_value_fails_the_push_and_names_its_setting() {
    let mut world = Plan::new().with_jira(Vendor::JiraCloud, requiring(Vendor::JiraCloud)).start().await;
    configure(&mut world, content(&[("Severity", "Sev 9"), ("Owner", "ada@example.com")])).await.unwrap();
    let delivery = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
    assert_eq!(delivery.state(), DeliveryState::Waiting, "{delivery:?}");
    let fault = delivery.last_error.unwrap();
    assert!(
        fault.message.contains("fields[\"Severity\"]: takes no value \"Sev 9\"; nearest: Sev 1, Sev 2"),
        "{fault:?}"
    );
    assert!(world.jira.tickets().is_empty());
    world.finish().await;
}

/// A site whose project requires a select and a user.
fn requiring(vendor: Vendor) -> Profile {
    let severity = ScreenField::custom(10_300, "Severity", "option", None, "select");
    let severity = severity.with_options(&[("1", "Sev 1"), ("2", "Sev 2")]).required();
    let owner = ScreenField::custom(10_301, "Owner", "user", None, "userpicker").required();
    Profile::of(vendor).with_project(Project::new("10100", "SEC").with_field(severity).with_field(owner))
}

fn content(fields: &[(&str, &str)]) -> v1::ContentSettings {
    let value = |template: &str| v1::FieldValue {
        value: Some(Value::Template(template.to_owned())),
        droppable: false,
    };
    let values: HashMap<String, v1::FieldValue> =
        fields.iter().map(|(name, template)| ((*name).to_owned(), value(template))).collect();
    v1::ContentSettings { fields: Some(v1::FieldMap { values }), ..Default::default() }
}

async fn configure(
    world: &mut World,
    content: v1::ContentSettings,
) -> Result<v1::ConfigureResponse, tonic::Status> {
    let settings = Some(Settings::Jira(v1::JiraSettings::default()));
    let connection = v1::ConnectionSettings { name: "jira".to_owned(), settings, content: Some(content) };
    world.client.configure(v1::ConfigureRequest { connections: vec![connection], ..Default::default() }).await
}

fn tested() -> v1::TestConnectionRequest {
    let destination = v1::test_connection_request::Destination::System(TicketSystem::Jira.into());
    v1::TestConnectionRequest { destination: Some(destination), unsaved: None }
}

fn check<'t>(test: &'t v1::ConnectionTest, name: &str) -> &'t v1::ConnectionCheck {
    test.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{test:?}"))
}
