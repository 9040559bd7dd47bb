//! Configure and TestConnection.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use ticketing_core::connection::name_of;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::evidence::SearchScope;
use ticketing_core::secret::{SecretKind, SecretUse};
use ticketing_core::system::{Check, System, TicketSystem};
use ticketing_core::violation::{Violation, Violations};
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_store::{
    Actor, AuditAction, ConfigureError, DONE, FAILED, NewAuditEntry, PASSED, Revisions, STARTED,
    SearchEvidence, SettingsChange, StoreError, StoredTest,
};
use ticketing_vendor::{ConnectionChange, ConnectionSettings};
use tracing::Instrument;

use super::{App, AppError};
use crate::connections::{Checked, Connection};
use crate::dispatch::Schedule;
use crate::settings::{Rules, Settings, stored};

/// The subject of Configure in the audit.
pub const SETTINGS: &str = "settings";

/// Each costs memory, and work in every tick.
const MAX_CONNECTIONS: usize = 200;

/// Longer values, such as certificates, are logged by length only.
const MAX_LISTED: usize = 512;

/// All changes of one Configure.
#[derive(Debug, Clone)]
pub struct Change {
    /// At most one for each connection.
    pub connections: Vec<ConnectionChange>,
    /// The names of connections to remove, each once and none of those above.
    pub remove: Vec<String>,
    /// Of the settings that the change is meant for; empty for any.
    pub etag: String,
    /// Whether nothing is stored.
    pub validate_only: bool,
    /// The new rules.
    pub rules: Rules,
}

/// The outcome of a connection test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionTest {
    pub at: Timestamp,
    /// In the order in which they ran.
    pub checks: Vec<Check>,
}

/// The valid settings of one connection after a change.
struct Accepted {
    id: String,
    before: ConnectionSettings,
    settings: ConnectionSettings,
    checked: Option<Checked>,
}

/// Why the settings of one connection are refused.
enum Wrong {
    Settings(Violations),
    /// The address or the route was changed without setting the secrets for it again.
    Secret(String, Violations),
}

// === impl App ===

impl App {
    /// Applies a change to the settings, all or nothing. `plan` computes the change from the current rules.
    /// Returns the resulting settings and the number of deliveries that became due.
    ///
    /// # Errors
    /// [`AppError::SettingsInvalid`] with every violation at once, [`AppError::SecretRequired`],
    /// [`AppError::SettingsChanged`], [`AppError::ConnectionNotFound`] or [`AppError::ConnectionInUse`] for one to remove, or
    /// the store's failure.
    pub async fn configure(
        &self,
        by: &Actor,
        plan: impl FnOnce(&Rules, &mut Violations) -> Change + Send,
    ) -> Result<(Settings, u64), AppError> {
        let one_at_a_time = self.0.configuring.clone().lock_owned().await;
        let mut violations = Violations::default();
        let now = self.now();
        let change = plan(&self.rules(), &mut violations);
        let etag = self.settings().etag();
        if !change.etag.is_empty() && change.etag != etag {
            return Err(AppError::SettingsChanged { etag });
        }
        let removed =
            change.remove.iter().map(|name| self.connection_id(name)).collect::<Result<Vec<_>, _>>();
        let mut accepted = Vec::new();
        let mut unbound = None;
        for change in &change.connections {
            match self.accept(change, now) {
                Ok(settings) => accepted.push(settings),
                Err(Wrong::Settings(found)) => violations.extend(found),
                Err(Wrong::Secret(name, found)) => {
                    unbound.get_or_insert((name, Violations::default())).1.extend(found);
                }
            }
        }
        self.limit_connections(&accepted, &mut violations);
        self.check_rules(&change, &mut violations);
        failpoints::panic_at(Point::Configuring, || exposed(&accepted));
        refuse(violations, unbound)?;
        let removed = removed?;
        if change.validate_only {
            self.require_unused(&removed).await?;
            return Ok((self.settings_after(accepted, &removed, change.rules), 0));
        }
        // A caller that disconnects must not leave settings that are saved but inactive.
        let app = self.clone();
        let by = by.clone();
        let saving = async move {
            let _one_at_a_time = one_at_a_time;
            failpoints::panic_at(Point::Saving, || exposed(&accepted));
            let revisions = app.save(&accepted, &removed, &change.rules, by, now).await?;
            let made_due = app.put_in_force(accepted, change.rules, &revisions).await?;
            app.forget(&removed, now).await?;
            // Before the next change begins.
            Ok((app.settings(), made_due))
        };
        tokio::spawn(saving.in_current_span()).await.map_err(AppError::Interrupted)?
    }

