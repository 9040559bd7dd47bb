//! Changes of settings while deliveries are in progress.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, JiraSettings, TicketSystem};
use ticketing_simulator::{Call, Credential, Effect, Profile, Rule, Simulator, Vendor, When};

use ticketing_harness::{Plan, Point, World, creates, incident, state};

const JIRA: TicketSystem = TicketSystem::Jira;
const NEW_TOKEN: &str = "token-of-the-new-site";

#[tokio::test]
async fn disabled_connection_holds_deliveries_until_enabled() {
    let mut world = Plan::new().start().await;
    world.jira.stop().await;
    for n in 1..=3 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    configure(&mut world, JiraSettings { enabled: Some(false), ..Default::default() }).await;
    world.jira.restart().await.unwrap();
    world.jira.clear_requests();
    world.wait(Duration::from_millis(600)).await;
    assert_eq!(world.jira.requests().len(), 0);
    let counts = world.counts().await;
    assert_eq!((counts.waiting + counts.pending, counts.failed), (3, 0), "{counts:?}");
    configure(&mut world, JiraSettings { enabled: Some(true), ..Default::default() }).await;
    world.until_all_delivered(3).await;
    world.finish().await;
}

#[tokio::test]
async fn disabling_stops_a_claimed_delivery_before_its_send() {
    for point in [Point::Claimed, Point::IntentCommitted] {
        let mut world = Plan::new().with_long_deadlines().in_a_process().start().await;
        world.server.arm(point);
        let mut client = world.client.clone();
        let request =
            v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination: Some(JIRA.into()) };
        let push = tokio::spawn(async move { client.create_ticket(request).await });
        world.server.until_held(point).await;
        configure(&mut world, JiraSettings { enabled: Some(false), ..Default::default() }).await;
        world.server.release();
        let answer = push.await.unwrap().unwrap();
        assert_eq!((state(&answer), creates(&world.jira)), (DeliveryState::Waiting, 0), "{point:?}");
        configure(&mut world, JiraSettings { enabled: Some(true), ..Default::default() }).await;
        world.until_all_delivered(1).await;
        assert_eq!(creates(&world.jira), 1, "{point:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn unknown_outcome_is_found_at_the_former_site() {
    let (mut world, new) = two_sites().await;
    world.jira.set_index_lag(Duration::from_millis(500));
    let id = uncertain(&mut world, Effect::apply_then_gateway_timeout()).await;
    move_to(&mut world, &new).await;
    world.restart().await;
    let delivery = world.until(&id, DeliveryState::Delivered).await;
    assert!(delivery.ticket.unwrap().url.starts_with(&world.jira.base_url()));
    assert_eq!((creates(&world.jira), creates(&new)), (1, 0));
    let logins = |simulator: &Simulator| {
        let requests = simulator.requests().into_iter();
        requests.filter_map(|r| r.header("authorization").map(str::to_owned)).collect::<Vec<_>>()
    };
    let old = logins(&world.jira);
    assert!(old.iter().all(|login| *login == old[0]), "the old site saw one secret alone");
    assert!(!logins(&new).contains(&old[0]), "the new site never saw the old secret");
    world.finish().await;
}

#[tokio::test]
async fn waiting_deliveries_go_to_the_new_site() {
    let (mut world, new) = two_sites().await;
    world.jira.stop().await;
    let id = world.push("INC-1", JIRA).await.delivery.unwrap().id;
    move_to(&mut world, &new).await;
    world.until(&id, DeliveryState::Delivered).await;
    world.jira = new;
    world.finish().await;
}

async fn two_sites() -> (World, Simulator) {
    let user = "analyst@example.com".to_owned();
    let secret = NEW_TOKEN.to_owned();
    let profile = Profile::of(Vendor::JiraCloud).only_credential(Credential::Basic { user, secret });
    let new = Simulator::start(Vendor::JiraCloud, profile).await.unwrap();
    (Plan::new().with_flag("--attempt-deadline=400ms").start().await, new)
}

async fn move_to(world: &mut World, site: &Simulator) {
    let url = Some(site.base_url());
    let api_token = Some(NEW_TOKEN.to_owned());
    configure(world, JiraSettings { url, api_token, ..Default::default() }).await;
}

async fn configure(world: &mut World, jira: JiraSettings) {
    let request = v1::ConfigureRequest { jira: Some(jira), ..Default::default() };
    world.client.configure(request).await.unwrap();
}

/// A push whose create met `effect`.
async fn uncertain(world: &mut World, effect: Effect) -> String {
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), effect));
    world.push("INC-1", JIRA).await.delivery.unwrap().id
}
