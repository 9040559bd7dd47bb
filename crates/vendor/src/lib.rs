//! What the crate of a vendor provides besides the port [`TicketSystem`]: the settings of its connections, their
//! mapping to the contract, and the limits of its logins.
//!
//! A vendor's crate implements [`Vendor`] once; the server lists the implementations. Everything else treats all
//! vendors alike.

pub mod contract;
mod draft;
mod settings;

use std::fmt;
use std::sync::Arc;

use ticketing_contract::v1;
use ticketing_contract::v1::connection_settings::Settings as NamedSettings;
use ticketing_contract::v1::connection_settings_view::Settings as NamedView;
use ticketing_contract::v1::connection_status::Settings as SettingsView;
use ticketing_contract::v1::test_connection_request::Unsaved;
use ticketing_core::secret::Secret;
use ticketing_core::system::{System, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::HttpClient;

pub use draft::{Draft, SettingsDraft};
pub use settings::{ConnectionChange, ConnectionSettings, Secrets};

/// A vendor of ticket systems.
pub trait Vendor: fmt::Debug + Send + Sync {
    /// The kind of ticket system.
    fn system(&self) -> System;

    /// Consecutive refused logins after which it locks a lockable account.
    fn lockout_limit(&self) -> u32;

    /// The draft of a connection without settings.
    fn empty(&self) -> Draft;

    /// Parses a stored draft.
    ///
    /// # Errors
    /// If [`Draft::to_json`] did not write it.
    fn stored(&self, json: serde_json::Value) -> Result<Draft, serde_json::Error>;

    /// Settings that render tickets while a connection has none of its own.
    fn placeholder(&self) -> ConnectionSettings;

    /// Takes the change of the connection that is named after the system out of a request; `None` if there is none. Adds
    /// what is invalid in the change itself to `violations`.
    fn take_change(
        &self,
        request: &mut v1::ConfigureRequest,
        violations: &mut Violations,
    ) -> Option<ConnectionChange>;

    /// The change of a connection by name, if it is for this vendor. Name and path are still to be set.
    fn change(&self, settings: &NamedSettings, violations: &mut Violations) -> Option<ConnectionChange>;

    /// The settings of a test, if they are for this vendor. Name and path are still to be set.
    fn unsaved(&self, unsaved: &Unsaved, violations: &mut Violations) -> Option<ConnectionChange>;

    /// The settings as the status shows them, without secrets.
    fn view(&self, settings: &ConnectionSettings) -> SettingsView;

    /// The same, in the list of all connections.
    fn named_view(&self, settings: &ConnectionSettings) -> NamedView;

    /// Sets the view of the connection that is named after the system in a response.
    fn show(&self, settings: &ConnectionSettings, response: &mut v1::ConfigureResponse);

    /// Connects with the settings, without a network call. `path` is the field path of the settings in the
    /// contract; adds every violation to `violations`, and returns `None` if there are any. `client` is `None` if
    /// the route is invalid.
    fn connect(
        &self,
        draft: &Draft,
        secret: Option<&Secret>,
        client: Option<HttpClient>,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Arc<dyn TicketSystem>>;
}

/// All vendors, one for each [`System`].
#[derive(Debug, Clone)]
pub struct Vendors(Arc<[Arc<dyn Vendor>]>);

// === impl Vendors ===

impl Vendors {
    /// # Panics
    /// Unless there is exactly one vendor for each system.
    #[must_use]
    pub fn new(vendors: Vec<Arc<dyn Vendor>>) -> Self {
        let mut systems: Vec<_> = vendors.iter().map(|vendor| vendor.system()).collect();
        systems.sort_unstable();
        assert_eq!(systems, System::ALL, "each ticket system has one vendor");
        Self(vendors.into())
    }

    /// The vendor of `system`.
    #[must_use]
    pub fn of(&self, system: System) -> &dyn Vendor {
        let vendor = self.0.iter().find(|vendor| vendor.system() == system);
        vendor.expect("each ticket system has one vendor").as_ref()
    }

    pub fn iter(&self) -> impl Iterator<Item = &dyn Vendor> {
        self.0.iter().map(AsRef::as_ref)
    }
}
