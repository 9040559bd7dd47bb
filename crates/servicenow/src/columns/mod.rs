//! Columns of the table, and the values that an operator maps to them.
//!
//! `dictionary` reads the columns and their choices where the account may, `references` finds records by their display
//! value, and `apply` turns a whole mapping into the texts that the Table API takes.

mod apply;
mod dictionary;
mod references;

use ticketing_core::content_settings::{Mapping, setting_of};
use ticketing_core::violation::Violations;

pub(crate) use apply::{Applied, Place, apply, apply_online};
pub(crate) use dictionary::{Dictionary, KnownDictionary};
pub(crate) use references::References;

/// A column that this code or the platform fills in every ticket, so that it needs no mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnColumn {
    pub(crate) name: &'static str,
    /// What to set instead of mapping it; `None` if it can be mapped.
    pub(crate) instead: Option<&'static str>,
}

pub(crate) const OWN_COLUMNS: [OwnColumn; 12] = [
    OwnColumn { name: "sys_id", instead: Some("it identifies the ticket") },
    OwnColumn { name: "number", instead: Some("ServiceNow assigns it") },
    OwnColumn { name: "short_description", instead: Some("set summary_template") },
    OwnColumn { name: "description", instead: Some("set introduction_template") },
    OwnColumn { name: "work_notes", instead: Some("they have the rest of the description") },
    OwnColumn { name: "correlation_id", instead: Some("it identifies the ticket") },
    OwnColumn { name: "correlation_display", instead: Some("it identifies the ticket") },
    OwnColumn { name: "impact", instead: Some("set servicenow.priorities") },
    OwnColumn { name: "urgency", instead: Some("set servicenow.priorities") },
    OwnColumn { name: "priority", instead: Some("set servicenow.priorities") },
    OwnColumn { name: "assignment_group", instead: Some("set servicenow.assignment_group") },
    OwnColumn { name: "state", instead: None },
];

/// How this code treats a column, if it does.
pub(crate) fn own(name: &str) -> Option<&'static OwnColumn> {
    OWN_COLUMNS.iter().find(|own| own.name == name)
}

/// Refuses columns that other settings fill; `None` if there are any.
pub(crate) fn check_names(mapping: &Mapping, violations: &mut Violations) -> Option<()> {
    let mut is_valid = true;
    for name in mapping.field_names() {
        if let Some(instead) = own(name).and_then(|own| own.instead) {
            violations.add(format!("content.{}", setting_of(name)), format!("cannot be mapped: {instead}"));
            is_valid = false;
        }
    }
    is_valid.then_some(())
}

/// Whether a text is the name of a column rather than a label.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
