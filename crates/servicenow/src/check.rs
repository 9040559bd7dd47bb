//! The connection test: what can be proven without writing anything, step by step.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::content_settings::{Mapping, setting_of};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::Check;

use crate::client::{Client, READ_TIMEOUT};
use crate::columns::{self, Applied, Dictionary, KnownDictionary, Place, References};
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

/// The check of the mapped columns, if there are any.
const FIELDS: &str = "fields";

/// The mapping of a connection, and what is known of its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MappedColumns<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) dictionary: &'a KnownDictionary,
    pub(crate) references: &'a References,
}

/// All steps in order.
const STEPS: [&str; 6] = [AUTHENTICATION, TABLE, LOOK_UP, ASSIGNMENT_GROUP, REQUIRED_FIELDS, CREATE_ACCESS];

/// A marker that no ticket has.
const UNUSED_MARKER: &str = "rhythmx-00000000000000000000000000000000";

// === impl MappedColumns ===

impl MappedColumns<'_> {
    /// The mapping applied to a sample incident, by the columns as they are now.
    async fn apply(&self, client: &Client, settings: &Settings) -> Result<(Applied, Arc<Dictionary>), Fault> {
        let content = self.mapping.sample();
        if content.fields.is_empty() {
            return Ok(Default::default());
        }
        self.dictionary.forget();
        let dictionary = self.dictionary.read(client, &settings.table).await;
        let place = Place { dictionary: &dictionary, references: self.references, now: client.now() };
        let applied = columns::apply_online(&content, place, client).await?;
        Ok((applied, dictionary))
    }
}

/// Every step in order; after the first that fails the others are not tried.
pub(crate) async fn run(client: &Client, settings: &Settings, mapped: MappedColumns<'_>) -> Vec<Check> {
    let mut checks = access(client, settings).await;
    if all_passed(&checks) {
        checks.push(searchable(client, settings).await);
    }
    if all_passed(&checks) {
        checks.push(assignment_group(client, settings).await);
    }
    if all_passed(&checks) {
        let began = client.now();
        let applied = mapped.apply(client, settings).await;
        let known = applied.as_ref().ok().map(|(applied, _)| applied.clone()).unwrap_or_default();
        checks.push(required_fields(client, settings, &known).await);
        if mapped.mapping.field_names().next().is_some() {
            checks.push(mapped_fields(&applied, since(client, began)));
        }
    }
    if all_passed(&checks) {
        checks.push(create_access(settings));
    }
    let failed =
        checks.iter().find(|check| check.has_failed()).map(|check| check.name.clone()).unwrap_or_default();
    let is_done = |name: &&str| checks.iter().any(|check| check.name == *name);
    let is_mapped = mapped.mapping.field_names().next().is_some();
    let steps = STEPS.into_iter().chain(is_mapped.then_some(FIELDS));
    let left: Vec<&str> = steps.filter(|name| !is_done(name)).collect();
    checks.extend(left.into_iter().map(|name| Check::skipped(name, &failed)));
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
async fn required_fields(client: &Client, settings: &Settings, mapped: &Applied) -> Check {
    let began = client.now();
    let outcome = mandatory::unfilled(client, settings, mapped).await;
    let took = since(client, began);
    match outcome {
        Ok(unfilled) if unfilled.is_empty() => {
            Check::passed(REQUIRED_FIELDS, "no data policy demands a field that is not sent", took)
        }
        Ok(unfilled) => {
            let fields = unfilled.join(", ");
            let message =
                format!("data policies of {} demand fields that are not sent: {fields}", settings.table);
            let named: Vec<String> = unfilled.iter().map(|field| setting_of(field)).collect();
            let named = named.join(", ");
            let hint = format!(
                "set {named}; or give {fields} a default value in ServiceNow, or exempt the account of servicenow.username from the data policy"
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

/// Whether the mapped values, for a sample incident, are what the columns take.
fn mapped_fields(applied: &Result<(Applied, Arc<Dictionary>), Fault>, took: Duration) -> Check {
    let (applied, dictionary) = match applied {
        Ok(found) => found,
        Err(fault) => return Check::failed(FIELDS, fault, took),
    };
    if let Some(fault) = applied.fault() {
        // A check has more room than a fault.
        let Check { detail, .. } = Check::passed(FIELDS, applied.faults.join("; "), took);
        return Check { detail, ..Check::failed(FIELDS, &fault, took) };
    }
    if !dictionary.is_known() {
        let detail = "could not be checked: the account may not read sys_dictionary; a read ACL for it and for sys_choice \
                      allows it";
        return Check::unproven(FIELDS, detail, took);
    }
    let named: Vec<String> =
        applied.settings.iter().map(|(column, setting)| format!("{setting} -> {column}")).collect();
    let left_out = applied.adjustments.iter().map(|left| format!("; {}: {}", left.field, left.reason));
    let left_out: String = left_out.collect();
    Check::passed(FIELDS, format!("for a sample incident: {}{left_out}", named.join(", ")), took)
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
