//! Any number of connections, by name: added, used, tested and removed while the server runs.

use rhythmx_ticketing::v1::{self, ConnectionConditionKind, DeliveryState, connection_settings::Settings};
use ticketing_simulator::{Profile, Simulator, Vendor};
use tonic::Code;

use ticketing_harness::{Plan, World, incident, refusal, state, text};

const EU: &str = "jira-eu";

#[tokio::test]
async fn second_jira_gets_tickets_of_its_own() {
    let mut world = with_second_jira().await;
    let here = world.push("INC-1", v1::TicketSystem::Jira).await.delivery.unwrap();
    let there = push(&mut world, "INC-1", EU).await.delivery.unwrap();
    assert_eq!((here.connection.as_str(), there.connection.as_str()), ("jira", EU));
    assert_eq!((world.jira.tickets().len(), world.other_sites[0].tickets().len()), (1, 1));
    assert_ne!(here.marker, there.marker);
    world.restart().await;
    let again = push(&mut world, "INC-1", EU).await;
    assert!(again.already_existed);
    let names: Vec<_> = status(&mut world).await.into_iter().map(|status| status.connection).collect();
    assert_eq!(names, ["jira", EU, "servicenow"]);
    let listed = list(&mut world, EU).await;
    assert_eq!(listed.iter().map(|delivery| delivery.id.as_str()).collect::<Vec<_>>(), [there.id.as_str()]);
    world.finish().await;
}

#[tokio::test]
async fn outage_of_one_jira_does_not_stop_another() {
    let mut world = with_second_jira().await;
    world.jira.stop().await;
    for n in 1..=3 {
        assert_ne!(
            state(&world.push(&format!("INC-{n}"), v1::TicketSystem::Jira).await),
            DeliveryState::Delivered
        );
        assert_eq!(state(&push(&mut world, &format!("INC-{n}"), EU).await), DeliveryState::Delivered);
    }
    let kinds: Vec<_> = status(&mut world).await.into_iter().map(|it| it.condition.unwrap().kind()).collect();
    assert_eq!(kinds[1..], [ConnectionConditionKind::Ok; 2]);
    world.jira.restart().await.unwrap();
    world.until_all_delivered(6).await;
    world.finish().await;
}

#[tokio::test]
async fn preview_and_test_name_the_connection() {
    let mut world = with_second_jira().await;
    let destination = v1::preview_ticket_request::Destination::Connection(EU.to_owned());
    let request =
        v1::PreviewTicketRequest { incident: Some(incident("INC-1")), destination: Some(destination) };
    let preview = world.client.preview_ticket(request).await.unwrap();
    let decision = preview.auto_push.unwrap();
    assert_eq!((decision.connection.as_str(), decision.push), (EU, false));
    let test = test(&mut world, EU, None).await.unwrap();
    assert!(test.passed, "{test:?}");
    let tested = status(&mut world).await.remove(1).last_test;
    assert_eq!(tested.map(|test| test.passed), Some(true));
    let unsaved = v1::test_connection_request::Unsaved::Jira(world.jira_settings());
    assert!(self::test(&mut world, "jira-new", Some(unsaved)).await.unwrap().passed);
    let unknown = refusal(self::test(&mut world, "jira-new", None).await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "CONNECTION_NOT_FOUND"));
    world.finish().await;
}

#[tokio::test]
async fn unknown_name_is_refused_with_the_known_ones() {
    let mut world = with_second_jira().await;
    let destination = v1::create_ticket_request::Destination::Connection("jira-us".to_owned());
    let refused = refusal(world.try_push(incident("INC-1"), destination).await);
    assert_eq!(refused.code, Code::NotFound);
    assert_eq!(refused.metadata["connections"], "jira, jira-eu, servicenow");
    world.finish().await;
}

