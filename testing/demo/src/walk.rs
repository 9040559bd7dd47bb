//! The steps of the demonstration.

use std::time::Duration;

use anyhow::{Context, ensure};
use rhythmx_ticketing::v1;
use rhythmx_ticketing::v1::stream_ticket_events_request::Start;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::test_connection_request::Unsaved;
use ticketing_simulator::{Call, Effect, Rule, When};

use super::narrator::Narrator;
use super::stage::Stage;

/// How long a step waits for an asynchronous result.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn walk(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    configure(stage, say).await?;
    test(stage, say).await?;
    preview(stage, say).await?;
    create(stage, say).await?;
    auto_push(stage, say).await?;
    outage(stage, say).await?;
    lost_reply(stage, say).await?;
    status(stage, say).await?;
    events(stage, say).await
}

async fn configure(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Configure Jira and ServiceNow");
    let jira = v1::JiraSettings {
        enabled: Some(true),
        url: Some(stage.jira.base_url()),
        email: Some("analyst@example.com".to_owned()),
        api_token: Some("cloud-api-token".to_owned()),
        project_key: Some("SEC".to_owned()),
        flavour: Some(v1::JiraFlavour::Cloud.into()),
        ..Default::default()
    };
    let servicenow = v1::ServiceNowSettings {
        enabled: Some(true),
        instance: Some(stage.servicenow.base_url()),
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
        auto_push: None,
    };
    let answer = stage.client.configure(request).await?;
    let view = answer.jira.context("Jira was not configured")?;
    ensure!(view.enabled && view.api_token_set_at.is_some(), "Jira's settings were not stored");
    say.line(&format!(
        "Jira: {} project {} as {}; the API token is set and never shown.",
        view.url, view.project_key, view.email
    ));
    let view = answer.servicenow.context("ServiceNow was not configured")?;
    say.line(&format!("ServiceNow: {} as {} for {}.", view.instance, view.username, view.assignment_group));
    Ok(())
}

