//! Settings, their secrets, and the connections that were replaced.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use ticketing_core::system::System;

use super::audit::Head;
use super::keys::{KeyId, Keyring};
use super::rows::{self, Reader};
use super::sealed::{self, SealedTable, Seals};
use super::{Database, State, writer};
use crate::store::StoreError;
use crate::store::audit::NewAuditEntry;
use crate::store::seal::Place;
use crate::store::types::{
    RetiredConnection, Secret, SecretChange, SettingsChange, StoredPolicy, StoredSettings, StoredTest,
};

const RETIRE: &str = "
    INSERT INTO retired_connections
        (target, base_url, secret_origin, system, draft, secret_kind, secret_key, secret, retired_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (target, base_url) DO UPDATE SET secret_origin = excluded.secret_origin, system = excluded.system,
        draft = excluded.draft, secret_kind = excluded.secret_kind, secret_key = excluded.secret_key,
        secret = excluded.secret, retired_at = excluded.retired_at";

const SAVE_SETTINGS: &str = "
    INSERT INTO target_settings (target, system, enabled, draft, base_url, revision, updated_at)
    VALUES (?, ?, ?, ?, ?, 1, ?)
    ON CONFLICT (target) DO UPDATE SET system = excluded.system, enabled = excluded.enabled,
        draft = excluded.draft, base_url = excluded.base_url, revision = revision + 1,
        updated_at = excluded.updated_at";

const SAVE_SECRET: &str = "
    UPDATE target_settings SET secret_kind = ?, secret_key = ?, secret = ?, secret_origin = ?, secret_set_at = ?
    WHERE target = ?";

const REMOVE_SECRET: &str = "
    UPDATE target_settings SET secret_kind = NULL, secret = NULL, secret_origin = NULL, secret_set_at = NULL
    WHERE target = ?";

const SAVE_POLICY: &str = "
    INSERT INTO policy (id, auto_push, retry, updated_at) VALUES (1, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        auto_push = excluded.auto_push, retry = excluded.retry, updated_at = excluded.updated_at";

const SAVE_TEST: &str = "
    INSERT INTO target_tests (target, at, checks) VALUES (?, ?, ?)
    ON CONFLICT (target) DO UPDATE SET at = excluded.at, checks = excluded.checks";

/// Where something was sent, or is just being sent, that may still have to be looked up.
const OPEN_DESTINATIONS: &str = "
    SELECT target, base_url FROM deliveries
    WHERE base_url IS NOT NULL AND (state IN ('ATTEMPTING', 'RECONCILING') OR doubt IS NOT NULL)
    UNION
    SELECT target, place.value ->> 'base_url' FROM deliveries, json_each(doubted) AS place
    WHERE sweep IS NOT NULL OR state IN ('PENDING', 'ATTEMPTING', 'WAITING', 'RECONCILING')";

/// Saves several changes, all or none.
#[derive(Debug)]
pub(in crate::store) struct Configure {
    pub(in crate::store) changes: Vec<SettingsChange>,
    pub(in crate::store) audit: NewAuditEntry,
    pub(in crate::store) now: Timestamp,
}

#[derive(Debug)]
pub(in crate::store) struct SaveTest {
    pub(in crate::store) target: String,
    pub(in crate::store) test: StoredTest,
}

/// Forgets former connections that nothing refers to any more.
#[derive(Debug)]
pub(in crate::store) struct PruneRetired {
    pub(in crate::store) before: Timestamp,
}

// === impl Database ===

impl Database {
    pub(in crate::store) async fn settings(&self) -> Result<Vec<StoredSettings>, StoreError> {
        let mut db = self.readers.begin().await.map_err(StoreError::begin)?;
        let seals = Head::load(&mut db, &self.state.audit_key).await?.seals;
        let rows = sqlx::query("SELECT * FROM target_settings ORDER BY target").fetch_all(&mut *db).await;
        let mut all = vec![];
        for row in &rows.map_err(StoreError::read("settings"))? {
            all.push(settings(&self.state.keys, &seals, row, &mut db).await?);
        }
        Ok(all)
    }

    pub(in crate::store) async fn retired_connections(
        &self,
        target: &str,
    ) -> Result<Vec<RetiredConnection>, StoreError> {
        let mut db = self.readers.begin().await.map_err(StoreError::begin)?;
        let seals = Head::load(&mut db, &self.state.audit_key).await?.seals;
        let query =
            sqlx::query("SELECT * FROM retired_connections WHERE target = ? ORDER BY retired_at DESC");
        let rows = query.bind(target).fetch_all(&mut *db).await;
        let mut all = vec![];
        for row in &rows.map_err(StoreError::read("former connections"))? {
            match retired(&self.state.keys, &seals, row, &mut db).await {
                // What was sent there can not be looked up any more; all else goes on.
                Err(error @ StoreError::Unsealable { .. }) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a former connection is lost");
                }
                connection => all.push(connection?),
            }
        }
        Ok(all)
    }

    pub(in crate::store) async fn policy(&self) -> Result<Option<StoredPolicy>, StoreError> {
        let query = sqlx::query("SELECT 'policy' AS name, auto_push, retry, updated_at FROM policy");
        let row = query.fetch_optional(&self.readers).await.map_err(StoreError::read("the policy"))?;
        let Some(row) = &row else { return Ok(None) };
        let row = Reader::new(row, "policy", "name")?;
        Ok(Some(StoredPolicy {
            auto_push: row.json("auto_push")?,
            retry: row.json("retry")?,
            updated_at: row.time("updated_at")?,
        }))
    }

    pub(in crate::store) async fn last_test(&self, target: &str) -> Result<Option<StoredTest>, StoreError> {
        let query = sqlx::query("SELECT * FROM target_tests WHERE target = ?").bind(target);
        let row = query.fetch_optional(&self.readers).await.map_err(StoreError::read("a test"))?;
        let Some(row) = &row else { return Ok(None) };
        let row = Reader::new(row, "target_tests", "target")?;
        Ok(Some(StoredTest { at: row.time("at")?, checks: row.json("checks")? }))
    }
}

// === impl Configure ===

#[async_trait]
impl writer::Task for Configure {
    type Answer = ();

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut head = Head::load(db, &state.audit_key).await?;
        for change in &self.changes {
            match change {
                SettingsChange::Target { .. } => {
                    self.save_target(change, state, &mut head.seals, db).await?;
                }
                SettingsChange::Policy { auto_push, retry } => {
                    let (auto_push, retry) = (rows::json("auto_push", auto_push)?, retry.to_string());
                    let query = sqlx::query(SAVE_POLICY).bind(auto_push).bind(retry);
                    let done = query.bind(self.now.as_microsecond()).execute(&mut *db).await;
                    one_row("policy", &done.map_err(StoreError::write("the policy"))?)?;
                }
            }
        }
        head.append(db, &state.audit_key, vec![self.audit.clone()]).await?;
        head.save(db, &state.audit_key).await
    }
}

