//! Converts settings from and to their stored form.

use ticketing_core::auto_push::AutoPush;
use ticketing_core::connection::name_of;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::secret::{Secret, SecretUse};
use ticketing_core::system::System;
use ticketing_store::{RetiredConnection, SettingsChange, Store, StoreError, StoredSettings};
use ticketing_vendor::{ConnectionSettings, Draft, Vendors};

use super::{RetrySchedule, Rules};
use crate::settings::Settings;

/// Loads all settings. An unusable secret is logged and omitted: its connection is not configured until the
/// secret is set again, and the others continue.
///
/// # Errors
/// If they cannot be read, or are invalid.
pub async fn read(store: &Store, vendors: &Vendors) -> Result<Settings, StoreError> {
    let mut settings = Settings::default();
    for stored in store.settings().await? {
        let StoredSettings { connection, system, draft: json, enabled, secrets, lost, revision, .. } = stored;
        for lost in &lost {
            tracing::error!(
                error = %ErrorChain(lost), %connection,
                "nothing is sent to this ticket system until its secret is set again with Configure"
            );
        }
        let draft = draft(vendors, system, &connection, json)?;
        settings.revisions.insert(connection.clone(), revision);
        settings.connections.insert(connection, ConnectionSettings { draft, enabled, secrets });
    }
    if let Some(policy) = store.policy().await? {
        settings.revision = policy.revision;
        settings.rules = rules(policy.auto_push, policy.retry)?;
    }
    Ok(settings)
}

/// The settings of a retired connection.
///
/// # Errors
/// If they are invalid.
pub fn retired(retired: RetiredConnection, vendors: &Vendors) -> Result<ConnectionSettings, StoreError> {
    let draft = draft(vendors, retired.system, &retired.connection, retired.draft)?;
    Ok(ConnectionSettings { draft, enabled: true, secrets: retired.secrets })
}

/// The stored form of one connection's settings. A secret is encrypted again only if it, or its binding, has
/// changed.
#[must_use]
pub fn connection_change(
    connection: &str,
    before: &ConnectionSettings,
    after: &ConnectionSettings,
    base_url: Option<String>,
) -> SettingsChange {
    let change = |used_for| {
        secret_change(before.secret(used_for), after.secret(used_for)).map(|change| (used_for, change))
    };
    SettingsChange::Connection {
        connection: connection.to_owned(),
        system: after.draft.system(),
        enabled: after.enabled,
        draft: after.draft.to_json(),
        base_url,
        secrets: SecretUse::ALL.into_iter().filter_map(change).collect(),
    }
}

/// `None` if nothing has changed, `Some(None)` if the secret was removed.
fn secret_change(before: Option<&Secret>, after: Option<&Secret>) -> Option<Option<Secret>> {
    let of = |secret: Option<&Secret>| secret.map(|secret| (secret.set_at, secret.origin.clone()));
    (of(before) != of(after)).then(|| after.cloned())
}

/// The stored form of the rules.
#[must_use]
pub fn rules_change(rules: &Rules) -> SettingsChange {
    let retry = serde_json::to_value(&rules.retry).expect("a schedule is made of numbers");
    SettingsChange::Policy { auto_push: rules.auto_push.clone(), retry }
}

fn draft(
    vendors: &Vendors,
    system: System,
    connection: &str,
    json: serde_json::Value,
) -> Result<Draft, StoreError> {
    let draft = vendors.of(system).stored(json);
    let mut draft = draft.map_err(|error| StoreError::bad("target_settings", "draft", connection, &error))?;
    name_of(connection).clone_into(&mut draft.connection);
    Ok(draft)
}

fn rules(auto_push: AutoPush, retry: serde_json::Value) -> Result<Rules, StoreError> {
    let schedule: Result<RetrySchedule, _> = serde_json::from_value(retry);
    let retry = schedule.map_err(|error| StoreError::bad("policy", "retry", "1", &error))?;
    Ok(Rules { auto_push, retry })
}
