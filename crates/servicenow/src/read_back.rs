//! Reads a ticket back: an instance may truncate or drop text, because of a column's length or a write ACL,
//! and still answer 201.
//!
//! The 201 contains the stored description. Work notes are a journal, which reads as empty there, so they are
//! read from the ticket and then from the journal's table; if the account may read neither, the adjustment
//! says so. The missing part of the description is added to the work notes once, by the call that created the
//! record: a journal entry cannot be removed, so no later call adds it again. Nothing here fails a create.

use std::time::Duration;

use serde_json::json;
use ticketing_core::fault::Fault;
use ticketing_core::system::Adjustment;

use crate::client::{Client, Deadline};
use crate::ticket::Body;
use crate::wire::Record;

/// Timeout of one request, within the deadline of the create.
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(5);
const JOURNAL: &str = "sys_journal_field";
/// Number of characters of a text that must be found before the rest is compared.
const HEAD: usize = 16;
const WHOLE_TEXT: &str = "PreviewTicket shows the whole text";

/// The record of a create, new or already existing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made<'a> {
    pub(crate) table: &'a str,
    pub(crate) sys_id: &'a str,
    /// As the instance returned it.
    pub(crate) record: &'a Record,
    /// Whether this call created it.
    pub(crate) is_new: bool,
}

/// How much of a text is stored, ignoring white space. Counts are in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Whole,
    /// Its beginning, and nothing after it.
    Start(usize),
    /// Its beginning, followed by other text.
    Differs(usize),
    Nothing,
}

/// Compares the texts of a ticket with what was sent, and returns the differences.
pub(crate) async fn read_back(
    client: &Client,
    made: Made<'_>,
    sent: &Body,
    deadline: Deadline,
) -> Vec<Adjustment> {
    let stored = |field: &str, sent: &str| made.record.value(field).map(|shown| Stored::of(sent, &shown));
    let short = stored("short_description", &sent.short_description);
    let short = short.and_then(|stored| stored.describe(&sent.short_description));
    let description = stored("description", &sent.description).unwrap_or(Stored::Whole);
    let rest = description.rest(&sent.description).filter(|_| made.is_new);
    let added = match &rest {
        Some(rest) => Some(add_work_notes(client, made, rest, deadline).await),
        None => None,
    };
    let was_added = matches!(added, Some(Ok(())));
    let journal = match (sent.work_notes.is_empty(), was_added) {
        (true, false) => Ok(String::new()),
        _ => work_notes(client, made, &sent.work_notes, was_added, deadline).await,
    };
    let description = description.describe(&sent.description).map(|what| {
        let rest = match (&rest, added) {
            (None, _) | (_, None) => WHOLE_TEXT.to_owned(),
            (Some(rest), Some(Ok(()))) if holds(&journal, rest) => {
                "the rest was added to the work notes".to_owned()
            }
            (Some(_), Some(Ok(()))) => {
                format!("the rest was sent as work notes, which could not be confirmed; {WHOLE_TEXT}")
            }
            (Some(_), Some(Err(fault))) => {
                format!("the rest could not be added to the work notes: {}; {WHOLE_TEXT}", fault.message)
            }
        };
        Adjustment::new("description", format!("{what}; {rest}"))
    });
    let notes = (!sent.work_notes.is_empty()).then(|| missing_notes(&sent.work_notes, &journal)).flatten();
    let short =
        short.map(|what| Adjustment::new("short_description", format!("{what}; the description has it all")));
    [short, description, notes].into_iter().flatten().collect()
}

/// Adds an entry to the work notes, with one request.
async fn add_work_notes(
    client: &Client,
    made: Made<'_>,
    text: &str,
    deadline: Deadline,
) -> Result<(), Fault> {
    let body = json!({ "work_notes": text }).to_string();
    client.update::<Record>(made.table, made.sys_id, body, deadline).await.map(|_| ())
}

/// The work notes of a ticket, from the first source that shows any. `wanted` are those of the insert, which
/// its reply may contain already; `more` were added since.
async fn work_notes(
    client: &Client,
    made: Made<'_>,
    wanted: &str,
    more: bool,
    deadline: Deadline,
) -> Result<String, Fault> {
    let shown = made.record.display("work_notes").unwrap_or_default();
    if !more && Stored::of(wanted, &shown) == Stored::Whole {
        return Ok(shown);
    }
    let on_the_ticket = notes_of_ticket(client, made, deadline).await;
    match &on_the_ticket {
        Ok(notes) if !notes.trim().is_empty() => return on_the_ticket,
        _ => {}
    }
    let in_the_journal = notes_of_journal(client, made, deadline).await;
    in_the_journal.or(on_the_ticket)
}

/// Journal fields return their entries as a display value, each below a line with its time and author.
async fn notes_of_ticket(client: &Client, made: Made<'_>, deadline: Deadline) -> Result<String, Fault> {
    let encoded = format!("sys_id={}", made.sys_id);
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", "1"),
        ("sysparm_fields", "sys_id,work_notes"),
        ("sysparm_display_value", "all"),
    ];
    let rows = rows(client, made.table, &query, deadline).await?;
    let ours = rows.iter().find(|row| row.sys_id().as_deref() == Some(made.sys_id));
    Ok(ours.and_then(|row| row.display("work_notes")).unwrap_or_default())
}