    /// Tests the connection `name` by its saved settings, and stores the result.
    ///
    /// # Errors
    /// [`AppError::ConnectionNotFound`], [`AppError::NotConfigured`] if there is nothing to test, [`AppError::TooManyCalls`] over the rate
    /// limit, or a store failure.
    pub async fn test_connection(&self, name: &str) -> Result<ConnectionTest, AppError> {
        let id = self.connection_id(name)?;
        let api = self.0.connections.current(&id);
        let api = api.ok_or_else(|| AppError::NotConfigured(name.to_owned()))?;
        self.take_test()?;
        let test = ConnectionTest { at: self.now(), checks: self.checks(&api).await? };
        let kept = StoredTest { at: test.at, checks: test.checks.clone() };
        self.0.store.save_test(&id, kept).await?;
        if test.passed() {
            self.0.dispatcher.reset_health(&id).await?;
        }
        if let Some(fault) = test.checks.iter().find_map(Check::refused_login) {
            self.0.dispatcher.observe_refusal(&id, &fault, test.at).await;
        }
        Ok(test)
    }

    /// Tests unsaved settings. Stores only an audit entry with the caller and the destination, before
    /// anything is sent.
    ///
    /// # Errors
    /// [`AppError::SettingsInvalid`] or [`AppError::SecretRequired`] for invalid settings,
    /// [`AppError::TooManyCalls`] over the rate limit, or a store failure.
    pub async fn test_unsaved(
        &self,
        by: &Actor,
        mut change: ConnectionChange,
        mut violations: Violations,
    ) -> Result<ConnectionTest, AppError> {
        // Tested settings must be complete, whether or not they are enabled.
        change.enabled = Some(true);
        let name = change.connection.clone();
        let mut accepted = None;
        let mut unbound = None;
        match self.accept(&change, self.now()) {
            Ok(settings) => accepted = settings.checked,
            Err(Wrong::Settings(found)) => violations.extend(found),
            Err(Wrong::Secret(name, found)) => unbound = Some((name, found)),
        }
        refuse(violations, unbound)?;
        let accepted = accepted.ok_or_else(|| AppError::NotConfigured(name.clone()));
        let Checked { unsaved: api, origin, .. } = accepted?;
        self.take_test()?;
        let detail = json!({ "address": origin });
        // A caller that disconnects must not leave a credential sent without an audit entry of the result.
        let app = self.clone();
        let by = by.clone();
        let tested = async move {
            app.note_test(&by, &name, &detail, STARTED).await?;
            let test = ConnectionTest { at: app.now(), checks: app.checks(&api).await? };
            app.note_test(&by, &name, &detail, if test.passed() { PASSED } else { FAILED }).await?;
            Ok(test)
        };
        tokio::spawn(tested.in_current_span()).await.map_err(AppError::Interrupted)?
    }

    /// First the read-only checks, then the one that only a delivered ticket can pass.
    async fn checks(&self, api: &Arc<dyn TicketSystem>) -> Result<Vec<Check>, StoreError> {
        let mut checks = api.test().await;
        if !checks.iter().any(Check::has_failed) {
            let destination = api.destination();
            let made_by = api.made_by();
            let scope = SearchScope { destination, reader: made_by.account.clone(), made_by };
            checks.push(own_tickets_visible(self.0.store.evidence(&scope).await?.as_ref()));
        }
        Ok(checks)
    }

    fn take_test(&self) -> Result<(), AppError> {
        let allowed = self.0.tests.take(self.now());
        allowed.map_err(|retry_after| AppError::TooManyCalls { retry_after })
    }

    async fn note_test(
        &self,
        by: &Actor,
        name: &str,
        detail: &Value,
        outcome: &str,
    ) -> Result<(), StoreError> {
        let entry = NewAuditEntry {
            at: self.now(),
            actor: by.clone(),
            action: AuditAction::TestConnection,
            subject: name.to_owned(),
            detail: detail.clone(),
            outcome: outcome.to_owned(),
        };
        self.0.store.append_audit(entry).await
    }

