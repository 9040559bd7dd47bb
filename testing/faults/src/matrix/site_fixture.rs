//! A server with one ticket system, and a delivery of unknown outcome on each kind of site, the start of cells about look-ups, manual
//! edits and races.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState, TicketSystem};
use ticketing_harness::{Plan, WAIT_TIMEOUT, World, creates, incident};
use ticketing_simulator::{Call, Effect, Profile, Reply, Rule, Simulator, Ticket, Vendor, When};
use tokio::task::JoinHandle;
use tonic::Status;

use super::cell::CellContext;

/// Allowance for a slow machine.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// Longer than any cell.
pub(super) const FOREVER: Duration = Duration::from_secs(3_600);
/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// The destination of the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    JiraCloud,
    JiraDataCenter,
    ServiceNow,
    /// A ServiceNow that assigns its own `sys_id`, so that no second insert collides.
    ServiceNowOwnIds,
}

/// The protocol bounds of a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) attempt_deadline: Duration,
    pub(super) server: Duration,
    pub(super) index: Duration,
    pub(super) interval: Duration,
    pub(super) duplicate_scans: [Duration; 3],
    /// How much longer a lease is than the minimum.
    pub(super) longer_lease: Duration,
}

/// A world with one ticket system.
#[derive(Debug)]
pub(super) struct SiteFixture {
    pub(super) world: World,
    pub(super) site: Site,
    bounds: Bounds,
}

// === impl Site ===

impl Site {
    pub(super) const ALL: [Self; 4] =
        [Self::JiraCloud, Self::JiraDataCenter, Self::ServiceNow, Self::ServiceNowOwnIds];
    pub(super) const JIRAS: [Self; 2] = [Self::JiraCloud, Self::JiraDataCenter];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::JiraCloud => "Jira Cloud",
            Self::JiraDataCenter => "Jira Data Center",
            Self::ServiceNow => "ServiceNow",
            Self::ServiceNowOwnIds => "ServiceNow that ignores our sys_id",
        }
    }

    pub(super) fn is_jira(self) -> bool {
        Self::JIRAS.contains(&self)
    }

    pub(super) fn system(self) -> TicketSystem {
        if self.is_jira() { TicketSystem::Jira } else { TicketSystem::Servicenow }
    }

    fn plan(self, plan: Plan) -> Plan {
        match self {
            Self::JiraCloud | Self::ServiceNow => plan,
            Self::JiraDataCenter => {
                plan.with_jira(Vendor::JiraDataCenter, Profile::of(Vendor::JiraDataCenter))
            }
            Self::ServiceNowOwnIds => {
                let mut profile = Profile::of(Vendor::ServiceNow);
                profile.ignores_sys_id = true;
                plan.with_servicenow(profile)
            }
        }
    }
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        let [day, two, three] = [1, 2, 3].map(|days| Duration::from_secs(days * 24 * 3_600));
        Self {
            attempt_deadline: Duration::from_millis(300),
            server: Duration::from_millis(60),
            index: Duration::from_millis(180),
            interval: Duration::from_millis(30),
            duplicate_scans: [day, two, three],
            longer_lease: Duration::ZERO,
        }
    }
}

impl Bounds {
    pub(super) fn with_index(self, index: Duration) -> Self {
        Self { index, ..self }
    }

    /// Duplicate scans this many milliseconds after the delivery.
    pub(super) fn with_duplicate_scans(self, duplicate_scans: [u64; 3]) -> Self {
        Self { duplicate_scans: duplicate_scans.map(Duration::from_millis), ..self }
    }

    pub(super) fn with_attempt_deadline(self, millis: u64) -> Self {
        Self { attempt_deadline: Duration::from_millis(millis), ..self }
    }

    pub(super) fn with_longer_lease(self, longer_lease: Duration) -> Self {
        Self { longer_lease, ..self }
    }

    pub(super) fn lease(&self) -> Duration {
        self.attempt_deadline * 2 + self.longer_lease
    }

    /// Time from the intent until a search can prove absence.
    pub(super) fn proof(&self) -> Duration {
        self.attempt_deadline + self.server + self.index
    }

    fn plan(&self, plan: Plan) -> Plan {
        let duplicate_scans = self.duplicate_scans.map(|delay| format!("{}ms", delay.as_millis())).join(",");
        let flags = [
            ("attempt-deadline", self.attempt_deadline),
            ("lease", self.lease()),
            ("server-bound", self.server),
            ("jira-cloud-index-bound", self.index),
            ("jira-data-center-index-bound", self.index),
            ("look-up-interval", self.interval),
        ];
        let flags = flags.map(|(name, time)| format!("--{name}={}ms", time.as_millis()));
        let plan = flags.iter().fold(plan, |plan, flag| plan.with_flag(flag));
        plan.with_flag(&format!("--duplicate-scan-delays={duplicate_scans}"))
    }
}

// === impl SiteFixture ===

impl SiteFixture {
    /// In this process.
    pub(super) async fn start(context: &CellContext, site: Site, bounds: Bounds) -> Self {
        Self::start_on(context.plan(), site, bounds).await
    }

