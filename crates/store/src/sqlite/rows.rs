//! Converts between rows and domain types.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, SqliteConnection, Type};
use ticketing_core::delivery::{Delivery, Resolution, State, Trigger};
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_core::role::Role;
use ticketing_core::system::System;

use ticketing_secrets::TokenHash;

use crate::StoreError;
use crate::types::StoredToken;

/// A row, and its name in errors.
pub(super) struct Reader<'a> {
    row: &'a SqliteRow,
    table: &'static str,
    id: String,
}

/// A delivery as columns.
#[derive(Debug, Serialize)]
pub(super) struct DeliveryColumns<'a> {
    id: &'a str,
    incident_id: &'a str,
    incident_revision: u32,
    #[serde(rename = "target")]
    connection: &'a str,
    system: &'static str,
    trigger: &'static str,
    marker: &'a str,
    requested_by: &'a str,
    namespace: &'a str,
    state: &'static str,
    epoch: u32,
    lease_until: Option<i64>,
    failures: u32,
    failing_since: Option<i64>,
    due_at: Option<i64>,
    send: &'a Option<ticketing_core::delivery::Send>,
    send_at: Option<i64>,
    #[serde(rename = "doubt")]
    unknown_outcome: &'a Option<ticketing_core::delivery::UnknownOutcome>,
    #[serde(rename = "doubted")]
    uncertain_sends: &'a [ticketing_core::system::Destination],
    absences: &'a [ticketing_core::delivery::Absence],
    #[serde(rename = "sweep")]
    duplicate_scan: &'a Option<ticketing_core::delivery::DuplicateScan>,
    sweep_due_at: Option<i64>,
    ticket: &'a Option<ticketing_core::system::TicketRef>,
    resolution: Option<&'static str>,
    duplicates: &'a [ticketing_core::system::TicketRef],
    adjustments: &'a [ticketing_core::system::Adjustment],
    last_error: &'a Option<ticketing_core::delivery::LastError>,
    created_at: i64,
    updated_at: i64,
}

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

// === impl DeliveryColumns ===

impl<'a> From<&'a Delivery> for DeliveryColumns<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            id: &delivery.id,
            incident_id: &delivery.incident_id,
            incident_revision: delivery.incident_revision,
            connection: &delivery.connection,
            system: delivery.system.as_str(),
            trigger: trigger_name(delivery.trigger),
            marker: delivery.marker.as_str(),
            requested_by: &delivery.requested_by,
            namespace: delivery.namespace.as_str(),
            state: delivery.state.as_str(),
            epoch: delivery.epoch,
            lease_until: delivery.lease_until.map(Timestamp::as_microsecond),
            failures: delivery.failures,
            failing_since: delivery.failing_since.map(Timestamp::as_microsecond),
            due_at: delivery.due_at.map(Timestamp::as_microsecond),
            send: &delivery.send,
            send_at: delivery.send.as_ref().map(|send| send.at.as_microsecond()),
            unknown_outcome: &delivery.unknown_outcome,
            uncertain_sends: &delivery.uncertain_sends,
            absences: &delivery.absences,
            duplicate_scan: &delivery.duplicate_scan,
            sweep_due_at: delivery
                .duplicate_scan
                .as_ref()
                .map(|duplicate_scan| duplicate_scan.due_at.as_microsecond()),
            ticket: &delivery.ticket,
            resolution: delivery.resolution.map(Resolution::as_str),
            duplicates: &delivery.duplicates,
            adjustments: &delivery.adjustments,
            last_error: &delivery.last_error,
            created_at: delivery.created_at.as_microsecond(),
            updated_at: delivery.updated_at.as_microsecond(),
        }
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