    /// The settings after a change, if they are valid.
    fn accept(&self, change: &ConnectionChange, now: Timestamp) -> Result<Accepted, Wrong> {
        let system = change.draft.system();
        let connections = &self.0.connections;
        let name = &change.connection;
        let id = connections.id_of(name).unwrap_or_else(|| connections.new_id(name));
        let saved = self.settings().connections.get(&id).cloned();
        let before =
            saved.unwrap_or_else(|| ConnectionSettings::new(connections.vendors().of(system).empty()));
        let mut found = Violations::default();
        let kept = connections.get(&id).map_or(before.draft.system(), |connection| connection.system);
        if kept != system {
            let description = format!("{name} is a connection to {}, permanently", kept.title());
            found.add(system.as_str(), description);
            return Err(Wrong::Settings(found.within(&change.path)));
        }
        let mut settings = before.changed(change, now);
        let checked = self.0.connections.check(&settings, &mut found);
        self.0.connections.check_addresses(&settings.draft, &mut found);
        let wrong = if settings.enabled { found } else { given_only(&found, &settings) };
        if !wrong.is_empty() {
            return Err(Wrong::Settings(wrong.within(&change.path)));
        }
        // A secret is bound as soon as the address is known, even if other fields are missing.
        let given_for_elsewhere = settings.bind();
        if !given_for_elsewhere.is_empty() {
            let required = secrets_required(system, &given_for_elsewhere).within(&change.path);
            return Err(Wrong::Secret(name.clone(), required));
        }
        Ok(Accepted { id, before, settings, checked })
    }

    /// Adds a violation if there would be too many connections.
    fn limit_connections(&self, accepted: &[Accepted], violations: &mut Violations) {
        let known = self.0.connections.ids();
        let new = accepted.iter().filter(|accepted| !known.contains(&accepted.id)).count();
        if new > 0 && known.len() + new > MAX_CONNECTIONS {
            let description =
                format!("there are {} connections; at most {MAX_CONNECTIONS} are allowed", known.len());
            violations.add("connections", description);
        }
    }

    /// Adds a violation for each connection of a rule that will not exist.
    fn check_rules(&self, change: &Change, violations: &mut Violations) {
        let mut known = self.connection_names();
        known.extend(change.connections.iter().map(|change| change.connection.clone()));
        let is_named_after_system = |name: &str| System::parse(name).is_some();
        known.retain(|name| is_named_after_system(name) || !change.remove.contains(name));
        for (index, rule) in change.rules.auto_push.rules.iter().enumerate() {
            for (place, name) in rule.connections.iter().enumerate().filter(|(_, name)| !known.contains(name))
            {
                let path = format!("auto_push.rules.values[{index}].connections[{place}]");
                let is_removed = change.remove.contains(name);
                let description = if is_removed {
                    format!("names {name}, which the request removes: send rules without it")
                } else {
                    format!("no connection is named {name}")
                };
                violations.add(path, description);
            }
        }
    }

    /// Refuses connections with deliveries that have not ended.
    async fn require_unused(&self, removed: &[String]) -> Result<(), AppError> {
        let summaries = self.0.store.summaries().await?;
        for id in removed {
            let counts = summaries.get(id).map_or(&[][..], |summary| &summary.counts);
            let open = counts.iter().filter(|count| !count.state.is_settled());
            let deliveries = open.map(|count| count.count).sum();
            if deliveries > 0 {
                let connection = name_of(id).to_owned();
                return Err(AppError::ConnectionInUse { connection, deliveries });
            }
        }
        Ok(())
    }

    /// The settings as they would be.
    fn settings_after(&self, accepted: Vec<Accepted>, removed: &[String], rules: Rules) -> Settings {
        let mut settings = self.settings();
        settings.rules = rules;
        for accepted in accepted {
            settings.connections.insert(accepted.id, accepted.settings);
        }
        removed.iter().for_each(|id| drop(settings.connections.remove(id)));
        settings
    }

    async fn save(
        &self,
        accepted: &[Accepted],
        removed: &[String],
        rules: &Rules,
        by: Actor,
        now: Timestamp,
    ) -> Result<Revisions, AppError> {
        let changed = accepted.iter().map(|accepted| {
            let base_url = accepted.checked.as_ref().map(|checked| checked.api.destination().base_url);
            stored::connection_change(&accepted.id, &accepted.before, &accepted.settings, base_url)
        });
        let remove = removed.iter().filter_map(|id| {
            let system = self.0.connections.get(id)?.system;
            Some(SettingsChange::Remove { connection: id.clone(), system })
        });
        let mut changes: Vec<_> = changed.chain(remove).collect();
        if !changes.is_empty() || *rules != self.rules() {
            changes.push(stored::rules_change(rules));
        }
        let actor = by.name.clone();
        let detail = difference(accepted, removed, &self.rules(), rules);
        let changed = names(&detail);
        let audit = NewAuditEntry {
            at: now,
            actor: by,
            action: AuditAction::Configure,
            subject: SETTINGS.to_owned(),
            detail,
            outcome: DONE.to_owned(),
        };
        let revisions = self.0.store.configure(changes, audit, now).await.map_err(|error| match error {
            ConfigureError::ConnectionInUse { connection, deliveries } => {
                AppError::ConnectionInUse { connection: name_of(&connection).to_owned(), deliveries }
            }
            ConfigureError::Store(error) => AppError::Store(error),
        })?;
        let action = AuditAction::Configure.as_str();
        if !changed.is_empty() {
            tracing::info!(%actor, action, subject = SETTINGS, %changed, "settings were changed");
        }
        Ok(revisions)
    }

