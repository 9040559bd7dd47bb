//! Prevents account lock-out: every call that logs in with a password passes the gate of its login.
//!
//! A vendor locks an account after a few consecutive refused logins. So fewer calls than that are in flight
//! at any time, for any purpose. A refused call closes the gate, and a successful one opens it. While it is
//! closed, the dispatcher permits one probe, which is sent only if the consecutive refusals plus the calls in
//! flight stay below the limit; an operator may reset it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::{
    Authorship, Check, Created, Destination, Dialing, Login, ReadTicket, Rendered, Search, SearchResult,
    TicketDraft, TicketSystem, Visibility,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The gate of one login.
#[derive(Debug)]
pub(super) struct LoginGate {
    /// The lock-out limit minus one.
    max_calls: usize,
    /// One permit per call in flight.
    calls: Semaphore,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Closes the gate.
    refusal: Option<Refusal>,
    /// The closed gate admits a probe.
    is_probing: bool,
    /// Refused logins so far, including those of connection tests.
    refusals: u64,
    /// Refused logins since the last call that was not refused, or since an operator's reset.
    refusals_in_a_row: usize,
}

/// A refused login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub fault: Fault,
    /// When the refused call began.
    pub began: Timestamp,
}

/// A ticket system whose calls pass the gate of their login, if that login can be locked.
#[derive(Debug)]
pub(super) struct GatedSystem {
    inner: Arc<dyn TicketSystem>,
    gate: Arc<LoginGate>,
    /// Whether these are the saved settings of a connection. Unsaved ones can only be tested.
    is_saved: bool,
}

// === impl LoginGate ===

impl LoginGate {
    pub(super) fn new(lockout_limit: u32, clock: Arc<dyn Clock>) -> Self {
        let max_calls = lockout_limit.saturating_sub(1).max(1) as usize;
        Self { max_calls, calls: Semaphore::new(max_calls), clock, state: Mutex::default() }
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.edit(|state| state.refusal.clone())
    }

    /// Permits a probe, until a call is refused again.
    pub(super) fn permit_probe(&self) {
        self.edit(|state| state.is_probing = true);
    }

    /// Opens the gate, at an operator's request.
    pub(super) fn reset(&self) {
        self.edit(State::open);
    }

    /// Refused logins since the last call that was not refused, or since an operator's reset.
    pub(super) fn refusals_in_a_row(&self) -> u32 {
        self.edit(|state| u32::try_from(state.refusals_in_a_row).unwrap_or(u32::MAX))
    }

    /// Acquires a permit for a call in flight. The gate is checked afterwards: a call that waited for a
    /// permit is not sent after a refusal.
    async fn enter(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let permit = self.calls.acquire().await.map_err(|_closed| not_sent())?;
        let others = self.max_calls - self.calls.available_permits() - 1;
        let may_go = |state: &mut State| {
            state.refusal.is_none() || state.is_probing && state.refusals_in_a_row + others < self.max_calls
        };
        if self.edit(may_go) { Ok(permit) } else { Err(not_sent()) }
    }