/// An account without a read ACL gets no rows here, with a 200.
async fn notes_of_journal(client: &Client, made: Made<'_>, deadline: Deadline) -> Result<String, Fault> {
    let encoded = format!("element_id={}^element=work_notes^ORDERBYDESCsys_created_on", made.sys_id);
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", "10"),
        ("sysparm_fields", "element_id,element,value"),
    ];
    let rows = rows(client, JOURNAL, &query, deadline).await?;
    let is_ours = |row: &&Record| {
        row.value("element_id").as_deref() == Some(made.sys_id)
            && row.value("element").as_deref() == Some("work_notes")
    };
    let entries = rows.iter().filter(is_ours).filter_map(|row| row.value("value"));
    Ok(entries.collect::<Vec<_>>().join("\n"))
}

async fn rows(
    client: &Client,
    table: &str,
    query: &[(&str, &str)],
    deadline: Deadline,
) -> Result<Vec<Record>, Fault> {
    let timeout = client.time_left(deadline)?.min(READ_BACK_TIMEOUT);
    client.list::<Vec<Record>>(table, query, timeout).await.map(|(rows, _)| rows)
}

fn missing_notes(sent: &str, journal: &Result<String, Fault>) -> Option<Adjustment> {
    let count = sent.chars().count();
    let reason = match journal {
        Ok(shown) => match Stored::of(sent, shown) {
            Stored::Nothing => format!(
                "the {count} characters were not stored, or may not be read: neither the ticket nor {JOURNAL} shows \
                 them to the account of servicenow.username; {WHOLE_TEXT}"
            ),
            other => format!("{}; {WHOLE_TEXT}", other.describe(sent)?),
        },
        Err(fault) => format!(
            "whether the {count} characters were stored could not be confirmed: {}; {WHOLE_TEXT}",
            fault.message
        ),
    };
    Some(Adjustment::new("work_notes", reason))
}

fn holds(journal: &Result<String, Fault>, text: &str) -> bool {
    journal.as_ref().is_ok_and(|shown| Stored::of(text, shown) == Stored::Whole)
}

// === impl Stored ===

impl Stored {
    /// How much of `sent` is contained in `shown`.
    fn of(sent: &str, shown: &str) -> Self {
        let sent: Vec<(usize, char)> = sent.chars().enumerate().filter(|(_, c)| !c.is_whitespace()).collect();
        let shown: Vec<char> = shown.chars().filter(|c| !c.is_whitespace()).collect();
        let equal = |at: usize| sent.iter().zip(&shown[at..]).take_while(|((_, a), b)| a == *b).count();
        let head = HEAD.min(sent.len()).min(shown.len());
        let found =
            (0..shown.len()).find(|at| shown.len() - at >= head && equal_head(&sent, &shown[*at..], head));
        match found.filter(|_| head > 0) {
            _ if sent.is_empty() => Self::Whole,
            None if shown.is_empty() => Self::Nothing,
            None => Self::Differs(0),
            Some(at) => {
                let count = equal(at);
                let characters = sent[count - 1].0 + 1;
                if count == sent.len() {
                    Self::Whole
                } else if at + count == shown.len() {
                    Self::Start(characters)
                } else {
                    Self::Differs(characters)
                }
            }
        }
    }

    /// The part of `sent` that is not stored, as an entry for the work notes; `None` if unknown.
    fn rest(self, sent: &str) -> Option<String> {
        match self {
            Self::Whole | Self::Differs(_) => None,
            Self::Nothing => Some(format!("DESCRIPTION\n{sent}")),
            Self::Start(characters) => {
                let from = sent.char_indices().nth(characters).map_or(sent.len(), |(at, _)| at);
                Some(format!("DESCRIPTION, CONTINUED\n{}", sent[from..].trim_start()))
            }
        }
    }

    fn describe(self, sent: &str) -> Option<String> {
        let count = sent.chars().count();
        match self {
            Self::Whole => None,
            Self::Start(kept) => {
                Some(format!("was cut by ServiceNow: {kept} of {count} characters were stored"))
            }
            Self::Differs(0) => {
                Some(format!("was replaced by ServiceNow: none of {count} characters were stored"))
            }
            Self::Differs(kept) => Some(format!(
                "was changed by ServiceNow: after {kept} of {count} characters the stored text differs"
            )),
            Self::Nothing => Some(format!(
                "was dropped by ServiceNow, or may not be read: none of {count} characters are shown"
            )),
        }
    }
}

fn equal_head(sent: &[(usize, char)], shown: &[char], head: usize) -> bool {
    sent.iter().take(head).zip(shown).all(|((_, a), b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_is_compared_apart_from_white_space() {
        let notes = "first line\nsecond line, which is longer than the head of the comparison";
        let table = [
            (notes.to_owned(), Stored::Whole),
            (notes.replace('\n', "\r\n") + "\r\n", Stored::Whole),
            (format!("2026-03-01 08:20:00 - Bot (Work notes)\n{notes}\n\nolder"), Stored::Whole),
            (notes[..38].to_owned(), Stored::Start(38)),
            ("first".to_owned(), Stored::Start(5)),
            (notes.replace("longer", "LONGER"), Stored::Differs(32)),
            ("something else".to_owned(), Stored::Differs(0)),
            (" \n".to_owned(), Stored::Nothing),
        ];
        for (shown, expected) in table {
            assert_eq!(Stored::of(notes, &shown), expected, "{shown:?}");
        }
        assert_eq!(Stored::of("", ""), Stored::Whole);
    }

    #[test]
    fn rest_begins_after_the_stored_text() {
        assert_eq!(Stored::Start(3).rest("äöü rest").as_deref(), Some("DESCRIPTION, CONTINUED\nrest"));
        assert_eq!(Stored::Nothing.rest("all").as_deref(), Some("DESCRIPTION\nall"));
        assert_eq!(Stored::Whole.rest("all"), None);
        assert_eq!(Stored::Differs(2).rest("all"), None);
    }
}
