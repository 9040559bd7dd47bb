//! Finds records by their display value: a person by email, user name or name, others by name or number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::Fault;

use crate::client::Client;
use crate::wire::Record;

/// How long a record is remembered, and how many are.
const MAX_AGE: Duration = Duration::from_secs(3_600);
const MAX_KNOWN: usize = 1_000;
const MAX_NAMESAKES: &str = "20";

/// The records that were found a short time ago: `sys_id`, by table and display value.
#[derive(Debug, Default)]
pub(crate) struct References(Mutex<HashMap<(String, String), (Timestamp, String)>>);

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    One(String),
    None,
    Several(usize),
}

// === impl References ===

impl References {
    /// The `sys_id` of the record with this display value, if it was found a short time ago.
    pub(super) fn known(&self, table: &str, shown: &str, now: Timestamp) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, sys_id) = known.get(&(table.to_owned(), shown.to_lowercase()))?;
        (now.duration_since(*at).unsigned_abs() < MAX_AGE).then(|| sys_id.clone())
    }

    /// Searches for the record, and remembers it if there is exactly one.
    pub(super) async fn find(&self, client: &Client, table: &str, shown: &str) -> Result<Match, Fault> {
        let fields: &[&str] = match table {
            "sys_user" if shown.contains('@') => &["email"],
            "sys_user" => &["user_name", "name"],
            _ => &["name", "number"],
        };
        let mut found = Match::None;
        for field in fields {
            found = search(client, table, field, shown).await?;
            if found != Match::None {
                break;
            }
        }
        if let Match::One(sys_id) = &found {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert((table.to_owned(), shown.to_lowercase()), (client.now(), sys_id.clone()));
        }
        Ok(found)
    }
}

/// An instance ignores invalid query terms and then returns any records, so each one is verified.
async fn search(client: &Client, table: &str, field: &str, shown: &str) -> Result<Match, Fault> {
    let encoded = format!("{field}={shown}");
    let fields = format!("sys_id,active,{field}");
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", MAX_NAMESAKES),
        ("sysparm_fields", fields.as_str()),
        ("sysparm_exclude_reference_link", "true"),
    ];
    let (rows, _) = client.list::<Vec<Record>>(table, &query, client.optional_budget()).await?;
    let is_same = |row: &&Record| {
        row.value(field).is_some_and(|value| value.trim().to_lowercase() == shown.to_lowercase())
            && row.value("active").is_none_or(|active| active != "false")
    };
    let found: Vec<String> = rows.iter().filter(is_same).filter_map(Record::sys_id).collect();
    Ok(match found.as_slice() {
        [] => Match::None,
        [sys_id] => Match::One(sys_id.clone()),
        several => Match::Several(several.len()),
    })
}
