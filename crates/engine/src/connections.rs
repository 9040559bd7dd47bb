//! The configured connections, and the gates of their logins.

mod gate;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use ticketing_core::connection;
use ticketing_core::secret::{Secret, SecretUse};
use ticketing_core::system::{Destination, System, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::{HttpClient, Route};
use ticketing_store::RetiredConnection;
use ticketing_vendor::{ConnectionSettings, Draft, Vendors};
use tokio::sync::Notify;

use self::gate::{GatedSystem, LoginGate};
use crate::settings::stored;

pub use self::gate::Refusal;

/// All connections, by ID; cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Notified of every change of settings in force.
    changed: Arc<Notify>,
    client: HttpClient,
    vendors: Vendors,
    /// By ID.
    by_id: Arc<RwLock<BTreeMap<String, Connection>>>,
    /// How many connections of a name were removed.
    removed: Arc<RwLock<BTreeMap<String, u32>>>,
    /// The gates of the active logins, by system and login.
    gates: Arc<Mutex<HashMap<String, Weak<LoginGate>>>>,
}

/// A connection, configured or not.
#[derive(Debug, Clone)]
pub struct Connection {
    pub system: System,
    pub enabled: bool,
    /// The stored settings that this is; 0 if none were ever saved.
    pub settings_revision: u32,
    /// `None` while settings are missing.
    pub current: Option<Arc<dyn TicketSystem>>,
    /// Connections before the settings were changed, kept while deliveries have an unknown outcome there.
    pub retired: Vec<Arc<dyn TicketSystem>>,
}

/// The ticket system of a connection, and the settings that it works by.
#[derive(Debug, Clone)]
pub struct InForce {
    pub api: Arc<dyn TicketSystem>,
    pub settings_revision: u32,
}

/// Valid settings.
#[derive(Debug, Clone)]
pub struct Checked {
    pub api: Arc<dyn TicketSystem>,
    /// The same before it is saved, for a test.
    pub unsaved: Arc<dyn TicketSystem>,
    /// Where its secrets are sent: the ticket system, and the route.
    pub origin: String,
}

// === impl Connection ===

impl Connection {
    /// The ticket system by the current settings.
    #[must_use]
    pub fn in_force(&self) -> Option<InForce> {
        let api = self.current.clone()?;
        Some(InForce { api, settings_revision: self.settings_revision })
    }
}

// === impl Connections ===

impl Connections {
    /// One connection named after each vendor, not configured. `removed` are the IDs of those that were removed.
    #[must_use]
    pub fn new(client: HttpClient, vendors: Vendors, removed: &[String]) -> Self {
        let connections = Self {
            changed: Arc::default(),
            client,
            vendors,
            by_id: Arc::default(),
            removed: Arc::default(),
            gates: Arc::default(),
        };
        removed.iter().for_each(|id| connections.count_removed(id));
        System::ALL.into_iter().for_each(|system| connections.add_unset(system));
        connections
    }

    /// The connection that is named after a system is always there.
    fn add_unset(&self, system: System) {
        let unset =
            Connection { system, enabled: false, settings_revision: 0, current: None, retired: vec![] };
        self.set(&self.new_id(system.as_str()), unset);
    }

    fn count_removed(&self, id: &str) {
        let mut removed = self.removed.write().unwrap_or_else(PoisonError::into_inner);
        let count = removed.entry(connection::name_of(id).to_owned()).or_default();
        *count = connection::number_of(id).max(*count);
    }

    /// The ID of a new connection.
    #[must_use]
    pub fn new_id(&self, name: &str) -> String {
        let removed = self.removed.read().unwrap_or_else(PoisonError::into_inner);
        connection::id(name, removed.get(name).copied().unwrap_or_default() + 1)
    }

