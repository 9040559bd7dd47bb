//! Jira Cloud, Jira Data Center and ServiceNow over real HTTP, from the vendors' documents, with scripted faults.
//!
//! A [`Simulator`] plays one ticket system on a port of this machine. It validates as the vendor does, with the
//! vendor's own words, remembers what was really created ([`Simulator::tickets`]) and what was asked
//! ([`Simulator::requests`]), and fails on purpose where its [`FaultScript`] says so. It shares no types with any
//! client: what it reads and writes is plain JSON.
//!
//! ```no_run
//! use ticketing_simulator::{Call, Effect, Profile, Rule, Simulator, Vendor, When};
//!
//! # async fn example() -> std::io::Result<()> {
//! let jira = Simulator::start(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud)).await?;
//! jira.faults().push(Rule::new(Call::Create, When::EveryNth(20), Effect::apply_then_gateway_timeout()));
//! // Point a client at `jira.base_url()`, as analyst@example.com with the token cloud-api-token.
//! assert_eq!(jira.tickets().len(), 0);
//! jira.stop().await; // an outage
//! jira.restart().await?; // the same port, the same tickets
//! # Ok(())
//! # }
//! ```
//!
//! # What it plays
//!
//! | vendor | accepts by default | serves |
//! |-|-|-|
//! | Jira Cloud | Basic `analyst@example.com` / `cloud-api-token`; Basic with `cloud-scoped-token` through [`Simulator::gateway_url`] only | `/rest/api/3`: serverInfo, myself, mypermissions, project, priority, createmeta, issue (create, read, edit, properties, comment, remotelink), search/jql; 410 for search |
//! | Jira Data Center | Bearer `data-center-pat`; Basic `analyst` / `data-center-password` | the same under `/rest/api/2` (or `latest`), text as strings, search with `total`, below [`Profile::context_path`] |
//! | ServiceNow | Basic `rhythmx.integration` / `servicenow-password` | `/api/now[/v1\|/v2]/table/`: incident (insert, list, read, update, delete), sys_user_group (list, read) |
//!
//! Jira has one project, `SEC`, with the issue types Task (10001), Bug (10002), Story (10003) and Incident
//! (10004), and the priorities Highest (1) to Lowest (5). ServiceNow has the groups Network and Security
//! Operations. A [`Profile`] changes all of this, before the start or while it runs ([`Simulator::edit`]).
//!
//! # FaultScript
//!
//! A [`Rule`] says which calls ([`Call`]), which of them ([`When`]) and what happens ([`Effect`]). The first rule
//! that strikes a call decides. A rule counts every call of its kind from the moment it was pushed, whichever
//! rule decides. What happens before there is a call, to a connection, is scripted for [`Call::Connection`].
//!
//! A test that acts at a certain moment waits for it: [`Simulator::until`] for a [`Point`] on the way of a call,
//! [`FaultScript::until_struck`] for effects. What an effect holds ends with its client, with the simulator, or by
//! [`FaultScript::release`].
//!
//! # TLS
//!
//! With the feature `tls`, on by default, `Simulator::start_tls` serves under a certificate of an `Authority` made on
//! the spot, good or bad in one way; its `ca.pem` is what clients are to trust (`SSL_CERT_FILE`). A handshake that
//! never ends, breaks off, or is answered in plain HTTP is an effect on [`Call::Connection`].
//!
//! # Histories
//!
//! [`Simulator::creates`] tells of every create when it arrived, with which marker, and what became of it; it is
//! small enough for hundreds of thousands once [`Simulator::keep_requests`] drops the rest. Look-ups by marker, id or
//! key cost the same among many tickets as among few.
//!
//! # The script over HTTP
//!
//! For other languages and for the `ticketing-simulator` program, at [`Simulator::control_url`]. These requests
//! need no login, meet no faults but those of connections, and are not recorded.
//!
//! | request | does |
//! |-|-|
//! | `GET /_simulator/tickets` | every ticket that was really created |
//! | `POST /_simulator/tickets` | `{"fields": {…}}`: a person creates a ticket; answers its `key` |
//! | `POST /_simulator/tickets/{key}/clone` | a person clones it; answers the clone's `key` |
//! | `PUT /_simulator/tickets/{key}/key` | `{"key": "OPS-7"}`: a person moves it there |
//! | `PUT /_simulator/tickets/{key}/fields` | `{"fields": {…}}`: a person overwrites these |
//! | `PUT /_simulator/tickets/{key}/removed-marker` | `{"marker": "…"}`: a person takes it off |
//! | `DELETE /_simulator/tickets/{key}` | a person deletes it |
//! | `GET`, `DELETE /_simulator/requests` | the recorded requests; forgets them |
//! | `PUT /_simulator/keep` | `{"requests": "everything"}`, `"heads"` or `"nothing"`: what of them is recorded |
//! | `GET /_simulator/creates` | every create: marker, arrival, ticket, answer, effect |
//! | `GET /_simulator/points` | how many calls were `struck`, and how often each point was reached |
//! | `POST /_simulator/faults` | adds a rule or an array of rules |
//! | `DELETE /_simulator/faults` | removes every rule |
//! | `POST /_simulator/release` | ends what is held |
//! | `PUT /_simulator/index-lag` | `{"ms": 2000}` or `{"ms": "never"}`: a Jira search shows a ticket so long after its creation |
//! | `POST /_simulator/reset` | forgets tickets, requests and faults |
//!
//! Names are in snake case; an effect with one value takes it directly, times are milliseconds:
//!
//! ```json
//! [{"on": "create", "when": {"every_nth": 20}, "then": {"apply_then_answer": {"status": 504}}},
//!  {"on": "search", "when": {"next": 2}, "then": "returns_nothing"},
//!  {"on": "any", "when": "always", "then": {"delay": 50}},
//!  {"on": "connection", "when": {"next": 1}, "then": "never_read"},
//!  {"on": "create", "when": {"next": 1}, "then": {"slow_read": {"bytes": 1, "every": 1000}}},
//!  {"on": "create", "when": {"nth": 3}, "then": {"throttle": {"retry_after": {"seconds": 30}}}}]
//! ```

mod clock;
mod control;
mod effect;
mod fault_script;
mod jira;
mod manual_edits;
mod message;
mod play_effect;
mod points;
mod profile;
mod raw;
mod record;
mod server;
mod servicenow;
mod simulator;
mod site;
mod state;
mod ticket_index;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub use clock::{Clock, ClockHand};
pub use effect::{Effect, Reply, RetryAfter};
pub use fault_script::{Call, FaultScript, Rule, When};
pub use points::{Point, Reached};
pub use profile::{Credential, Named, Profile, Project, Vendor};
pub use record::{Keep, RecordedCreate, RecordedRequest};
pub use simulator::{FaultScriptRecord, Simulator};
pub use state::Ticket;
#[cfg(feature = "tls")]
pub use tls::{Authority, Certificate, Identity};