    /// On another kind of world.
    pub(super) async fn start_on(plan: Plan, site: Site, bounds: Bounds) -> Self {
        Self { world: site.plan(bounds.plan(plan)).start().await, site, bounds }
    }

    /// In its own process, where it can be held.
    pub(super) async fn start_in_a_process(context: &CellContext, site: Site, bounds: Bounds) -> Self {
        let plan = site.plan(bounds.plan(context.plan())).in_a_process();
        Self { world: plan.start().await, site, bounds }
    }

    pub(super) fn simulator(&self) -> &Simulator {
        self.world.simulator(self.site.system())
    }

    /// From now on.
    pub(super) fn inject(&self, on: Call, when: When, then: Effect) {
        self.simulator().faults().push(Rule::new(on, when, then));
    }

    /// From now on no look-up is answered, so that none ends the unknown outcome prematurely.
    pub(super) fn refuse_look_ups(&self) {
        for call in [Call::Search, Call::Read] {
            let why = "it only keeps look-ups from an answer, and there may be none so early";
            self.inject_optional(call, status(503), why);
        }
    }

    /// From now on; with a reason if there may be no such call.
    pub(super) fn inject_optional(&self, on: Call, then: Effect, why: &str) {
        self.simulator().faults().push_optional(Rule::new(on, When::Always, then), why);
    }

    pub(super) async fn push(&mut self, incident: &str) -> v1::CreateTicketResponse {
        self.world.push(incident, self.site.system()).await
    }

    /// A push that already has its ticket, even if this machine was too slow for the first attempt.
    pub(super) async fn push_through(&mut self, incident: &str) -> v1::Delivery {
        let id = self.push(incident).await.delivery.unwrap().id;
        self.world.until(&id, DeliveryState::Delivered).await
    }

    /// A push in the background.
    pub(super) fn begin_push(&self, id: &str) -> JoinHandle<()> {
        let mut client = self.world.client.clone();
        let request = v1::CreateTicketRequest {
            incident: Some(incident(id)),
            destination: Some(self.site.system().into()),
        };
        tokio::spawn(async move { drop(client.create_ticket(request).await) })
    }

    /// A push whose create was answered with a 504, and its delivery.
    pub(super) async fn make_outcome_unknown(&mut self, incident: &str, applied: bool) -> String {
        self.inject(Call::Create, When::Next(1), lost(applied));
        let id = self.push(incident).await.delivery.unwrap().id;
        let has_unknown_outcome =
            |delivery: &v1::Delivery| attempts(delivery, AttemptKind::Send, AttemptOutcome::Ambiguous) > 0;
        self.until(&id, "an unknown outcome", has_unknown_outcome).await;
        id
    }

