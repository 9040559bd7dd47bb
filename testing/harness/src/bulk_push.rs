//! Many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rhythmx_ticketing::{Client, v1};
use tokio::task::JoinSet;
use tonic::Status;

use super::incident;

/// Pushes each incident of `ids` once, `callers` at a time, each over a clone of `client`, whatever the
/// results. Unordered answers, each with its incident.
pub async fn push_all(
    client: &Client,
    ids: Vec<String>,
    system: v1::TicketSystem,
    callers: usize,
) -> Vec<(String, Result<v1::CreateTicketResponse, Status>)> {
    let ids = Arc::new(ids);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let ids = ids.clone();
        let next = next.clone();
        let mut client = client.clone();
        tasks.spawn(async move {
            let mut answers = vec![];
            while let Some(id) = ids.get(next.fetch_add(1, Ordering::SeqCst)) {
                let request = v1::CreateTicketRequest {
                    incident: Some(incident(id)),
                    destination: Some(system.into()),
                };
                answers.push((id.clone(), client.create_ticket(request).await));
            }
            answers
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}
