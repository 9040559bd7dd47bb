//! What a history contains about each delivery.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::History;
use crate::history::plan::LAST;
use crate::history::record::{
    Answer, Create, DeliverySnapshot, Entry, Event, Kind, Observation, Operation, Setting, State, Ticket,
};
use crate::history::subscribers::STEADY;

/// Everything about one delivery.
#[derive(Debug, Default)]
pub(in crate::history) struct Case<'a> {
    pub(super) delivery: &'a str,
    /// Its final state; absent if it does not exist.
    pub(super) final_state: Option<&'a DeliverySnapshot>,
    /// Answers to callers about it.
    pub(super) answers: Vec<AnswerAbout<'a>>,
    /// Ordered by number, each once.
    pub(super) events: Vec<&'a Event>,
    /// In order of arrival.
    pub(super) creates: Vec<(Timestamp, &'a Create)>,
    pub(super) tickets: Vec<&'a Ticket>,
    /// Requests of operators.
    pub(super) operations: Vec<&'a Operation>,
    calls: HashSet<u64>,
}

/// An answer to a caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerAbout<'a> {
    pub(super) asked_at: Timestamp,
    pub(super) answered_at: Timestamp,
    pub(super) snapshot: &'a DeliverySnapshot,
}

pub(super) fn sort(entries: &[Entry]) -> History<'_> {
    let mut history =
        History { entries, setting: Setting::default(), cases: BTreeMap::new(), events: BTreeMap::new() };
    let asked: HashMap<u64, (Timestamp, &Operation)> = entries
        .iter()
        .filter_map(|entry| match &entry.what {
            Observation::CallStarted { call, operation } => Some((*call, (entry.at, operation))),
            _ => None,
        })
        .collect();
    for entry in entries {
        history.take(entry, &asked);
    }
    let owners: HashMap<(&str, &str), &str> = history
        .cases
        .values()
        .filter_map(Case::known)
        .map(|known| ((known.target.as_str(), known.marker.as_str()), known.delivery.as_str()))
        .collect();
    for entry in entries {
        let (target, marker) = match &entry.what {
            Observation::Create(create) => (&create.target, &create.marker),
            Observation::Ticket(ticket) => (&ticket.target, &ticket.marker),
            _ => continue,
        };
        let owner = owners.get(&(target.as_str(), marker.as_str()));
        let Some(case) = owner.and_then(|owner| history.cases.get_mut(owner)) else { continue };
        match &entry.what {
            Observation::Create(create) => case.creates.push((entry.at, create)),
            Observation::Ticket(ticket) => case.tickets.push(ticket),
            _ => {}
        }
    }
    history.cases.values_mut().for_each(|case| case.creates.sort_by_key(|(at, _)| *at));
    history
}

// === impl History ===

impl<'a> History<'a> {
    fn take(&mut self, entry: &'a Entry, asked: &HashMap<u64, (Timestamp, &'a Operation)>) {
        match &entry.what {
            Observation::Began(setting) => self.setting = setting.clone(),
            Observation::CallStarted { call, operation } => {
                if let Some(delivery) = operation.delivery() {
                    let case = self.case(delivery);
                    case.operations.push(operation);
                    case.calls.insert(*call);
                }
            }
            Observation::CallEnded { call, answer: Answer::Snapshots(snapshots) } => {
                let asked_at = asked.get(call).map_or(entry.at, |(at, _)| *at);
                for snapshot in snapshots {
                    let case = self.case(&snapshot.delivery);
                    case.answers.push(AnswerAbout { asked_at, answered_at: entry.at, snapshot });
                    case.calls.insert(*call);
                }
            }
            Observation::Seen { event, .. } => {
                if self.events.contains_key(&event.sequence) {
                    return;
                }
                self.events.insert(event.sequence, event);
                if let Some(delivery) = &event.delivery {
                    let case = self.case(delivery);
                    let position = case.events.partition_point(|known| known.sequence < event.sequence);
                    case.events.insert(position, event);
                }
            }
            Observation::FinalState(snapshot) => self.case(&snapshot.delivery).final_state = Some(snapshot),
            _ => {}
        }
    }

    fn case(&mut self, delivery: &'a str) -> &mut Case<'a> {
        self.cases.entry(delivery).or_insert_with(|| Case { delivery, ..Case::default() })
    }
}

// === impl Case ===

impl<'a> Case<'a> {
    pub(super) fn had_unknown_outcome(&self) -> bool {
        self.events.iter().any(|event| event.kind == Kind::Reconciling)
    }

    /// It was requested by the plan, and is not the one that marks the end.
    pub(super) fn is_planned(&self) -> bool {
        self.known().is_none_or(|known| known.incident != LAST)
    }

    /// An operator named the ticket.
    pub(super) fn was_resolved(&self) -> bool {
        self.events.iter().any(|event| event.kind == Kind::Resolved)
    }

    pub(super) fn state(&self) -> Option<State> {
        self.final_state.map(|snapshot| snapshot.state)
    }

    /// Its incident, target and marker, as reported by its callers.
    pub(super) fn known(&self) -> Option<&'a DeliverySnapshot> {
        self.final_state.or_else(|| self.answers.first().map(|answer| answer.snapshot))
    }

    /// Whether an entry is about it. An event that several subscribers saw counts once.
    pub(super) fn concerns(&self, entry: &Entry) -> bool {
        let bears = |target: &str, marker: &str| {
            self.known().is_some_and(|known| known.target == target && known.marker == marker)
        };
        match &entry.what {
            Observation::ServerFault { .. } => true,
            Observation::CallStarted { call, .. } | Observation::CallEnded { call, .. } => {
                self.calls.contains(call)
            }
            Observation::Seen { subscriber, event } => {
                *subscriber == STEADY && event.delivery.as_deref() == Some(self.delivery)
            }
            Observation::Create(create) => bears(&create.target, &create.marker),
            Observation::Ticket(ticket) => bears(&ticket.target, &ticket.marker),
            Observation::FinalState(snapshot) => snapshot.delivery == self.delivery,
            Observation::Began(_)
            | Observation::IndexLag { .. }
            | Observation::Subscribed { .. }
            | Observation::Unsubscribed { .. }
            | Observation::Settled { .. }
            | Observation::Searches { .. } => false,
        }
    }
}

// === impl Operation ===

impl Operation {
    /// The delivery that an operator named.
    fn delivery(&self) -> Option<&str> {
        match self {
            Self::Retry { delivery } | Self::Cancel { delivery } | Self::Resolve { delivery, .. } => {
                Some(delivery)
            }
            Self::Create { .. } | Self::Submit { .. } => None,
        }
    }
}
