//! Tables that describe the incident table: its parent, its columns, their choices; and the records they refer to.

use super::record::Row;
use crate::message::Answer;
use crate::profile::Profile;
use crate::site_request::SiteRequest;

/// The rows of a table that only reads; `None` if there is no such table.
pub(super) fn rows(profile: &Profile, table: &str) -> Option<Vec<Row>> {
    Some(match table {
        "sys_db_object" => vec![
            row(&[("name", "incident"), ("super_class.name", "task")]),
            row(&[("name", "task"), ("super_class.name", "")]),
        ],
        "sys_dictionary" => columns(profile),
        "sys_choice" => choices(profile),
        "sys_user" => people(profile),
        table => {
            let records = profile.records.get(table)?.iter();
            records.map(|record| row(&[("sys_id", &record.id), ("name", &record.name)])).collect()
        }
    })
}

/// 403, or rows without content, for an account without a read ACL.
pub(super) fn refusal(turn: &SiteRequest<'_>, table: &str) -> Option<Answer> {
    let is_closed = matches!(table, "sys_db_object" | "sys_dictionary" | "sys_choice")
        && !turn.state.profile.allows("read_dictionary");
    let detail = Some("Insufficient rights to query records");
    is_closed.then(|| Answer::servicenow_error(403, "Operation Failed", detail))
}

fn columns(profile: &Profile) -> Vec<Row> {
    let shown = profile.columns.iter().filter(|_| !profile.hides_dictionary);
    let rows = shown.map(|column| {
        row(&[
            ("name", &column.table),
            ("element", &column.name),
            ("column_label", &column.label),
            ("internal_type", &column.kind),
            ("max_length", &column.max_length.to_string()),
            ("mandatory", "false"),
            ("read_only", "false"),
            ("reference", &column.reference),
            ("choice", if column.is_choice { "3" } else { "0" }),
            ("active", "true"),
        ])
    });
    rows.collect()
}

fn choices(profile: &Profile) -> Vec<Row> {
    let shown = profile.columns.iter().filter(|_| !profile.hides_dictionary);
    let rows = shown.flat_map(|column| {
        column.choices.iter().map(|(value, label)| {
            row(&[
                ("name", &column.table),
                ("element", &column.name),
                ("value", value),
                ("label", label),
                ("language", "en"),
                ("inactive", "false"),
            ])
        })
    });
    rows.collect()
}

fn people(profile: &Profile) -> Vec<Row> {
    let row = |person: &crate::profile::Person| {
        let user_name = person.email.split('@').next().unwrap_or_default();
        row(&[
            ("sys_id", &person.id),
            ("name", &person.name),
            ("user_name", user_name),
            ("email", &person.email),
            ("active", "true"),
        ])
    };
    profile.people.iter().map(row).collect()
}

fn row(fields: &[(&str, &str)]) -> Row {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Row { fields: fields.collect(), ..Row::default() }
}
