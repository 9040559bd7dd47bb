//! The faults of a round: what affects the n-th create, and the n-th look-up, of an incident at a ticket
//! system.
//!
//! Determined by the seed, the incident, the system and n only, not by the caller or the time. So a naive
//! client that pushes the same incidents meets the same faults.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use ticketing_simulator::{Call, Effect, Reply, RetryAfter};

use super::plan::INCIDENT;
use super::seeded_random::SeededRandom;

/// Prefix of a marker; 32 hexadecimal digits follow.
pub(super) const MARKER: &str = "rhythmx-";

/// Number of creates of an incident after which there are no more faults: every history ends.
const LAST_FAULTY_CALL: u64 = 12;

/// Frequency of faults, and maximum duration of an effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct FaultRates {
    pub(super) seed: u64,
    pub(super) round: u64,
    /// Faults per thousand first creates. Later ones are affected less often.
    pub(super) fault_rate: u64,
    /// Maximum delay between the arrival of a create and its application.
    pub(super) max_delay: Duration,
}

/// The faults of one ticket system.
#[derive(Debug)]
pub(super) struct RandomFaults {
    rates: FaultRates,
    system: u64,
    counts: Mutex<CallCounts>,
}

#[derive(Debug, Default)]
struct CallCounts {
    /// Number of creates of an incident.
    creates: HashMap<u64, u64>,
    /// The incident of a marker, and how often it was looked up.
    searches: HashMap<String, (u64, u64)>,
    others: u64,
}

// === impl RandomFaults ===

impl RandomFaults {
    pub(super) fn new(rates: FaultRates, system: usize) -> Self {
        Self { rates, system: system as u64, counts: Mutex::default() }
    }

    /// The fault of this call.
    pub(super) fn effect(&self, call: Call, query: &str, body: &[u8]) -> Option<Effect> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match call {
            Call::Create => {
                let incident = incident_in(body)?;
                let nth = counts.creates.entry(incident).or_default();
                *nth += 1;
                let nth = *nth;
                if let Some(marker) = marker_in(body) {
                    counts.searches.entry(marker).or_insert((incident, 0));
                }
                self.on_create(incident, nth)
            }
            Call::Search => {
                let marker = marker_in(body).or_else(|| marker_in(query.as_bytes()))?;
                let (incident, nth) = counts.searches.get_mut(&marker)?;
                *nth += 1;
                self.on_search(*incident, *nth)
            }
            Call::Meta | Call::Auth => {
                counts.others += 1;
                let mut chance = self.chance(3, 0, counts.others);
                chance.in_a_thousand(3).then(|| chance.weighed(&read_faults()).clone())
            }
            _ => None,
        }
    }

    fn on_create(&self, incident: u64, nth: u64) -> Option<Effect> {
        let mut chance = self.chance(1, incident, nth);
        let fault_rate = match nth {
            1 => self.rates.fault_rate,
            2..=LAST_FAULTY_CALL => self.rates.fault_rate / 3,
            _ => 0,
        };
        if self.is_always_refused(incident) && nth <= LAST_FAULTY_CALL {
            return Some(status(400));
        }
        if !chance.in_a_thousand(fault_rate) {
            return None;
        }
        let effects = self.on_creates(&mut chance);
        Some(chance.weighed(&effects).clone())
    }

    /// A few incidents are refused until all retries are spent.
    fn is_always_refused(&self, incident: u64) -> bool {
        self.chance(4, incident, 0).in_a_thousand(3)
    }

    fn on_creates(&self, chance: &mut SeededRandom) -> Vec<(u64, Effect)> {
        let max_delay = u64::try_from(self.rates.max_delay.as_millis()).unwrap_or(u64::MAX);
        let late = Duration::from_millis(chance.between(0, max_delay / 2));
        let very_late = Duration::from_millis(chance.between(max_delay / 2, max_delay));
        let every = Duration::from_millis(chance.between(1, 30));
        vec![
            (140, Effect::apply_then_gateway_timeout()),
            (60, Effect::ApplyThenAnswer(reply(500))),
            (120, Effect::ApplyThenDrop),
            (100, Effect::ApplyThenReset),
            (60, Effect::TruncatedBody),
            (30, Effect::Garbage { status: 201, applied: true }),
            (30, Effect::EmptyBody { status: 201, applied: true }),
            (60, Effect::ApplyLate(late)),
            (20, Effect::ApplyLate(very_late)),
            (60, Effect::DropBefore),
            (60, Effect::ResetBefore),
            (50, Effect::gateway_timeout()),
            (30, status(503)),
            (15, Effect::Hang { applied: true }),
            (15, Effect::Hang { applied: false }),
            (20, Effect::SlowBody { bytes: 16, every }),
            (20, Effect::Html { status: 200 }),
            (10, status(202)),
            (10, Effect::ForeignSuccess),
            (10, Effect::Answer(Reply::json(409, &json!({})))),
            (10, Effect::Redirect { status: 307, location: "http://127.0.0.1:9/elsewhere".to_owned() }),
            (40, Effect::throttle(RetryAfter::Seconds(0))),
            (1, Effect::throttle(RetryAfter::Seconds(1))),
            (20, status(400)),
            (5, status(413)),
            (1, status(401)),
            (1, status(403)),
        ]
    }

    fn on_search(&self, incident: u64, nth: u64) -> Option<Effect> {
        let mut chance = self.chance(2, incident, nth);
        chance
            .in_a_thousand(if nth > LAST_FAULTY_CALL { 0 } else { 60 })
            .then(|| chance.weighed(&read_faults()).clone())
    }

    fn chance(&self, about: u64, incident: u64, nth: u64) -> SeededRandom {
        let FaultRates { seed, round, .. } = self.rates;
        SeededRandom::of(&[seed, round, 3, self.system, about, incident, nth])
    }
}