    async fn put_in_force(
        &self,
        accepted: Vec<Accepted>,
        rules: Rules,
        revisions: &Revisions,
    ) -> Result<u64, AppError> {
        let schedule = Schedule {
            policy: rules.retry.policy(&self.0.bounds).into(),
            processor_interval: rules.retry.processor_interval,
        };
        self.0.dispatcher.reschedule(schedule);
        self.edit_settings(|all| {
            all.rules = rules;
            all.revision = revisions.all.unwrap_or(all.revision);
        });
        let mut changed = Vec::new();
        for accepted in accepted {
            let is_other_login = accepted.is_other_login(self.0.connections.current(&accepted.id).as_ref());
            let Accepted { id, settings, checked, .. } = accepted;
            let settings_revision = revisions.connections.get(&id).copied().unwrap_or_default();
            let connection = Connection {
                system: settings.draft.system(),
                enabled: settings.enabled,
                settings_revision,
                current: checked.map(|checked| checked.api),
                retired: self.retired(&id).await,
            };
            self.0.connections.set(&id, connection);
            self.edit_settings(|all| {
                all.connections.insert(id.clone(), settings);
                all.revisions.insert(id.clone(), settings_revision);
            });
            changed.push((id, is_other_login));
        }
        let mut made_due = 0;
        for (id, is_other_login) in changed {
            if is_other_login || !self.0.dispatcher.was_lockable_login_refused(&id) {
                made_due += self.0.dispatcher.reset_health(&id).await?;
            }
        }
        // Claims were refused since the settings were saved.
        self.0.dispatcher.wake();
        Ok(made_due)
    }

    /// Forgets connections whose removal is saved, and ends what is left of their deliveries.
    async fn forget(&self, removed: &[String], now: Timestamp) -> Result<(), AppError> {
        for id in removed {
            self.0.connections.remove(id);
            self.0.dispatcher.forget(id);
            self.edit_settings(|all| {
                all.connections.remove(id);
                all.revisions.remove(id);
            });
            self.0.store.connection_removed(id, now).await?;
        }
        Ok(())
    }

    /// The retired connections, which only look-ups need: new settings become active even if these cannot be
    /// read.
    async fn retired(&self, name: &str) -> Vec<Arc<dyn TicketSystem>> {
        let retired = self.0.store.retired_connections(name).await.unwrap_or_else(|error| {
            tracing::error!(error = %ErrorChain(&error), connection = %name, "failed to read retired connections");
            vec![]
        });
        retired.into_iter().filter_map(|retired| self.0.connections.retired(retired)).collect()
    }
}

// === impl Accepted ===

impl Accepted {
    /// Whether the account, its address or its secret differ from `current`, the active connection. Setting
    /// the same values again, as a script may do every minute, is no reason to retry them.
    fn is_other_login(&self, current: Option<&Arc<dyn TicketSystem>>) -> bool {
        fn secret(settings: &ConnectionSettings) -> Option<&str> {
            settings.secret(SecretUse::TicketSystem).map(|secret| secret.value.expose_secret())
        }
        let name = |api: &Arc<dyn TicketSystem>| api.login().name;
        self.checked.as_ref().map(|checked| name(&checked.api)) != current.map(name)
            || secret(&self.before) != secret(&self.settings)
    }
}

// === impl ConnectionTest ===

impl ConnectionTest {
    /// Whether a ticket can be created, as far as reading can tell.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.iter().any(Check::has_failed)
    }
}