    /// The ID of the connection `name`, if there is one.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<String> {
        self.read(|by_id| by_id.keys().find(|id| connection::name_of(id) == name).cloned())
    }

    /// The IDs of all connections that had or have a name, also those that were removed.
    #[must_use]
    pub fn ids_ever(&self, name: &str) -> Vec<String> {
        let removed = self.removed.read().unwrap_or_else(PoisonError::into_inner);
        (1..=removed.get(name).copied().unwrap_or_default() + 1)
            .map(|number| connection::id(name, number))
            .collect()
    }

    /// Removes a connection. The name of a system then belongs to another one, which is not configured.
    pub fn remove(&self, id: &str) {
        let removed = self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.count_removed(id);
        if let Some(system) = removed.and_then(|_| System::parse(connection::name_of(id))) {
            self.add_unset(system);
        }
        self.changed.notify_waiters();
    }

    #[must_use]
    pub fn vendors(&self) -> &Vendors {
        &self.vendors
    }

    /// Consecutive refused logins after which the vendor locks the account of `name`; `None` if it never
    /// does.
    #[must_use]
    pub fn lockout_limit(&self, name: &str) -> Option<u32> {
        let connection = self.get(name)?;
        let is_lockable = connection.current?.login().is_lockable;
        is_lockable.then(|| self.vendors.of(connection.system).lockout_limit())
    }

    /// The refusal that closed the gate of the login of `name`, if it is closed.
    #[must_use]
    pub fn login_refusal(&self, name: &str) -> Option<Refusal> {
        self.gate_of(name)?.refusal()
    }

    /// Consecutive refused logins of `name`, for any purpose.
    #[must_use]
    pub fn login_refusals(&self, name: &str) -> u32 {
        self.gate_of(name).map_or(0, |gate| gate.refusals_in_a_row())
    }

    /// Whether the vendor could lock the account of `name` at its next refused login.
    #[must_use]
    pub fn is_near_lockout(&self, name: &str) -> bool {
        self.lockout_limit(name).is_some_and(|limit| self.login_refusals(name) + 1 >= limit)
    }

    /// Permits a probe of the login of `name`.
    pub fn permit_login_probe(&self, name: &str) {
        if let Some(gate) = self.gate_of(name) {
            gate.permit_probe();
        }
    }

    /// Resets the gate of the login of `name`, on an operator's request.
    pub fn reset_login(&self, name: &str) {
        if let Some(gate) = self.gate_of(name) {
            gate.reset();
        }
    }

    fn gate_of(&self, name: &str) -> Option<Arc<LoginGate>> {
        let connection = self.get(name)?;
        Some(self.gate(connection.system, &*connection.current?))
    }

    /// `api` behind the gate of its login.
    pub fn gated(&self, system: System, api: Arc<dyn TicketSystem>) -> Arc<dyn TicketSystem> {
        let gate = self.gate(system, &*api);
        Arc::new(GatedSystem::new(api, gate))
    }

    /// The gate of a login, shared by its connections.
    fn gate(&self, system: System, api: &dyn TicketSystem) -> Arc<LoginGate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{system} {}", api.login().name);
        if let Some(gate) = gates.get(&name).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(LoginGate::new(self.vendors.of(system).lockout_limit(), self.client.clock()));
        gates.insert(name, Arc::downgrade(&gate));
        gate
    }

    /// The IDs of all connections.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.read(|by_id| by_id.keys().cloned().collect())
    }

    /// The ID and the ticket system of each connection.
    #[must_use]
    pub fn systems(&self) -> Vec<(String, System)> {
        self.read(|by_id| by_id.iter().map(|(id, connection)| (id.clone(), connection.system)).collect())
    }

    /// The connection `name`, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Connection> {
        self.read(|by_id| by_id.get(name).cloned())
    }

    /// Whether the connection `name` is configured and enabled.
    #[must_use]
    pub fn is_enabled(&self, name: &str) -> bool {
        self.get(name).is_some_and(|connection| connection.enabled && connection.current.is_some())
    }

    /// The ticket system of the connection `name`, by its current settings.
    #[must_use]
    pub fn current(&self, name: &str) -> Option<Arc<dyn TicketSystem>> {
        self.get(name)?.current
    }

    /// The same, with the revision of these settings.
    #[must_use]
    pub fn in_force(&self, name: &str) -> Option<InForce> {
        self.get(name)?.in_force()
    }

    /// Completes once the connection `name` works by other settings than those of `revision`.
    pub async fn until_changed(&self, name: &str, revision: u32) {
        loop {
            let changed = self.changed.notified();
            if self.get(name).is_none_or(|connection| connection.settings_revision != revision) {
                return;
            }
            changed.await;
        }
    }

    /// The connection to where a ticket was sent, which may differ from the current settings.
    #[must_use]
    pub fn for_destination(&self, name: &str, destination: &Destination) -> Option<Arc<dyn TicketSystem>> {
        let connection = self.get(name)?;
        let mut ways = connection.current.into_iter().chain(connection.retired);
        ways.find(|api| api.destination().base_url == destination.base_url)
    }

    /// Whether `api` is the current ticket system of `name`: observations of a retired one say nothing
    /// about it.
    #[must_use]
    pub fn is_current(&self, name: &str, api: &Arc<dyn TicketSystem>) -> bool {
        self.current(name).is_some_and(|current| Arc::ptr_eq(&current, api))
    }

    /// Activates settings.
    pub fn set(&self, name: &str, connection: Connection) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.insert(name.to_owned(), connection);
        self.changed.notify_waiters();
    }

    /// Parses settings; adds every violation to `violations`. Their secrets are used for their own origins
    /// only.
    pub fn check(&self, settings: &ConnectionSettings, violations: &mut Violations) -> Option<Checked> {
        let mut found = Violations::default();
        let checked = self.connect(&settings.draft, |used_for| settings.secret(used_for), &mut found);
        violations.extend(found);
        checked
    }

    /// The ticket system of the connection `name` by stored settings. Their secrets are bound to origins; settings that lead to another
    /// origin were edited in the database, and nothing is sent.
    #[must_use]
    pub fn kept(&self, name: &str, settings: &ConnectionSettings) -> Option<Arc<dyn TicketSystem>> {
        let checked = self.check(settings, &mut Violations::default())?;
        for (used_for, held) in &settings.secrets {
            let leads_to = settings.draft.binding(*used_for);
            if held.origin.is_none() || held.origin != leads_to {
                tracing::error!(
                    connection = %name, ?leads_to, bound_to = ?held.origin, secret = %held.kind,
                    "nothing is sent: the settings were edited in the database and point to another origin than their secret is bound to; \
                     set the secret again with Configure"
                );
                return None;
            }
        }
        Some(checked.api)
    }

    /// Checks the addresses of settings as entered; adds forbidden ones to `violations`, unless they are
    /// invalid already.
    pub fn check_addresses(&self, draft: &Draft, violations: &mut Violations) {
        let path = draft.system().as_str();
        let proxy = draft.route().proxy_url.clone();
        let addresses = draft.addresses();
        let by_http =
            addresses.iter().any(|(_, typed)| typed.trim().to_ascii_lowercase().starts_with("http:"));
        for (field, typed) in addresses.into_iter().chain(proxy.clone().map(|url| ("proxy_url", url))) {
            let field = format!("{path}.{field}");
            let refused = self.client.address_policy().check_typed(&typed).err();
            let known = violations.iter().any(|violation| violation.field == field);
            if let Some(refused) = refused.filter(|_| !known) {
                violations.add(field, refused.explain());
            }
        }
        let description = "must not be set for a plain http address: only https is sent through a proxy";
        violations.require(proxy.is_none() || !by_http, &format!("{path}.proxy_url"), description);
    }

    /// A placeholder that renders tickets for a system that is not configured yet.
    #[must_use]
    pub fn placeholder(&self, system: System) -> Option<Arc<dyn TicketSystem>> {
        let ConnectionSettings { draft, secrets, .. } = self.vendors.of(system).placeholder();
        let secret = |used_for| secrets.get(&used_for);
        Some(self.connect(&draft, secret, &mut Violations::default())?.api)
    }

    /// The connection to where tickets were sent before the settings changed; `None` if its settings are no
    /// longer valid.
    #[must_use]
    pub fn retired(&self, retired: RetiredConnection) -> Option<Arc<dyn TicketSystem>> {
        let name = retired.connection.clone();
        self.kept(&name, &stored::retired(retired, &self.vendors).ok()?)
    }

    fn connect<'s>(
        &self,
        draft: &Draft,
        secret: impl Fn(SecretUse) -> Option<&'s Secret>,
        violations: &mut Violations,
    ) -> Option<Checked> {
        let path = draft.system().as_str();
        let client = self.client(draft, secret(SecretUse::Proxy), violations);
        let vendor = self.vendors.of(draft.system());
        let api = vendor.connect(draft, secret(SecretUse::TicketSystem), client, path, violations)?;
        let gate = self.gate(draft.system(), &*api);
        let unsaved = Arc::new(GatedSystem::unsaved(api.clone(), gate));
        Some(Checked { api: self.gated(draft.system(), api), unsaved, origin: draft.origin()? })
    }

    /// The HTTP client of one connection, possibly with its own route.
    fn client(
        &self,
        draft: &Draft,
        password: Option<&Secret>,
        violations: &mut Violations,
    ) -> Option<HttpClient> {
        let path = draft.system().as_str();
        let password = password.map(|secret| &secret.value);
        let route = Route::parse(draft.route(), password, path, violations)?;
        let client = self.client.with_route(&route);
        client.map_err(|_| violations.add(format!("{path}.ca_certificates"), "cannot be used")).ok()
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<String, Connection>) -> T) -> T {
        read(&self.by_id.read().unwrap_or_else(PoisonError::into_inner))
    }
}
