//! Converts settings from and to their stored form.

use ticketing_core::auto_push::AutoPush;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::system::System;
use ticketing_store::{
    self, RetiredConnection, SettingsChange, Store, StoreError, StoredSecrets, StoredSettings,
};

use super::{
    BoundSecret, Draft, RetrySchedule, Rules, Secret, SecretKind, SecretUse, Secrets, SystemSettings,
};
use crate::settings::Settings;

/// Loads all settings. An unusable secret is logged and omitted: its system is not configured until the
/// secret is set again, and the others continue.
///
/// # Errors
/// If they cannot be read, or are invalid.
pub async fn read(store: &Store) -> Result<Settings, StoreError> {
    let mut settings = Settings::default();
    for stored in store.settings().await? {
        let connection = stored.connection.clone();
        for lost in &stored.lost {
            tracing::error!(
                error = %ErrorChain(lost), connection = %connection,
                "nothing is sent to this ticket system until its secret is set again with Configure"
            );
        }
        settings.systems.insert(connection, system(stored)?);
    }
    if let Some(policy) = store.policy().await? {
        settings.rules = rules(policy.auto_push, policy.retry)?;
    }
    Ok(settings)
}

/// The settings of a retired connection.
///
/// # Errors
/// If they are invalid.
pub fn retired(retired: RetiredConnection) -> Result<SystemSettings, StoreError> {
    let draft = draft(retired.system, &retired.connection, retired.draft)?;
    let secrets = secrets(&retired.connection, retired.secrets)?;
    Ok(SystemSettings { draft, enabled: true, secrets })
}

/// The stored form of one connection's settings. A secret is encrypted again only if it, or its binding, has
/// changed.
#[must_use]
pub fn connection_change(
    connection: &str,
    before: &SystemSettings,
    after: &SystemSettings,
    base_url: Option<String>,
) -> SettingsChange {
    let change = |used_for| {
        secret_change(before.secrets.get(&used_for), after.secrets.get(&used_for))
            .map(|change| (used_for, change))
    };
    let secrets = SecretUse::ALL.into_iter().filter_map(change).collect();
    let system = after.draft.system();
    let enabled = after.enabled;
    let draft = after.draft.to_json();
    let connection = connection.to_owned();
    SettingsChange::Connection { connection, system, enabled, draft, base_url, secrets }
}

fn secret_change(
    before: Option<&BoundSecret>,
    after: Option<&BoundSecret>,
) -> Option<ticketing_store::SecretChange> {
    let of = |held: Option<&BoundSecret>| held.map(|held| (held.set_at, held.origin.clone()));
    if of(before) == of(after) {
        return None;
    }
    Some(after.map_or(ticketing_store::SecretChange::Remove, |BoundSecret { secret, origin, .. }| {
        ticketing_store::SecretChange::Set(ticketing_store::Secret {
            kind: secret.kind.as_str().to_owned(),
            value: secret.value.clone(),
            origin: origin.clone().unwrap_or_default(),
        })
    }))
}

/// The stored form of the rules.
#[must_use]
pub fn rules_change(rules: &Rules) -> SettingsChange {
    let retry = serde_json::to_value(&rules.retry).expect("a schedule is made of numbers");
    SettingsChange::Policy { auto_push: rules.auto_push.clone(), retry }
}

fn system(stored: StoredSettings) -> Result<SystemSettings, StoreError> {
    let draft = draft(stored.system, &stored.connection, stored.draft)?;
    let secrets = secrets(&stored.connection, stored.secrets)?;
    Ok(SystemSettings { draft, enabled: stored.enabled, secrets })
}

fn secrets(connection: &str, stored: StoredSecrets) -> Result<Secrets, StoreError> {
    let held = |(used_for, stored): (SecretUse, ticketing_store::StoredSecret)| {
        let secret = secret(connection, &stored.secret)?;
        // A secret that was set before its address is not bound yet.
        let origin = Some(stored.secret.origin).filter(|origin| !origin.is_empty());
        Ok((used_for, BoundSecret { secret, origin, set_at: stored.set_at }))
    };
    stored.into_iter().map(held).collect()
}

fn draft(system: System, connection: &str, json: serde_json::Value) -> Result<Draft, StoreError> {
    Draft::from_json(system, json)
        .map_err(|error| StoreError::bad("target_settings", "draft", connection, &error))
}

fn secret(connection: &str, secret: &ticketing_store::Secret) -> Result<Secret, StoreError> {
    let bad = || StoreError::bad("target_settings", "secret_kind", connection, &"it is no kind of secret");
    let kind = SecretKind::parse(&secret.kind).ok_or_else(bad)?;
    Ok(Secret { kind, value: secret.value.clone() })
}

fn rules(auto_push: AutoPush, retry: serde_json::Value) -> Result<Rules, StoreError> {
    let schedule: Result<RetrySchedule, _> = serde_json::from_value(retry);
    let retry = schedule.map_err(|error| StoreError::bad("policy", "retry", "1", &error))?;
    Ok(Rules { auto_push, retry })
}
