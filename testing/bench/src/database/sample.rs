//! The rows of one real delivery, as a template for others.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};
use serde_json::Value as Json;

/// Integers above this are times: microseconds since 1970.
const FIRST_TIME: i64 = 1_000_000_000_000_000;
/// The table with one row for each delivery.
pub(super) const DELIVERIES: &str = "deliveries";

/// The rows of one delivery in all tables, in the order in which the tables were created.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A value of a template.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Fixed(Value),
    /// A text with names in it.
    Text(Vec<Part>),
    Time(i64),
    /// The number of the row, which the database assigns.
    RowNumber,
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(String),
    Name(usize),
}

/// What differs from one delivery to another: the IDs of delivery and incident, the marker, the number of the ticket.
#[derive(Debug, Clone)]
pub(super) struct Names([String; 4]);

struct Column {
    name: String,
    is_row_number: bool,
}

// === impl Sample ===

impl Sample {
    /// The rows of the delivery of this incident. The server may be running.
    pub(crate) fn take(database: &Path, incident_id: &str) -> Result<Self> {
        let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let names = Names::of_incident(&db, incident_id)?;
        let mut list = db.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid",
        )?;
        let tables = list.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let tables = tables.iter().map(|table| Table::take(&db, table, &names));
        let mut tables = tables.collect::<Result<Vec<_>>>()?;
        tables.retain(|table| !table.rows.is_empty());
        Ok(Self { tables })
    }

    pub(super) fn deliveries(&self) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == DELIVERIES)
    }

    pub(crate) fn is_in_state(&self, state: &str) -> bool {
        let is_state = |cell: &Cell| matches!(cell, Cell::Fixed(Value::Text(text)) if text == state);
        self.deliveries().is_some_and(|table| table.rows.iter().flatten().any(is_state))
    }

    /// Number of rows in a table.
    pub(super) fn rows_in(&self, table: &str) -> usize {
        self.tables.iter().find(|one| one.name == table).map_or(0, |one| one.rows.len())
    }
}

// === impl Table ===

