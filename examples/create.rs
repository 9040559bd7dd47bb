//! Pushes an incident to Jira, and waits for the first attempt.
#![allow(clippy::print_stdout, reason = "a sample says what it did")]

use std::error::Error;

use rhythmx_ticketing::{Client, v1};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut client = Client::from_env().await?;
    let incident = v1::Incident {
        id: "INC-2031".to_owned(),
        actor: Some(v1::Actor {
            name: "j.doe".to_owned(),
            r#type: v1::ActorType::User.into(),
            ..Default::default()
        }),
        risk: Some(v1::Risk { score: 91.0, ..Default::default() }),
        timeline: Some(v1::Timeline {
            first_alert: Some("2026-03-01T08:00:00Z".parse()?),
            last_alert: Some("2026-03-01T08:15:00Z".parse()?),
            ..Default::default()
        }),
        ..Default::default()
    };
    let destination = Some("jira".into());
    let answer =
        client.create_ticket(v1::CreateTicketRequest { incident: Some(incident), destination }).await?;
    // No ticket exists while the delivery waits for a retry; the message has the time and the reason.
    let ticket = answer.delivery.and_then(|delivery| delivery.ticket).unwrap_or_default();
    println!("{} {}", answer.message, ticket.url);
    Ok(())
}
