//! A subset of JQL, sufficient for look-ups; unsupported queries are rejected.

mod lexer;
mod parser;
mod time;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::ticket::Ticket;
use crate::ticket_index::{self, TicketIndex};
pub(super) use parser::{is_bare_words, parse};
use time::time;

/// A parsed query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    condition: Option<Condition>,
    order: Vec<(Field, bool)>,
    nothing: bool,
}

#[derive(Debug, Clone)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Is(Field, Operator, Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Project,
    Labels,
    Text,
    Summary,
    Description,
    Created,
    IssueType,
    Priority,
    Status,
    Key,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    Differs,
    Contains,
    Lacks,
    AtLeast,
    AtMost,
    Above,
    Below,
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
}

impl Query {
    /// Positions of the issues that can match, from the indexes.
    pub(super) fn places(&self, tickets: &TicketIndex) -> Option<BTreeSet<usize>> {
        self.condition.as_ref()?.places(tickets)
    }

    /// Returns the labels and description words in the query.
    pub(super) fn markers(&self) -> Vec<String> {
        let mut markers = Vec::new();
        if let Some(condition) = &self.condition {
            condition.markers(&mut markers);
        }
        markers.sort();
        markers.dedup();
        markers
    }

    /// A query that matches no issue.
    pub(super) fn nothing() -> Self {
        Self { condition: None, order: Vec::new(), nothing: true }
    }

    /// Whether the query has a condition.
    pub(super) fn is_bounded(&self) -> bool {
        self.condition.is_some()
    }

    /// Returns the unknown project names in the query.
    pub(super) fn unknown_projects(&self, known: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(condition) = &self.condition {
            condition.project_names(&mut names);
        }
        names.retain(|name| !known(name));
        names
    }

    pub(super) fn select<'t>(&self, mut tickets: Vec<&'t Ticket>, now: Timestamp) -> Vec<&'t Ticket> {
        tickets
            .retain(|ticket| !self.nothing && self.condition.as_ref().is_none_or(|it| it.holds(ticket, now)));
        // Newest first by default, like Jira; the sort is stable.
        tickets.reverse();
        tickets.sort_by(|a, b| {
            let differ = |(field, descending): &(Field, bool)| {
                let order = compare(*field, a, b);
                if *descending { order.reverse() } else { order }
            };
            self.order.iter().map(differ).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        tickets
    }
}

impl Condition {
    fn holds(&self, ticket: &Ticket, now: Timestamp) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(ticket, now)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(ticket, now)),
            Self::Not(part) => !part.holds(ticket, now),
            Self::Is(field, operator, values) => operator.holds(*field, values, ticket, now),
        }
    }

    fn places(&self, tickets: &TicketIndex) -> Option<BTreeSet<usize>> {
        match self {
            Self::All(parts) => parts.iter().find_map(|part| part.places(tickets)),
            Self::Any(parts) => {
                let places: Option<Vec<_>> = parts.iter().map(|part| part.places(tickets)).collect();
                places.map(|places| places.into_iter().flatten().collect())
            }
            Self::Not(_) => None,
            Self::Is(Field::Labels, Operator::Equals | Operator::In, values) => {
                Some(values.iter().flat_map(|value| tickets.with_marker(value)).collect())
            }
            Self::Is(Field::Key, Operator::Equals | Operator::In, values) => {
                Some(values.iter().flat_map(|value| tickets.named(&value.to_uppercase())).collect())
            }
            Self::Is(field, Operator::Contains, values) if field.is_text() => {
                let sought = values.first().map_or("", String::as_str);
                tickets.with_words(&words(sought))
            }
            Self::Is(..) => None,
        }
    }

    fn markers(&self, markers: &mut Vec<String>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.markers(markers)),
            Self::Is(Field::Labels | Field::Text | Field::Description, _, values) => {
                markers.extend(values.iter().map(|value| value.trim_matches('"').to_owned()));
            }
            Self::Not(_) | Self::Is(..) => {}
        }
    }

    fn project_names(&self, names: &mut Vec<String>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.project_names(names)),
            Self::Not(part) => part.project_names(names),
            Self::Is(Field::Project, _, values) => names.extend(values.iter().cloned()),
            Self::Is(..) => {}
        }
    }
}

