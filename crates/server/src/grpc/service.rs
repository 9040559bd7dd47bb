//! The service: parses each request, runs its use case, and presents the result.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::Empty;
use ticketing_contract::v1;
use ticketing_contract::v1::ticketing_service_server::TicketingService;
use ticketing_core::system::TicketRef;
use ticketing_engine::app::{App, AppError, Resolve, RetryMany, SETTINGS};
use ticketing_store::{Actor, AuditAction, PageKey};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::caller_queues::CallerQueues;
use super::errors::Refusal;
use super::pages::Pages;
use super::stream::{self, StreamSettings};
use super::stream_guard::Closing;
use super::stream_handle::StreamHandle;
use super::{deadline, parse, present, size, token};
use crate::access::{Access, Caller, UNSAVED_SETTINGS};

/// How long a call without a deadline waits for an attempt.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// Share of the caller's deadline reserved for the response: a tenth, at most this.
const TRAVEL_TIME: Duration = Duration::from_millis(500);

/// The service implementation.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    app: App,
    access: Access,
    streams: StreamSettings,
    closing: CancellationToken,
    lists: Arc<CallerQueues>,
    pages: Arc<Pages>,
}

// === impl Service ===

impl Service {
    /// `closing` ends the streams.
    pub(crate) fn new(app: App, access: Access, streams: StreamSettings, closing: CancellationToken) -> Self {
        Self { app, access, streams, closing, lists: Arc::default(), pages: Arc::default() }
    }

    /// Audits a refusal, unless it is by a rate limit.
    async fn audited<T>(
        &self,
        answer: Result<T, Refusal>,
        by: Actor,
        action: AuditAction,
        subject: &str,
    ) -> Result<T, Refusal> {
        if let Err(refusal) = &answer
            && !matches!(refusal, Refusal::RateLimited { .. })
        {
            self.access.note_refusal(by, action, subject, refusal.reason()).await;
        }
        answer
    }

    /// Audits a refusal because an incident belongs to another namespace.
    async fn audited_if_foreign<T>(
        &self,
        answer: Result<T, AppError>,
        by: &Caller,
        action: AuditAction,
        incident_id: &str,
    ) -> Result<T, Refusal> {
        let answer = answer.map_err(Refusal::from);
        if matches!(answer, Err(Refusal::IncidentOwnedByOther(_))) {
            return self.audited(answer, by.actor(), action, incident_id).await;
        }
        answer
    }

    fn max_retry_attempts(&self) -> u32 {
        self.app.settings().rules.retry.backoff.max_retry_attempts()
    }
}

#[tonic::async_trait]
impl TicketingService for Service {
    async fn configure(
        &self,
        request: Request<v1::ConfigureRequest>,
    ) -> Result<Response<v1::ConfigureResponse>, Status> {
        let by = caller(&request)?.actor();
        let request = request.into_inner();
        let plan =
            |rules: &_, violations: &mut _| parse::change(request, self.app.vendors(), rules, violations);
        let configured = self.app.configure(&by, plan).await.map_err(Refusal::from);
        let (settings, made_due) = self.audited(configured, by, AuditAction::Configure, SETTINGS).await?;
        Ok(Response::new(present::configured(&settings, self.app.vendors(), made_due)))
    }

