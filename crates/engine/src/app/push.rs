//! PreviewTicket, CreateTicket and SubmitIncident.

use ticketing_core::auto_push::{AutoPush, SkipReason, Verdict};
use ticketing_core::connection::name_of;
use ticketing_core::delivery::{Delivery, State, Trigger};
use ticketing_core::fault::Fault;
use ticketing_core::health::Admission;
use ticketing_core::incident::Incident;
use ticketing_core::risk::Severity;
use ticketing_core::system::{Adjustment, Rendered, System, TicketDraft};
use ticketing_store::{AcceptConnection, AcceptError, AcceptRequest, Accepted, Requester};
use tokio::time::Instant;

use super::{App, AppError};
use crate::connections::Connection;

/// A ticket as it would be pushed.
#[derive(Debug, Clone)]
pub struct Preview {
    pub system: System,
    /// The name of the connection.
    pub connection: String,
    pub marker: ticketing_core::marker::Marker,
    pub rendered: Rendered,
    pub severity: Severity,
    pub verdict: Verdict,
    pub existing: Option<Delivery>,
}

/// The result of a push.
#[derive(Debug, Clone)]
pub struct Pushed {
    pub delivery: Delivery,
    /// The delivery already existed.
    pub already_existed: bool,
}

/// The decision of auto-push about one incident.
#[derive(Debug, Clone)]
pub struct Submission {
    pub severity: Severity,
    pub auto_push: AutoPush,
    /// One per connection.
    pub decisions: Vec<Decision>,
}

/// The decision of auto-push for one connection.
#[derive(Debug, Clone)]
pub struct Decision {
    pub system: System,
    /// The name of the connection.
    pub connection: String,
    pub verdict: Verdict,
    /// The delivery, if the incident is pushed, and whether it already existed.
    pub pushed: Option<(Delivery, bool)>,
}

// === impl App ===

impl App {
    /// Renders the ticket as a push to the connection `name` would, without storing anything.
    ///
    /// # Errors
    /// [`AppError::ConnectionNotFound`], or if the store cannot be read.
    pub async fn preview(&self, incident: Incident, name: &str) -> Result<Preview, AppError> {
        let id = self.connection_id(name)?;
        let existing = self.0.store.delivery_for(&incident.id, &id).await?;
        let marker = self.0.store.marker(&incident.id, &id);
        let severity = incident.severity();
        let auto_push = self.rules().auto_push;
        let verdict = verdict(&auto_push, severity, name, &self.require_enabled(&id));
        let ticket_draft = TicketDraft { incident, marker: marker.clone() };
        let (system, rendered) = self.render(&ticket_draft, &id).await?;
        let connection = name.to_owned();
        Ok(Preview { system, connection, marker, rendered, severity, verdict, existing })
    }

    /// Accepts a push to the connection `name` and waits for its first attempt until `deadline`.
    ///
    /// # Errors
    /// [`AppError::ConnectionNotFound`], [`AppError::NotConfigured`], [`AppError::NotEnabled`], [`AppError::OwnedByOther`],
    /// [`AppError::DeliveryState`] for a cancelled delivery, or a store failure. A failed attempt is not an
    /// error.
    pub async fn create_ticket(
        &self,
        incident: Incident,
        name: &str,
        by: Requester,
        deadline: Instant,
    ) -> Result<Pushed, AppError> {
        let mut request = AcceptRequest { incident, connections: vec![], expedite: true, by };
        let accepted = loop {
            let id = self.connection_id(name)?;
            let connection = self.require_enabled(&id)?;
            request.connections = vec![push_to(&id, &connection, Trigger::Manual)];
            match self.accept_push(&request).await? {
                Some(accepted) => break accepted.into_iter().next(),
                None => self.settings_in_force().await,
            }
        };
        let accepted = accepted.expect("one delivery is accepted for each connection");
        let delivery = accepted.delivery;
        tracing::info!(delivery = %delivery.id, incident = %delivery.incident_id, connection = name, "a push was accepted");
        self.remember_caller(&delivery);
        if delivery.state == State::Cancelled {
            let delivery_id = delivery.id;
            let state = delivery.state.as_str();
            return Err(AppError::DeliveryState {
                delivery_id,
                state,
                operation: "pushed again: use RetryDelivery",
            });
        }
        let already_existed = accepted.existed && delivery.state == State::Delivered;
        let delivery = self.wait_for_attempt(delivery, deadline).await?;
        Ok(Pushed { delivery, already_existed })
    }

