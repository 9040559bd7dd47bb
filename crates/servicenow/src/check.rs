//! The connection test: what can be proven without writing anything, step by step.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::Check;

use crate::client::{Client, READ_TIMEOUT};
use crate::faults;
use crate::group;
use crate::look_up::{self, hides_rows};
use crate::mandatory;
use crate::settings::Settings;
use crate::wire::Record;

const AUTHENTICATION: &str = "authentication";
const TABLE: &str = "table";
const LOOK_UP: &str = "look_up";
const ASSIGNMENT_GROUP: &str = "assignment_group";
const REQUIRED_FIELDS: &str = "required_fields";
const CREATE_ACCESS: &str = "create_access";

/// All steps in order.
const STEPS: [&str; 6] = [AUTHENTICATION, TABLE, LOOK_UP, ASSIGNMENT_GROUP, REQUIRED_FIELDS, CREATE_ACCESS];

/// A marker that no ticket has.
const UNUSED_MARKER: &str = "rhythmx-00000000000000000000000000000000";

/// Every step in order; after the first that fails the others are not tried.
pub(crate) async fn run(client: &Client, settings: &Settings) -> Vec<Check> {
    let mut checks = access(client, settings).await;
    if all_passed(&checks) {
        checks.push(searchable(client, settings).await);
    }
    if all_passed(&checks) {
        checks.push(assignment_group(client, settings).await);
    }
    if all_passed(&checks) {
        checks.push(required_fields(client, settings).await);
    }
    if all_passed(&checks) {
        checks.push(create_access(settings));
    }
    let failed =
        checks.iter().find(|check| check.has_failed()).map(|check| check.name.clone()).unwrap_or_default();
    let skipped = STEPS.into_iter().skip(checks.len()).map(|name| Check::skipped(name, &failed));
    checks.extend(skipped.collect::<Vec<_>>());
    checks
}

/// One request tells both who we are to the instance and whether we see the table.
async fn access(client: &Client, settings: &Settings) -> Vec<Check> {
    let began = client.now();
    let query = [("sysparm_limit", "1"), ("sysparm_fields", "sys_id")];
    let outcome = client.list::<Vec<Record>>(&settings.table, &query, READ_TIMEOUT).await;
    let took = since(client, began);
    let known = || {
        let detail = format!("{} answers, and knows {}", settings.origin(), settings.username);
        Check::passed(AUTHENTICATION, detail, took)
    };
    match outcome {
        Ok((rows, reply)) => {
            let detail = match hides_rows(&reply, rows.len()) {
                true => format!("the table {} answers, but its first record may not be read", settings.table),
                false => format!("the table {} can be read", settings.table),
            };
            vec![known(), Check::passed(TABLE, detail, took)]
        }
        Err(fault) if faults::is_about_the_table(&fault) => vec![known(), Check::failed(TABLE, &fault, took)],
        Err(fault) => vec![Check::failed(AUTHENTICATION, &fault, took)],
    }
}

/// Whether a lost answer could be made good: a query by marker must be honoured.
async fn searchable(client: &Client, settings: &Settings) -> Check {
    let began = client.now();
    let marker = Marker::parse(UNUSED_MARKER).expect("a marker by its form");
    let outcome = look_up::by_marker(client, &settings.table, &marker).await;
    let took = since(client, began);
    match outcome.map(|found| found.unknown_outcome) {
        Ok(None) => Check::passed(LOOK_UP, "tickets can be searched by correlation_id", took),
        Ok(Some(fault)) | Err(fault) => Check::failed(LOOK_UP, &fault, took),
    }
}

async fn assignment_group(client: &Client, settings: &Settings) -> Check {
    let Some(wanted) = &settings.assignment_group else {
        let detail = "none is configured: ServiceNow's own rules assign the tickets";
        return Check::passed(ASSIGNMENT_GROUP, detail, Duration::ZERO);
    };
    let began = client.now();
    let outcome = group::find(client, wanted, READ_TIMEOUT).await;
    let took = since(client, began);
    match outcome {
        Ok(group) => Check::passed(ASSIGNMENT_GROUP, format!("\"{}\" is {}", group.name, group.sys_id), took),
        Err(fault) => Check::failed(ASSIGNMENT_GROUP, &fault, took),
    }
}

/// Most accounts may not read what fields a data policy demands: then the first ticket tells.
async fn required_fields(client: &Client, settings: &Settings) -> Check {
    let began = client.now();
    let outcome = mandatory::unfilled(client, settings).await;
    let took = since(client, began);
    match outcome {
        Ok(unfilled) if unfilled.is_empty() => {
            Check::passed(REQUIRED_FIELDS, "no data policy demands a field that is not sent", took)
        }
        Ok(unfilled) => {
            let fields = unfilled.join(", ");
            let message =
                format!("data policies of {} demand fields that are not sent: {fields}", settings.table);
            let hint = format!(
                "give {fields} a default value in ServiceNow, or exempt the account of servicenow.username from the data policy"
            );
            let fault = Fault::new(FaultKind::Misconfigured, message).with_hint(hint);
            Check::failed(REQUIRED_FIELDS, &fault, took)
        }
        Err(fault) => {
            let detail = format!("could not be checked: data policies were not shown ({})", fault.message);
            Check::unproven(REQUIRED_FIELDS, detail, took)
        }
    }
}

/// ServiceNow has no question to ask here.
fn create_access(settings: &Settings) -> Check {
    let detail = format!(
        "only an insert shows whether {} may create in {}; the role itil or sn_incident_write allows it",
        settings.username, settings.table
    );
    Check::unproven(CREATE_ACCESS, detail, Duration::ZERO)
}

fn all_passed(checks: &[Check]) -> bool {
    !checks.iter().any(Check::has_failed)
}

fn since(client: &Client, began: Timestamp) -> Duration {
    client.now().duration_since(began).unsigned_abs()
}
