//! Mandatory fields that are not sent.
//!
//! ServiceNow enforces data policies on its Table API. It enforces mandatory dictionary fields on forms only,
//! so those count only if a policy agrees. A policy with conditions may apply to another state of the ticket.

use std::collections::BTreeSet;

use ticketing_core::fault::Fault;

use crate::client::Client;
use crate::columns::{self, Applied};
use crate::settings::Settings;
use crate::wire::Record;

const POLICIES: &str = "sys_data_policy_rule";
const DICTIONARY: &str = "sys_dictionary";
const CONDITIONS: &str = "sys_data_policy.conditions";

/// The fields that data policies require of every ticket and that are not sent.
///
/// # Errors
/// If the account may not read the policies, which is usual.
pub(crate) async fn unfilled(
    client: &Client,
    settings: &Settings,
    mapped: &Applied,
) -> Result<Vec<String>, Fault> {
    let table = settings.table.as_str();
    let query = format!("table={table}^mandatory=true^sys_data_policy.active=true");
    let fields = format!("table,field,mandatory,{CONDITIONS}");
    let rules = list(client, POLICIES, &query, &fields).await?;
    let demanded: Vec<Demand> = rules.iter().filter_map(|rule| Demand::of(rule, table)).collect();
    let mut unfilled: BTreeSet<String> =
        demanded.iter().filter(|demand| demand.is_unconditional).map(|demand| demand.field.clone()).collect();
    if demanded.iter().any(|demand| demand.is_unknown) {
        let query = format!("name={table}^mandatory=true");
        let rows = list(client, DICTIONARY, &query, "name,element,mandatory").await.unwrap_or_default();
        let known: Vec<Demand> = rows.iter().filter_map(|row| Demand::of(row, table)).collect();
        let agrees = |demand: &&Demand| known.iter().any(|known| known.field == demand.field);
        let unknown = demanded.iter().filter(|demand| demand.is_unknown);
        unfilled.extend(unknown.filter(agrees).map(|demand| demand.field.clone()));
    }
    let has_group = settings.assignment_group.is_some();
    let is_filled = |field: &str| match field {
        "assignment_group" => has_group,
        field => {
            columns::own(field).is_some() || mapped.values.get(field).is_some_and(|value| !value.is_empty())
        }
    };
    unfilled.retain(|field| !is_filled(field));
    Ok(unfilled.into_iter().collect())
}

/// A mandatory field.
struct Demand {
    field: String,
    /// Mandatory in every state of a ticket.
    is_unconditional: bool,
    /// The account may not read in which states.
    is_unknown: bool,
}

// === impl Demand ===

impl Demand {
    /// An instance ignores invalid query terms and then returns any rows, so each row is verified.
    fn of(row: &Record, table: &str) -> Option<Self> {
        let of_table = row.value("table").or_else(|| row.value("name"))? == table;
        let is_mandatory = row.value("mandatory")? == "true";
        let field = row.value("field").or_else(|| row.value("element")).filter(|field| !field.is_empty())?;
        let conditions = row.value(CONDITIONS);
        let is_unconditional = conditions.as_deref().is_some_and(|text| matches!(text.trim(), "" | "^EQ"));
        let is_unknown = conditions.is_none();
        (of_table && is_mandatory).then_some(Self { field, is_unconditional, is_unknown })
    }
}

async fn list(client: &Client, table: &str, query: &str, fields: &str) -> Result<Vec<Record>, Fault> {
    let query = [
        ("sysparm_query", query),
        ("sysparm_limit", "200"),
        ("sysparm_fields", fields),
        ("sysparm_exclude_reference_link", "true"),
    ];
    let (rows, _) = client.list::<Vec<Record>>(table, &query, client.optional_budget()).await?;
    Ok(rows)
}
