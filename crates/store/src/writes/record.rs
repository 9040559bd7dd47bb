//! Records attempts, look-ups and duplicate scans, even after their lease was lost.

use jiff::Timestamp;
use ticketing_core::delivery::{Delivery, Outcome, Settled, State};
use ticketing_core::fault::Fault;
use ticketing_core::health::{Condition, Observation};
use ticketing_core::policy::Policy;
use ticketing_core::system::SearchResult;
use ticketing_failpoints::Point;

use crate::StoreError;
use crate::types::{
    AttemptKind, AttemptOutcome, AttemptRecord, AttemptTimes, DuplicateScanRecord, LookUpRecord,
};
use crate::unit_of_work::{BatchedWrite, NewAttempt, ReadSet, UnitOfWork};

/// A record, with the policy and the time.
#[derive(Debug)]
pub(crate) struct Record<T> {
    pub(crate) what: T,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
}

struct Tried {
    kind: AttemptKind,
    epoch: u32,
    times: AttemptTimes,
    outcome: AttemptOutcome,
    fault: Option<Fault>,
}

impl BatchedWrite for Record<AttemptRecord> {
    type Answer = Option<Delivery>;

    const FAIL_POINT: Option<Point> = Some(Point::RecordOpen);

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.insert(self.what.delivery_id.clone());
        read_set.connections_of_deliveries = true;
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Option<Delivery>, StoreError> {
        let began = self.what.times.started_at;
        let AttemptRecord { delivery_id, epoch, settings_revision, outcome, times, counted_from, random } =
            self.what.clone();
        let Some(delivery) = work.delivery(&delivery_id).cloned() else { return Ok(None) };
        let connection = &delivery.connection;
        if matches!(outcome, Outcome::Sent(Ok(_))) && work.settings_revision(connection) == settings_revision
        {
            // Also if this server knows of no failure: another may have recorded one.
            let bounds = &self.policy.bounds;
            let (health, event) = work.health(connection).observe(&Observation::Created, bounds, self.now);
            work.set_health(connection, health, event, self.now);
        }
        let (kept, fault) = match &outcome {
            Outcome::NotSent(fault) => (AttemptOutcome::Failed, Some(fault.clone())),
            Outcome::Sent(Ok(_)) => (AttemptOutcome::Created, None),
            Outcome::Sent(Err(fault)) if fault.is_ambiguous() => {
                (AttemptOutcome::Ambiguous, Some(fault.clone()))
            }
            Outcome::Sent(Err(fault)) => (AttemptOutcome::Failed, Some(fault.clone())),
        };
        let tried = Tried { kind: AttemptKind::Create, epoch, times, outcome: kept, fault };
        keep(work, &delivery, tried);
        let is_suspended = work.health(&delivery.connection).condition == Condition::Suspended;
        let settled = match outcome {
            Outcome::NotSent(fault) | Outcome::Sent(Err(fault))
                if is_suspended && fault.kind.is_login_refused() =>
            {
                delivery.hold(epoch, fault, &self.policy, self.now)
            }
            outcome => delivery.settle(epoch, outcome, &self.policy, counted_from, self.now, random),
        };
        Ok(settled.map(|settled| take(work, settled, began, self.now)))
    }
}

impl BatchedWrite for Record<LookUpRecord> {
    type Answer = Option<Delivery>;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.insert(self.what.delivery_id.clone());
        read_set.connections_of_deliveries = true;
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Option<Delivery>, StoreError> {
        let began = self.what.times.started_at;
        let LookUpRecord { delivery_id, epoch, look_up, times } = self.what.clone();
        let Some(delivery) = work.delivery(&delivery_id).cloned() else { return Ok(None) };
        let answer = look_up.answer.clone();
        let settled = delivery.clone().settle_look_up(epoch, look_up, &self.policy, self.now);
        let (outcome, fault) = looked_up(answer, settled.as_ref());
        keep(work, &delivery, Tried { kind: AttemptKind::LookUp, epoch, times, outcome, fault });
        Ok(settled.map(|settled| take(work, settled, began, self.now)))
    }
}

impl BatchedWrite for Record<DuplicateScanRecord> {
    type Answer = Option<Delivery>;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.insert(self.what.delivery_id.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Option<Delivery>, StoreError> {
        let DuplicateScanRecord { delivery_id, step, answer, times } = self.what.clone();
        let Some(delivery) = work.delivery(&delivery_id).cloned() else { return Ok(None) };
        let (outcome, fault) = looked_up(answer.clone(), None);
        let tried = Tried { kind: AttemptKind::DuplicateScan, epoch: delivery.epoch, times, outcome, fault };
        keep(work, &delivery, tried);
        let settled = delivery.settle_duplicate_scan(step, answer, &self.policy, self.now);
        Ok(settled.map(|settled| work.settle(settled, "")))
    }
}

/// Updates a delivery. If it FAILED, its connection may have to be probed: both are committed together, so that a
/// crash leaves no failed delivery that nothing would rearm.
fn take(work: &mut UnitOfWork, settled: Settled, began: Timestamp, now: Timestamp) -> Delivery {
    let delivery = work.settle(settled, "");
    if delivery.state == State::Failed {
        let (health, event) = work.health(&delivery.connection).retries_spent(&delivery, began, now);
        work.set_health(&delivery.connection, health, event, now);
    }
    delivery
}

fn looked_up(
    answer: Result<SearchResult, Fault>,
    settled: Option<&Settled>,
) -> (AttemptOutcome, Option<Fault>) {
    let proven = settled.is_some_and(|settled| settled.delivery.state != State::Reconciling);
    match answer {
        Err(fault) => (AttemptOutcome::Failed, Some(fault)),
        Ok(search_result) if !search_result.tickets.is_empty() => (AttemptOutcome::Found, None),
        Ok(_) if proven => (AttemptOutcome::Absent, None),
        Ok(_) => (AttemptOutcome::Unproven, None),
    }
}

fn keep(work: &mut UnitOfWork, delivery: &Delivery, tried: Tried) {
    work.changes.attempts.push(NewAttempt {
        delivery_id: delivery.id.clone(),
        connection: delivery.connection.clone(),
        kind: tried.kind,
        epoch: tried.epoch,
        times: tried.times,
        outcome: tried.outcome,
        fault: tried.fault,
    });
}