/// The faults of reads.
fn read_faults() -> Vec<(u64, Effect)> {
    vec![
        (20, status(500)),
        (20, status(503)),
        (20, Effect::gateway_timeout()),
        (20, Effect::DropBefore),
        (20, Effect::ResetBefore),
        (15, Effect::TruncatedBody),
        (10, Effect::Garbage { status: 200, applied: false }),
        (10, Effect::EmptyBody { status: 200, applied: false }),
        (10, Effect::Html { status: 200 }),
        (5, Effect::throttle(RetryAfter::Seconds(0))),
        (2, Effect::Hang { applied: false }),
    ]
}

fn status(status: u16) -> Effect {
    Effect::Answer(reply(status))
}

fn reply(status: u16) -> Reply {
    Reply::html(status, "<html><head><title>A page</title></head><body></body></html>")
}

/// The number of the incident that a request is about.
fn incident_in(body: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once(INCIDENT)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The first marker in a request. The canaries of a search follow it.
fn marker_in(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>();
    let mut found = text.split(MARKER).skip(1).map(digits);
    found.find(|digits| digits.len() == 32).map(|digits| format!("{MARKER}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_faults(seed: u64) -> RandomFaults {
        let rates = FaultRates { seed, round: 0, fault_rate: 600, max_delay: Duration::from_millis(500) };
        RandomFaults::new(rates, 0)
    }

    fn create(faults: &RandomFaults, incident: u64) -> Option<Effect> {
        let body = format!(
            "{{\"summary\":\"{INCIDENT}{incident} is bad\",\"labels\":[\"{MARKER}{incident:032x}\"]}}"
        );
        faults.effect(Call::Create, "", body.as_bytes())
    }

    #[test]
    fn nth_create_of_an_incident_meets_the_same_fault_in_any_order() {
        let one = random_faults(42);
        let other = random_faults(42);
        let first: Vec<_> =
            (0..200).map(|incident| (create(&one, incident), create(&one, incident))).collect();
        let backwards: Vec<_> = (0..200).rev().map(|incident| create(&other, incident)).collect();
        let again: Vec<_> = (0..200).map(|incident| create(&other, incident)).collect();
        assert!(first.iter().map(|(first, _)| first).eq(backwards.iter().rev()));
        assert!(first.iter().map(|(_, second)| second).eq(again.iter()));
        assert_ne!(again, (0..200).map(|incident| create(&random_faults(43), incident)).collect::<Vec<_>>());
    }

    #[test]
    fn faults_end_after_some_calls() {
        let faults = random_faults(42);
        for incident in 0..50 {
            (0..LAST_FAULTY_CALL).for_each(|_| drop(create(&faults, incident)));
            assert_eq!(create(&faults, incident), None);
        }
    }

    #[test]
    fn finds_markers_among_other_words() {
        let marker = format!("{MARKER}{:032x}", 7);
        let text = format!("labels in (\"{MARKER}incident\", \"{marker}\", \"{MARKER}{:032x}\")", 8);
        assert_eq!(marker_in(text.as_bytes()), Some(marker));
        assert_eq!(marker_in(b"nothing"), None);
    }
}