    async fn test_connection(
        &self,
        request: Request<v1::TestConnectionRequest>,
    ) -> Result<Response<v1::TestConnectionResponse>, Status> {
        let role = caller(&request)?.role;
        let by = caller(&request)?.actor();
        let known = self.app.connection_names();
        let parsed = parse::tested_connection(request.into_inner(), self.app.vendors(), &known);
        let (name, unsaved, violations) =
            parsed.map_err(|rejection| rejection.into_refusal(Refusal::RequestInvalid))?;
        let Some(unsaved) = unsaved else {
            let test = self.app.test_connection(&name).await.map_err(refused)?;
            return Ok(Response::new(v1::TestConnectionResponse {
                test: Some(present::connection_test(test)),
            }));
        };
        // Such a request contains an address to connect to, and a secret.
        let tested = if UNSAVED_SETTINGS.contains(&role) {
            self.app.test_unsaved(&by, unsaved, violations).await.map_err(Refusal::from)
        } else {
            Err(Refusal::RoleInsufficient { role, needed: UNSAVED_SETTINGS })
        };
        let test = self.audited(tested, by, AuditAction::TestConnection, &name).await?;
        Ok(Response::new(v1::TestConnectionResponse { test: Some(present::connection_test(test)) }))
    }

    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let status = self.app.status().await.map_err(refused)?;
        Ok(Response::new(present::status(status, self.app.vendors())))
    }

    async fn preview_ticket(
        &self,
        request: Request<v1::PreviewTicketRequest>,
    ) -> Result<Response<v1::PreviewTicketResponse>, Status> {
        let request = request.into_inner();
        let known = self.app.connection_names();
        let parsed = parse::pushed_incident(request.incident, request.destination, &known);
        let (incident, name) =
            parsed.map_err(|rejection| rejection.into_refusal(Refusal::IncidentInvalid))?;
        let preview = self.app.preview(incident, &name).await.map_err(refused)?;
        Ok(Response::new(present::preview(preview, self.max_retry_attempts())))
    }

    async fn create_ticket(
        &self,
        request: Request<v1::CreateTicketRequest>,
    ) -> Result<Response<v1::CreateTicketResponse>, Status> {
        let deadline = answer_by(&request);
        let by = caller(&request)?.clone();
        let request = request.into_inner();
        let known = self.app.connection_names();
        let parsed = parse::pushed_incident(request.incident, request.destination, &known);
        let (incident, name) =
            parsed.map_err(|rejection| rejection.into_refusal(Refusal::IncidentInvalid))?;
        let id = incident.id.clone();
        let pushed = self.app.create_ticket(incident, &name, by.requester(), deadline).await;
        let pushed = self.audited_if_foreign(pushed, &by, AuditAction::CreateTicket, &id).await?;
        Ok(Response::new(present::pushed(pushed, self.max_retry_attempts())))
    }

    async fn submit_incident(
        &self,
        request: Request<v1::SubmitIncidentRequest>,
    ) -> Result<Response<v1::SubmitIncidentResponse>, Status> {
        let by = caller(&request)?.clone();
        let parsed = parse::submitted_incident(request.into_inner().incident);
        let incident = parsed.map_err(Refusal::IncidentInvalid)?;
        let id = incident.id.clone();
        let submission = self.app.submit(incident, by.requester()).await;
        let submission = self.audited_if_foreign(submission, &by, AuditAction::SubmitIncident, &id).await?;
        Ok(Response::new(present::submission(submission, self.max_retry_attempts())))
    }

    // The messages are encoded already: the response has them as an extension.
    type StreamTicketEventsStream = Empty<Result<v1::StreamTicketEventsResponse, Status>>;

    async fn stream_ticket_events(
        &self,
        request: Request<v1::StreamTicketEventsRequest>,
    ) -> Result<Response<Self::StreamTicketEventsStream>, Status> {
        let closing = Closing::of(self.closing.clone(), request.extensions());
        let caller = caller(&request)?.clone();
        let handle = request.extensions().get::<StreamHandle>().cloned();
        let subscription = parse::subscription(request.into_inner()).map_err(Refusal::RequestInvalid)?;
        let shared = (self.app.clone(), self.pages.clone());
        let events = stream::follow(shared, &caller, subscription, &self.streams, (closing, handle)).await?;
        let mut response = Response::new(futures_util::stream::empty());
        response.extensions_mut().insert(events);
        Ok(response)
    }

    async fn get_delivery(
        &self,
        request: Request<v1::GetDeliveryRequest>,
    ) -> Result<Response<v1::GetDeliveryResponse>, Status> {
        let id = parse::delivery_id(request.into_inner().delivery_id).map_err(Refusal::RequestInvalid)?;
        let found = self.app.delivery(&id).await.map_err(refused)?;
        let delivery = present::with_attempts(found, self.max_retry_attempts());
        Ok(Response::new(v1::GetDeliveryResponse { delivery: Some(delivery) }))
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let by = caller(&request)?.name.clone();
        let list = parse::list_deliveries(request.into_inner()).map_err(Refusal::RequestInvalid)?;
        let _turn = self.lists.take(&by).await;
        let installation = self.app.store().installation().id.as_str();
        let after = match list.page_token.as_str() {
            "" => None,
            text => Some(token::read_page_token(installation, text, &list).ok_or(Refusal::PageTokenInvalid)?),
        };
        let page = self.app.deliveries(&list.deliveries, list.page_size, after, list.include_attempts);
        let page = page.await.map_err(refused)?;
        let max_retry_attempts = self.max_retry_attempts();
        let keys: Vec<PageKey> = page.deliveries.iter().map(|listed| PageKey::of(&listed.delivery)).collect();
        let messages =
            page.deliveries.into_iter().map(|delivery| present::listed(delivery, max_retry_attempts));
        let (deliveries, is_cut) = size::fitting(messages.collect());
        let next = if is_cut { keys.get(deliveries.len() - 1).cloned() } else { page.next };
        let next_page_token = next.map(|key| token::page_token(installation, &key, &list));
        let next_page_token = next_page_token.unwrap_or_default();
        Ok(Response::new(v1::ListDeliveriesResponse { deliveries, next_page_token }))
    }

    async fn retry_delivery(
        &self,
        request: Request<v1::RetryDeliveryRequest>,
    ) -> Result<Response<v1::RetryDeliveryResponse>, Status> {
        let deadline = answer_by(&request);
        let by = caller(&request)?.actor();
        let v1::RetryDeliveryRequest { delivery_id, create_anyway } = request.into_inner();
        let id = parse::delivery_id(delivery_id).map_err(Refusal::RequestInvalid)?;
        let tried = self.app.retry(&by, &id, create_anyway, deadline).await.map_err(Refusal::from);
        let action = if create_anyway { AuditAction::CreateAnyway } else { AuditAction::RetryDelivery };
        let tried = self.audited(tried, by, action, &id).await?;
        let delivery = present::with_attempts(tried, self.max_retry_attempts());
        Ok(Response::new(v1::RetryDeliveryResponse { delivery: Some(delivery) }))
    }

    async fn retry_deliveries(
        &self,
        request: Request<v1::RetryDeliveriesRequest>,
    ) -> Result<Response<v1::RetryDeliveriesResponse>, Status> {
        let by = caller(&request)?.actor();
        let retries = parse::retry_deliveries(request.into_inner()).map_err(Refusal::RequestInvalid)?;
        let parse::Retries { filter, page_size, page_token, note } = retries;
        let installation = self.app.store().installation().id.as_str();
        let after = match page_token.as_str() {
            "" => None,
            text => {
                Some(token::read_retry_token(installation, text, &filter).ok_or(Refusal::PageTokenInvalid)?)
            }
        };
        let _turn = self.lists.take(&by.name).await;
        let retry = RetryMany { by, filter: filter.clone(), page_size, after, note };
        let page = self.app.retry_many(retry).await.map_err(refused)?;
        let next = page.next.map(|key| token::retry_token(installation, &key, &filter));
        Ok(Response::new(v1::RetryDeliveriesResponse {
            retried: u32::try_from(page.retried.len()).unwrap_or(u32::MAX),
            refused: page.refused,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn cancel_delivery(
        &self,
        request: Request<v1::CancelDeliveryRequest>,
    ) -> Result<Response<v1::CancelDeliveryResponse>, Status> {
        let by = caller(&request)?.actor();
        let parsed = parse::cancel_delivery(request.into_inner()).map_err(Refusal::RequestInvalid)?;
        let cancelled = self.app.cancel(&by, &parsed.delivery_id, &parsed.note).await.map_err(Refusal::from);
        let cancelled = self.audited(cancelled, by, AuditAction::CancelDelivery, &parsed.delivery_id).await?;
        let delivery = present::delivery(cancelled, self.max_retry_attempts());
        Ok(Response::new(v1::CancelDeliveryResponse { delivery: Some(delivery) }))
    }

    async fn resolve_delivery(
        &self,
        request: Request<v1::ResolveDeliveryRequest>,
    ) -> Result<Response<v1::ResolveDeliveryResponse>, Status> {
        let deadline = answer_by(&request);
        let by = caller(&request)?.actor();
        let parsed = parse::resolve_delivery(request.into_inner()).map_err(Refusal::RequestInvalid)?;
        let id = parsed.delivery_id.clone();
        let resolve = Resolve {
            delivery_id: parsed.delivery_id,
            ticket: TicketRef { id: parsed.id, key: parsed.key, url: parsed.url },
            note: parsed.note,
            allow_unverified: parsed.allow_unverified,
        };
        let resolved = self.app.resolve(&by, resolve, deadline).await.map_err(Refusal::from);
        let resolved = self.audited(resolved, by, AuditAction::ResolveDelivery, &id).await?;
        let delivery = present::delivery(resolved, self.max_retry_attempts());
        Ok(Response::new(v1::ResolveDeliveryResponse { delivery: Some(delivery) }))
    }

    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Result<Response<v1::ListAuditEntriesResponse>, Status> {
        let by = caller(&request)?.name.clone();
        let v1::ListAuditEntriesRequest { page_size, page_token } = request.into_inner();
        let page_size = parse::page_size(page_size).map_err(Refusal::RequestInvalid)?;
        let _turn = self.lists.take(&by).await;
        let installation = self.app.store().installation().id.as_str();
        let before = match page_token.as_str() {
            "" => None,
            text => Some(token::read_audit_token(installation, text).ok_or(Refusal::PageTokenInvalid)?),
        };
        let entries = self.app.store().audit(before, page_size).await;
        let entries = entries.map_err(|error| Refusal::of_store(&error))?;
        let is_full = entries.len() == page_size as usize;
        let (entries, is_cut) = size::fitting(entries.into_iter().map(present::audit_entry).collect());
        let more = entries.last().filter(|last| last.sequence > 1 && (is_cut || is_full));
        let next_page_token = more.map(|last| token::audit_token(installation, last.sequence));
        let next_page_token = next_page_token.unwrap_or_default();
        Ok(Response::new(v1::ListAuditEntriesResponse { entries, next_page_token }))
    }
}

fn refused(error: AppError) -> Status {
    Refusal::from(error).into()
}

/// The caller, added by the access layer.
fn caller<T>(request: &Request<T>) -> Result<&Caller, Refusal> {
    request.extensions().get::<Caller>().ok_or(Refusal::Internal)
}

/// When a waiting call must respond, so that the caller still receives it.
fn answer_by<T>(request: &Request<T>) -> Instant {
    let wait = match deadline::of_headers(request.metadata().as_ref()) {
        Some(deadline) => deadline - (deadline / 10).min(TRAVEL_TIME),
        None => DEFAULT_WAIT,
    };
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + DEFAULT_WAIT)
}
