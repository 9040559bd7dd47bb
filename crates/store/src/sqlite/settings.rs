//! Settings, their secrets, and retired connections.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::secret::SecretUse;
use ticketing_core::system::System;
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_secrets::audit::NewAuditEntry;
use ticketing_secrets::row_digests::RowDigests;

use super::audit::Head;
use super::exclusive_write::ExclusiveWrite;
use super::keys::Keyring;
use super::row_digests;
use super::rows::{self, Reader, one_row};
use super::secrets::{self, SealedSecret, note};
use super::{Database, State, remove_connection};
use crate::port;
use crate::{
    ConfigureError, RemovedConnection, RetiredConnection, Revisions, SettingsChange, StoreError,
    StoredPolicy, StoredSettings, StoredTest,
};

const RETIRE: &str = "
    INSERT INTO retired_connections
        (secret_kind, secret_key, secret, secret_origin, target, base_url, system, draft, retired_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (target, base_url) DO UPDATE SET secret_origin = excluded.secret_origin, system = excluded.system,
        draft = excluded.draft, secret_kind = excluded.secret_kind, secret_key = excluded.secret_key,
        secret = excluded.secret, retired_at = excluded.retired_at";

const SAVE_SETTINGS: &str = "
    INSERT INTO target_settings (target, system, enabled, draft, base_url, revision, updated_at)
    VALUES (?, ?, ?, ?, ?, 1, ?)
    ON CONFLICT (target) DO UPDATE SET system = excluded.system, enabled = excluded.enabled,
        draft = excluded.draft, base_url = excluded.base_url, revision = revision + 1,
        updated_at = excluded.updated_at
    RETURNING revision";

const SAVE_POLICY: &str = "
    INSERT INTO policy (id, auto_push, retry, revision, updated_at) VALUES (1, ?, ?, 1, ?)
    ON CONFLICT (id) DO UPDATE SET auto_push = excluded.auto_push, retry = excluded.retry,
        revision = revision + 1, updated_at = excluded.updated_at
    RETURNING revision";

const SAVE_TEST: &str = "
    INSERT INTO target_tests (target, at, checks) VALUES (?, ?, ?)
    ON CONFLICT (target) DO UPDATE SET at = excluded.at, checks = excluded.checks";

/// Destinations of a connection where something was sent, or is being sent, that may still have to be looked up.
const OPEN_DESTINATIONS: &str = "
    SELECT base_url FROM deliveries WHERE target = ?1 AND state = 'ATTEMPTING' AND base_url IS NOT NULL
    UNION
    SELECT base_url FROM deliveries INDEXED BY deliveries_to_look_up
    WHERE target = ?1 AND doubt IS NOT NULL AND base_url IS NOT NULL
    UNION
    SELECT place.value ->> 'base_url'
    FROM deliveries INDEXED BY deliveries_to_look_up CROSS JOIN json_each(doubted) AS place
    WHERE target = ?1
        AND (doubt IS NOT NULL
            OR doubted <> '[]' AND (sweep IS NOT NULL OR state IN ('PENDING', 'ATTEMPTING', 'WAITING', 'RECONCILING')))
        AND (sweep IS NOT NULL OR state IN ('PENDING', 'ATTEMPTING', 'WAITING', 'RECONCILING'))";

/// Saves several changes, all or none.
#[derive(Debug)]
struct Configure {
    changes: Vec<SettingsChange>,
    audit: NewAuditEntry,
    now: Timestamp,
}

#[derive(Debug)]
struct SaveTest {
    connection: String,
    test: StoredTest,
}

/// Deletes retired connections that nothing refers to.
#[derive(Debug)]
struct PruneRetired {
    before: Timestamp,
}

// === impl Database ===

#[async_trait]
impl port::Settings for Database {
    async fn settings(&self) -> Result<Vec<StoredSettings>, StoreError> {
        let mut db = self.readers.begin().await.map_err(StoreError::begin)?;
        let row_digests = Head::load(&mut db, &self.state.audit_key).await?.row_digests;
        let rows = sqlx::query("SELECT * FROM target_settings ORDER BY target").fetch_all(&mut *db).await;
        let mut all = vec![];
        for row in &rows.map_err(StoreError::read("settings"))? {
            all.push(settings(&self.state.keys, &row_digests, row, &mut db).await?);
        }
        Ok(all)
    }

    async fn retired_connections(&self, connection: &str) -> Result<Vec<RetiredConnection>, StoreError> {
        let mut db = self.readers.begin().await.map_err(StoreError::begin)?;
        let row_digests = Head::load(&mut db, &self.state.audit_key).await?.row_digests;
        let query =
            sqlx::query("SELECT * FROM retired_connections WHERE target = ? ORDER BY retired_at DESC");
        let rows = query.bind(connection).fetch_all(&mut *db).await;
        let mut all = vec![];
        for row in &rows.map_err(StoreError::read("former connections"))? {
            match retired(&self.state.keys, &row_digests, row, &mut db).await {
                // Deliveries sent there cannot be looked up any more; everything else continues.
                Err(error @ StoreError::Undecryptable { .. }) => {
                    tracing::error!(error = %ErrorChain(&error), "a retired connection is unusable");
                }
                connection => all.push(connection?),
            }
        }
        Ok(all)
    }

    async fn policy(&self) -> Result<Option<StoredPolicy>, StoreError> {
        let query =
            sqlx::query("SELECT 'policy' AS name, auto_push, retry, revision, updated_at FROM policy");
        let row = query.fetch_optional(&self.readers).await.map_err(StoreError::read("the policy"))?;
        let Some(row) = &row else { return Ok(None) };
        let row = Reader::new(row, "policy", "name")?;
        Ok(Some(StoredPolicy {
            auto_push: row.json("auto_push")?,
            retry: row.json("retry")?,
            revision: row.get("revision")?,
            updated_at: row.time("updated_at")?,
        }))
    }

    async fn configure(
        &self,
        changes: Vec<SettingsChange>,
        audit: NewAuditEntry,
        now: Timestamp,
    ) -> Result<Revisions, ConfigureError> {
        self.write_exclusive(Configure { changes, audit, now }).await?
    }

    async fn removed_connections(&self) -> Result<Vec<RemovedConnection>, StoreError> {
        remove_connection::removed(&self.readers).await
    }

    async fn prune_retired(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write_exclusive(PruneRetired { before }).await
    }

    async fn save_test(&self, connection: &str, test: StoredTest) -> Result<(), StoreError> {
        self.write_exclusive(SaveTest { connection: connection.to_owned(), test }).await
    }
}

// === impl Configure ===

#[async_trait]
impl ExclusiveWrite for Configure {
    type Answer = Result<Revisions, ConfigureError>;

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<Self::Answer, StoreError> {
        for change in &self.changes {
            let SettingsChange::Remove { connection, .. } = change else { continue };
            let deliveries = remove_connection::open_deliveries(connection, db).await?;
            if deliveries > 0 {
                let connection = connection.clone();
                return Ok(Err(ConfigureError::ConnectionInUse { connection, deliveries }));
            }
        }
        let mut head = Head::load(db, &state.audit_key).await?;
        let mut revisions = Revisions::default();
        for change in &self.changes {
            match change {
                SettingsChange::Connection { connection, .. } => {
                    let revision = self.save_connection(change, state, &mut head.row_digests, db).await?;
                    revisions.connections.insert(connection.clone(), revision);
                }
                SettingsChange::Remove { connection, system } => {
                    self.remove(connection, *system, &mut head.row_digests, db).await?;
                }
                SettingsChange::Policy { auto_push, retry } => {
                    let auto_push = rows::json("auto_push", auto_push)?;
                    let retry = retry.to_string();
                    let query = sqlx::query(SAVE_POLICY).bind(auto_push).bind(retry);
                    let saved = query.bind(self.now.as_microsecond()).fetch_one(&mut *db).await;
                    revisions.all = Some(saved.map_err(StoreError::write("the policy"))?.get(0));
                }
            }
        }
        if head.row_digests.lists_settings() {
            row_digests::list_settings(&mut head.row_digests, db).await?;
        }
        failpoints::panic_at(Point::SettingsOpen, || self.exposed());
        head.append(db, &state.audit_key, vec![self.audit.clone()]).await?;
        head.save(db, &state.audit_key).await?;
        Ok(Ok(revisions))
    }

    fn replaces_secrets(&self) -> bool {
        self.changes.iter().any(|change| match change {
            SettingsChange::Connection { secrets, .. } => !secrets.is_empty(),
            SettingsChange::Remove { .. } => true,
            SettingsChange::Policy { .. } => false,
        })
    }
}

impl Configure {
    /// All secrets of the change, as the worst possible panic message at the fail point.
    fn exposed(&self) -> String {
        let secrets = self.changes.iter().filter_map(|change| match change {
            SettingsChange::Connection { secrets, .. } => Some(secrets.values()),
            SettingsChange::Remove { .. } | SettingsChange::Policy { .. } => None,
        });
        let values = secrets.flatten().flatten().map(|secret| secret.value.expose_secret());
        values.collect::<Vec<_>>().join(" ")
    }

    /// Removes a connection with its secrets, also the retired ones.
    async fn remove(
        &self,
        connection: &str,
        system: System,
        row_digests: &mut RowDigests,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        for base_url in remove_connection::retired_urls(connection, db).await? {
            forget_retired(connection, &base_url, row_digests, db).await?;
        }
        for used_for in SecretUse::ALL.into_iter().filter(|used_for| *used_for != SecretUse::TicketSystem) {
            secrets::Of { connection, base_url: "", used_for }.remove(row_digests, db).await?;
        }
        row_digests.remove(&row_digests::SETTINGS.place(&[connection]));
        remove_connection::remove_rows(connection, system, self.now, db).await
    }

    /// Returns the revision of the settings.
    async fn save_connection(
        &self,
        change: &SettingsChange,
        state: &State,
        row_digests: &mut RowDigests,
        db: &mut SqliteConnection,
    ) -> Result<u32, StoreError> {
        let SettingsChange::Connection { connection, system, enabled, draft, base_url, secrets } = change
        else {
            return Ok(0);
        };
        let former = sqlx::query("SELECT * FROM target_settings WHERE target = ?").bind(connection);
        let former = former.fetch_optional(&mut *db).await.map_err(StoreError::read("settings"))?;
        let mut former = match former {
            Some(row) => Some(settings(&state.keys, row_digests, &row, db).await?),
            None => None,
        };
        let lost = former.as_mut().map(|former| std::mem::take(&mut former.lost)).unwrap_or_default();
        let of_system = secrets.get(&SecretUse::TicketSystem);
        // A removed secret is deleted at once, even if look-ups would still need it.
        if let Some(former) = &mut former {
            former.secrets.retain(|used_for, _| !matches!(secrets.get(used_for), Some(None)));
        }
        if !matches!(of_system, Some(None)) {
            self.retire(connection, base_url.as_deref(), former, state, row_digests, db).await?;
        }
        let query = sqlx::query(SAVE_SETTINGS).bind(connection).bind(system.as_str()).bind(*enabled);
        let query = query.bind(draft.to_string()).bind(base_url).bind(self.now.as_microsecond());
        let revision = query.fetch_one(&mut *db).await.map_err(StoreError::write("settings"))?.get(0);
        for (used_for, change) in secrets {
            let place = secrets::Of { connection, base_url: "", used_for: *used_for };
            match change {
                None => place.remove(row_digests, db).await?,
                Some(secret) => place.save(secret, state, row_digests, db).await?,
            }
        }
        let is_of_row = |lost: &&StoreError| lost.is_about(row_digests::SETTINGS.table);
        match lost.iter().find(is_of_row).filter(|_| of_system.is_none()) {
            // A row that failed verification stays untrusted after other settings were changed.
            Some(lost) => {
                tracing::error!(error = %ErrorChain(lost), "a secret must be set again");
            }
            None => note(row_digests, &row_digests::SETTINGS, &[connection], db).await?,
        }
        Ok(revision)
    }

    /// Retires the former connection if the new one has another destination; a retired one that becomes
    /// active again is not retired any more.
    async fn retire(
        &self,
        connection: &str,
        base_url: Option<&str>,
        former: Option<StoredSettings>,
        state: &State,
        row_digests: &mut RowDigests,
        db: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        if let Some(base_url) = base_url {
            forget_retired(connection, base_url, row_digests, db).await?;
        }
        let Some(mut former) = former else { return Ok(()) };
        let elsewhere = former.base_url.filter(|former| Some(former.as_str()) != base_url);
        let of_system = former.secrets.remove(&SecretUse::TicketSystem);
        let (Some(former_url), Some(secret)) = (elsewhere, of_system) else {
            return Ok(());
        };
        let place = (&row_digests::RETIRED, connection, SecretUse::TicketSystem);
        let sealed = SealedSecret::seal(&secret, place, (&state.keys, &*state.entropy), db).await?;
        let query = sealed.bind_to(sqlx::query(RETIRE)).bind(connection).bind(&former_url);
        let query = query.bind(former.system.as_str()).bind(former.draft.to_string());
        let done = query.bind(self.now.as_microsecond()).execute(&mut *db).await;
        one_row("retired_connections", &done.map_err(StoreError::write("former connections"))?)?;
        note(row_digests, &row_digests::RETIRED, &[connection, &former_url], db).await?;
        for (used_for, secret) in former.secrets {
            let place = secrets::Of { connection, base_url: &former_url, used_for };
            place.save(&secret, state, row_digests, db).await?;
        }
        Ok(())
    }
}

// === impl SaveTest ===

#[async_trait]
impl ExclusiveWrite for SaveTest {
    type Answer = ();

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let checks = rows::json("checks", &self.test.checks)?;
        let query =
            sqlx::query(SAVE_TEST).bind(&self.connection).bind(self.test.at.as_microsecond()).bind(checks);
        let done = query.execute(db).await.map_err(StoreError::write("a test"))?;
        one_row("target_tests", &done)
    }
}