impl Configure {
    async fn save_target(
        &self,
        change: &SettingsChange,
        state: &State,
        seals: &mut Seals,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let SettingsChange::Target { target, system, enabled, draft, base_url, secret } = change else {
            return Ok(());
        };
        let former = sqlx::query("SELECT * FROM target_settings WHERE target = ?").bind(target);
        let former = former.fetch_optional(&mut *db).await.map_err(StoreError::read("settings"))?;
        let former = match former {
            Some(row) => Some(settings(&state.keys, seals, &row, db).await?),
            None => None,
        };
        let lost = former.as_ref().and_then(|former| former.lost.clone());
        // A secret that somebody removes is gone, whatever may still have to be looked up with it.
        if !matches!(secret, SecretChange::Remove) {
            self.retire(target, base_url.as_deref(), former, state, seals, db).await?;
        }
        let query = sqlx::query(SAVE_SETTINGS).bind(target).bind(system.as_str()).bind(*enabled);
        let query = query.bind(draft.to_string()).bind(base_url).bind(self.now.as_microsecond());
        let done = query.execute(&mut *db).await.map_err(StoreError::write("settings"))?;
        one_row("target_settings", &done)?;
        match secret {
            // What is not believed now is not believed after other settings were changed either.
            SecretChange::Keep if let Some(lost) = &lost => {
                tracing::error!(error = lost as &dyn std::error::Error, "a secret is to be given again");
                return Ok(());
            }
            SecretChange::Keep => {}
            SecretChange::Remove => {
                let done = sqlx::query(REMOVE_SECRET).bind(target).execute(&mut *db).await;
                one_row("target_settings", &done.map_err(StoreError::write("a secret"))?)?;
            }
            SecretChange::Set(secret) => self.save_secret(target, secret, state, db).await?,
        }
        note(seals, &sealed::SETTINGS, &[target], db).await
    }