#[tokio::test]
async fn removed_name_can_be_used_by_another_connection() {
    let mut world = with_second_jira().await;
    let former = push(&mut world, "INC-1", EU).await.delivery.unwrap();
    world.former.insert(former.id.clone());
    let answer = configure(&mut world, remove(EU)).await.unwrap();
    assert_eq!(
        answer.connections.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["jira", "servicenow"]
    );
    assert_eq!(status(&mut world).await.len(), 2);
    let destination = v1::create_ticket_request::Destination::Connection(EU.to_owned());
    assert_eq!(refusal(world.try_push(incident("INC-1"), destination).await).code, Code::NotFound);
    assert_eq!(list(&mut world, EU).await.len(), 1);
    world.restart().await;
    let settings = named(EU, &world.other_sites[0], &world);
    configure(&mut world, settings).await.unwrap();
    let pushed = push(&mut world, "INC-1", EU).await;
    assert!(!pushed.already_existed);
    let delivery = pushed.delivery.unwrap();
    assert_eq!((delivery.connection.as_str(), delivery.state()), (EU, DeliveryState::Delivered));
    assert_ne!((&delivery.id, &delivery.marker), (&former.id, &former.marker));
    assert_eq!((list(&mut world, EU).await.len(), world.other_sites[0].tickets().len()), (2, 2));
    world.finish().await;
}

#[tokio::test]
async fn connection_with_open_deliveries_is_not_removed() {
    let mut world = with_second_jira().await;
    world.other_sites[0].stop().await;
    let waiting = push(&mut world, "INC-1", EU).await.delivery.unwrap();
    assert_eq!(waiting.state(), DeliveryState::Waiting);
    for validate_only in [true, false] {
        let refused =
            refusal(configure(&mut world, v1::ConfigureRequest { validate_only, ..remove(EU) }).await);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "CONNECTION_IN_USE"));
        assert_eq!(refused.metadata["deliveries"], "1");
    }
    world.former.insert(waiting.id.clone());
    let cancel = v1::CancelDeliveryRequest { delivery_id: waiting.id, note: String::new() };
    world.client.cancel_delivery(cancel).await.unwrap();
    configure(&mut world, remove(EU)).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn connection_keeps_its_ticket_system() {
    let mut world = with_second_jira().await;
    let settings = Settings::Servicenow(v1::ServiceNowSettings::default());
    let refused = refusal(configure(&mut world, of(EU, settings)).await);
    assert_eq!(refused.fields, ["connections[0].servicenow"]);
    world.finish().await;
}

