//! Resolves the assignment group from its configured name or `sys_id`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Adjustment;

use crate::client::{Client, READ_TIMEOUT};
use crate::settings::AssignmentGroup;
use crate::wire::Record;

const TABLE: &str = "sys_user_group";
const FIELDS: &str = "sys_id,name,active";
/// Maximum number of groups of one name.
const MAX_NAMESAKES: &str = "20";

/// Lifetime of a cached group.
const RESTORE_WINDOW: Duration = Duration::from_secs(5 * 60);

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) sys_id: String,
    pub(crate) name: String,
    /// A group that does not report whether it is active counts as active.
    pub(crate) is_active: bool,
}

/// The resolved assignment group, and what could not be checked of it.
#[derive(Debug, Clone)]
pub(crate) struct Assigned {
    pub(crate) sys_id: String,
    pub(crate) remark: Option<Adjustment>,
}

/// The last resolved group, cached.
#[derive(Debug, Default)]
pub(crate) struct KnownGroup(Mutex<Option<(Timestamp, Group)>>);

// === impl KnownGroup ===

impl KnownGroup {
    /// The cached group, else the one that the instance returns now. A `sys_id` needs no look-up; a name
    /// keeps its last known group if the instance returns no answer.
    pub(crate) async fn resolve(&self, client: &Client, wanted: &AssignmentGroup) -> Result<Assigned, Fault> {
        if let Some(group) = self.recall(client.now()) {
            return Ok(Assigned { sys_id: group.sys_id, remark: None });
        }
        let timeout = match (wanted, self.last()) {
            (AssignmentGroup::Name(_), None) => READ_TIMEOUT,
            _ => client.optional_budget(),
        };
        let fault = match ask(client, wanted, timeout).await {
            Ok(group) => {
                let assigned = Assigned { sys_id: group.sys_id.clone(), remark: None };
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((client.now(), group));
                return Ok(assigned);
            }
            Err(fault) => fault,
        };
        let known = match wanted {
            AssignmentGroup::SysId(sys_id) => Some(sys_id.clone()),
            AssignmentGroup::Name(_) => self.last().map(|group| group.sys_id),
        };
        let Some(sys_id) = known.filter(|_| says_nothing_of_the_group(fault.kind)) else {
            return Err(explain(fault));
        };
        let reason =
            format!("not checked whether there is one group \"{}\" ({})", wanted.as_str(), fault.message);
        Ok(Assigned { sys_id, remark: Some(Adjustment::new("assignment_group", reason)) })
    }

    /// The last resolved group, whatever its age.
    fn last(&self) -> Option<Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, group)| group.clone())
    }

    /// A create was refused, or the group has changed: resolves it again next time.
    pub(crate) fn forget(&self) {
        if let Some((at, _)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            *at = Timestamp::MIN;
        }
    }

    /// The last resolved group, if it was resolved a short time ago.
    pub(crate) fn recall(&self, now: Timestamp) -> Option<Group> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, group) = known.as_ref()?;
        let age = Duration::try_from(now.duration_since(*at)).ok()?;
        (age < RESTORE_WINDOW).then(|| group.clone())
    }
}

/// Whether the look-up failed without an answer about the group, so that a ticket may still be created.
fn says_nothing_of_the_group(kind: FaultKind) -> bool {
    match kind {
        FaultKind::TimedOut
        | FaultKind::ConnectionLost
        | FaultKind::ServerError
        | FaultKind::UnreadableReply
        | FaultKind::Dropped
        | FaultKind::Forbidden
        | FaultKind::TooLarge
        | FaultKind::Rejected
        | FaultKind::Conflict
        | FaultKind::NotFound => true,
        FaultKind::NotPermitted
        | FaultKind::Dns
        | FaultKind::Connect
        | FaultKind::Tls
        | FaultKind::Misconfigured
        | FaultKind::TooLate
        | FaultKind::Unauthorized
        | FaultKind::LockedOut
        | FaultKind::RateLimited
        | FaultKind::Redirected
        | FaultKind::Dormant
        | FaultKind::Restored => false,
    }
}