    async fn save_secret(
        &self,
        target: &str,
        secret: &Secret,
        state: &State,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let place = place("target_settings", target, &secret.origin);
        let (key, sealer) = state.keys.newest(db).await?;
        let sealed = sealer.seal(secret.value.expose_secret().as_bytes(), place, &*state.entropy);
        let query = sqlx::query(SAVE_SECRET).bind(&secret.kind).bind(key).bind(sealed).bind(&secret.origin);
        let done = query.bind(self.now.as_microsecond()).bind(target).execute(db).await;
        one_row("target_settings", &done.map_err(StoreError::write("a secret"))?)
    }

    /// Keeps the former connection if the new one leads elsewhere; one that leads there again is no longer former.
    async fn retire(
        &self,
        target: &str,
        base_url: Option<&str>,
        former: Option<StoredSettings>,
        state: &State,
        seals: &mut Seals,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let back = sqlx::query("DELETE FROM retired_connections WHERE target = ? AND base_url = ?");
        let done = back.bind(target).bind(base_url).execute(&mut *db).await;
        done.map_err(StoreError::write("former connections"))?;
        seals.forget(&sealed::RETIRED, &[target, base_url.unwrap_or_default()]);
        let Some(former) = former else { return Ok(()) };
        let elsewhere = former.base_url.filter(|former| Some(former.as_str()) != base_url);
        let (Some(former_url), Some(secret)) = (elsewhere, former.secret) else { return Ok(()) };
        let place = place("retired_connections", target, &secret.origin);
        let (key, sealer) = state.keys.newest(db).await?;
        let sealed = sealer.seal(secret.value.expose_secret().as_bytes(), place, &*state.entropy);
        let query = sqlx::query(RETIRE).bind(target).bind(&former_url).bind(&secret.origin);
        let query = query.bind(former.system.as_str()).bind(former.draft.to_string()).bind(&secret.kind);
        let done = query.bind(key).bind(sealed).bind(self.now.as_microsecond()).execute(&mut *db).await;
        one_row("retired_connections", &done.map_err(StoreError::write("former connections"))?)?;
        note(seals, &sealed::RETIRED, &[target, &former_url], db).await
    }
}

// === impl SaveTest ===

#[async_trait]
impl writer::Task for SaveTest {
    type Answer = ();

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let checks = rows::json("checks", &self.test.checks)?;
        let query =
            sqlx::query(SAVE_TEST).bind(&self.target).bind(self.test.at.as_microsecond()).bind(checks);
        let done = query.execute(db).await.map_err(StoreError::write("a test"))?;
        one_row("target_tests", &done)
    }
}

// === impl PruneRetired ===

#[async_trait]
impl writer::Task for PruneRetired {
    type Answer = u64;

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let query = sqlx::query_as("SELECT target, base_url FROM retired_connections WHERE retired_at < ?");
        let old: Vec<(String, String)> = query
            .bind(self.before.as_microsecond())
            .fetch_all(&mut *db)
            .await
            .map_err(StoreError::read("former connections"))?;
        if old.is_empty() {
            return Ok(0);
        }
        let open: Vec<(String, String)> = sqlx::query_as(OPEN_DESTINATIONS)
            .fetch_all(&mut *db)
            .await
            .map_err(StoreError::read("open destinations"))?;
        let unused: Vec<_> = old.into_iter().filter(|retired| !open.contains(retired)).collect();
        if unused.is_empty() {
            return Ok(0);
        }
        let mut head = Head::load(db, &state.audit_key).await?;
        for (target, base_url) in &unused {
            head.seals.forget(&sealed::RETIRED, &[target, base_url]);
        }
        let query = sqlx::query(
            "DELETE FROM retired_connections WHERE (target, base_url) IN
                (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
        );
        let done = query.bind(rows::json("former connections", &unused)?).execute(&mut *db).await;
        let pruned = done.map_err(StoreError::write("former connections"))?.rows_affected();
        head.save(db, &state.audit_key).await?;
        Ok(pruned)
    }
}

