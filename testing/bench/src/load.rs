//! Callers of the server.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rhythmx_ticketing::{Client, FILE_DESCRIPTOR_SET, v1};
use tokio::task::JoinSet;
use tokio::time::Instant;

const EXAMPLE: &str = include_str!("../../../examples/incident.json");

/// The example incident, which is critical, with another ID.
pub(crate) fn incident(id: &str) -> v1::Incident {
    static INCIDENT: LazyLock<v1::Incident> = LazyLock::new(|| parse(EXAMPLE));
    v1::Incident { id: id.to_owned(), ..INCIDENT.clone() }
}

fn parse(text: &str) -> v1::Incident {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the contract is a valid descriptor");
    let descriptor = pool.get_message_by_name("rhythmx.ticketing.v1.Incident");
    let mut reader = serde_json::Deserializer::from_str(text);
    let descriptor = descriptor.expect("the contract has incidents");
    let message = DynamicMessage::deserialize(descriptor, &mut reader).expect("the example is an incident");
    v1::Incident::decode(message.encode_to_vec().as_slice()).expect("the example is an incident")
}

/// Submits incidents to auto-push, one call each, as soon as a caller is free.
pub(crate) async fn submit(clients: Vec<Client>, prefix: &str, count: usize) -> Result<Vec<Duration>> {
    submit_paced(clients, prefix, count, Duration::ZERO).await
}

/// Submits incidents at regular times within `within`. Returns the durations of the calls.
pub(crate) async fn submit_paced(
    clients: Vec<Client>,
    prefix: &str,
    count: usize,
    within: Duration,
) -> Result<Vec<Duration>> {
    let prefix = prefix.to_owned();
    let began = Instant::now();
    each(clients, count, move |mut client, index| {
        let incident = incident(&format!("{prefix}-{index}"));
        async move {
            if !within.is_zero() {
                let part = index as f64 / count as f64;
                tokio::time::sleep_until(began + within.mul_f64(part)).await;
            }
            let answer = client.submit_incident(incident).await?;
            let accepted = answer.results.iter().filter(|result| result.delivery.is_some()).count();
            ensure!(accepted == 1, "an incident became {accepted} deliveries");
            Ok(())
        }
    })
    .await
}

/// CreateTicket for each incident. Returns the durations of the calls.
pub(crate) async fn create(clients: Vec<Client>, prefix: &str, count: usize) -> Result<Vec<Duration>> {
    let prefix = prefix.to_owned();
    each(clients, count, move |mut client, index| {
        let incident = incident(&format!("{prefix}-{index}"));
        async move { create_one(&mut client, incident).await }
    })
    .await
}

/// CreateTicket, which must return a ticket.
pub(crate) async fn create_one(client: &mut Client, incident: v1::Incident) -> Result<()> {
    let destination = Some(v1::TicketSystem::Jira.into());
    let answer =
        client.create_ticket(v1::CreateTicketRequest { incident: Some(incident), destination }).await?;
    let has_ticket = answer.delivery.is_some_and(|delivery| delivery.ticket.is_some());
    ensure!(has_ticket, "CreateTicket returned no ticket: {}", answer.message);
    Ok(())
}

/// Makes `count` calls, one at a time over each client. Returns the durations of the calls.
pub(crate) async fn each<C, F, T>(clients: Vec<C>, count: usize, call: F) -> Result<Vec<Duration>>
where
    C: Clone + Send + 'static,
    F: Fn(C, usize) -> T + Send + Sync + 'static,
    T: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let call = Arc::new(call);
    let mut callers = JoinSet::new();
    for client in clients {
        let next = next.clone();
        let call = call.clone();
        callers.spawn(async move {
            let mut durations = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return Ok::<_, anyhow::Error>(durations);
                }
                let began = Instant::now();
                call(client.clone(), index).await?;
                durations.push(began.elapsed());
            }
        });
    }
    let mut durations = Vec::new();
    while let Some(caller) = callers.join_next().await {
        durations.extend(caller.context("a caller panicked")??);
    }
    Ok(durations)
}

/// How many per second.
pub(crate) fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}