    /// Records the result of a call that began at `began`.
    fn note(&self, fault: Option<&Fault>, began: Timestamp) {
        self.edit(|state| match fault {
            Some(fault) if fault.kind.is_login_refused() => {
                state.count_refusal();
                state.refusal = Some(Refusal { fault: fault.clone(), began });
                state.is_probing = false;
            }
            Some(_) => {}
            None => state.open(),
        });
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl State ===

impl State {
    fn count_refusal(&mut self) {
        self.refusals += 1;
        self.refusals_in_a_row += 1;
    }

    fn open(&mut self) {
        self.refusal = None;
        self.is_probing = false;
        self.refusals_in_a_row = 0;
    }
}

// === impl GatedSystem ===

impl GatedSystem {
    pub(super) fn new(inner: Arc<dyn TicketSystem>, gate: Arc<LoginGate>) -> Self {
        Self { inner, gate, is_saved: true }
    }

    /// For a test of settings that are not saved.
    pub(super) fn unsaved(inner: Arc<dyn TicketSystem>, gate: Arc<LoginGate>) -> Self {
        Self { inner, gate, is_saved: false }
    }

    /// Makes a call once it is admitted.
    async fn call<T>(&self, call: impl Future<Output = Result<T, Fault>> + Send) -> Result<T, Fault> {
        if !self.inner.login().is_lockable {
            return call.await;
        }
        let _permit = self.gate.enter().await?;
        let began = self.gate.clock.now();
        let answer = call.await;
        self.gate.note(answer.as_ref().err(), began);
        answer
    }
}

#[async_trait]
impl TicketSystem for GatedSystem {
    fn destination(&self) -> Destination {
        self.inner.destination()
    }

    fn login(&self) -> Login {
        self.inner.login()
    }

    fn made_by(&self) -> Authorship {
        self.inner.made_by()
    }

    fn ticket_url(&self, key: &str) -> Option<String> {
        self.inner.ticket_url(key)
    }

    fn visibility(&self) -> Visibility {
        self.inner.visibility()
    }

    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault> {
        self.call(self.inner.prepare(ticket_draft)).await
    }

    /// A closed gate says why in [`prepare`](TicketSystem::prepare).
    fn prepare_from_memory(&self, ticket_draft: &TicketDraft) -> Option<Rendered> {
        let is_open = !self.inner.login().is_lockable || self.gate.refusal().is_none();
        if is_open { self.inner.prepare_from_memory(ticket_draft) } else { None }
    }

    fn render_offline(&self, ticket_draft: &TicketDraft) -> Rendered {
        self.inner.render_offline(ticket_draft)
    }

    /// No login is sent, so no permit is needed.
    fn dial(&self) -> Dialing {
        self.inner.dial()
    }

    /// The wait for a permit is part of `within`.
    async fn create(
        &self,
        ticket_draft: &TicketDraft,
        rendered: &Rendered,
        dialing: Dialing,
        within: Duration,
    ) -> Result<Created, Fault> {
        let asked = self.gate.clock.now();
        let create = async {
            let waited = self.gate.clock.now().duration_since(asked).unsigned_abs();
            match within.checked_sub(waited).filter(|left| !left.is_zero()) {
                Some(left) => self.inner.create(ticket_draft, rendered, dialing, left).await,
                None => {
                    Err(Fault::new(FaultKind::TooLate, "other calls of the login took the time to send it"))
                }
            }
        };
        self.call(create).await
    }

    async fn look_up(&self, search: &Search) -> Result<SearchResult, Fault> {
        self.call(self.inner.look_up(search)).await
    }

    async fn read(&self, destination: &Destination, id_or_key: &str) -> Result<Option<ReadTicket>, Fault> {
        self.call(self.inner.read(destination, id_or_key)).await
    }

    /// An operator starts a test, so a closed gate does not stop it; a refusal while it waited does. A refused
    /// test of unsaved settings counts, since the vendor counts it, but does not close the gate: other calls
    /// use another password.
    async fn test(&self) -> Vec<Check> {
        if !self.inner.login().is_lockable {
            return self.inner.test().await;
        }
        let before = self.gate.edit(|state| state.refusals);
        let permit = self.gate.calls.acquire().await;
        if permit.is_err() || self.gate.edit(|state| state.refusals) != before {
            return vec![Check::failed("authentication", &not_sent(), Duration::ZERO)];
        }
        let began = self.gate.clock.now();
        let checks = self.inner.test().await;
        match checks.iter().find_map(Check::refused_login) {
            Some(fault) if self.is_saved => self.gate.note(Some(&fault), began),
            Some(_) => self.gate.edit(State::count_refusal),
            None => {}
        }
        checks
    }
}

fn not_sent() -> Fault {
    Fault::new(
        FaultKind::TooLate,
        "not sent: the login was just refused, and one more refusal may lock the account",
    )
    .with_hint("correct the password with Configure, or test the connection")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use ticketing_core::marker::Marker;
    use tokio::sync::Notify;

    use super::*;
    use ticketing_host::manual::ManualClock;

    /// A login that is refused once the caller says so.
    #[derive(Debug, Default)]
    struct Refusing {
        begun: AtomicU32,
        answer: Notify,
    }

    #[async_trait]
    impl TicketSystem for Refusing {
        fn destination(&self) -> Destination {
            Destination { base_url: String::new(), place: String::new() }
        }

        fn login(&self) -> Login {
            Login { name: "a".to_owned(), is_lockable: true }
        }

        fn made_by(&self) -> Authorship {
            Authorship::default()
        }

        fn ticket_url(&self, _key: &str) -> Option<String> {
            None
        }

        fn visibility(&self) -> Visibility {
            Visibility::Immediate
        }

        async fn prepare(&self, _order: &TicketDraft) -> Result<Rendered, Fault> {
            unreachable!("nothing is prepared here")
        }

        fn render_offline(&self, _order: &TicketDraft) -> Rendered {
            unreachable!("nothing is rendered here")
        }

        async fn create(
            &self,
            _: &TicketDraft,
            _: &Rendered,
            _: Dialing,
            _: Duration,
        ) -> Result<Created, Fault> {
            unreachable!("nothing is created here")
        }

        async fn look_up(&self, _search: &Search) -> Result<SearchResult, Fault> {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.answer.notified().await;
            Err(Fault::new(FaultKind::Unauthorized, "no"))
        }

        async fn read(&self, _: &Destination, _: &str) -> Result<Option<ReadTicket>, Fault> {
            unreachable!("nothing is read here")
        }

        async fn test(&self) -> Vec<Check> {
            self.begun.fetch_add(1, Ordering::SeqCst);
            vec![Check::failed("authentication", &Fault::new(FaultKind::Unauthorized, "no"), Duration::ZERO)]
        }
    }

    fn search() -> Search {
        let marker = Marker::parse("rhythmx-0123456789abcdef0123456789abcdef").unwrap();
        let destination = Destination { base_url: String::new(), place: String::new() };
        Search { marker, destination, marker_in_text: false, canaries: vec![] }
    }

    #[tokio::test]
    async fn queued_calls_do_not_go_out_after_a_refusal() {
        let inner = Arc::new(Refusing::default());
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let gate = Arc::new(LoginGate::new(3, clock));
        let system = Arc::new(GatedSystem::new(inner.clone(), gate.clone()));
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let system = system.clone();
                tokio::spawn(async move { system.look_up(&search()).await.unwrap_err().kind })
            })
            .collect();
        while inner.begun.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        let queued_test = tokio::spawn({
            let system = system.clone();
            async move { system.test().await }
        });
        tokio::task::yield_now().await;
        inner.answer.notify_waiters();
        let mut kinds = vec![];
        for call in calls {
            kinds.push(call.await.unwrap());
        }
        let refused = kinds.iter().filter(|kind| **kind == FaultKind::Unauthorized).count();
        assert_eq!((refused, inner.begun.load(Ordering::SeqCst)), (2, 2), "{kinds:?}");
        assert!(queued_test.await.unwrap()[0].refused_login().is_none());
        assert!(gate.refusal().is_some());
        // An operator's test is sent anyway; a reopened gate admits the next call.
        assert!(system.test().await[0].refused_login().is_some());
        gate.permit_probe();
        // One more refusal would lock the account: no probe is sent, but an operator may retry.
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::TooLate);
        gate.reset();
        inner.answer.notify_one();
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::Unauthorized);
        assert_eq!(inner.begun.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn refused_test_of_other_settings_blocks_no_call() {
        let inner = Arc::new(Refusing::default());
        let gate = Arc::new(LoginGate::new(3, Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))));
        let tested = GatedSystem::unsaved(inner.clone(), gate.clone());
        for _ in 0..3 {
            assert!(tested.test().await[0].refused_login().is_some());
        }
        let system = GatedSystem::new(inner.clone(), gate.clone());
        inner.answer.notify_one();
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::Unauthorized);
    }

    #[tokio::test]
    async fn refused_test_of_saved_settings_closes_the_gate() {
        let inner = Arc::new(Refusing::default());
        let gate = Arc::new(LoginGate::new(3, Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))));
        let system = GatedSystem::new(inner.clone(), gate.clone());
        assert!(system.test().await[0].refused_login().is_some());
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::TooLate);
        assert_eq!(inner.begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn permitting_a_probe_keeps_the_refusal() {
        let inner = Arc::new(Refusing::default());
        let gate = Arc::new(LoginGate::new(5, Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))));
        let system = GatedSystem::new(inner.clone(), gate.clone());
        inner.answer.notify_one();
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::Unauthorized);
        gate.permit_probe();
        assert!(gate.refusal().is_some());
        inner.answer.notify_one();
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::Unauthorized);
        // The probe was refused, too.
        assert_eq!(system.look_up(&search()).await.unwrap_err().kind, FaultKind::TooLate);
    }
}