    /// Submits an incident to auto-push, and returns as soon as the result is durable.
    ///
    /// # Errors
    /// [`AppError::OwnedByOther`], or a store failure: then nothing was accepted.
    pub async fn submit(&self, incident: Incident, by: Requester) -> Result<Submission, AppError> {
        let severity = incident.severity();
        let mut request = AcceptRequest { incident, connections: vec![], expedite: false, by };
        let (auto_push, verdicts, accepted) = loop {
            let auto_push = self.rules().auto_push;
            let mut verdicts = vec![];
            request.connections.clear();
            for (id, system) in self.0.connections.systems() {
                let enabled = self.require_enabled(&id);
                let verdict = verdict(&auto_push, severity, name_of(&id), &enabled);
                if let (Verdict::Push { .. }, Ok(connection)) = (&verdict, &enabled) {
                    request.connections.push(push_to(&id, connection, Trigger::AutoPush));
                }
                verdicts.push((id, system, verdict));
            }
            if request.connections.is_empty() {
                break (auto_push, verdicts, vec![]);
            }
            match self.accept_push(&request).await? {
                Some(accepted) => break (auto_push, verdicts, accepted),
                None => self.settings_in_force().await,
            }
        };
        let AcceptRequest { incident, connections, by, .. } = request;
        if !connections.is_empty() {
            accepted.iter().for_each(|accepted| self.remember_caller(&accepted.delivery));
            self.0.dispatcher.wake();
        } else if by.is_confined {
            // Nothing is accepted here, so the owner of the incident was not checked yet.
            let owner = self.0.store.owner(&incident.id).await?;
            if owner.is_some_and(|owner| owner != by.namespace) {
                return Err(AppError::OwnedByOther(incident.id.clone()));
            }
        }
        let mut decisions = Vec::new();
        for (id, system, verdict) in verdicts {
            let delivery = accepted.iter().find(|accepted| accepted.delivery.connection == id);
            let pushed = delivery.map(|accepted| (accepted.delivery.clone(), accepted.existed));
            if let Some((delivery, _)) = &pushed {
                tracing::info!(delivery = %delivery.id, incident = %delivery.incident_id, connection = %id, "auto-push accepted");
            }
            decisions.push(Decision { system, connection: name_of(&id).to_owned(), verdict, pushed });
        }
        Ok(Submission { severity, auto_push, decisions })
    }

    /// Attributes the next attempt to the current call in the log, if there will be one.
    pub(super) fn remember_caller(&self, delivery: &Delivery) {
        if matches!(delivery.state, State::Pending | State::Waiting | State::Reconciling) {
            self.0.dispatcher.caller_spans().remember(&delivery.id);
        }
    }

    /// `None` if settings were changed since the request was made.
    async fn accept_push(&self, request: &AcceptRequest) -> Result<Option<Vec<Accepted>>, AppError> {
        match self.0.store.accept(request).await {
            Ok(accepted) => Ok(Some(accepted)),
            Err(AcceptError::SettingsChanged) => Ok(None),
            Err(AcceptError::OwnedByOther) => Err(AppError::OwnedByOther(request.incident.id.clone())),
            Err(AcceptError::Store(error)) => Err(AppError::Store(error)),
        }
    }

    /// Waits until settings that are being saved are in force.
    async fn settings_in_force(&self) {
        drop(self.0.configuring.lock().await);
    }

