//! The steps of the demonstration.

use std::time::Duration;

use anyhow::{Context, ensure};
use rhythmx_ticketing::v1;
use rhythmx_ticketing::v1::stream_ticket_events_request::Start;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use ticketing_simulator::{Call, Effect, Rule, When};

use super::environment::Environment;
use super::output::Output;

/// How long a step waits for an asynchronous result.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn run(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    configure(environment, out).await?;
    test(environment, out).await?;
    preview(environment, out).await?;
    create(environment, out).await?;
    auto_push(environment, out).await?;
    outage(environment, out).await?;
    lost_reply(environment, out).await?;
    status(environment, out).await?;
    events(environment, out).await
}

async fn configure(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Configure Jira and ServiceNow");
    let jira = v1::JiraSettings {
        enabled: Some(true),
        url: Some(environment.jira.base_url()),
        email: Some("analyst@example.com".to_owned()),
        api_token: Some("cloud-api-token".to_owned()),
        project_key: Some("SEC".to_owned()),
        flavour: Some(v1::JiraFlavour::Cloud.into()),
        ..Default::default()
    };
    let servicenow = v1::ServiceNowSettings {
        enabled: Some(true),
        instance: Some(environment.servicenow.base_url()),
        username: Some("rhythmx.integration".to_owned()),
        password: Some("servicenow-password".to_owned()),
        assignment_group: Some("Security Operations".to_owned()),
        ..Default::default()
    };
    let span = |millis: i32| Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 });
    let retry = v1::RetrySettings {
        base_delay: span(300),
        max_delay: span(900),
        processor_interval: span(300),
        ..Default::default()
    };
    let request = v1::ConfigureRequest {
        jira: Some(jira),
        servicenow: Some(servicenow),
        retry: Some(retry),
        ..Default::default()
    };
    let answer = environment.client.configure(request).await?;
    let view = answer.jira.context("Jira was not configured")?;
    ensure!(view.enabled && view.api_token_set_at.is_some(), "Jira's settings were not stored");
    out.line(&format!(
        "Jira: {} project {} as {}; the API token is set and never shown.",
        view.url, view.project_key, view.email
    ));
    let view = answer.servicenow.context("ServiceNow was not configured")?;
    out.line(&format!("ServiceNow: {} as {} for {}.", view.instance, view.username, view.assignment_group));
    Ok(())
}

async fn test(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Test both connections, and one with a mistyped token");
    for system in [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow] {
        let request = v1::TestConnectionRequest { destination: Some(system.into()), unsaved: None };
        let test = environment.client.test_connection(request).await?.test.context("there is no outcome")?;
        for check in &test.checks {
            out.line(&format!(
                "{} {}: {}",
                check.outcome().as_str_name().trim_start_matches("CHECK_OUTCOME_"),
                check.name,
                check.detail
            ));
        }
        ensure!(test.passed, "the connection test failed");
    }
    let typo = v1::JiraSettings { api_token: Some("mistyped".to_owned()), ..Default::default() };
    let request = v1::TestConnectionRequest {
        destination: Some(v1::TicketSystem::Jira.into()),
        unsaved: Some(Unsaved::Jira(typo)),
    };
    let test = environment.client.test_connection(request).await?.test.context("there is no outcome")?;
    let failed = test
        .checks
        .iter()
        .find(|check| check.outcome() == v1::CheckOutcome::Failed)
        .context("a mistyped token passed")?;
    out.line(&format!("With a mistyped token: {} fails: {} ({})", failed.name, failed.detail, failed.hint));
    Ok(())
}

async fn preview(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Preview the ticket for Jira");
    let request = v1::PreviewTicketRequest {
        incident: Some(environment.incident.clone()),
        destination: Some(v1::TicketSystem::Jira.into()),
    };
    let ticket = environment.client.preview_ticket(request).await?.ticket.context("nothing was rendered")?;
    ensure!(environment.jira.tickets().is_empty(), "a preview made a ticket");
    out.line(&format!("{}   [priority {}]", ticket.summary, ticket.priority));
    out.quote(&ticket.plain_text);
    Ok(())
}

async fn create(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Create it on both systems, then ask again");
    for system in [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow] {
        let first = push(environment, environment.incident.clone(), system).await?;
        out.line(&first.message);
        ensure!(
            state(&first) == v1::DeliveryState::Delivered,
            "the ticket was not created: {}",
            first.message
        );
        let again = push(environment, environment.incident.clone(), system).await?;
        out.line(&format!("again: {}", again.message));
        ensure!(again.already_existed && ticket(&again)?.key == ticket(&first)?.key, "asking twice made two");
    }
    ensure!(
        environment.jira.tickets().len() == 1 && environment.servicenow.tickets().len() == 1,
        "there is not one ticket each"
    );
    Ok(())
}

async fn auto_push(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Auto-push by severity: HIGH and above, to both");
    let systems = [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow].map(i32::from).to_vec();
    let rule = v1::AutoPushSettings {
        enabled: Some(true),
        minimum_severity: Some(v1::Severity::High.into()),
        systems: Some(v1::TicketSystemList { values: systems }),
        ..Default::default()
    };
    environment
        .client
        .configure(v1::ConfigureRequest { auto_push: Some(rule), ..Default::default() })
        .await?;
    let mut critical = environment.incident.clone();
    critical.id = format!("{}-AUTO", critical.id);
    for (incident, pushes) in [(critical.clone(), 2), (environment.medium_incident.clone(), 0)] {
        let answer = environment.client.submit_incident(incident.clone()).await?;
        let decisions: Vec<_> = answer.results.iter().filter_map(|result| result.decision.clone()).collect();
        for decision in &decisions {
            let verdict = if decision.push { "pushed" } else { "skipped" };
            out.line(&format!(
                "{} -> {}: {verdict}; {}",
                incident.id, decision.connection, decision.explanation
            ));
        }
        ensure!(
            decisions.iter().filter(|decision| decision.push).count() == pushes,
            "auto-push decided otherwise"
        );
    }
    all_delivered(environment, 4).await
}