// === impl PruneRetired ===

#[async_trait]
impl ExclusiveWrite for PruneRetired {
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
        let mut unused = vec![];
        for (connection, base_url) in old {
            let open: Vec<String> = sqlx::query_scalar(OPEN_DESTINATIONS)
                .bind(&connection)
                .fetch_all(&mut *db)
                .await
                .map_err(StoreError::read("open destinations"))?;
            if !open.contains(&base_url) {
                unused.push((connection, base_url));
            }
        }
        if unused.is_empty() {
            return Ok(0);
        }
        let mut head = Head::load(db, &state.audit_key).await?;
        for (connection, base_url) in &unused {
            forget_retired(connection, base_url, &mut head.row_digests, db).await?;
        }
        head.save(db, &state.audit_key).await?;
        Ok(unused.len() as u64)
    }
}

/// Deletes a retired connection and its secrets.
async fn forget_retired(
    connection: &str,
    base_url: &str,
    row_digests: &mut RowDigests,
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let query = sqlx::query("DELETE FROM retired_connections WHERE target = ? AND base_url = ?");
    let done = query.bind(connection).bind(base_url).execute(&mut *db).await;
    done.map_err(StoreError::write("former connections"))?;
    row_digests.remove(&row_digests::RETIRED.place(&[connection, base_url]));
    for used_for in SecretUse::ALL.into_iter().filter(|used_for| *used_for != SecretUse::TicketSystem) {
        secrets::Of { connection, base_url, used_for }.remove(row_digests, db).await?;
    }
    Ok(())
}