    /// Wakes the dispatcher and waits until the attempt or look-up that `asked` requires has ended, until
    /// `deadline`, or until the dispatcher has stopped.
    pub(super) async fn wait_for_attempt(
        &self,
        asked: Delivery,
        deadline: Instant,
    ) -> Result<Delivery, AppError> {
        let mut waiter = self.0.dispatcher.waiters().wait_for(&asked.id, &asked.connection);
        let admitted = self.0.dispatcher.admission(&asked.connection) == Admission::Open;
        self.0.dispatcher.expedite(&asked);
        loop {
            let found = self.0.store.delivery(&asked.id).await?;
            let now = found.ok_or_else(|| AppError::DeliveryNotFound(asked.id.clone()))?;
            let searching = now.state == State::Reconciling && admitted && !was_looked_up(&asked, &now);
            let under_way = matches!(now.state, State::Pending | State::Attempting) || searching;
            if !under_way {
                return Ok(now);
            }
            tokio::select! {
                biased;
                () = waiter.changed() => {}
                () = self.0.dispatcher.stopped() => return Ok(now),
                () = tokio::time::sleep_until(deadline) => return Ok(now),
            }
        }
    }

    /// The ticket of the connection with an ID, and its ticket system.
    async fn render(&self, ticket_draft: &TicketDraft, id: &str) -> Result<(System, Rendered), AppError> {
        let unasked = |rendered: Rendered, field: &str, why: String| {
            let mut rendered = rendered;
            rendered.adjustments.push(Adjustment::new(field, why));
            rendered
        };
        let limit = self.0.bounds.attempt_deadline;
        let admitted = self.0.dispatcher.health(id).admission(self.now()) == Admission::Open;
        let name = name_of(id).to_owned();
        let connection = self.0.connections.get(id);
        let not_found = AppError::ConnectionNotFound { name, known: self.connection_names() };
        let Connection { system, current, .. } = connection.ok_or(not_found)?;
        let rendered = match current {
            Some(api) if !admitted => {
                let why = format!("{} is paused: see its condition in GetStatus", system.title());
                unasked(api.render_offline(ticket_draft), "connection", why)
            }
            Some(api) => match tokio::time::timeout(limit, api.prepare(ticket_draft)).await {
                Ok(Ok(rendered)) => rendered,
                Ok(Err(fault)) => unasked(api.render_offline(ticket_draft), "connection", not_asked(&fault)),
                Err(_) => unasked(
                    api.render_offline(ticket_draft),
                    "connection",
                    format!("{} did not answer in time", system.title()),
                ),
            },
            None => {
                let api =
                    self.0.connections.placeholder(system).expect("the stand-in's settings are complete");
                let why = format!("{} is not configured: this is how its ticket would look", system.title());
                unasked(api.render_offline(ticket_draft), "settings", why)
            }
        };
        Ok((system, rendered))
    }
}

/// A push to a connection, by its settings in force.
fn push_to(id: &str, connection: &Connection, trigger: Trigger) -> AcceptConnection {
    AcceptConnection {
        connection: id.to_owned(),
        settings_revision: connection.settings_revision,
        system: connection.system,
        trigger,
    }
}

fn verdict(
    auto_push: &AutoPush,
    severity: Severity,
    name: &str,
    enabled: &Result<Connection, AppError>,
) -> Verdict {
    match (auto_push.verdict(severity, name), enabled) {
        (Verdict::Push { .. }, Err(AppError::NotEnabled(_))) => Verdict::Skip(SkipReason::NotEnabled),
        (Verdict::Push { .. }, Err(_)) => Verdict::Skip(SkipReason::NotConfigured),
        (verdict, _) => verdict,
    }
}

fn not_asked(fault: &Fault) -> String {
    format!("failed to read what the project offers: {fault}")
}

/// Whether a delivery of unknown outcome was looked up since `asked`.
fn was_looked_up(asked: &Delivery, now: &Delivery) -> bool {
    // If the ticket is searched for before its first attempt, the attempt may follow at once.
    if asked.state != State::Reconciling && now.send.as_ref().is_some_and(|send| send.is_assumed) {
        return now.unknown_outcome.as_ref().is_none_or(|unknown_outcome| unknown_outcome.look_ups > 0);
    }
    let look_ups = |delivery: &Delivery| {
        delivery
            .unknown_outcome
            .as_ref()
            .map(|unknown_outcome| (unknown_outcome.since, unknown_outcome.look_ups))
    };
    // The delivery was pending when it was requested and is not any more: its attempt has ended.
    asked.state != State::Reconciling || look_ups(asked) != look_ups(now)
}