async fn outage(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Jira goes down, an analyst pushes, Jira comes back");
    environment.jira.stop().await;
    let incident = variant(environment, "OUTAGE");
    let waiting = push(environment, incident, v1::TicketSystem::Jira).await?;
    out.line(&waiting.message);
    ensure!(state(&waiting) == v1::DeliveryState::Waiting, "the push does not wait: {}", waiting.message);
    environment.jira.restart().await?;
    let id = waiting.delivery.context("there is no delivery")?.id;
    let delivery = delivered(environment, &id).await?;
    out.line(&format!("by itself, after {} attempts: {}", delivery.attempts.len(), key(&delivery)));
    Ok(())
}

async fn lost_reply(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Jira creates the ticket, but its answer is lost (504)");
    let before = environment.jira.tickets().len();
    environment.jira.faults().push(Rule::new(
        Call::Create,
        When::Next(1),
        Effect::apply_then_gateway_timeout(),
    ));
    let incident = variant(environment, "LOST");
    let uncertain = push(environment, incident, v1::TicketSystem::Jira).await?;
    out.line(&uncertain.message);
    ensure!(
        state(&uncertain) == v1::DeliveryState::Reconciling,
        "the lost answer was not noticed: {}",
        uncertain.message
    );
    let id = uncertain.delivery.context("there is no delivery")?.id;
    let delivery = delivered(environment, &id).await?;
    let made = environment.jira.tickets().len() - before;
    out.line(&format!(
        "found by its marker {}: {}; Jira holds {made} ticket for it",
        delivery.marker,
        key(&delivery)
    ));
    ensure!(made == 1, "the lost answer made {made} tickets");
    Ok(())
}

async fn status(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("Status");
    let status = environment.client.get_status().await?;
    for system in &status.connections {
        let counts = system.deliveries.unwrap_or_default();
        let tested = system.last_test.as_ref().is_some_and(|test| test.passed);
        out.line(&format!(
            "{}: configured {}, enabled {}, last test passed {tested}; delivered {}, waiting {}, failed {}",
            system.connection,
            system.configured,
            system.enabled,
            counts.delivered,
            counts.waiting,
            counts.failed
        ));
        ensure!(counts.waiting + counts.failed + counts.reconciling == 0, "something was left behind");
    }
    Ok(())
}

async fn events(environment: &mut Environment, out: &Output) -> anyhow::Result<()> {
    out.step("All events (StreamTicketEvents, from the oldest event)");
    let request = v1::StreamTicketEventsRequest { start: Some(Start::Oldest(())), ..Default::default() };
    let mut stream = environment.client.stream_ticket_events(request).await?;
    let mut last = 0;
    let mut delivered = 0;
    while delivered < 6 {
        let message = tokio::time::timeout(WAIT_TIMEOUT, stream.message())
            .await
            .context("the stream fell silent")??;
        let Some(Message::Event(event)) = message.and_then(|response| response.message) else { continue };
        ensure!(event.sequence == last + 1, "event {} came after {last}", event.sequence);
        last = event.sequence;
        delivered += u32::from(event.kind() == v1::TicketEventKind::Delivered);
        let kind = event.kind().as_str_name().trim_start_matches("TICKET_EVENT_KIND_");
        out.line(&format!("{:>3} {kind:<16} {:<11} {}", event.sequence, event.connection, event.note));
    }
    Ok(())
}

async fn push(
    environment: &mut Environment,
    incident: v1::Incident,
    system: v1::TicketSystem,
) -> anyhow::Result<v1::CreateTicketResponse> {
    let request = v1::CreateTicketRequest { incident: Some(incident), destination: Some(system.into()) };
    Ok(environment.client.create_ticket(request).await?)
}

async fn delivered(environment: &mut Environment, id: &str) -> anyhow::Result<v1::Delivery> {
    let wait = async {
        loop {
            let delivery =
                environment.client.get_delivery(id).await?.delivery.context("the delivery is gone")?;
            if delivery.state() == v1::DeliveryState::Delivered {
                return anyhow::Ok(delivery);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.context("the ticket was not created in time")?
}

async fn all_delivered(environment: &mut Environment, tickets: usize) -> anyhow::Result<()> {
    let wait = async {
        while environment.jira.tickets().len() + environment.servicenow.tickets().len() < tickets {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.context("the tickets were not created in time")
}

fn variant(environment: &Environment, suffix: &str) -> v1::Incident {
    let mut incident = environment.incident.clone();
    incident.id = format!("{}-{suffix}", incident.id);
    incident
}

fn state(answer: &v1::CreateTicketResponse) -> v1::DeliveryState {
    answer.delivery.as_ref().map(v1::Delivery::state).unwrap_or_default()
}

fn ticket(answer: &v1::CreateTicketResponse) -> anyhow::Result<&v1::TicketReference> {
    answer.delivery.as_ref().and_then(|delivery| delivery.ticket.as_ref()).context("there is no ticket")
}

fn key(delivery: &v1::Delivery) -> &str {
    delivery.ticket.as_ref().map_or("no ticket", |ticket| ticket.key.as_str())
}