impl Operator {
    fn holds(self, field: Field, values: &[String], ticket: &Ticket, now: Timestamp) -> bool {
        let held = field.values(ticket);
        let equal = || values.iter().any(|value| held.iter().any(|have| have.eq_ignore_ascii_case(value)));
        let first = values.first().map_or("", String::as_str);
        let created = || field_time(ticket).cmp(&time(first, now).unwrap_or(Timestamp::MIN));
        match self {
            Self::Equals | Self::In => equal(),
            Self::Differs | Self::NotIn => !equal() && !held.is_empty(),
            Self::Contains => matches_text(&held, first),
            Self::Lacks => !matches_text(&held, first),
            Self::AtLeast => created().is_ge(),
            Self::AtMost => created().is_le(),
            Self::Above => created().is_gt(),
            Self::Below => created().is_lt(),
            Self::IsEmpty => held.iter().all(String::is_empty),
            Self::IsNotEmpty => held.iter().any(|value| !value.is_empty()),
        }
    }
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "project" => Self::Project,
            "labels" => Self::Labels,
            "text" => Self::Text,
            "summary" => Self::Summary,
            "description" => Self::Description,
            "created" | "createddate" => Self::Created,
            "issuetype" | "type" => Self::IssueType,
            "priority" => Self::Priority,
            "status" => Self::Status,
            "key" | "issue" | "issuekey" | "id" => Self::Key,
            _ => return None,
        })
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Summary | Self::Description)
    }

    fn values(self, ticket: &Ticket) -> Vec<String> {
        let choice = |field: &str| {
            let members =
                ["id", "key", "name"].iter().filter_map(move |member| ticket.fields.get(field)?.get(member));
            members.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match self {
            Self::Project => {
                let mut names: Vec<String> = choice("project");
                names.push(ticket.container.clone());
                names
            }
            Self::Labels => ticket.labels(),
            Self::Summary => vec![ticket.text("summary").to_owned()],
            Self::Description => vec![ticket.plain.clone()],
            Self::Text => vec![ticket.text("summary").to_owned(), ticket.plain.clone()],
            Self::IssueType => choice("issuetype"),
            Self::Priority => choice("priority"),
            Self::Status => choice("status"),
            Self::Key => {
                let names = [ticket.id.clone(), ticket.key.clone()];
                names.into_iter().chain(ticket.previous_keys.iter().cloned()).collect()
            }
            Self::Created => vec![ticket.created_at.to_string()],
        }
    }

    fn allows(self, operator: Operator) -> bool {
        use Operator::{Above, AtLeast, AtMost, Below, Contains, IsEmpty, IsNotEmpty, Lacks};
        match operator {
            Contains | Lacks => self.is_text(),
            AtLeast | AtMost | Above | Below => self == Self::Created,
            IsEmpty | IsNotEmpty => !matches!(self, Self::Text),
            _ => !self.is_text() && self != Self::Created,
        }
    }
}

/// JQL compares times by the minute.
fn field_time(ticket: &Ticket) -> Timestamp {
    let second = ticket.created_at.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(ticket.created_at)
}

fn compare(field: Field, a: &Ticket, b: &Ticket) -> Ordering {
    match field {
        Field::Created => a.created_at.cmp(&b.created_at),
        _ => field.values(a).cmp(&field.values(b)),
    }
}

/// Text search by words, or by phrase if the value itself is in quotes.
fn matches_text(held: &[String], sought: &str) -> bool {
    let phrase = sought.len() > 1 && sought.starts_with('"') && sought.ends_with('"');
    let wanted = words(sought);
    let longest = wanted.iter().max_by_key(|word| word.len()).map_or("", String::as_str);
    // Most texts do not contain the word, and need not be split.
    held.iter().filter(|text| text.contains(longest) || text.to_lowercase().contains(longest)).any(|text| {
        let have = words(text);
        let contiguous = || have.windows(wanted.len()).any(|window| window == wanted);
        !wanted.is_empty()
            && if phrase { contiguous() } else { wanted.iter().all(|word| have.contains(word)) }
    })
}

fn words(text: &str) -> Vec<String> {
    ticket_index::words(text).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    const MARKER: &str = "rhythmx-0123456789abcdef0123456789abcde0";

    /// Ten issues with the markers ...e0 to ...e9, alternately as a label and in the description.
    fn book() -> TicketIndex {
        let mut book = TicketIndex::default();
        for number in 0..10 {
            let marker = format!("{}{number}", &MARKER[..MARKER.len() - 1]);
            let (labels, description) =
                if number % 2 == 0 { (vec![marker], String::new()) } else { (vec![], marker) };
            let fields = json!({ "labels": labels, "description": description });
            book.add(Ticket {
                id: number.to_string(),
                key: format!("SEC-{number}"),
                previous_keys: Vec::new(),
                container: "SEC".to_owned(),
                fields: fields.as_object().unwrap().clone(),
                properties: BTreeMap::new(),
                created_at: Timestamp::UNIX_EPOCH,
                foreign: false,
                deleted: false,
                plain: String::new(),
            });
        }
        book
    }

    #[test]
    fn look_up_by_marker_or_key_uses_the_index() {
        let other = MARKER.replace("e0", "e1");
        let cases = [
            (format!("labels = \"{MARKER}\""), vec![0]),
            (format!("labels = \"{}\"", MARKER.to_uppercase()), vec![0]),
            (
                format!(
                    "(labels in (\"{MARKER}\", x) OR description ~ \"\\\"{other}\\\"\") ORDER BY created"
                ),
                vec![0, 1],
            ),
            (format!("project = SEC AND created >= -1d AND text ~ \"{other}\""), vec![1]),
            ("key in (SEC-3, SEC-4)".to_owned(), vec![3, 4]),
        ];
        for (jql, places) in cases {
            let found = parse(&jql).unwrap().places(&book()).unwrap();
            assert_eq!(found.into_iter().collect::<Vec<_>>(), places, "{jql}");
        }
    }

    #[test]
    fn query_without_index_scans_every_issue() {
        for jql in ["project = SEC", "NOT labels = x", "labels = x OR summary ~ short", "labels != x"] {
            assert_eq!(parse(jql).unwrap().places(&book()), None, "{jql}");
        }
    }

    #[test]
    fn changed_issue_is_found_by_its_new_labels() {
        let mut book = book();
        book.change("SEC-4", |ticket| ticket.fields.insert("labels".to_owned(), json!(["new"])));
        let query = parse("labels = new").unwrap();
        let places = query.places(&book).unwrap();
        let found = query.select(book.at(places).collect(), Timestamp::UNIX_EPOCH);
        assert_eq!(found.iter().map(|ticket| ticket.key.as_str()).collect::<Vec<_>>(), ["SEC-4"]);
    }
}
