//! A push that is held at a fail point while a fault is injected.

use rhythmx_ticketing::v1::{CreateTicketRequest, CreateTicketResponse, TicketSystem};
use ticketing_failpoints::Point;
use ticketing_harness::{World, incident};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::task::JoinHandle;
use tonic::Status;

/// A CreateTicket call in the background.
pub(crate) type Push = JoinHandle<Result<CreateTicketResponse, Status>>;

/// Every fail point on the path of a push.
pub(crate) const PUSH_POINTS: [Point; 9] = [
    Point::AcceptOpen,
    Point::AcceptCommitted,
    Point::Claimed,
    Point::IntentOpen,
    Point::IntentCommitted,
    Point::RequestHalfSent,
    Point::ReplyRead,
    Point::RecordOpen,
    Point::Recorded,
];
/// Every fail point on the path of a look-up.
pub(crate) const LOOK_UP_POINTS: [Point; 2] = [Point::LookingUp, Point::LookedUp];

/// Every fail point on the paths of a push, a look-up and a duplicate scan.
pub(crate) fn fail_points() -> impl Iterator<Item = Point> {
    PUSH_POINTS.into_iter().chain(LOOK_UP_POINTS).chain([Point::Sweeping])
}

/// Pushes INC-1, and waits until it is held at this point. For a point that is only reached after an unknown
/// outcome, the reply to the create is lost.
pub(crate) async fn hold(world: &World, point: Point, system: TicketSystem) -> Push {
    if matches!(point, Point::LookingUp | Point::LookedUp | Point::Sweeping) {
        world.simulator(system).faults().push(Rule::new(Call::Create, When::Next(1), Effect::ApplyThenDrop));
    }
    world.server.arm(point);
    let push = begin_push(world, "INC-1", system);
    world.server.until_held(point).await;
    push
}

/// Starts a CreateTicket call in the background.
pub(crate) fn begin_push(world: &World, id: &str, system: TicketSystem) -> Push {
    let mut client = world.client.clone();
    let request = CreateTicketRequest { incident: Some(incident(id)), destination: Some(system.into()) };
    tokio::spawn(async move { client.create_ticket(request).await })
}

/// Waits for the held push; a refused caller repeats its call.
pub(crate) async fn finish(world: &mut World, push: Push, system: TicketSystem) {
    match push.await.unwrap() {
        Ok(answer) => world.acknowledged.note_push(&answer),
        Err(_) => drop(world.push("INC-1", system).await),
    }
}

/// Whether the server has an open transaction at this point.
pub(crate) fn has_open_transaction(point: Point) -> bool {
    matches!(point, Point::AcceptOpen | Point::IntentOpen | Point::RecordOpen)
}
