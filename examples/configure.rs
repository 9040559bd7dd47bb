//! Connects the service to a Jira, switches auto-push on, and tests the connection to it.
#![allow(clippy::print_stdout, reason = "a sample says what it did")]

use std::env::var;
use std::error::Error;

use rhythmx_ticketing::{Client, v1};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut client = Client::from_env().await?;
    // Absent fields keep their values.
    let request = v1::ConfigureRequest {
        jira: Some(v1::JiraSettings {
            url: Some(var("JIRA_URL")?),
            email: Some(var("JIRA_EMAIL")?),
            api_token: Some(var("JIRA_API_TOKEN")?),
            project_key: Some(var("JIRA_PROJECT_KEY")?),
            enabled: Some(true),
            ..Default::default()
        }),
        auto_push: Some(v1::AutoPushSettings {
            enabled: Some(true),
            minimum_severity: Some(v1::Severity::High.into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let jira = client.configure(request).await?.jira.unwrap_or_default();
    println!("Tickets go to project {} of {}", jira.project_key, jira.url);
    let destination = Some(v1::TicketSystem::Jira.into());
    let proof =
        client.test_connection(v1::TestConnectionRequest { destination, ..Default::default() }).await?;
    for check in proof.test.unwrap_or_default().checks {
        println!("{} {} {}", check.outcome().as_str_name(), check.name, check.hint);
    }
    Ok(())
}
