//! Prints the events of deliveries until it is interrupted, across restarts of the server.
#![allow(clippy::print_stdout, reason = "a sample says what it did")]

use std::error::Error;

use rhythmx_ticketing::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut client = Client::from_env().await?;
    let mut events = client.events(Default::default()).await?;
    println!("watching");
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(event) = event.transpose()? else { return Ok(()) };
        let kind = event.kind().as_str_name();
        let ticket = event.delivery.and_then(|delivery| delivery.ticket).unwrap_or_default();
        println!("{} {kind} {} {}", event.sequence, event.incident_id, ticket.key);
    }
}
