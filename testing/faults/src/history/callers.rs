//! Callers that push incidents, and operators. Every request and every answer is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_harness::incident;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::plan::{Later, LaterAction, Order, PushMethod, TARGETS};
use super::progress::Progress;
use super::record::{Answer, DeliverySnapshot, Observation, Operation, Recorder};

/// Timeout of a call that waits only for the server.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay between the first two attempts of a caller whose server is away, with backoff up to the second
/// value.
const RETRY_BACKOFF: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// Number of attempts after which a caller gives up.
const MAX_ATTEMPTS: usize = 60;

/// Processes the orders, `callers` at a time, with at most `window` unfinished deliveries.
pub(super) async fn run_callers(
    client: &Client,
    orders: Vec<Order>,
    callers: usize,
    window: usize,
    recorder: &Arc<Recorder>,
    progress: &Arc<Progress>,
) {
    let orders = Arc::new(orders);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let orders = orders.clone();
        let next = next.clone();
        let progress = progress.clone();
        let caller = Caller { client: client.clone(), recorder: recorder.clone() };
        tasks.spawn(async move {
            let mut later = JoinSet::new();
            while let Some(order) = orders.get(next.fetch_add(1, Ordering::SeqCst)) {
                progress.until_fewer_than(window).await;
                progress.started(order.deliveries());
                let deliveries = caller.push_until_accepted(order).await;
                for action in order.later.iter().copied() {
                    let caller = caller.clone();
                    let order = order.clone();
                    let deliveries = deliveries.clone();
                    later.spawn(async move { caller.act_later(&order, &deliveries, action).await });
                }
            }
            later.join_all().await;
        });
    }
    tasks.join_all().await;
}

#[derive(Debug, Clone)]
struct Caller {
    client: Client,
    recorder: Arc<Recorder>,
}

// === impl Caller ===

impl Caller {
    /// Calls until the incident is accepted. Returns its deliveries.
    async fn push_until_accepted(&self, order: &Order) -> Vec<String> {
        let [mut pause, longest] = RETRY_BACKOFF;
        for _ in 0..MAX_ATTEMPTS {
            let answer = match order.method {
                PushMethod::Submit => self.submit(order, 0).await,
                PushMethod::Create { target, deadline } => self.create(order, 0, target, deadline).await,
            };
            match answer {
                Ok(snapshots) => return snapshots.into_iter().map(|snapshot| snapshot.delivery).collect(),
                Err(code) if is_transient(code) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
                Err(_for_good) => return vec![],
            }
        }
        vec![]
    }

    async fn act_later(&self, order: &Order, deliveries: &[String], later: Later) {
        tokio::time::sleep(later.after).await;
        // The result is recorded and otherwise ignored.
        match later.action {
            LaterAction::Again { callers, body } => {
                let mut tasks = JoinSet::new();
                for _ in 0..callers {
                    let caller = self.clone();
                    let order = order.clone();
                    tasks.spawn(async move {
                        match order.method {
                            PushMethod::Submit => caller.submit(&order, body).await,
                            PushMethod::Create { target, deadline } => {
                                caller.create(&order, body, target, deadline).await
                            }
                        }
                    });
                }
                tasks.join_all().await;
            }
            LaterAction::Push { target } => drop(self.create(order, 0, target, WAIT_TIMEOUT).await),
            LaterAction::Retry | LaterAction::Cancel | LaterAction::Resolve => {
                for delivery in deliveries {
                    self.act_as_operator(order, delivery, later.action).await;
                }
            }
        }
    }

    async fn submit(&self, order: &Order, body: u32) -> Result<Vec<DeliverySnapshot>, Code> {
        let operation = Operation::Submit { incident: order.incident(), body };
        let mut client = self.client.clone().with_deadline(WAIT_TIMEOUT);
        self.recorded_call(operation, async move {
            let answer = client.submit_incident(incident_of(order, body)).await?;
            Ok(answer.results.into_iter().filter_map(|result| result.delivery).collect())
        })
        .await
    }

    async fn create(
        &self,
        order: &Order,
        body: u32,
        target: usize,
        deadline: Duration,
    ) -> Result<Vec<DeliverySnapshot>, Code> {
        let operation =
            Operation::Create { incident: order.incident(), body, target: TARGETS[target].to_owned() };
        let mut client = self.client.clone().with_deadline(deadline);
        let request = v1::CreateTicketRequest {
            incident: Some(incident_of(order, body)),
            destination: Some(system(target).into()),
        };
        self.recorded_call(operation, async move {
            Ok(client.create_ticket(request).await?.delivery.into_iter().collect())
        })
        .await
    }

    async fn act_as_operator(&self, order: &Order, delivery: &str, action: LaterAction) {
        let mut client = self.client.clone().with_deadline(WAIT_TIMEOUT);
        let delivery_id = delivery.to_owned();
        let delivery = delivery_id.clone();
        let _ = match action {
            LaterAction::Cancel => {
                let request = v1::CancelDeliveryRequest { delivery_id, note: String::new() };
                let call =
                    async move { Ok(client.cancel_delivery(request).await?.delivery.into_iter().collect()) };
                self.recorded_call(Operation::Cancel { delivery }, call).await
            }
            LaterAction::Resolve => {
                let key = format!("HAND-{}", order.number);
                // There is no such ticket: it is accepted while faults keep the server from reading it.
                let request = v1::ResolveDeliveryRequest {
                    delivery_id,
                    ticket_key: key.clone(),
                    allow_unverified: true,
                    ..Default::default()
                };
                let call =
                    async move { Ok(client.resolve_delivery(request).await?.delivery.into_iter().collect()) };
                self.recorded_call(Operation::Resolve { delivery, key }, call).await
            }
            _ => {
                let request = v1::RetryDeliveryRequest { delivery_id, create_anyway: false };
                let call =
                    async move { Ok(client.retry_delivery(request).await?.delivery.into_iter().collect()) };
                self.recorded_call(Operation::Retry { delivery }, call).await
            }
        };
    }

    async fn recorded_call(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<Vec<v1::Delivery>, Status>>,
    ) -> Result<Vec<DeliverySnapshot>, Code> {
        let number = self.recorder.asked(operation);
        let answer = call.await;
        let (recorded, answer) = match answer {
            Ok(deliveries) => {
                let snapshots: Vec<_> = deliveries.iter().map(DeliverySnapshot::from).collect();
                (Answer::Snapshots(snapshots.clone()), Ok(snapshots))
            }
            Err(status) => {
                let code = format!("{:?}", status.code());
                let message = status.message().to_owned();
                // Refusals of the server have details; errors of the transport have none.
                let has_reason = !status.details().is_empty();
                (Answer::Refused { code, message, has_reason }, Err(status.code()))
            }
        };
        self.recorder.note(Observation::CallEnded { call: number, answer: recorded });
        answer
    }
}

/// The server is away or slow, or the connection broke: the call is repeated.
fn is_transient(code: Code) -> bool {
    use Code::{Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown};
    matches!(code, Unavailable | DeadlineExceeded | Cancelled | Unknown | Internal)
}

/// A small incident: the length of the large one is irrelevant in a history.
fn incident_of(order: &Order, body: u32) -> v1::Incident {
    v1::Incident {
        activity: None,
        sla: None,
        tactics: vec![],
        techniques: vec![],
        firing_rules: vec![],
        investigation_notes: format!("body {body}"),
        ..incident(&order.incident())
    }
}

pub(super) fn system(target: usize) -> v1::TicketSystem {
    [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow][target]
}
