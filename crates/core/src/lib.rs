//! The domain of RhythmX Ticketing. It reads top-down: an [`incident`] has a [`risk`]; [`content`] turns it into a
//! [`document`]; a [`delivery`] carries it to a ticket system through the one port, [`system::TicketSystem`]; what went
//! wrong on the way is a [`fault`].
//!
//! Nothing here reads a clock, generates random numbers, or opens a file or a socket. Pure functions decide;
//! other crates do the I/O and record the decisions.

pub mod auto_push;
pub mod clean;
pub mod clock;
pub mod concurrency;
pub mod connection;
pub mod content;
pub mod content_settings;
pub mod delivery;
pub mod document;
pub mod duration;
pub mod error_chain;
pub mod evidence;
pub mod fault;
pub mod fit;
pub mod health;
pub mod incident;
pub mod limits;
pub mod marker;
pub mod namespace;
pub mod nearest;
pub mod pasted;
pub mod pem;
pub mod policy;
pub mod risk;
pub mod role;
pub mod secret;
pub mod send_rate;
pub mod system;
pub mod template;
pub mod text;
pub mod violation;