    /// The only delivery, once it exists.
    pub(super) async fn the_delivery(&mut self) -> String {
        let wait = async {
            loop {
                if let Some(delivery) = self.world.deliveries().await.pop() {
                    return delivery.id;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, wait).await.expect("nothing was accepted in time")
    }

    /// The delivery once `is_so`.
    pub(super) async fn until(
        &mut self,
        id: &str,
        what: &str,
        is_so: impl Fn(&v1::Delivery) -> bool,
    ) -> v1::Delivery {
        let mut last = self.world.delivery(id).await;
        let wait = async {
            while !is_so(&last) {
                tokio::time::sleep(POLL_INTERVAL).await;
                last = self.world.delivery(id).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "{what} does not come in time: {last:#?}");
        last
    }

    /// Waits until this many look-ups were made that would prove absence if trusted.
    pub(super) async fn until_looked_up(&mut self, id: &str, times: usize) -> v1::Delivery {
        let proof = self.proof();
        self.until(id, "a look-up that can prove something", |delivery| proving(delivery, proof) >= times)
            .await
    }

    /// Number of look-ups of that kind so far.
    pub(super) async fn looked_up(&mut self, id: &str) -> usize {
        let proof = self.proof();
        proving(&self.world.delivery(id).await, proof)
    }

    /// Number of deliveries that only an operator can settle.
    pub(super) async fn needing_attention(&mut self) -> u32 {
        self.world.status(self.site.system()).await.needs_attention
    }

    /// As [`until_looked_up`](Self::until_looked_up), unless the delivery is delivered before.
    pub(super) async fn until_looked_up_or_delivered(&mut self, id: &str, times: usize) {
        let proof = self.proof();
        let enough = |delivery: &v1::Delivery| {
            delivery.state() == DeliveryState::Delivered || proving(delivery, proof) >= times
        };
        self.until(id, "a look-up that can prove something", enough).await;
    }

    pub(super) async fn until_creates(&self, count: usize) {
        let wait = async {
            while creates(self.simulator()) < count {
                tokio::time::sleep(POLL_INTERVAL / 10).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "there are no {count} creates in time: {}", self.world.server.log());
    }

    pub(super) fn creates(&self) -> usize {
        creates(self.simulator())
    }

    /// Number of creates of a delivery at the site.
    pub(super) fn sent(&self, delivery: &v1::Delivery) -> usize {
        self.simulator().creates().iter().filter(|create| create.markers.contains(&delivery.marker)).count()
    }

    /// The tickets with a marker, except deleted ones.
    pub(super) fn with_marker(&self, marker: &str) -> Vec<Ticket> {
        let tickets = self.simulator().tickets().into_iter();
        let bears = |ticket: &Ticket| {
            let by_sys_id = Some(ticket.id.as_str()) == marker.strip_prefix("rhythmx-");
            !ticket.deleted && (by_sys_id || ticket.marker_candidates().iter().any(|text| text == marker))
        };
        tickets.filter(bears).collect()
    }

    /// The delivery once it is delivered, which must match the only ticket with its marker.
    pub(super) async fn until_delivered_once(&mut self, id: &str) -> v1::Delivery {
        let is_delivered = |delivery: &v1::Delivery| delivery.state() == DeliveryState::Delivered;
        let delivery = self.until(id, "the ticket", is_delivered).await;
        let keys: Vec<_> = self.with_marker(&delivery.marker).into_iter().map(|ticket| ticket.key).collect();
        assert_eq!(keys, [key(&delivery)], "{delivery:#?}");
        assert_eq!(delivery.duplicates, [], "{delivery:#?}");
        delivery
    }

    /// The faults of look-ups may also prevent reading the ticket: then it is accepted unverified.
    pub(super) async fn resolve(&mut self, id: &str, ticket_key: &str) -> Result<v1::Delivery, Status> {
        self.resolve_as(id, ticket_key, true).await
    }

    pub(super) async fn resolve_as(
        &mut self,
        id: &str,
        ticket_key: &str,
        allow_unverified: bool,
    ) -> Result<v1::Delivery, Status> {
        let request = v1::ResolveDeliveryRequest {
            delivery_id: id.to_owned(),
            ticket_key: ticket_key.to_owned(),
            allow_unverified,
            ..Default::default()
        };
        Ok(self.world.client.resolve_delivery(request).await?.delivery.unwrap())
    }

    pub(super) async fn cancel(&mut self, id: &str) -> Result<v1::Delivery, Status> {
        let request = v1::CancelDeliveryRequest { delivery_id: id.to_owned(), note: String::new() };
        Ok(self.world.client.cancel_delivery(request).await?.delivery.unwrap())
    }

    pub(super) async fn retry(&mut self, id: &str, create_anyway: bool) -> Result<v1::Delivery, Status> {
        let request = v1::RetryDeliveryRequest { delivery_id: id.to_owned(), create_anyway };
        Ok(self.world.client.retry_delivery(request).await?.delivery.unwrap())
    }

    /// Simulates a user who removes the marker from a ticket.
    pub(super) fn remove_marker(&self, ticket: &str, marker: &str) {
        assert!(self.simulator().remove_marker(ticket, marker), "{ticket} does not bear {marker}");
    }

    /// When a ticket is a canary: it was created after everything that an uncertain send of now could create.
    pub(super) fn until_canary_counts(&self) -> Duration {
        self.bounds.attempt_deadline + self.bounds.server + Duration::from_millis(20)
    }

    fn proof(&self) -> Duration {
        // ServiceNow answers from its primary.
        if self.site.is_jira() { self.bounds.proof() } else { self.bounds.proof() - self.bounds.index }
    }
}

/// A 504, whether or not the request was applied.
pub(super) fn lost(applied: bool) -> Effect {
    if applied { Effect::apply_then_gateway_timeout() } else { Effect::gateway_timeout() }
}

/// A reply with this status in the vendor's format.
pub(super) fn status(status: u16) -> Effect {
    let body = serde_json::json!({
        "errorMessages": ["Not now."],
        "error": { "message": "Not now.", "detail": "Not now." },
        "status": "failure",
    });
    Effect::Answer(Reply::json(status, &body))
}

pub(super) fn key(delivery: &v1::Delivery) -> String {
    delivery.ticket.as_ref().map(|ticket| ticket.key.clone()).unwrap_or_default()
}

/// Number of attempts of a delivery with this outcome.
pub(super) fn attempts(delivery: &v1::Delivery, kind: AttemptKind, outcome: AttemptOutcome) -> usize {
    let so = |attempt: &&v1::Attempt| (attempt.kind(), attempt.outcome()) == (kind, outcome);
    delivery.attempts.iter().filter(so).count()
}

/// Look-ups since the last create that began when absence could be proven.
fn proving(delivery: &v1::Delivery, proof: Duration) -> usize {
    let began = |attempt: &v1::Attempt| {
        let at = attempt.started_at.unwrap();
        Duration::new(u64::try_from(at.seconds).unwrap(), u32::try_from(at.nanos).unwrap())
    };
    let of_kind = |kind| delivery.attempts.iter().filter(move |attempt| attempt.kind() == kind);
    let Some(sent) = of_kind(AttemptKind::Send).map(began).max() else { return 0 };
    of_kind(AttemptKind::LookUp).map(began).filter(|at| *at >= sent + proof).count()
}