/// Lists a row as it was just written.
pub(super) async fn note(
    seals: &mut Seals,
    table: &SealedTable,
    names: &[&str],
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    seals.forget(table, names);
    let all = Seals::of_rows(db).await?;
    seals.take(all, table, names);
    Ok(())
}

async fn settings(
    keys: &Keyring,
    seals: &Seals,
    row: &SqliteRow,
    db: &mut SqliteConnection,
) -> Result<StoredSettings, StoreError> {
    let reader = Reader::new(row, "target_settings", "target")?;
    let target: String = reader.get("target")?;
    let sealed: Option<Vec<u8>> = reader.get("secret")?;
    let opened = match sealed {
        Some(sealed) => unseal(keys, seals, &sealed::SETTINGS, row, &sealed, db).await.map(Some),
        None => Ok(None),
    };
    let (secret, lost) = match opened {
        Err(error @ StoreError::Unsealable { .. }) => (None, Some(error)),
        opened => (opened?, None),
    };
    let set_at = reader.time_if("secret_set_at")?;
    Ok(StoredSettings {
        system: reader.name("system", System::parse)?,
        enabled: reader.get("enabled")?,
        draft: reader.json("draft")?,
        base_url: reader.get("base_url")?,
        secret_set_at: set_at.filter(|_| secret.is_some()),
        secret,
        lost,
        revision: reader.get("revision")?,
        updated_at: reader.time("updated_at")?,
        target,
    })
}

async fn retired(
    keys: &Keyring,
    seals: &Seals,
    row: &SqliteRow,
    db: &mut SqliteConnection,
) -> Result<RetiredConnection, StoreError> {
    let reader = Reader::new(row, "retired_connections", "target")?;
    let sealed: Vec<u8> = reader.get("secret")?;
    Ok(RetiredConnection {
        system: reader.name("system", System::parse)?,
        draft: reader.json("draft")?,
        secret: unseal(keys, seals, &sealed::RETIRED, row, &sealed, db).await?,
        retired_at: reader.time("retired_at")?,
        target: reader.get("target")?,
    })
}

/// The secret of a row, if it is the one that was put there last.
pub(super) async fn unseal(
    keys: &Keyring,
    seals: &Seals,
    table: &SealedTable,
    row: &SqliteRow,
    sealed: &[u8],
    db: &mut SqliteConnection,
) -> Result<Secret, StoreError> {
    let reader = Reader::new(row, table.table, "target")?;
    let (target, key): (String, KeyId) = (reader.get("target")?, reader.get("secret_key")?);
    let (kind, origin): (String, String) = (reader.get("secret_kind")?, reader.get("secret_origin")?);
    let sealer = keys.get(db, key).await?.filter(|_| table.row(row).is_ok_and(|row| seals.is_current(&row)));
    let value =
        sealer.and_then(|sealer| sealer.unseal_text(sealed, place(table.table, &target, &origin)).ok());
    let lost = || StoreError::Unsealable { table: table.table, column: "secret", id: target.clone() };
    Ok(Secret { kind, value: value.ok_or_else(lost)?, origin })
}

pub(super) fn place<'a>(table: &'a str, row: &'a str, origin: &'a str) -> Place<'a> {
    Place { table, row, column: "secret", origin }
}

fn one_row(table: &'static str, done: &sqlx::sqlite::SqliteQueryResult) -> Result<(), StoreError> {
    match done.rows_affected() {
        1 => Ok(()),
        touched => Err(StoreError::Miscounted { table, expected: 1, touched }),
    }
}
