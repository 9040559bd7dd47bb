//! The assignment group, from the name or `sys_id` that was configured.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::{Fault, FaultKind};

use crate::client::{Client, READ_TIMEOUT};
use crate::settings::AssignmentGroup;
use crate::wire::Record;

const TABLE: &str = "sys_user_group";
const FIELDS: &str = "sys_id,name";

/// How long a group that was found is taken to be still there.
const MEMORY: Duration = Duration::from_secs(5 * 60);

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) sys_id: String,
    pub(crate) name: String,
}

/// The group that was found last, for a while.
#[derive(Debug, Default)]
pub(crate) struct KnownGroup(Mutex<Option<(Timestamp, Group)>>);

// === impl KnownGroup ===

impl KnownGroup {
    /// The group that was found lately, else the one that the instance finds now.
    pub(crate) async fn resolve(&self, client: &Client, wanted: &AssignmentGroup) -> Result<Group, Fault> {
        if let Some(group) = self.recall(client.now()) {
            return Ok(group);
        }
        let group = find(client, wanted).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((client.now(), group.clone()));
        Ok(group)
    }

    /// Something was refused or changed: look again next time.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn recall(&self, now: Timestamp) -> Option<Group> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, group) = known.as_ref()?;
        let age = Duration::try_from(now.duration_since(*at)).ok()?;
        (age < MEMORY).then(|| group.clone())
    }
}

/// Asks the instance for a group.
pub(crate) async fn find(client: &Client, wanted: &AssignmentGroup) -> Result<Group, Fault> {
    match wanted {
        AssignmentGroup::SysId(sys_id) => find_by_id(client, sys_id).await,
        AssignmentGroup::Name(name) => find_by_name(client, name).await,
    }
    .map_err(explain)
}

async fn find_by_id(client: &Client, sys_id: &str) -> Result<Group, Fault> {
    let record: Option<Record> = client.record(TABLE, sys_id, FIELDS, READ_TIMEOUT).await?;
    let group = record.as_ref().and_then(group_of).filter(|group| group.sys_id.eq_ignore_ascii_case(sys_id));
    group.ok_or_else(|| misconfigured(&format!("there is no assignment group with the sys_id {sys_id}")))
}

/// An instance that dislikes the query answers with any groups, so each is held to the name.
async fn find_by_name(client: &Client, name: &str) -> Result<Group, Fault> {
    let encoded = format!("name={name}");
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", "2"),
        ("sysparm_fields", FIELDS),
        ("sysparm_exclude_reference_link", "true"),
    ];
    let (rows, _) = client.list::<Vec<Record>>(TABLE, &query, READ_TIMEOUT).await?;
    let same = |group: &Group| group.name.trim().to_lowercase() == name.to_lowercase();
    let mut groups: Vec<Group> = rows.iter().filter_map(group_of).filter(same).collect();
    match (groups.len(), groups.pop()) {
        (1, Some(group)) => Ok(group),
        (0, _) => Err(misconfigured(&format!("there is no assignment group named \"{name}\""))),
        _ => Err(misconfigured(&format!("there is more than one assignment group named \"{name}\""))),
    }
}

pub(crate) fn group_of(record: &Record) -> Option<Group> {
    Some(Group { sys_id: record.sys_id()?, name: record.value("name")? })
}

fn misconfigured(message: &str) -> Fault {
    Fault::new(FaultKind::Misconfigured, message)
        .with_hint("set servicenow.assignment_group to the name of one group, or to its sys_id")
}

/// A refusal to read groups is not one to write tickets.
fn explain(fault: Fault) -> Fault {
    if fault.kind == FaultKind::Forbidden {
        return fault.with_hint(
            "let the account of servicenow.username read the table sys_user_group, or leave \
             servicenow.assignment_group empty",
        );
    }
    fault
}
