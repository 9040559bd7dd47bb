//! The contract of RhythmX Ticketing and its Rust client.
//!
//! RhythmX Ticketing turns incidents into tickets in Jira and ServiceNow, effectively once. [`v1`] is the contract as
//! Rust types; every field's unit, range and default is in its documentation. With the feature `client` (the default)
//! there is [`Client`], with `tls` (a default too) also under TLS; with the feature `server` there are the server stubs and [`FILE_DESCRIPTOR_SET`].
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # async fn example(incident: rhythmx_ticketing::v1::Incident) -> Result<(), Box<dyn std::error::Error>> {
//! use rhythmx_ticketing::{Client, Error, Tls, v1};
//!
//! let tls = Tls::trusting(std::fs::read("ca.pem")?); // or Tls::system()
//! let client = Client::connect_tls("ticketing.your-company.example:50051", &tls).await?;
//! let mut client = client.with_token(&std::env::var("TICKETING_TOKEN")?)?;
//! let request = v1::CreateTicketRequest { incident: Some(incident), destination: Some("jira".into()) };
//! match client.create_ticket(request).await.map_err(Error::from) {
//!     Ok(answer) => println!("{}", answer.message),
//!     Err(error) if error.reason == Some(v1::ErrorReason::IncidentInvalid) => println!("{:#?}", error.violations),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "client")]
mod client;

#[cfg(feature = "client")]
pub use client::{Client, ConnectError, Error, Events, InvalidToken, Violation};

#[cfg(feature = "tls")]
pub use client::Tls;

pub use ticketing_contract::{ERROR_DOMAIN, v1};

#[cfg(feature = "server")]
pub use ticketing_contract::{FILE_DESCRIPTOR_SET, Method};