async fn test(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Test both connections, and one with a mistyped token");
    for system in [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow] {
        let request = v1::TestConnectionRequest { destination: Some(system.into()), unsaved: None };
        let test = stage.client.test_connection(request).await?.test.context("there is no outcome")?;
        for check in &test.checks {
            say.line(&format!(
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
    let test = stage.client.test_connection(request).await?.test.context("there is no outcome")?;
    let failed = test
        .checks
        .iter()
        .find(|check| check.outcome() == v1::CheckOutcome::Failed)
        .context("a mistyped token passed")?;
    say.line(&format!("With a mistyped token: {} fails: {} ({})", failed.name, failed.detail, failed.hint));
    Ok(())
}

async fn preview(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Preview the ticket for Jira");
    let request = v1::PreviewTicketRequest {
        incident: Some(stage.incident.clone()),
        destination: Some(v1::TicketSystem::Jira.into()),
    };
    let ticket = stage.client.preview_ticket(request).await?.ticket.context("nothing was rendered")?;
    ensure!(stage.jira.tickets().is_empty(), "a preview made a ticket");
    say.line(&format!("{}   [priority {}]", ticket.summary, ticket.priority));
    say.quote(&ticket.plain_text);
    Ok(())
}

async fn create(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Create it on both systems, then ask again");
    for system in [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow] {
        let first = push(stage, stage.incident.clone(), system).await?;
        say.line(&first.message);
        ensure!(
            state(&first) == v1::DeliveryState::Delivered,
            "the ticket was not created: {}",
            first.message
        );
        let again = push(stage, stage.incident.clone(), system).await?;
        say.line(&format!("again: {}", again.message));
        ensure!(again.already_existed && ticket(&again)?.key == ticket(&first)?.key, "asking twice made two");
    }
    ensure!(
        stage.jira.tickets().len() == 1 && stage.servicenow.tickets().len() == 1,
        "there is not one ticket each"
    );
    Ok(())
}

async fn auto_push(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Auto-push by severity: HIGH and above, to both");
    let systems = [v1::TicketSystem::Jira, v1::TicketSystem::Servicenow].map(i32::from).to_vec();
    let rule = v1::AutoPushSettings {
        enabled: Some(true),
        minimum_severity: Some(v1::Severity::High.into()),
        systems: Some(v1::TicketSystemList { values: systems }),
    };
    stage.client.configure(v1::ConfigureRequest { auto_push: Some(rule), ..Default::default() }).await?;
    let mut critical = stage.incident.clone();
    critical.id = format!("{}-AUTO", critical.id);
    for (incident, pushes) in [(critical.clone(), 2), (stage.medium_incident.clone(), 0)] {
        let answer = stage.client.submit_incident(incident.clone()).await?;
        let decisions: Vec<_> = answer.results.iter().filter_map(|result| result.decision.clone()).collect();
        for decision in &decisions {
            let verdict = if decision.push { "pushed" } else { "skipped" };
            say.line(&format!(
                "{} -> {}: {verdict}; {}",
                incident.id, decision.connection, decision.explanation
            ));
        }
        ensure!(
            decisions.iter().filter(|decision| decision.push).count() == pushes,
            "auto-push decided otherwise"
        );
    }
    all_delivered(stage, 4).await
}

async fn outage(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Jira goes down, an analyst pushes, Jira comes back");
    stage.jira.stop().await;
    let incident = variant(stage, "OUTAGE");
    let waiting = push(stage, incident, v1::TicketSystem::Jira).await?;
    say.line(&waiting.message);
    ensure!(state(&waiting) == v1::DeliveryState::Waiting, "the push does not wait: {}", waiting.message);
    stage.jira.restart().await?;
    let id = waiting.delivery.context("there is no delivery")?.id;
    let delivery = delivered(stage, &id).await?;
    say.line(&format!("by itself, after {} attempts: {}", delivery.attempts.len(), key(&delivery)));
    Ok(())
}

async fn lost_reply(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Jira creates the ticket, but its answer is lost (504)");
    let before = stage.jira.tickets().len();
    stage.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::apply_then_gateway_timeout()));
    let incident = variant(stage, "LOST");
    let uncertain = push(stage, incident, v1::TicketSystem::Jira).await?;
    say.line(&uncertain.message);
    ensure!(
        state(&uncertain) == v1::DeliveryState::Reconciling,
        "the lost answer was not noticed: {}",
        uncertain.message
    );
    let id = uncertain.delivery.context("there is no delivery")?.id;
    let delivery = delivered(stage, &id).await?;
    let made = stage.jira.tickets().len() - before;
    say.line(&format!(
        "found by its marker {}: {}; Jira holds {made} ticket for it",
        delivery.marker,
        key(&delivery)
    ));
    ensure!(made == 1, "the lost answer made {made} tickets");
    Ok(())
}

async fn status(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("Status");
    let status = stage.client.get_status().await?;
    for system in &status.connections {
        let counts = system.deliveries.unwrap_or_default();
        let tested = system.last_test.as_ref().is_some_and(|test| test.passed);
        say.line(&format!(
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

async fn events(stage: &mut Stage, say: &Narrator) -> anyhow::Result<()> {
    say.step("The story as RhythmX hears it (StreamTicketEvents, from the oldest event)");
    let request = v1::StreamTicketEventsRequest { start: Some(Start::Oldest(())), ..Default::default() };
    let mut stream = stage.client.stream_ticket_events(request).await?;
    let (mut last, mut delivered) = (0, 0);
    while delivered < 6 {
        let message =
            tokio::time::timeout(PATIENCE, stream.message()).await.context("the stream fell silent")??;
        let Some(Message::Event(event)) = message.and_then(|response| response.message) else { continue };
        ensure!(event.sequence == last + 1, "event {} came after {last}", event.sequence);
        last = event.sequence;
        delivered += u32::from(event.kind() == v1::TicketEventKind::Delivered);
        let kind = event.kind().as_str_name().trim_start_matches("TICKET_EVENT_KIND_");
        say.line(&format!("{:>3} {kind:<16} {:<11} {}", event.sequence, event.connection, event.note));
    }
    Ok(())
}

async fn push(
    stage: &mut Stage,
    incident: v1::Incident,
    system: v1::TicketSystem,
) -> anyhow::Result<v1::CreateTicketResponse> {
    let request = v1::CreateTicketRequest { incident: Some(incident), destination: Some(system.into()) };
    Ok(stage.client.create_ticket(request).await?)
}

async fn delivered(stage: &mut Stage, id: &str) -> anyhow::Result<v1::Delivery> {
    let wait = async {
        loop {
            let delivery = stage.client.get_delivery(id).await?.delivery.context("the delivery is gone")?;
            if delivery.state() == v1::DeliveryState::Delivered {
                return anyhow::Ok(delivery);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the ticket was not created in time")?
}

async fn all_delivered(stage: &mut Stage, tickets: usize) -> anyhow::Result<()> {
    let wait = async {
        while stage.jira.tickets().len() + stage.servicenow.tickets().len() < tickets {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the tickets were not created in time")
}

fn variant(stage: &Stage, suffix: &str) -> v1::Incident {
    let mut incident = stage.incident.clone();
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
