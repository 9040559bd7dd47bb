//! A naive client: POST, and on any error POST again, under the same faults.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use ticketing_simulator::{Keep, Profile, Simulator, Vendor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::plan::TARGETS;
use super::random_faults::MARKER;
use super::round::{ATTEMPT_DEADLINE, MAX_DELAY, Round};

/// Number of attempts, and the first delay, which doubles each time.
const MAX_ATTEMPTS: u32 = 5;
const BACKOFF: Duration = Duration::from_millis(60);

/// Its results.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NaiveOutcome {
    pub(super) deliveries: usize,
    /// Incidents with more than one ticket in a system.
    pub(super) duplicated: usize,
    /// Tickets beyond the first.
    pub(super) surplus: usize,
    /// Incidents without a ticket, whatever the client assumes.
    pub(super) lost: usize,
}

/// One way to create a ticket.
#[derive(Debug)]
struct Site {
    simulator: Simulator,
    path: &'static str,
    login: &'static str,
}

/// Pushes the incidents of a round, `callers` at a time.
pub(super) async fn run(round: &Round<'_>, callers: usize) -> Result<NaiveOutcome> {
    let sites = Arc::new([site(round, 0).await?, site(round, 1).await?]);
    let plan = round.plan();
    let pushes = plan.orders.iter().flat_map(|order| {
        let number = order.number;
        let incident = order.incident();
        order.targets().into_iter().map(move |target| (number, incident.clone(), target))
    });
    let pushes: Arc<Vec<(u64, String, usize)>> = Arc::new(pushes.collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let sites = sites.clone();
        let pushes = pushes.clone();
        let next = next.clone();
        tasks.spawn(async move {
            while let Some((number, incident, target)) = pushes.get(next.fetch_add(1, Ordering::SeqCst)) {
                push(&sites[*target], *target, incident, &marker(*number)).await;
            }
        });
    }
    tasks.join_all().await;
    // Late creates are still applied.
    tokio::time::sleep(MAX_DELAY).await;
    Ok(naive_outcome(&pushes, &sites))
}

/// Replies are not recorded: the client decides itself.
async fn push(site: &Site, target: usize, incident: &str, marker: &str) {
    let body = ticket(target, incident, marker);
    for attempt in 0..MAX_ATTEMPTS {
        match tokio::time::timeout(ATTEMPT_DEADLINE, post(site, &body)).await {
            Ok(Ok(_created)) => return,
            Ok(Err(_)) | Err(_) => tokio::time::sleep(BACKOFF * 2_u32.pow(attempt)).await,
        }
    }
}

fn naive_outcome(pushes: &[(u64, String, usize)], sites: &[Site; 2]) -> NaiveOutcome {
    let mut naive_outcome = NaiveOutcome { deliveries: pushes.len(), ..NaiveOutcome::default() };
    for (target, site) in sites.iter().enumerate() {
        let mut made: HashMap<String, usize> = HashMap::new();
        site.simulator.with_tickets(|tickets| {
            for marker in tickets.iter().flat_map(ticketing_simulator::Ticket::marker_candidates) {
                *made.entry(marker).or_default() += 1;
            }
        });
        for (number, _, _) in pushes.iter().filter(|(_, _, other)| *other == target) {
            let made = made.get(&marker(*number)).copied().unwrap_or_default();
            naive_outcome.duplicated += usize::from(made > 1);
            naive_outcome.surplus += made.saturating_sub(1);
            naive_outcome.lost += usize::from(made == 0);
        }
    }
    naive_outcome
}

async fn site(round: &Round<'_>, target: usize) -> Result<Site> {
    let (vendor, path, login) = match TARGETS[target] {
        "jira" => (Vendor::JiraCloud, "/rest/api/3/issue", "analyst@example.com:cloud-api-token"),
        _ => (Vendor::ServiceNow, "/api/now/table/incident", "rhythmx.integration:servicenow-password"),
    };
    let simulator = Simulator::start(vendor, Profile::of(vendor)).await.context("no simulator")?;
    simulator.keep_requests(Keep::Nothing);
    let faults = round.random_faults(target);
    simulator.faults().set_generator(move |call, query, body| faults.effect(call, query, body));
    Ok(Site { simulator, path, login })
}

fn marker(number: u64) -> String {
    format!("{MARKER}{number:032x}")
}

fn ticket(target: usize, incident: &str, marker: &str) -> Value {
    match TARGETS[target] {
        "jira" => json!({ "fields": {
            "project": { "key": "SEC" }, "issuetype": { "name": "Task" }, "summary": incident, "labels": [marker],
        }}),
        _ => json!({ "short_description": incident, "correlation_id": marker }),
    }
}

/// One POST over its own connection: the created ticket, or the error.
async fn post(site: &Site, body: &Value) -> Result<Value> {
    let address = site.simulator.base_url();
    let address: SocketAddr = address.trim_start_matches("http://").parse().context("not an address")?;
    let mut stream = TcpStream::connect(address).await?;
    let path = site.path;
    let body = body.to_string();
    let login = STANDARD.encode(site.login);
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Basic {login}\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut reply = vec![];
    stream.read_to_end(&mut reply).await?;
    let reply = String::from_utf8(reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").context("no answer")?;
    if !head.starts_with("HTTP/1.1 2") {
        bail!("refused: {}", head.lines().next().unwrap_or_default());
    }
    Ok(serde_json::from_str(body)?)
}