/// Every field that a change modifies, with its old and new value. Secrets are only listed as set or removed.
fn difference(accepted: &[Accepted], removed: &[String], rules_before: &Rules, rules: &Rules) -> Value {
    let mut changed = Map::new();
    for id in removed {
        changed.insert(name_of(id).to_owned(), json!("removed"));
    }
    for Accepted { id, before, settings, .. } in accepted {
        let mut fields = differing(&before.draft.to_json(), &settings.draft.to_json());
        if before.enabled != settings.enabled {
            fields.insert("enabled".to_owned(), json!([before.enabled, settings.enabled]));
        }
        for used_for in SecretUse::ALL {
            let before = before.secrets.get(&used_for);
            let held = settings.secrets.get(&used_for);
            if before.map(|held| held.set_at) != held.map(|held| held.set_at) {
                let kind = held.or(before).map_or("secret", |held| held.kind.as_str());
                let what = if held.is_some() { "set" } else { "removed" };
                fields.insert(kind.to_owned(), json!(what));
            }
        }
        changed.insert(name_of(id).to_owned(), Value::Object(fields));
    }
    let as_json = |rules: &Rules| json!({ "auto_push": rules.auto_push, "retry": rules.retry });
    changed.extend(differing(&as_json(rules_before), &as_json(rules)));
    Value::Object(changed)
}

/// The names of the settings in a [`difference`], without their values.
fn names(difference: &Value) -> String {
    let mut names = vec![];
    for (name, value) in difference.as_object().into_iter().flatten() {
        match value {
            Value::Object(fields) => names.extend(fields.keys().map(|field| format!("{name}.{field}"))),
            _ => names.push(name.clone()),
        }
    }
    names.join(", ")
}

fn differing(before: &Value, after: &Value) -> Map<String, Value> {
    let empty = Map::new();
    let before = before.as_object().unwrap_or(&empty);
    let after = after.as_object().unwrap_or(&empty);
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let of = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned().unwrap_or_default();
    let brief = |value: Value| match value.as_str().map(str::len) {
        Some(length) if length > MAX_LISTED => json!(format!("({length} bytes)")),
        _ => value,
    };
    let pairs = names.map(|name| (name.clone(), of(before, name), of(after, name)));
    pairs
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| (name, json!([brief(old), brief(new)])))
        .collect()
}

/// All secrets of a change, as the worst possible panic message at the fail point.
fn exposed(accepted: &[Accepted]) -> String {
    let held = accepted.iter().flat_map(|accepted| accepted.settings.secrets.values());
    held.map(|held| held.value.expose_secret()).collect::<Vec<_>>().join(" ")
}

/// Disabled settings may be incomplete, but not invalid.
fn given_only(found: &Violations, settings: &ConnectionSettings) -> Violations {
    let draft = settings.draft.to_json();
    let is_given = |violation: &&Violation| {
        let mut segments = violation.field.split(['.', '[']);
        let is_content = segments.next() == Some("content");
        let field = segments.next().unwrap_or_default();
        is_content
            || draft.get(field).is_some_and(|value| !value.is_null())
            || settings.secrets.values().any(|held| held.kind.as_str() == field)
    };
    let mut given = Violations::default();
    found.iter().filter(is_given).for_each(|violation| given.add(&violation.field, &violation.description));
    given
}

/// Returns all violations at once. A required secret has its own reason, if it is the only violation.
fn refuse(mut violations: Violations, unbound: Option<(String, Violations)>) -> Result<(), AppError> {
    match unbound {
        Some((name, secrets)) if violations.is_empty() => Err(AppError::SecretRequired(name, secrets)),
        Some((_, secrets)) => {
            violations.extend(secrets);
            Err(AppError::SettingsInvalid(violations))
        }
        None if violations.is_empty() => Ok(()),
        None => Err(AppError::SettingsInvalid(violations)),
    }
}

fn secrets_required(system: System, kinds: &[SecretKind]) -> Violations {
    let mut violations = Violations::default();
    for kind in kinds {
        violations.add(
            format!("{system}.{}", kind.as_str()),
            "must be given again, since the address or the route to it was changed: a secret is never sent to another host",
        );
    }
    violations
}

/// A test creates nothing, so it can only report evidence from delivered tickets.
fn own_tickets_visible(seen: Option<&SearchEvidence>) -> Check {
    let name = "own_tickets_visible";
    let (detail, hint) = match seen {
        Some(SearchEvidence { is_shown: true, .. }) => {
            return Check::passed(name, "a delivered ticket was seen with its marker on it", Duration::ZERO);
        }
        Some(_) => (
            "the last delivered ticket that was read back is hidden from the account, or has lost its marker",
            "let the account read the tickets that it creates and keep the marker's field (labels, correlation_id) on them, \
             or a create of unknown outcome waits for an operator",
        ),
        None => ("no delivered ticket was read back yet; the first one will be", ""),
    };
    Check { hint: hint.to_owned(), ..Check::unproven(name, detail, Duration::ZERO) }
}