#[tokio::test]
async fn violations_are_below_their_connection() {
    let mut world = Plan::new().start().await;
    let settings = |url: &str| {
        let settings = v1::JiraSettings { enabled: Some(true), url: text(url), ..world.jira_settings() };
        Some(Settings::Jira(settings))
    };
    let connections = vec![
        v1::ConnectionSettings {
            name: EU.to_owned(),
            settings: settings(&world.jira.base_url()),
            content: None,
        },
        v1::ConnectionSettings {
            name: "jira-us".to_owned(),
            settings: settings("ftp://jira.example"),
            content: None,
        },
    ];
    let request = v1::ConfigureRequest { connections, ..Default::default() };
    let refused = refusal(configure(&mut world, request).await);
    assert_eq!(refused.fields, ["connections[1].jira.url"]);
    assert_eq!(status(&mut world).await.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn rule_pushes_to_named_connections() {
    let mut world = with_second_jira().await;
    let rule = |connection: &str| v1::AutoPushRule {
        connections: vec![connection.to_owned()],
        minimum_severity: v1::Severity::High.into(),
    };
    let rules = |connection: &str| v1::ConfigureRequest {
        auto_push: Some(v1::AutoPushSettings {
            enabled: Some(true),
            rules: Some(v1::AutoPushRuleList { values: vec![rule(connection)] }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let refused = refusal(configure(&mut world, rules("jira-us")).await);
    assert_eq!(refused.fields, ["auto_push.rules.values[0].connections[0]"]);
    configure(&mut world, rules(EU)).await.unwrap();
    let refused = refusal(configure(&mut world, remove(EU)).await);
    assert_eq!(refused.fields, ["auto_push.rules.values[0].connections[0]"]);
    let mut high = incident("INC-1");
    high.risk.as_mut().unwrap().score = 75.0;
    let submitted = world.client.submit_incident(high).await.unwrap();
    let pushed: Vec<_> = submitted
        .results
        .iter()
        .filter_map(|result| result.decision.as_ref())
        .map(|decision| (decision.connection.as_str(), decision.push))
        .collect();
    assert_eq!(pushed, [("jira", false), (EU, true), ("servicenow", false)]);
    world.until_all_delivered(1).await;
    assert_eq!(world.other_sites[0].tickets().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn stale_etag_changes_nothing() {
    let mut world = Plan::new().start().await;
    let etag = world.client.get_status().await.unwrap().etag;
    let off = |etag: &str, validate_only| {
        let jira = Some(v1::JiraSettings { enabled: Some(false), ..Default::default() });
        v1::ConfigureRequest { jira, etag: etag.to_owned(), validate_only, ..Default::default() }
    };
    let shown = configure(&mut world, off(&etag, true)).await.unwrap();
    assert_eq!((shown.jira.unwrap().enabled, shown.etag.as_str()), (false, etag.as_str()));
    assert!(status(&mut world).await[0].enabled);
    let changed = configure(&mut world, off(&etag, false)).await.unwrap();
    assert_ne!(changed.etag, etag);
    let refused = refusal(configure(&mut world, off(&etag, false)).await);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Aborted, "SETTINGS_CHANGED"));
    assert_eq!(refused.metadata["etag"], changed.etag);
    world.restart().await;
    assert_eq!(world.client.get_status().await.unwrap().etag, changed.etag);
    world.finish().await;
}

/// A world with a second Jira, which is the connection [`EU`].
async fn with_second_jira() -> World {
    let mut world = Plan::new().start().await;
    let site = Simulator::start(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud)).await.unwrap();
    let request = named(EU, &site, &world);
    world.other_sites.push(site);
    configure(&mut world, request).await.unwrap();
    world
}

fn named(name: &str, site: &Simulator, world: &World) -> v1::ConfigureRequest {
    of(name, Settings::Jira(v1::JiraSettings { url: Some(site.base_url()), ..world.jira_settings() }))
}

fn of(name: &str, settings: Settings) -> v1::ConfigureRequest {
    let connection =
        v1::ConnectionSettings { name: name.to_owned(), settings: Some(settings), content: None };
    v1::ConfigureRequest { connections: vec![connection], ..Default::default() }
}

fn remove(name: &str) -> v1::ConfigureRequest {
    v1::ConfigureRequest { remove_connections: vec![name.to_owned()], ..Default::default() }
}

async fn configure(
    world: &mut World,
    request: v1::ConfigureRequest,
) -> Result<v1::ConfigureResponse, tonic::Status> {
    world.client.configure(request).await
}

async fn push(world: &mut World, id: &str, connection: &str) -> v1::CreateTicketResponse {
    let destination = v1::create_ticket_request::Destination::Connection(connection.to_owned());
    world.try_push(incident(id), destination).await.unwrap()
}

async fn test(
    world: &mut World,
    connection: &str,
    unsaved: Option<v1::test_connection_request::Unsaved>,
) -> Result<v1::ConnectionTest, tonic::Status> {
    let destination = v1::test_connection_request::Destination::Connection(connection.to_owned());
    let request = v1::TestConnectionRequest { destination: Some(destination), unsaved };
    Ok(world.client.test_connection(request).await?.test.unwrap())
}

async fn status(world: &mut World) -> Vec<v1::ConnectionStatus> {
    world.client.get_status().await.unwrap().connections
}

async fn list(world: &mut World, connection: &str) -> Vec<v1::Delivery> {
    let filter = v1::DeliveryFilter { connections: vec![connection.to_owned()], ..Default::default() };
    let request = v1::ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
    world.client.list_deliveries(request).await.unwrap().deliveries
}
