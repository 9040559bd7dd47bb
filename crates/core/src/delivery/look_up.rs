//! Reconciliation: what a look-up proves about an unknown outcome.

use std::time::Duration;

use jiff::Timestamp;

use super::{Delivery, EventKind, LastError, Settled, State};
use crate::evidence::Evidence;
use crate::fault::{Fault, FaultKind};
use crate::limits::MAX_DUPLICATES;
use crate::policy::Policy;
use crate::system::{FoundTicket, SearchResult, TicketRef};

/// Maximum number of look-up intervals between two look-ups that failed.
const MAX_BACKOFF_STEPS: u32 = 10;

/// The result of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    pub answer: Result<SearchResult, Fault>,
    /// Whether the search was given canaries: then one of them must be found before "not found" counts.
    pub had_canaries: bool,
    /// Whether the search is known to show tickets of ours.
    pub evidence: Evidence,
    /// When the search began.
    pub asked_at: Timestamp,
}

/// The conclusion from a search without results.
#[derive(Clone, Copy)]
struct EmptyAnswer {
    canary_seen: bool,
    had_canaries: bool,
    evidence: Evidence,
    asked_at: Timestamp,
}

impl Delivery {
    /// Records the result of a look-up by the holder of `epoch`; `None` if the lease was lost and nothing new
    /// was found. A found ticket is always recorded, even beside one that an operator has named in the
    /// meantime. Look-ups use no retry.
    #[must_use]
    pub fn settle_look_up(
        mut self,
        epoch: u32,
        look_up: LookUp,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Settled> {
        let LookUp { answer, had_canaries, evidence, asked_at } = look_up;
        if let Ok(SearchResult { tickets, .. }) = &answer
            && !tickets.is_empty()
        {
            return self.record_found(tickets, policy, now);
        }
        if self.state != State::Reconciling || self.epoch != epoch {
            return None;
        }
        let unknown_outcome = self.unknown_outcome.as_mut()?;
        unknown_outcome.look_ups += 1;
        match answer {
            Err(fault) => {
                let backoff =
                    policy.bounds.look_up_interval * unknown_outcome.look_ups.min(MAX_BACKOFF_STEPS);
                let floor = policy.bounds.cap_retry_after(fault.retry_after.unwrap_or_default());
                self.last_error = Some(LastError { fault, ambiguous: true, at: now });
                self.due_at = Some(now + backoff.max(floor));
                Some(self.transition(State::Reconciling, now, &[]))
            }
            Ok(SearchResult { canary_seen, .. }) => {
                let empty = EmptyAnswer { canary_seen, had_canaries, evidence, asked_at };
                Some(self.not_found(&empty, policy, now))
            }
        }
    }

    /// Whether an empty result of a search that begins at `asked_at` can prove that the send created no
    /// ticket.
    #[must_use]
    pub fn is_provable(&self, asked_at: Timestamp, server_bound: Duration) -> bool {
        self.provable_from(server_bound).is_some_and(|from| from <= asked_at)
    }

    /// The search is now known to find our tickets: makes a delivery whose absence was unproven due for a
    /// look-up. `None` if the delivery is not affected.
    #[must_use]
    pub fn search_proven(mut self, now: Timestamp) -> Option<Settled> {
        let is_unproven =
            self.unknown_outcome.as_ref().is_some_and(|unknown_outcome| unknown_outcome.is_unproven);
        if self.state != State::Reconciling || self.lease_until.is_some() || !is_unproven {
            return None;
        }
        self.due_at = Some(now);
        Some(self.transition(State::Reconciling, now, &[]))
    }

    /// A ticket created from then on is a canary: an index that shows it shows everything that the send could
    /// have created, because nothing of the send could be applied later.
    #[must_use]
    pub fn canaries_from(&self, server_bound: Duration) -> Option<Timestamp> {
        self.send.as_ref().map(|send| send.deadline.max(send.bounds_from()) + server_bound)
    }

    /// Tickets created later are not canaries of a search that begins at `asked_at`. If the send is only
    /// assumed, and possibly long past, the only canaries are tickets that the index must show by now: the
    /// newest of many consecutive pushes would only delay the next one.
    #[must_use]
    pub fn canaries_until(&self, asked_at: Timestamp) -> Timestamp {
        let is_assumed = self.send.as_ref().filter(|send| send.is_assumed);
        is_assumed.map_or(Timestamp::MAX, |send| asked_at - send.index_bound)
    }

    /// Records the result of a duplicate scan: tickets beyond the first are duplicates; for a failed or
    /// cancelled delivery the first one becomes its ticket. Found tickets are always recorded, even if the
    /// scan is no longer current.
    #[must_use]
    pub fn settle_duplicate_scan(
        mut self,
        step: usize,
        answer: Result<SearchResult, Fault>,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Settled> {
        let (tickets, searched) = match answer {
            Ok(search_result) => (search_result.tickets, true),
            Err(_) => (vec![], false),
        };
        let Some(duplicate_scan) =
            self.duplicate_scan.clone().filter(|duplicate_scan| duplicate_scan.step == step)
        else {
            return if tickets.is_empty() { None } else { self.record_found(&tickets, policy, now) };
        };
        if self.ticket.is_none() && !tickets.is_empty() {
            return Some(self.found(&tickets, policy, now));
        }
        self.duplicate_scan = if searched {
            next_duplicate_scan(&duplicate_scan, policy)
        } else {
            retry_duplicate_scan(&duplicate_scan, policy, now)
        };
        let events = self.note_duplicates(&tickets);
        self.updated_at = now;
        Some(Settled { delivery: self, events })
    }

    /// When a delivery of unknown outcome is looked up next: often enough to find the ticket early, and as
    /// soon as absence can be proven.
    pub(super) fn next_look_up(&self, policy: &Policy, now: Timestamp) -> Timestamp {
        let next = now + policy.bounds.look_up_interval;
        match self.provable_from(policy.bounds.server_bound) {
            Some(provable) if now < provable => next.min(provable),
            _ => next,
        }
    }

    /// Tickets were found; `None` if they are all known.
    fn record_found(self, tickets: &[FoundTicket], policy: &Policy, now: Timestamp) -> Option<Settled> {
        match self.ticket {
            None => Some(self.found(tickets, policy, now)),
            Some(_) => self.record_further(tickets, now),
        }
    }

    fn found(mut self, tickets: &[FoundTicket], policy: &Policy, now: Timestamp) -> Settled {
        let first = tickets[0].ticket.clone();
        self.ticket = Some(first.clone());
        let mut events = vec![EventKind::Delivered];
        events.extend(self.note_duplicates(tickets));
        let mut settled = self.delivered(first, vec![], policy, now);
        settled.events = events;
        settled
    }

    /// The delivery has received its ticket since the search began; `None` if the search found no other.
    fn record_further(mut self, tickets: &[FoundTicket], now: Timestamp) -> Option<Settled> {
        let before = (self.ticket.clone(), self.resolution, self.duplicates.len());
        let events = self.note_duplicates(tickets);
        if (&self.ticket, self.resolution, self.duplicates.len()) == (&before.0, before.1, before.2) {
            return None;
        }
        self.updated_at = now;
        Some(Settled { delivery: self, events })
    }

    /// Keeps every ticket except the reference as a duplicate. Of several tickets found together the oldest
    /// becomes the reference, even if the former one was known before: a late reply does not say how old its
    /// ticket is.
    fn note_duplicates(&mut self, tickets: &[FoundTicket]) -> Vec<EventKind> {
        self.complete_reference(tickets);
        let is_known =
            |found: &TicketRef| self.ticket.iter().chain(&self.duplicates).any(|known| known.id == found.id);
        let room = MAX_DUPLICATES.saturating_sub(self.duplicates.len());
        let new = tickets.iter().filter(|found| !is_known(&found.ticket));
        let new: Vec<_> = new.take(room).cloned().collect();
        let is_news = !new.is_empty();
        self.duplicates.extend(new.into_iter().map(|found| found.ticket));
        if self.prefer_oldest(tickets) || is_news { vec![EventKind::DuplicateFound] } else { vec![] }
    }

    /// Whether the reference has changed.
    fn prefer_oldest(&mut self, tickets: &[FoundTicket]) -> bool {
        let (Some(oldest), Some(reference)) = (tickets.first(), self.ticket.clone()) else { return false };
        let is_seen = tickets.iter().any(|found| found.ticket.id == reference.id);
        if oldest.ticket.id == reference.id || !is_seen {
            return false;
        }
        self.duplicates.retain(|other| other.id != oldest.ticket.id);
        self.duplicates.push(reference);
        self.ticket = Some(oldest.ticket.clone());
        true
    }

    /// An operator may have named the ticket by its key alone: the search adds the rest, and the ticket then
    /// counts as found by its marker.
    fn complete_reference(&mut self, tickets: &[FoundTicket]) {
        let Some(reference) = self.ticket.as_mut() else { return };
        let is_reference = |found: &TicketRef| match reference.id.as_str() {
            "" => found.key == reference.key,
            id => found.id == id,
        };
        let Some(found) = tickets.iter().find(|found| is_reference(&found.ticket)) else { return };
        if reference.id.is_empty() {
            *reference = found.ticket.clone();
        }
        self.resolution = None;
    }

    fn not_found(mut self, empty: &EmptyAnswer, policy: &Policy, now: Timestamp) -> Settled {
        let EmptyAnswer { canary_seen, had_canaries, evidence, asked_at } = *empty;
        let bounds = &policy.bounds;
        let provable = self.is_provable(asked_at, bounds.server_bound);
        let is_assumed = self.send.as_ref().is_some_and(|send| send.is_assumed);
        let immediate = self.send.as_ref().is_some_and(|send| send.index_bound.is_zero());
        let Some(unknown_outcome) = self.unknown_outcome.as_mut() else {
            return self.look_up_again(policy, now);
        };
        if !provable {
            return self.look_up_again(policy, now);
        }
        let apart = |last: Timestamp| asked_at >= last + bounds.look_up_interval;
        if unknown_outcome.last_empty_at.is_none_or(apart) {
            unknown_outcome.empty_answers += 1;
            unknown_outcome.last_empty_at = Some(asked_at);
        }
        let enough = unknown_outcome.empty_answers >= 2 || self.is_long_past(bounds, asked_at);
        if !(immediate || canary_seen || (enough && !had_canaries)) {
            self.look_up_again(policy, now)
        } else if evidence.allows_proof_of_absence(is_assumed) {
            self.proven_absent(policy, now)
        } else {
            self.unproven(evidence, policy, now)
        }
    }

    /// The search may be unable to find any of our tickets, so that its empty results prove nothing. Retries
    /// with backoff.
    fn unproven(mut self, evidence: Evidence, policy: &Policy, now: Timestamp) -> Settled {
        let Some(unknown_outcome) = self.unknown_outcome.as_mut() else {
            return self.look_up_again(policy, now);
        };
        let events: &[EventKind] = if unknown_outcome.is_unproven { &[] } else { &[EventKind::Reconciling] };
        unknown_outcome.is_unproven = true;
        let count = unknown_outcome.empty_answers.clamp(1, MAX_BACKOFF_STEPS);
        let fault = unproven(evidence);
        self.last_error = Some(LastError { fault, ambiguous: true, at: now });
        self.due_at = Some(now + policy.bounds.look_up_interval * count * count);
        self.transition(State::Reconciling, now, events)
    }

    /// The send created no ticket: the failure becomes definite.
    fn proven_absent(mut self, policy: &Policy, now: Timestamp) -> Settled {
        let Some(send) = &self.send else { return self.look_up_again(policy, now) };
        let is_assumed = send.is_assumed;
        self.record_absence(send.bounds_from());
        if is_assumed {
            return self.rearm_unsent(now);
        }
        let since = self
            .unknown_outcome
            .as_ref()
            .map_or(now, |unknown_outcome| unknown_outcome.counted_from.unwrap_or(unknown_outcome.since));
        let due_at = match self.failures {
            0 => Some(now),
            failures => policy.retry.after_failure(failures, 0.0).map(|delay| (since + delay).max(now)),
        };
        self.wait_or_fail(due_at, policy, now)
    }

    /// Schedules the next look-up soon, with backoff once proof was possible and did not succeed.
    fn look_up_again(mut self, policy: &Policy, now: Timestamp) -> Settled {
        let empty_answers =
            self.unknown_outcome.as_ref().map_or(0, |unknown_outcome| unknown_outcome.empty_answers);
        let backoff = policy.bounds.look_up_interval * empty_answers.clamp(1, MAX_BACKOFF_STEPS);
        self.due_at = Some(match empty_answers {
            0 => self.next_look_up(policy, now),
            _ => now + backoff,
        });
        self.transition(State::Reconciling, now, &[])
    }
}

fn unproven(evidence: Evidence) -> Fault {
    let message = format!(
        "the search found no ticket, but absence is unproven until the search has shown a ticket of ours: {}",
        evidence.reason()
    );
    Fault::new(FaultKind::UnreadableReply, message).with_hint(
        "let the account read the tickets that it creates and keep the marker's field (labels, correlation_id) on them; or \
         look for the marker there and use ResolveDelivery, RetryDelivery with create_anyway, or CancelDelivery",
    )
}

/// The next scan after one that failed; `None` if it would be too late to be useful.
fn retry_duplicate_scan(
    duplicate_scan: &super::DuplicateScan,
    policy: &Policy,
    now: Timestamp,
) -> Option<super::DuplicateScan> {
    let [first, .., last] = policy.bounds.duplicate_scan_delays;
    (now < duplicate_scan.from + last * 2)
        .then(|| super::DuplicateScan { due_at: now + first, ..duplicate_scan.clone() })
}

fn next_duplicate_scan(
    duplicate_scan: &super::DuplicateScan,
    policy: &Policy,
) -> Option<super::DuplicateScan> {
    let step = duplicate_scan.step + 1;
    let after = policy.bounds.duplicate_scan_delays.get(step)?;
    Some(super::DuplicateScan { step, due_at: duplicate_scan.from + *after, ..duplicate_scan.clone() })
}
