//! A simulated ticket system, as the suite controls it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use ticketing_conformance::{Calls, Failure, Request, RequestKind, TestSystem, Ticket};
use ticketing_core::clock::Clock;
use ticketing_core::system::TicketSystem;
use ticketing_egress::HttpClient;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_simulator::{
    Call, ClockHand, Effect, Profile, RecordedRequest, Reply, RetryAfter, Rule, Simulator, When,
};

/// Far longer than any behavior waits.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// What differs between the simulated ticket systems.
pub(crate) struct Adapter {
    pub(crate) connect: fn(&Simulator, &str) -> Arc<dyn TicketSystem>,
    /// A refusal with this status and text.
    pub(crate) refusal: fn(u16, &str) -> Reply,
    pub(crate) kind_of: fn(&RecordedRequest) -> RequestKind,
    /// The permission to see the place.
    pub(crate) permission: &'static str,
    pub(crate) remove_place: fn(&Simulator),
    /// The fields of a ticket with this marker.
    pub(crate) marked: fn(&str) -> Map<String, Value>,
    /// Returns the new key.
    pub(crate) move_ticket: fn(&Simulator, &str) -> String,
}

/// A simulator, and the adapter for it.
pub(crate) struct Simulated {
    simulator: Simulator,
    /// Sets the simulator's time.
    hand: ClockHand,
    adapter: Adapter,
}

/// The adapters' time, which does not pass.
#[derive(Debug)]
struct StillClock;

/// A client that may call the simulator.
pub(crate) fn http_client() -> HttpClient {
    let here = AddressPolicy::permitting(vec!["127.0.0.1".parse().expect("an address")]);
    HttpClient::new(Arc::new(StillClock), MAX_TIMEOUT, here.into()).expect("a client")
}

// === impl StillClock ===

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_790_020_000).expect("a second of this century")
    }
}

// === impl Simulated ===

impl Simulated {
    pub(crate) async fn start(
        vendor: ticketing_simulator::Vendor,
        profile: Profile,
        adapter: Adapter,
    ) -> Self {
        let address = ([127, 0, 0, 1], 0).into();
        let (clock, hand) = ticketing_simulator::Clock::manual(StillClock.now());
        let simulator = Simulator::start_at(vendor, profile, address, clock).await.expect("a free port");
        Self { simulator, hand, adapter }
    }

    fn effect(&self, calls: Calls, failure: Failure) -> Effect {
        let refusal = |status, text: &str| Effect::Answer((self.adapter.refusal)(status, text));
        match failure {
            Failure::ServerError { applied: true } => Effect::apply_then_gateway_timeout(),
            Failure::ServerError { applied: false } => Effect::gateway_timeout(),
            Failure::Disconnect { applied: true } => Effect::ApplyThenDrop,
            Failure::Disconnect { applied: false } => Effect::DropBefore,
            Failure::Unreadable { applied } => {
                Effect::Garbage { status: if calls == Calls::Create { 201 } else { 200 }, applied }
            }
            Failure::Silence => Effect::Hang { applied: false },
            Failure::Refused(text) => refusal(400, &text),
            Failure::LoginRefused => refusal(401, "authentication is required"),
            Failure::LoginIgnored => Effect::IgnoresLogin,
            Failure::Throttled(delay) => Effect::throttle(RetryAfter::Seconds(delay.as_secs())),
            Failure::QueryIgnored => Effect::ReturnsEverything,
            Failure::RowsRepeated => Effect::ReturnsTwice,
        }
    }
}

impl TestSystem for Simulated {
    fn connect(&self, secret: &str) -> Arc<dyn TicketSystem> {
        (self.adapter.connect)(&self.simulator, secret)
    }

    fn fail(&self, calls: Calls, failure: Failure) {
        let call = match calls {
            Calls::Any => Call::Any,
            Calls::Create => Call::Create,
            Calls::Search => Call::Search,
        };
        self.recover();
        self.simulator.faults().push(Rule::new(call, When::Always, self.effect(calls, failure)));
    }

    fn recover(&self) {
        self.simulator.faults().clear();
    }

    fn withdraw_access(&self) {
        self.simulator.edit(|profile| profile.withdraw(self.adapter.permission));
    }

    fn remove_place(&self) {
        (self.adapter.remove_place)(&self.simulator);
    }

    fn tickets(&self) -> Vec<Ticket> {
        let stored = self.simulator.tickets();
        let existing = stored.into_iter().filter(|ticket| !ticket.deleted);
        existing.map(|ticket| Ticket { id: ticket.id, key: ticket.key }).collect()
    }

    fn requests(&self) -> Vec<Request> {
        let received = |request: RecordedRequest| Request {
            kind: (self.adapter.kind_of)(&request),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        };
        self.simulator.requests().into_iter().map(received).collect()
    }

    fn add_ticket(&self, marker: &str) -> String {
        self.hand.advance(Duration::from_secs(1));
        self.simulator.add_foreign_ticket((self.adapter.marked)(marker))
    }

    fn move_ticket(&self, key: &str) -> String {
        (self.adapter.move_ticket)(&self.simulator, key)
    }

    fn delete_ticket(&self, key: &str) {
        assert!(self.simulator.delete_ticket(key), "there is a ticket {key}");
    }
}