impl Table {
    fn take(db: &Connection, name: &str, names: &Names) -> Result<Self> {
        let columns = columns(db, name)?;
        let has = |column: &str| columns.iter().any(|one| one.name == column);
        // Evidence of a place names a delivery, but is not a part of it.
        let is_evidence = has("base_url") && has("reader");
        let owner = match name {
            DELIVERIES => "id = ?1 OR incident_id = ?2",
            _ if is_evidence => "?1 = ?2",
            _ if has("delivery_id") && has("incident_id") => "delivery_id = ?1 OR incident_id = ?2",
            _ if has("delivery_id") => "delivery_id = ?1 AND ?2 <> ''",
            _ if has("incident_id") => "incident_id = ?2 AND ?1 <> ''",
            _ => "?1 = ?2",
        };
        let quoted: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let mut rows = db.prepare(&format!("SELECT {} FROM {name} WHERE {owner}", quoted.join(", ")))?;
        let mut rows = rows.query(params![names.delivery(), names.incident()])?;
        let mut cells = Vec::new();
        while let Some(row) = rows.next()? {
            let cell = |(index, column): (usize, &Column)| match column.is_row_number {
                true => Ok(Cell::RowNumber),
                false => row.get(index).map(|value| Cell::of(value, names)),
            };
            cells.push(columns.iter().enumerate().map(cell).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { name: name.to_owned(), columns: quoted, rows: cells })
    }

    pub(super) fn insert(&self) -> String {
        let marks = vec!["?"; self.columns.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({marks})", self.name, self.columns.join(", "))
    }

    /// Replaces every column of the row whose ID is the last parameter.
    pub(super) fn update(&self) -> String {
        let columns = self.columns.iter().map(|column| format!("{column} = ?"));
        format!("UPDATE {} SET {} WHERE id = ?", self.name, columns.collect::<Vec<_>>().join(", "))
    }
}

/// The columns that are not generated.
fn columns(db: &Connection, table: &str) -> Result<Vec<Column>> {
    let mut list = db.prepare("SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden = 0")?;
    let rows = list.query_map([table], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    let rows = rows.collect::<Result<Vec<(String, String, i64)>, _>>()?;
    let keys = rows.iter().filter(|(_, _, key)| *key > 0).count();
    let column = |(name, kind, key): (String, String, i64)| Column {
        is_row_number: key == 1 && keys == 1 && kind == "INTEGER",
        name,
    };
    Ok(rows.into_iter().map(column).collect())
}

// === impl Cell ===

impl Cell {
    fn of(value: Value, names: &Names) -> Self {
        match value {
            Value::Integer(time) if time > FIRST_TIME => Self::Time(time),
            Value::Text(text) => match names.split(&text).as_slice() {
                [Part::Text(_)] | [] => Self::Fixed(Value::Text(text)),
                parts => Self::Text(parts.to_vec()),
            },
            other => Self::Fixed(other),
        }
    }

    /// The value for another delivery, which was made `earlier` by so many microseconds.
    pub(super) fn value(&self, names: &Names, earlier: i64) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Time(time) => Value::Integer(time - earlier),
            Self::RowNumber => Value::Null,
            Self::Text(parts) => {
                let text = |part: &Part| match part {
                    Part::Text(text) => text.clone(),
                    Part::Name(index) => names.0[*index].clone(),
                };
                Value::Text(parts.iter().map(text).collect())
            }
        }
    }
}

/// The values of a row as parameters.
pub(super) fn values(row: &[Cell], names: &Names, earlier: i64) -> Vec<Value> {
    row.iter().map(|cell| cell.value(names, earlier)).collect()
}

/// Runs a prepared statement with these parameters.
pub(super) fn run(statement: &mut rusqlite::Statement<'_>, values: Vec<Value>) -> Result<()> {
    statement.execute(params_from_iter(values))?;
    Ok(())
}

// === impl Names ===

impl Names {
    fn of_incident(db: &Connection, incident_id: &str) -> Result<Self> {
        let row = db.query_row(
            "SELECT id, marker, ticket FROM deliveries WHERE incident_id = ?",
            [incident_id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?)),
        );
        let (delivery, marker, ticket) = row.with_context(|| format!("no delivery of {incident_id}"))?;
        let ticket: Option<Json> = ticket.map(|ticket| serde_json::from_str(&ticket)).transpose()?;
        let number = ticket.and_then(|ticket| Some(ticket["id"].as_str()?.to_owned()));
        Ok(Self([delivery, incident_id.to_owned(), marker, number.unwrap_or_default()]))
    }

    /// Those of another delivery.
    pub(super) fn numbered(number: u64) -> Self {
        Self([
            format!("019a0000-{:04x}-7000-8000-{number:012x}", number >> 32 & 0xffff),
            format!("BENCH-{number:09}"),
            // Like those of the product without an order.
            format!("rhythmx-{:016x}{:016x}", mix(number), mix(!number)),
            (2_000_000 + number).to_string(),
        ])
    }

    pub(super) fn delivery(&self) -> &str {
        &self.0[0]
    }

    fn incident(&self) -> &str {
        &self.0[1]
    }

    /// Cuts a text at its names.
    fn split(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((at, index)) = self.first_in(rest) {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            parts.push(Part::Name(index));
            rest = &rest[at + self.0[index].len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        parts
    }

    /// Where the first name is, and which it is.
    fn first_in(&self, text: &str) -> Option<(usize, usize)> {
        let found = self.0.iter().enumerate().filter(|(_, name)| !name.is_empty());
        found.filter_map(|(index, name)| Some((text.find(name.as_str())?, index))).min()
    }
}

/// The finalizer of SplitMix64.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_every_name_of_a_text() {
        let names = Names(["d-1", "INC-7", "rhythmx-x", ""].map(str::to_owned));
        let cell = Cell::of(Value::Text("<d-1> of INC-7, INC-7".to_owned()), &names);
        let other = Names(["d-2", "INC-8", "rhythmx-y", ""].map(str::to_owned));
        assert_eq!(cell.value(&other, 0), Value::Text("<d-2> of INC-8, INC-8".to_owned()));
    }

    #[test]
    fn moves_times_and_nothing_else() {
        let names = Names::numbered(1);
        assert_eq!(Cell::of(Value::Integer(7), &names).value(&names, 5), Value::Integer(7));
        let time = FIRST_TIME + 10;
        assert_eq!(Cell::of(Value::Integer(time), &names).value(&names, 5), Value::Integer(time - 5));
    }
}
