//! Converts between rows and domain types.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::types::Json;
use sqlx::{Decode, Row, Sqlite, SqliteConnection, Type};
use ticketing_core::delivery::{Delivery, Resolution, State, Trigger};
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_core::role::Role;
use ticketing_core::system::System;

use ticketing_secrets::TokenHash;

use super::bound_rows::{BoundStatement, Values};
use crate::StoreError;
use crate::types::StoredToken;

/// A row, and its name in errors.
pub(super) struct Reader<'a> {
    row: &'a SqliteRow,
    table: &'static str,
    id: String,
}

/// Declares the columns of a delivery for writing, each with its value. `fixed` columns are written once; the first
/// is the ID.
macro_rules! columns {
    (
        |$source:ident: $of:ty|
        fixed { $id:ident = $id_value:expr, $($fixed:ident = $fixed_value:expr,)* }
        changing { $($column:ident = $value:expr,)* }
    ) => {
        const FIXED: &[&str] = &[stringify!($id), $(stringify!($fixed)),*];
        const CHANGING: &[&str] = &[$(stringify!($column)),*];

        fn bind_changing($source: &$of, values: &mut Values) -> Result<(), StoreError> {
            $(values.add($value)?;)*
            Ok(())
        }

        /// Binds a row of [`INSERT_DELIVERIES`].
        pub(super) fn bind_new($source: &&$of, values: &mut Values) -> Result<(), StoreError> {
            values.add($id_value)?;
            $(values.add($fixed_value)?;)*
            bind_changing($source, values)
        }

        /// Binds a row of [`UPDATE_DELIVERIES`].
        pub(super) fn bind_changed($source: &&$of, values: &mut Values) -> Result<(), StoreError> {
            values.add($id_value)?;
            bind_changing($source, values)
        }
    };
}

columns! {
    |delivery: Delivery|
    fixed {
        id = &delivery.id,
        incident_id = &delivery.incident_id,
        target = &delivery.connection,
        system = delivery.system.as_str(),
        trigger = trigger_name(delivery.trigger),
        marker = delivery.marker.as_str(),
        requested_by = &delivery.requested_by,
        namespace = delivery.namespace.as_str(),
        created_at = delivery.created_at.as_microsecond(),
    }
    changing {
        incident_revision = delivery.incident_revision,
        state = delivery.state.as_str(),
        epoch = delivery.epoch,
        lease_until = delivery.lease_until.map(Timestamp::as_microsecond),
        failures = delivery.failures,
        failing_since = delivery.failing_since.map(Timestamp::as_microsecond),
        due_at = delivery.due_at.map(Timestamp::as_microsecond),
        send = delivery.send.as_ref().map(Json),
        send_at = delivery.send.as_ref().map(|send| send.at.as_microsecond()),
        doubt = delivery.unknown_outcome.as_ref().map(Json),
        doubted = Json(&delivery.uncertain_sends),
        absences = Json(&delivery.absences),
        sweep = delivery.duplicate_scan.as_ref().map(Json),
        sweep_due_at = delivery.duplicate_scan.as_ref().map(|scan| scan.due_at.as_microsecond()),
        ticket = delivery.ticket.as_ref().map(Json),
        resolution = delivery.resolution.map(Resolution::as_str),
        duplicates = Json(&delivery.duplicates),
        adjustments = Json(&delivery.adjustments),
        last_error = delivery.last_error.as_ref().map(Json),
        content_removed_at = delivery.content_removed_at.map(Timestamp::as_microsecond),
        updated_at = delivery.updated_at.as_microsecond(),
    }
}

pub(super) static INSERT_DELIVERIES: BoundStatement =
    BoundStatement::new("deliveries", FIXED.len() + CHANGING.len(), |rows| {
        let columns: Vec<_> = FIXED.iter().chain(CHANGING).map(|column| format!("\"{column}\"")).collect();
        format!(
            "INSERT INTO deliveries ({}) SELECT * FROM {rows} WHERE column1 IS NOT NULL",
            columns.join(", ")
        )
    });