async fn settings(
    keys: &Keyring,
    row_digests: &RowDigests,
    row: &SqliteRow,
    db: &mut SqliteConnection,
) -> Result<StoredSettings, StoreError> {
    let reader = Reader::new(row, "target_settings", "target")?;
    let connection: String = reader.get("target")?;
    let (secrets, lost) =
        secrets::of_connection(keys, row_digests, (&row_digests::SETTINGS, row), "", db).await?;
    Ok(StoredSettings {
        system: reader.name("system", System::parse)?,
        enabled: reader.get("enabled")?,
        draft: reader.json("draft")?,
        base_url: reader.get("base_url")?,
        secrets,
        lost,
        revision: reader.get("revision")?,
        updated_at: reader.time("updated_at")?,
        connection,
    })
}

async fn retired(
    keys: &Keyring,
    row_digests: &RowDigests,
    row: &SqliteRow,
    db: &mut SqliteConnection,
) -> Result<RetiredConnection, StoreError> {
    let reader = Reader::new(row, "retired_connections", "target")?;
    let base_url: String = reader.get("base_url")?;
    let (secrets, mut lost) =
        secrets::of_connection(keys, row_digests, (&row_digests::RETIRED, row), &base_url, db).await?;
    if let Some(lost) = lost.pop() {
        return Err(lost);
    }
    Ok(RetiredConnection {
        system: reader.name("system", System::parse)?,
        draft: reader.json("draft")?,
        secrets,
        retired_at: reader.time("retired_at")?,
        connection: reader.get("target")?,
    })
}
