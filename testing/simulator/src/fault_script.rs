//! Scripted faults: rules that select calls, and the effects on them.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::call::Call;
use crate::effect::Effect;
use crate::message::Request;

/// The matching calls to which a rule applies, counted from the time the rule was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them.
    Always,
    /// The next n calls.
    Next(u64),
    /// Every n-th call: `EveryNth(20)` applies to the 20th, 40th and 60th.
    EveryNth(u64),
    /// Only the n-th call, from 1.
    Nth(u64),
    /// All calls but the first n.
    AfterFirst(u64),
}

/// One rule of a fault script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The kind of calls it matches.
    pub on: Call,
    /// The matching calls it applies to.
    pub when: When,
    /// The effect on them.
    pub then: Effect,
}

impl Rule {
    /// Creates a rule.
    pub fn new(on: Call, when: When, then: Effect) -> Self {
        Self { on, when, then }
    }

    /// Whether the effect is possible for the calls.
    pub(crate) fn fits(&self) -> bool {
        self.then.fits(self.on)
    }

    fn concerns(&self, call: Call) -> bool {
        self.on == call || self.on == Call::Any && call != Call::Connection
    }
}

/// Returns the effect on a call, given its kind, its raw query string, and its body.
type Generator = dyn Fn(Call, &str, &[u8]) -> Option<Effect> + Send + Sync;

/// The faults of a simulator: rules in order, then the generator. The first rule that applies decides; every
/// rule counts every call that it matches.
#[derive(Default)]
pub struct FaultScript {
    rules: Mutex<Vec<ActiveRule>>,
    /// Rules that were removed before they applied to a call.
    unused: Mutex<Vec<Rule>>,
    generator: RwLock<Option<Box<Generator>>>,
    /// Whether the generator has had no effect yet.
    is_generator_unused: AtomicBool,
    triggered: watch::Sender<u64>,
    released: watch::Sender<u64>,
}

/// An active rule.
#[derive(Debug)]
struct ActiveRule {
    rule: Rule,
    /// Number of matching calls so far.
    seen: u64,
    has_triggered: bool,
    /// Whether the rule may be removed without having applied.
    may_stay_unused: bool,
}

impl FaultScript {
    /// Adds a rule after the others; it counts calls from now on.
    ///
    /// # Panics
    /// If the effect is not possible for the calls: a new connection has no request.
    #[track_caller]
    pub fn push(&self, rule: Rule) {
        self.add(rule, false);
    }

    /// Adds a rule that need not apply to any call, with the reason. See
    /// [`never_triggered`](Self::never_triggered).
    ///
    /// # Panics
    /// Like [`push`](Self::push), or without a reason.
    #[track_caller]
    pub fn push_optional(&self, rule: Rule, why: &str) {
        assert!(!why.is_empty(), "{rule:?}: why may it stay unused?");
        self.add(rule, true);
    }

    #[track_caller]
    fn add(&self, rule: Rule, may_stay_unused: bool) {
        assert!(rule.fits(), "{rule:?}: this effect is not for these calls");
        self.rules().push(ActiveRule { rule, seen: 0, has_triggered: false, may_stay_unused });
    }

    /// Returns the faults that have not applied to any call, including removed rules: a test that relies on
    /// such a fault has tested nothing.
    pub fn never_triggered(&self) -> Vec<String> {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<String> = unused.iter().map(|rule| format!("{rule:?}")).collect();
        all.extend(
            self.rules().iter().filter(|line| line.is_unused()).map(|line| format!("{:?}", line.rule)),
        );
        if self.is_generator_unused.load(Ordering::Relaxed) {
            all.push("the generator".to_owned());
        }
        all
    }

    /// Sets the generator, which decides about calls to which no rule applies, given their kind, query string
    /// and body; it decides neither about connections nor about how a request is read. Replaces the previous
    /// one.
    pub fn set_generator(
        &self,
        generator: impl Fn(Call, &str, &[u8]) -> Option<Effect> + Send + Sync + 'static,
    ) {
        *self.generator.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(generator));
        self.is_generator_unused.store(true, Ordering::Relaxed);
    }

    /// Removes the generator.
    pub fn remove_generator(&self) {
        *self.generator.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Removes every rule, but not the generator. Held connections stay held; see [`release`](Self::release).
    pub fn clear(&self) {
        let removed = std::mem::take(&mut *self.rules());
        let unused = removed.into_iter().filter(ActiveRule::is_unused).map(|line| line.rule);
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).extend(unused);
    }

    /// Closes held connections, and applies delayed requests.
    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    /// Number of calls and connections with an effect since the start.
    pub fn triggered(&self) -> u64 {
        *self.triggered.borrow()
    }

    /// Waits until this many calls and connections had an effect since the start.
    pub async fn until_triggered(&self, times: u64) {
        // Fails only if the sender was dropped, which `self` owns.
        let _ = self.triggered.subscribe().wait_for(|triggered| *triggered >= times).await;
    }

    /// Counts a call, and returns the effect on it.
    pub(crate) fn trigger(&self, call: Call) -> Option<Effect> {
        let mut effect = None;
        for line in self.rules().iter_mut().filter(|line| line.rule.concerns(call)) {
            line.seen += 1;
            if effect.is_none() && line.rule.when.applies_to(line.seen) {
                line.has_triggered = true;
                effect = Some(line.rule.then.clone());
            }
        }
        if effect.is_some() {
            self.triggered.send_modify(|times| *times += 1);
        }
        effect
    }

    /// Returns the generator's effect on a request that was read completely.
    pub(crate) fn generate(&self, call: Call, request: &Request) -> Option<Effect> {
        let generator = self.generator.read().unwrap_or_else(PoisonError::into_inner);
        let effect = generator.as_ref()?(call, &request.raw_query, &request.body)?;
        self.is_generator_unused.store(false, Ordering::Relaxed);
        self.triggered.send_modify(|times| *times += 1);
        Some(effect)
    }

    /// Completes at the next release; earlier ones do not count.
    pub(crate) fn released(&self) -> impl Future<Output = ()> + use<> {
        let mut released = self.released.subscribe();
        async move {
            if released.changed().await.is_err() {
                // The simulator was dropped, which ends its held connections.
                std::future::pending::<()>().await;
            }
        }
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<ActiveRule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveRule {
    fn is_unused(&self) -> bool {
        !self.has_triggered && !self.may_stay_unused
    }
}

impl fmt::Debug for FaultScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultScript").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl When {
    fn applies_to(self, seen: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Next(count) => seen <= count,
            Self::EveryNth(step) => step > 0 && seen.is_multiple_of(step),
            Self::Nth(number) => seen == number,
            Self::AfterFirst(count) => seen > count,
        }
    }
}