/// By the ID, which is the first column.
pub(super) static UPDATE_DELIVERIES: BoundStatement =
    BoundStatement::new("deliveries", 1 + CHANGING.len(), |rows| {
        let changes: Vec<_> = CHANGING
            .iter()
            .zip(2..)
            .map(|(column, number)| format!("\"{column}\" = new.column{number}"))
            .collect();
        format!("UPDATE deliveries SET {} FROM {rows} WHERE deliveries.id = new.column1", changes.join(", "))
    });

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads a row of `table` with its ID in column `id`.
    pub(super) fn new(row: &'a SqliteRow, table: &'static str, id: &'static str) -> Result<Self, StoreError> {
        let id = Self::named(row, table, "?".to_owned()).get(id)?;
        Ok(Self::named(row, table, id))
    }

    /// Reads a row of `table` with a known ID.
    pub(super) fn named(row: &'a SqliteRow, table: &'static str, id: String) -> Self {
        Self { row, table, id }
    }

    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|error| self.bad(column, &error))
    }

    /// The value of a column, of any type.
    pub(super) fn raw(&self, column: &'static str) -> Result<SqliteValueRef<'a>, StoreError> {
        self.row.try_get_raw(column).map_err(|error| self.bad(column, &error))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(self.get(column)?).map_err(|error| self.bad(column, &error))
    }

    pub(super) fn time_if(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let time = self.get::<Option<i64>>(column)?.map(Timestamp::from_microsecond);
        time.transpose().map_err(|error| self.bad(column, &error))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.bad(column, &error))
    }

    pub(super) fn json_if<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(column)?;
        let value = text.map(|text| serde_json::from_str(&text));
        value.transpose().map_err(|error| self.bad(column, &error))
    }

    /// A name that `parse` knows.
    pub(super) fn name<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        parse(&text).ok_or_else(|| self.bad(column, &format_args!("{text:?} is not known")))
    }

    /// A name that `parse` knows, or `None`.
    pub(super) fn name_if<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        if self.get::<Option<String>>(column)?.is_none() {
            return Ok(None);
        }
        self.name(column, parse).map(Some)
    }

    pub(super) fn bad(&self, column: &'static str, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError::bad(self.table, column, &self.id, reason)
    }
}

pub(super) fn delivery(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let row = Reader::new(row, "deliveries", "id")?;
    Ok(Delivery {
        id: row.id.clone(),
        incident_id: row.get("incident_id")?,
        incident_revision: row.get("incident_revision")?,
        connection: row.get("target")?,
        system: row.name("system", System::parse)?,
        trigger: row.name("trigger", trigger)?,
        marker: row.name("marker", Marker::parse)?,
        requested_by: row.get("requested_by")?,
        namespace: row.name("namespace", |name| Namespace::parse(name).ok())?,
        state: row.name("state", State::parse)?,
        epoch: row.get("epoch")?,
        lease_until: row.time_if("lease_until")?,
        failures: row.get("failures")?,
        failing_since: row.time_if("failing_since")?,
        due_at: row.time_if("due_at")?,
        send: row.json_if("send")?,
        unknown_outcome: row.json_if("doubt")?,
        uncertain_sends: row.json("doubted")?,
        absences: row.json("absences")?,
        duplicate_scan: row.json_if("sweep")?,
        ticket: row.json_if("ticket")?,
        resolution: row.name_if("resolution", Resolution::parse)?,
        duplicates: row.json("duplicates")?,
        adjustments: row.json("adjustments")?,
        last_error: row.json_if("last_error")?,
        content_removed_at: row.time_if("content_removed_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// JSON for a parameter or a column.
pub(super) fn json<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::encode(what))
}

fn trigger_name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Manual => "MANUAL",
        Trigger::AutoPush => "AUTO_PUSH",
    }
}

fn trigger(name: &str) -> Option<Trigger> {
    [Trigger::Manual, Trigger::AutoPush].into_iter().find(|trigger| trigger_name(*trigger) == name)
}

/// Checks that a statement changed exactly one row of `table`.
pub(super) fn one_row(table: &'static str, done: &sqlx::sqlite::SqliteQueryResult) -> Result<(), StoreError> {
    match done.rows_affected() {
        1 => Ok(()),
        touched => Err(StoreError::Miscounted { table, expected: 1, touched }),
    }
}

/// All tokens, by name and age.
pub(super) async fn tokens(db: &mut SqliteConnection) -> Result<Vec<StoredToken>, StoreError> {
    let rows = sqlx::query("SELECT * FROM tokens ORDER BY name, created_at, id").fetch_all(db).await;
    rows.map_err(StoreError::read("tokens"))?.iter().map(token).collect()
}

pub(super) fn token(row: &SqliteRow) -> Result<StoredToken, StoreError> {
    let row = Reader::new(row, "tokens", "id")?;
    let hash: Vec<u8> = row.get("hash")?;
    let hash = <[u8; 32]>::try_from(hash).map_err(|_| row.bad("hash", &"it is not 32 bytes long"))?;
    Ok(StoredToken {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.name("role", |name| name.parse::<Role>().ok())?,
        namespace: row.name("namespace", |name| Namespace::parse(name).ok())?,
        hash: TokenHash(hash),
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.time_if("revoked_at")?,
    })
}
