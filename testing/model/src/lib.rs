//! The delivery protocol, explored exhaustively: one delivery, every order of everything that can happen to it.
//!
//! What decides is what the product runs: the functions of [`ticketing_core::delivery`]. What is modelled is the world
//! around them: servers that take the dispatcher's steps one by one and may be paused or die between any two of them, a
//! store whose verbs are transactions, and a ticket system that applies a request at once, late within its bound or
//! never, whose answers get lost, and whose search lags. Time goes in ticks; a bound is a few of them.
//!
//! Held against every state:
//!
//! 1. at most one ticket bears the marker;
//! 2. nothing accepted is lost: the delivery keeps the rules of the store, a ticket that it names exists, and a ticket
//!    that exists is found or recorded once the faults is fair;
//! 3. nothing is stuck: should every worker die just now, then a run without faults and a stated number of ticks lead to
//!    DELIVERED, FAILED or CANCELLED ([`Setup::max_ticks`]).
//!
//! And the other way round: without any one of its [`guards()`], there is a trace that ends with two tickets, or it is
//! said what else covers for it.
//!
//! What the model assumes: the ticket system keeps to the server bound and to the index bound, and shows tickets in the
//! order in which they were made; clocks run alike; an operator tells the truth; and a request whose deadline has passed
//! is cut off by the transport, however long the worker was paused between its last look at the clock and its first
//! byte. No client can promise the last one, for a process may be stopped between any two instructions:
//! [`broken_assumptions`] shows that there may be two tickets then, and that duplicate scans find them.
//!
//! Exploration is breadth first, so the first trace found is a shortest one, and the same one each time: [`replay`]
//! walks it again.

mod apply_step;
mod explore;
mod fault_free;
mod guard;
mod guard_cases;
mod promise;
mod run;
mod setup;
mod state_key;
mod step;
mod trace;
mod world;

pub use explore::{Report, check};
pub use guard::Guard;
pub use guard_cases::{GuardCase, GuardTrial, Verdict, broken_assumptions, guards, hidden_tickets};
pub use promise::Violation;
pub use run::{Limits, RunError, Summary, configurations, run};
pub use setup::{Canaries, Fleet, Promise, Setup, TickBounds, Tickets, Vendor};
pub use step::{Interference, Step};
pub use trace::{Replayed, Trace, replay};
pub use world::CanaryView;
