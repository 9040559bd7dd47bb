//! Encoded queries: `field=value^field2LIKEvalue^ORfield3=value^ORDERBYDESCfield`.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::record::Row;
use crate::ticket_index::TicketIndex;

/// A parsed query.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Conjunction of disjunctions of terms.
    groups: Vec<Vec<Term>>,
    order: Vec<(String, bool)>,
    /// Whether an invalid part was skipped.
    pub(super) invalid: bool,
}

#[derive(Debug)]
struct Term {
    field: String,
    operator: &'static str,
    value: String,
}

/// Longer operators precede their prefixes.
const OPERATORS: [&str; 14] = [
    "ISNOTEMPTY",
    "ISEMPTY",
    "STARTSWITH",
    "ENDSWITH",
    "NOT LIKE",
    "NOT IN",
    "LIKE",
    "IN",
    "!=",
    ">=",
    "<=",
    "=",
    ">",
    "<",
];

pub(super) fn parse(text: &str, is_field: impl Fn(&str) -> bool) -> Query {
    let mut query = Query::default();
    for part in text.split('^').filter(|part| !part.is_empty() && *part != "EQ") {
        let descending = part.strip_prefix("ORDERBYDESC");
        if let Some(field) = descending.or_else(|| part.strip_prefix("ORDERBY")) {
            if is_field(field) {
                query.order.push((field.to_owned(), descending.is_some()));
            }
            continue;
        }
        let (part, or) = part.strip_prefix("OR").map_or((part, false), |rest| (rest, true));
        match (term(part, &is_field), query.groups.last_mut()) {
            (Some(term), Some(group)) if or => group.push(term),
            (Some(term), _) => query.groups.push(vec![term]),
            (None, _) => query.invalid = true,
        }
    }
    query
}

impl Query {
    /// Positions of the records that can match, from the indexes; `None` if no index applies.
    pub(super) fn places(&self, tickets: &TicketIndex) -> Option<BTreeSet<usize>> {
        self.groups.iter().find_map(|group| {
            let places: Option<Vec<_>> = group.iter().map(|term| term.places(tickets)).collect();
            places.map(|places| places.into_iter().flatten().collect())
        })
    }

    /// The values of `correlation_id` in the query.
    pub(super) fn markers(&self) -> Vec<String> {
        let terms = self.groups.iter().flatten().filter(|term| term.field == "correlation_id");
        terms.map(|term| term.value.clone()).collect()
    }

    pub(super) fn select(&self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| self.groups.iter().all(|group| group.iter().any(|term| term.holds(row))));
        rows.sort_by(|a, b| {
            let differ = |(field, descending): &(String, bool)| {
                let order = a.fields.get(field).cmp(&b.fields.get(field));
                if *descending { order.reverse() } else { order }
            };
            self.order.iter().map(differ).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        rows
    }
}

impl Term {
    fn places(&self, tickets: &TicketIndex) -> Option<BTreeSet<usize>> {
        match (self.field.as_str(), self.operator) {
            ("correlation_id", "=") if !self.value.is_empty() => Some(tickets.with_marker(&self.value)),
            ("sys_id" | "number", "=") => Some(tickets.named(&self.value)),
            _ => None,
        }
    }

    fn holds(&self, row: &Row) -> bool {
        let have = row.fields.get(&self.field).map_or("", String::as_str);
        let lower = have.to_lowercase();
        let sought = self.value.to_lowercase();
        let any = || sought.split(',').any(|value| value == lower);
        match self.operator {
            "=" => lower == sought,
            "!=" => lower != sought,
            "LIKE" => lower.contains(&sought),
            "NOT LIKE" => !lower.contains(&sought),
            "STARTSWITH" => lower.starts_with(&sought),
            "ENDSWITH" => lower.ends_with(&sought),
            "IN" => any(),
            "NOT IN" => !any(),
            "ISEMPTY" => have.is_empty(),
            "ISNOTEMPTY" => !have.is_empty(),
            ">=" => have >= self.value.as_str(),
            "<=" => have <= self.value.as_str(),
            ">" => have > self.value.as_str(),
            _ => have < self.value.as_str(),
        }
    }
}

/// The field ends at the first operator: field names are in lower case and operators are not.
fn term(part: &str, is_field: impl Fn(&str) -> bool) -> Option<Term> {
    let end = part.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.'))?;
    let (field, rest) = part.split_at(end);
    let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator))?;
    let value = rest[operator.len()..].to_owned();
    is_field(field).then(|| Term { field: field.to_owned(), operator, value })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::profile::{Profile, Vendor};
    use crate::servicenow::record;
    use crate::state::State;

    #[test]
    fn look_up_by_marker_or_sys_id_uses_the_index() {
        let mut state = State::new(Profile::of(Vendor::ServiceNow));
        for number in 0..10 {
            let mut fields = record::initial_fields(Timestamp::UNIX_EPOCH);
            fields.insert("correlation_id".to_owned(), format!("rhythmx-{number}").into());
            let sys_id = Some(format!("{number:032x}"));
            record::store(&mut state, fields, sys_id, Timestamp::UNIX_EPOCH, false);
        }
        let places = |text: &str| {
            let places = parse(text, record::is_field).places(&state.tickets);
            places.map(|places| places.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(places("correlation_id=rhythmx-3^ORDERBYsys_created_on"), Some(vec![3]));
        assert_eq!(places("active=true^correlation_id=RHYTHMX-3"), Some(vec![3]));
        assert_eq!(places(&format!("correlation_id=rhythmx-3^ORsys_id={:032x}", 7)), Some(vec![3, 7]));
        assert_eq!(places("correlation_id=rhythmx-3^ORactive=true"), None);
        assert_eq!(places("active=true"), None);
    }
}