/// Queries the instance for an active group.
pub(crate) async fn find(
    client: &Client,
    wanted: &AssignmentGroup,
    timeout: Duration,
) -> Result<Group, Fault> {
    ask(client, wanted, timeout).await.map_err(explain)
}

async fn ask(client: &Client, wanted: &AssignmentGroup, timeout: Duration) -> Result<Group, Fault> {
    match wanted {
        AssignmentGroup::SysId(sys_id) => find_by_id(client, sys_id, timeout).await,
        AssignmentGroup::Name(name) => find_by_name(client, name, timeout).await,
    }
}

async fn find_by_id(client: &Client, sys_id: &str, timeout: Duration) -> Result<Group, Fault> {
    let record: Option<Record> = client.record(TABLE, sys_id, FIELDS, timeout).await?;
    let group = record.as_ref().and_then(group_of).filter(|group| group.sys_id.eq_ignore_ascii_case(sys_id));
    match group {
        Some(group) if group.is_active => Ok(group),
        Some(group) => Err(inactive(&group)),
        None => Err(misconfigured(&format!("there is no assignment group with the sys_id {sys_id}"))),
    }
}

/// An instance ignores invalid query terms and then returns any groups, so each name is verified. Of several
/// groups of one name the active one is used.
async fn find_by_name(client: &Client, name: &str, timeout: Duration) -> Result<Group, Fault> {
    let encoded = format!("name={name}");
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", MAX_NAMESAKES),
        ("sysparm_fields", FIELDS),
        ("sysparm_exclude_reference_link", "true"),
    ];
    let (rows, _) = client.list::<Vec<Record>>(TABLE, &query, timeout).await?;
    let same = |group: &Group| group.name.trim().to_lowercase() == name.to_lowercase();
    let groups: Vec<Group> = rows.iter().filter_map(group_of).filter(same).collect();
    let active: Vec<&Group> = groups.iter().filter(|group| group.is_active).collect();
    match (active.as_slice(), groups.first()) {
        ([group], _) => Ok((*group).clone()),
        ([], None) => Err(misconfigured(&format!("there is no assignment group named \"{name}\""))),
        ([], Some(group)) => Err(inactive(group)),
        (several, _) => Err(ambiguous(name, several)),
    }
}

pub(crate) fn group_of(record: &Record) -> Option<Group> {
    let is_active = record.value("active").is_none_or(|value| !matches!(value.trim(), "false" | "0"));
    Some(Group { sys_id: record.sys_id()?, name: record.value("name")?, is_active })
}

fn ambiguous(name: &str, groups: &[&Group]) -> Fault {
    let ids: Vec<&str> = groups.iter().map(|group| group.sys_id.as_str()).collect();
    let ids = ids.join(", ");
    Fault::new(
        FaultKind::Misconfigured,
        format!("more than one active assignment group is named \"{name}\": {ids}"),
    )
    .with_hint(format!("set servicenow.assignment_group to one of these sys_ids: {ids}"))
}

fn inactive(group: &Group) -> Fault {
    let message = format!("the assignment group \"{}\" ({}) is inactive", group.name, group.sys_id);
    Fault::new(FaultKind::Misconfigured, message).with_hint(
        "activate the group in ServiceNow, or set servicenow.assignment_group to the name or sys_id of an active group",
    )
}

fn misconfigured(message: &str) -> Fault {
    Fault::new(FaultKind::Misconfigured, message)
        .with_hint("set servicenow.assignment_group to the name of one group, or to its sys_id")
}

/// A missing permission to read groups does not prevent creating tickets.
fn explain(fault: Fault) -> Fault {
    if fault.kind == FaultKind::Forbidden {
        return Fault { kind: FaultKind::Misconfigured, ..fault }.with_hint(
            "let the account of servicenow.username read the table sys_user_group, set servicenow.assignment_group to the sys_id \
             of the group, or leave it empty",
        );
    }
    fault
}
