//! What a history contains about each delivery.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::History;
use crate::history::plan::LAST;
use crate::history::record::{
    Answer, Create, Entry, Event, Kind, Operation, Setting, Standing, State, Ticket, What,
};
use crate::history::subscribers::STEADY;

/// Everything about one delivery.
#[derive(Debug, Default)]
pub(in crate::history) struct Case<'a> {
    pub(super) delivery: &'a str,
    /// Its final state; absent if it does not exist.
    pub(super) stands: Option<&'a Standing>,
    /// Answers to callers about it.
    pub(super) told: Vec<Reported<'a>>,
    /// Ordered by number, each once.
    pub(super) events: Vec<&'a Event>,
    /// In order of arrival.
    pub(super) creates: Vec<(Timestamp, &'a Create)>,
    pub(super) tickets: Vec<&'a Ticket>,
    /// Requests of operators.
    pub(super) deeds: Vec<&'a Operation>,
    calls: HashSet<u64>,
}

/// An answer to a caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported<'a> {
    pub(super) asked_at: Timestamp,
    pub(super) answered_at: Timestamp,
    pub(super) standing: &'a Standing,
}

pub(super) fn sort(entries: &[Entry]) -> History<'_> {
    let mut history =
        History { entries, setting: Setting::default(), cases: BTreeMap::new(), events: BTreeMap::new() };
    let asked: HashMap<u64, (Timestamp, &Operation)> = entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Asked { call, operation } => Some((*call, (entry.at, operation))),
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
            What::Create(create) => (&create.target, &create.marker),
            What::Ticket(ticket) => (&ticket.target, &ticket.marker),
            _ => continue,
        };
        let owner = owners.get(&(target.as_str(), marker.as_str()));
        let Some(case) = owner.and_then(|owner| history.cases.get_mut(owner)) else { continue };
        match &entry.what {
            What::Create(create) => case.creates.push((entry.at, create)),
            What::Ticket(ticket) => case.tickets.push(ticket),
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
            What::Began(setting) => self.setting = setting.clone(),
            What::Asked { call, operation } => {
                if let Some(delivery) = operation.delivery() {
                    let case = self.case(delivery);
                    case.deeds.push(operation);
                    case.calls.insert(*call);
                }
            }
            What::Answered { call, answer: Answer::Standings(standings) } => {
                let asked_at = asked.get(call).map_or(entry.at, |(at, _)| *at);
                for standing in standings {
                    let case = self.case(&standing.delivery);
                    case.told.push(Reported { asked_at, answered_at: entry.at, standing });
                    case.calls.insert(*call);
                }
            }
            What::Seen { event, .. } => {
                if self.events.contains_key(&event.sequence) {
                    return;
                }
                self.events.insert(event.sequence, event);
                if let Some(delivery) = &event.delivery {
                    let case = self.case(delivery);
                    let place = case.events.partition_point(|known| known.sequence < event.sequence);
                    case.events.insert(place, event);
                }
            }
            What::Stands(standing) => self.case(&standing.delivery).stands = Some(standing),
            _ => {}
        }
    }

    fn case(&mut self, delivery: &'a str) -> &mut Case<'a> {
        self.cases.entry(delivery).or_insert_with(|| Case { delivery, ..Case::default() })
    }
}

// === impl Case ===

impl<'a> Case<'a> {
    pub(super) fn was_in_doubt(&self) -> bool {
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
        self.stands.map(|standing| standing.state)
    }

    /// Its incident, target and marker, as reported by its callers.
    pub(super) fn known(&self) -> Option<&'a Standing> {
        self.stands.or_else(|| self.told.first().map(|told| told.standing))
    }

    /// Whether an entry is about it. An event that several subscribers saw counts once.
    pub(super) fn concerns(&self, entry: &Entry) -> bool {
        let bears = |target: &str, marker: &str| {
            self.known().is_some_and(|known| known.target == target && known.marker == marker)
        };
        match &entry.what {
            What::Struck { .. } => true,
            What::Asked { call, .. } | What::Answered { call, .. } => self.calls.contains(call),
            What::Seen { subscriber, event } => {
                *subscriber == STEADY && event.delivery.as_deref() == Some(self.delivery)
            }
            What::Create(create) => bears(&create.target, &create.marker),
            What::Ticket(ticket) => bears(&ticket.target, &ticket.marker),
            What::Stands(standing) => standing.delivery == self.delivery,
            What::Began(_)
            | What::IndexLag { .. }
            | What::Subscribed { .. }
            | What::Left { .. }
            | What::Settled { .. }
            | What::Searches { .. } => false,
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
