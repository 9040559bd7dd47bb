//! Scripted faults: which calls go wrong, when, and how.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::effect::Effect;
use crate::message::Request;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Every call.
    Any,
    /// No call yet: a connection that was just accepted. Not among [`Call::Any`].
    Connection,
    /// Creating a ticket.
    Create,
    /// Searching tickets: JQL, or a table query.
    Search,
    /// Reading one ticket.
    Read,
    /// Changing a ticket: fields, properties, comments, work notes.
    Update,
    /// Asking what the site offers: server info, project, issue types, fields, priorities, groups.
    Meta,
    /// Asking who one is and what one may do: `myself`, `mypermissions`, an incident list without a query.
    Auth,
    /// Anything else.
    Other,
}

/// Which of the matching calls a rule strikes. Calls are counted from the moment the rule was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them.
    Always,
    /// The next so many.
    Next(u64),
    /// Every so-manieth: `EveryNth(20)` strikes the 20th, 40th, 60th.
    EveryNth(u64),
    /// Only this one, from 1.
    Nth(u64),
    /// All but the first so many.
    AfterFirst(u64),
}

/// One rule of a fault script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The calls it concerns.
    pub on: Call,
    /// Which of them it strikes.
    pub when: When,
    /// What then happens.
    pub then: Effect,
}

impl Rule {
    /// A rule.
    pub fn new(on: Call, when: When, then: Effect) -> Self {
        Self { on, when, then }
    }

    /// Whether its effect can be played on its calls.
    pub(crate) fn fits(&self) -> bool {
        self.then.fits(self.on)
    }

    fn concerns(&self, call: Call) -> bool {
        self.on == call || self.on == Call::Any && call != Call::Connection
    }
}

/// Determines the fault of a call: its kind, its query string as sent, and its body.
type Generator = dyn Fn(Call, &str, &[u8]) -> Option<Effect> + Send + Sync;

/// The faults of a simulator: its rules in order, and then its generator. The first rule that strikes a call decides;
/// every rule counts every call that it concerns.
#[derive(Default)]
pub struct FaultScript {
    rules: Mutex<Vec<Line>>,
    /// Rules that were removed before they applied.
    missed: Mutex<Vec<Rule>>,
    generator: RwLock<Option<Box<Generator>>>,
    /// Pending first faults of the generator.
    is_generator_unused: AtomicBool,
    struck: watch::Sender<u64>,
    released: watch::Sender<u64>,
}

/// An active rule.
#[derive(Debug)]
struct Line {
    rule: Rule,
    /// Number of calls it has counted.
    seen: u64,
    has_struck: bool,
    /// Why it need not apply, if so.
    may_miss: bool,
}

impl FaultScript {
    /// Adds a rule after the others; it counts calls from now on.
    ///
    /// # Panics
    /// If the effect cannot be played on the calls it is for: a connection carries no request yet.
    #[track_caller]
    pub fn push(&self, rule: Rule) {
        self.add(rule, false);
    }

    /// Adds a rule that need not strike anything, and says why that is as well. See [`never_struck`](Self::never_struck).
    ///
    /// # Panics
    /// As [`push`](Self::push), or without a reason.
    #[track_caller]
    pub fn push_optional(&self, rule: Rule, why: &str) {
        assert!(!why.is_empty(), "{rule:?}: why may it miss?");
        self.add(rule, true);
    }

    #[track_caller]
    fn add(&self, rule: Rule, may_miss: bool) {
        assert!(rule.fits(), "{rule:?}: this effect is not for these calls");
        self.rules().push(Line { rule, seen: 0, has_struck: false, may_miss });
    }

    /// What has struck nothing so far, of the rules that were removed, too: a test that depends on such a fault
    /// has seen nothing of it.
    pub fn never_struck(&self) -> Vec<String> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<String> = missed.iter().map(|rule| format!("{rule:?}")).collect();
        all.extend(
            self.rules().iter().filter(|line| line.is_missed()).map(|line| format!("{:?}", line.rule)),
        );
        if self.is_generator_unused.load(Ordering::Relaxed) {
            all.push("the generator".to_owned());
        }
        all
    }

    /// Lets `generator` say what strikes the calls that no rule strikes, given their kind, their query string and their
    /// body; never connections, nor how a request is read. Replaces the one before.
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

    /// Removes every rule, and no generator. What is held stays so; see [`release`](Self::release).
    pub fn clear(&self) {
        let removed = std::mem::take(&mut *self.rules());
        let missed = removed.into_iter().filter(Line::is_missed).map(|line| line.rule);
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).extend(missed);
    }

    /// Ends what is held now: held connections close, and what was to be applied late is applied.
    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    /// How many calls and connections were struck since the start.
    pub fn struck(&self) -> u64 {
        *self.struck.borrow()
    }

    /// Waits until so many calls and connections were struck since the start.
    pub async fn until_struck(&self, times: u64) {
        // It only fails when the sender is gone, and that is `self`.
        let _ = self.struck.subscribe().wait_for(|struck| *struck >= times).await;
    }

    /// Counts a call and says what strikes it.
    pub(crate) fn strike(&self, call: Call) -> Option<Effect> {
        let mut struck = None;
        for line in self.rules().iter_mut().filter(|line| line.rule.concerns(call)) {
            line.seen += 1;
            if struck.is_none() && line.rule.when.strikes(line.seen) {
                line.has_struck = true;
                struck = Some(line.rule.then.clone());
            }
        }
        if struck.is_some() {
            self.struck.send_modify(|times| *times += 1);
        }
        struck
    }

    /// The generator's fault for a request that was read completely.
    pub(crate) fn generate(&self, call: Call, request: &Request) -> Option<Effect> {
        let generator = self.generator.read().unwrap_or_else(PoisonError::into_inner);
        let struck = generator.as_ref()?(call, &request.raw_query, &request.body)?;
        self.is_generator_unused.store(false, Ordering::Relaxed);
        self.struck.send_modify(|times| *times += 1);
        Some(struck)
    }

    /// Completes at the next release; earlier ones do not count.
    pub(crate) fn released(&self) -> impl Future<Output = ()> + use<> {
        let mut released = self.released.subscribe();
        async move {
            if released.changed().await.is_err() {
                // The simulator was dropped, and held connections end with it.
                std::future::pending::<()>().await;
            }
        }
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn is_missed(&self) -> bool {
        !self.has_struck && !self.may_miss
    }
}

impl fmt::Debug for FaultScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultScript").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl When {
    fn strikes(self, seen: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Next(count) => seen <= count,
            Self::EveryNth(step) => step > 0 && seen.is_multiple_of(step),
            Self::Nth(number) => seen == number,
            Self::AfterFirst(count) => seen > count,
        }
    }
}
