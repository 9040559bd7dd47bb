//! Simulates Jira Cloud, Jira Data Center and ServiceNow over real HTTP, after the vendors' documentation, with
//! scripted faults.
//!
//! A [`Simulator`] is one ticket system on a local port. It validates requests like the vendor, with the vendor's
//! error messages, records the created tickets ([`Simulator::tickets`]) and the requests
//! ([`Simulator::requests`]), and fails as its [`FaultScript`] specifies. It shares no types with any client, only
//! plain JSON.
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
//! # Supported APIs
//!
//! | vendor | accepts by default | serves |
//! |-|-|-|
//! | Jira Cloud | Basic `analyst@example.com` / `cloud-api-token`; Basic with `cloud-scoped-token` through [`Simulator::gateway_url`] only | `/rest/api/3`: serverInfo, myself, mypermissions, project, priority, createmeta, issue (create, read, edit, properties, comment, remotelink), search/jql; 410 for search |
//! | Jira Data Center | Bearer `data-center-pat`; Basic `analyst` / `data-center-password` | the same under `/rest/api/2` (or `latest`), text as strings, search with `total`, below [`Profile::context_path`] |
//! | ServiceNow | Basic `rhythmx.integration` / `servicenow-password` | `/api/now[/v1\|/v2]/table/`: incident (insert, list, read, update, delete), sys_user_group (list, read) |
//!
//! Jira has one project, `SEC`, with the issue types Task (10001), Bug (10002), Story (10003) and Incident
//! (10004), and the priorities Highest (1) to Lowest (5). ServiceNow has the groups Network and Security
//! Operations. A [`Profile`] changes all of this, before the start or at runtime ([`Simulator::edit`]).
//!
//! # Fault script
//!
//! A [`Rule`] selects a kind of call ([`Call`]), some of these calls ([`When`]) and an effect ([`Effect`]). The first
//! rule that applies to a call decides. A rule counts every call of its kind from the time it was added, whichever
//! rule decides. Effects on a connection before its first call have rules for [`Call::Connection`].
//!
//! A test that acts at a certain point waits for it: [`Simulator::until`] for a [`Point`] in the processing of a
//! call, [`FaultScript::until_triggered`] for effects. A connection that an effect holds ends with its client, with the
//! simulator, or with [`FaultScript::release`].
//!
//! # TLS
//!
//! With the feature `tls` (default), `Simulator::start_tls` serves TLS with a valid or invalid certificate of an
//! `Authority` that is generated at runtime; clients trust its `ca.pem` (`SSL_CERT_FILE`). A handshake that hangs, is
//! aborted, or is answered in plain HTTP is an effect on [`Call::Connection`].
//!
//! # Large histories
//!
//! [`Simulator::creates`] has the arrival time, the markers and the outcome of every create. It scales to hundreds of
//! thousands of creates if [`Simulator::keep_requests`] drops the requests. Look-ups by marker, ID or key use
//! indexes.
//!
//! # Control API
//!
//! For other languages and for the `ticketing-simulator` program, at [`Simulator::control_url`]. Its requests need no
//! authentication, are subject to faults of connections only, and are not recorded.
//!
//! | request | effect |
//! |-|-|
//! | `GET /_simulator/tickets` | returns every ticket that was created |
//! | `POST /_simulator/tickets` | `{"fields": {…}}`: creates a ticket as another user; returns its `key` |
//! | `POST /_simulator/tickets/{key}/clone` | clones it; returns the `key` of the clone |
//! | `PUT /_simulator/tickets/{key}/key` | `{"key": "OPS-7"}`: moves it to this key |
//! | `PUT /_simulator/tickets/{key}/fields` | `{"fields": {…}}`: overwrites these fields |
//! | `PUT /_simulator/tickets/{key}/removed-marker` | `{"marker": "…"}`: removes this marker |
//! | `DELETE /_simulator/tickets/{key}` | deletes it |
//! | `GET`, `DELETE /_simulator/requests` | returns the recorded requests; clears them |
//! | `PUT /_simulator/keep` | `{"requests": "everything"}`, `"heads"` or `"nothing"`: the data of requests that is recorded |
//! | `GET /_simulator/creates` | returns every create: marker, arrival, ticket, status, effect |
//! | `GET /_simulator/points` | returns the number of calls with an effect (`triggered`), and of calls that reached each point |
//! | `POST /_simulator/faults` | adds a rule or an array of rules |
//! | `DELETE /_simulator/faults` | removes every rule |
//! | `POST /_simulator/release` | ends held connections |
//! | `PUT /_simulator/index-lag` | `{"ms": 2000}` or `{"ms": "never"}`: time from the creation of a ticket until a Jira search shows it |
//! | `POST /_simulator/reset` | clears tickets, requests and faults |
//!
//! Names are in snake case, an effect with one value has it directly, and times are in milliseconds:
//!
//! ```json
//! [{"on": "create", "when": {"every_nth": 20}, "then": {"apply_then_answer": {"status": 504}}},
//!  {"on": "search", "when": {"next": 2}, "then": "returns_nothing"},
//!  {"on": "any", "when": "always", "then": {"delay": 50}},
//!  {"on": "connection", "when": {"next": 1}, "then": "never_read"},
//!  {"on": "create", "when": {"next": 1}, "then": {"slow_read": {"bytes": 1, "every": 1000}}},
//!  {"on": "create", "when": {"nth": 3}, "then": {"throttle": {"retry_after": {"seconds": 30}}}}]
//! ```

mod call;
mod clock;
mod control;
mod effect;
mod ending;
mod fault_script;
mod jira;
mod manual_edits;
mod message;
mod play_effect;
mod points;
mod profile;
mod raw;
mod record;
mod response;
mod server;
mod servicenow;
mod shared;
mod simulator;
mod site;
mod site_request;
mod state;
mod ticket;
mod ticket_index;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub use call::Call;
pub use clock::{Clock, ClockHand};
pub use effect::{Effect, Reply, RetryAfter};
pub use fault_script::{FaultScript, Rule, When};
pub use points::{Point, Reached};
pub use profile::{Column, Credential, Named, Person, Profile, Project, ScreenField, Vendor};
pub use record::{Keep, RecordedCreate, RecordedRequest};
pub use simulator::{FaultScriptRecord, Simulator};
pub use ticket::Ticket;
#[cfg(feature = "tls")]
pub use tls::{Authority, Certificate, Identity};
