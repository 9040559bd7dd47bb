//! Reads the columns of a table and their choices. Many accounts may not: then values are sent unchecked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::Fault;

use super::is_name;
use crate::client::Client;
use crate::wire::Record;

/// Lifetime of a dictionary, and how long it is not asked for again after it was not shown.
const MAX_AGE: Duration = Duration::from_secs(300);
const UNREADABLE_AGE: Duration = Duration::from_secs(60);
/// Maximum number of tables that a table extends.
const MAX_PARENTS: usize = 6;
const MAX_ROWS: &str = "2000";

/// The columns of a table, with those that it inherits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dictionary {
    /// By name; empty if the account may not read them.
    pub(crate) columns: BTreeMap<String, Column>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) label: String,
    /// `internal_type`, such as `string`, `reference` or `glide_date`; empty if unknown.
    pub(crate) kind: String,
    /// The table of a reference.
    pub(crate) table: String,
    pub(crate) max_length: Option<usize>,
    pub(crate) is_read_only: bool,
    /// Whether only its choices are shown on forms.
    pub(crate) is_choice: bool,
    /// Value and label; empty if there are none, or they may not be read.
    pub(crate) choices: Vec<(String, String)>,
}

/// The last dictionary, cached.
#[derive(Debug, Default)]
pub(crate) struct KnownDictionary(Mutex<Option<(Timestamp, Arc<Dictionary>)>>);

// === impl Dictionary ===

impl Dictionary {
    pub(crate) fn is_known(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The column with this name, else those with this label, ignoring case.
    pub(crate) fn find(&self, wanted: &str) -> Vec<&Column> {
        let wanted = wanted.trim();
        if let Some(column) = self.columns.get(wanted) {
            return vec![column];
        }
        let lower = wanted.to_lowercase();
        self.columns.values().filter(|column| column.label.trim().to_lowercase() == lower).collect()
    }
}

// === impl Column ===

impl Column {
    /// What is known of a column by its name alone.
    pub(crate) fn assumed(name: &str) -> Self {
        let table = match name {
            "caller_id" | "opened_by" | "assigned_to" | "requested_by" | "resolved_by" => "sys_user",
            "cmdb_ci" => "cmdb_ci",
            "business_service" => "cmdb_ci_service",
            "company" => "core_company",
            "location" => "cmn_location",
            _ => "",
        };
        let kind = if table.is_empty() { "" } else { "reference" };
        Self { name: name.to_owned(), kind: kind.to_owned(), table: table.to_owned(), ..Self::default() }
    }

    fn of(row: &Record) -> Option<Self> {
        let name = row.value("element").filter(|name| is_name(name))?;
        let text = |field: &str| row.value(field).unwrap_or_default();
        Some(Self {
            name,
            label: text("column_label"),
            kind: text("internal_type"),
            table: Some(text("reference")).filter(|table| is_name(table)).unwrap_or_default(),
            max_length: text("max_length").parse().ok(),
            is_read_only: text("read_only") == "true",
            is_choice: matches!(text("choice").as_str(), "1" | "3"),
            choices: vec![],
        })
    }
}

// === impl KnownDictionary ===

impl KnownDictionary {
    /// The dictionary, if it was read a short time ago.
    pub(crate) fn recall(&self, now: Timestamp) -> Option<Arc<Dictionary>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, dictionary) = known.as_ref()?;
        let age = now.duration_since(*at).unsigned_abs();
        let max = if dictionary.is_known() { MAX_AGE } else { UNREADABLE_AGE };
        (age < max).then(|| dictionary.clone())
    }

    /// The dictionary; an empty one if the account may not read it.
    pub(crate) async fn read(&self, client: &Client, table: &str) -> Arc<Dictionary> {
        if let Some(known) = self.recall(client.now()) {
            return known;
        }
        let dictionary = Arc::new(read(client, table).await.unwrap_or_default());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((client.now(), dictionary.clone()));
        dictionary
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn read(client: &Client, table: &str) -> Result<Dictionary, Fault> {
    let tables = hierarchy(client, table).await;
    let names = tables.join(",");
    let query = format!("nameIN{names}^active=true");
    let fields = "name,element,column_label,internal_type,max_length,read_only,reference,choice";
    let mut rows = list(client, "sys_dictionary", &query, fields).await?;
    // The rows of a child replace those of its parents.
    let rank = |row: &Record| {
        let name = row.value("name").unwrap_or_default();
        tables.iter().position(|table| *table == name).unwrap_or(usize::MAX)
    };
    rows.retain(|row| rank(row) < usize::MAX);
    rows.sort_by_key(|row| std::cmp::Reverse(rank(row)));
    let columns = rows.iter().filter_map(Column::of).map(|column| (column.name.clone(), column));
    let mut dictionary = Dictionary { columns: columns.collect() };
    let query = format!("nameIN{names}^inactive=false");
    let mut choices =
        list(client, "sys_choice", &query, "name,element,value,label").await.unwrap_or_default();
    choices.retain(|row| rank(row) < usize::MAX);
    let mut ranks: BTreeMap<String, usize> = BTreeMap::new();
    for row in &choices {
        let lowest = ranks.entry(row.value("element").unwrap_or_default()).or_insert(usize::MAX);
        *lowest = (*lowest).min(rank(row));
    }
    for row in &choices {
        let element = row.value("element").unwrap_or_default();
        let is_nearest = ranks.get(&element) == Some(&rank(row));
        if let Some(column) = dictionary.columns.get_mut(&element).filter(|_| is_nearest) {
            column
                .choices
                .push((row.value("value").unwrap_or_default(), row.value("label").unwrap_or_default()));
        }
    }
    Ok(dictionary)
}

/// The table and those that it extends. Where the account may not read them, they are those of a usual instance.
async fn hierarchy(client: &Client, table: &str) -> Vec<String> {
    let mut tables = vec![table.to_owned()];
    for _ in 0..MAX_PARENTS {
        let Some(last) = tables.last() else { break };
        let query = format!("name={last}");
        let rows = list(client, "sys_db_object", &query, "name,super_class.name").await.unwrap_or_default();
        let row = rows.iter().find(|row| row.value("name").as_ref() == Some(last));
        let parent = row.and_then(|row| row.value("super_class.name")).filter(|parent| is_name(parent));
        match parent {
            Some(parent) if !tables.contains(&parent) => tables.push(parent),
            _ => break,
        }
    }
    if tables.len() == 1 && table != "task" {
        tables.push("task".to_owned());
    }
    tables
}

async fn list(client: &Client, table: &str, query: &str, fields: &str) -> Result<Vec<Record>, Fault> {
    let query = [
        ("sysparm_query", query),
        ("sysparm_limit", MAX_ROWS),
        ("sysparm_fields", fields),
        ("sysparm_exclude_reference_link", "true"),
    ];
    client.list::<Vec<Record>>(table, &query, client.optional_budget()).await.map(|(rows, _)| rows)
}
