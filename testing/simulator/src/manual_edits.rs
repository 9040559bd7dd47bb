//! Manual edits of tickets by other users of the site.

use serde_json::{Map, Value, json};

use crate::shared::Shared;
use crate::simulator::Simulator;
use crate::site;
use crate::state::State;
use crate::ticket::Ticket;

impl Simulator {
    /// Removes a label like a user. Returns whether the ticket exists and had it.
    pub fn remove_label(&self, ticket: &str, label: &str) -> bool {
        let mut state = self.shared.state();
        state.tickets.change(ticket, |found| without_label(found, label)).unwrap_or(false)
    }

    /// Removes a marker like a user, from label, `correlation_id` or description. Returns whether the ticket
    /// exists and had it.
    pub fn remove_marker(&self, ticket: &str, marker: &str) -> bool {
        self.shared.state().remove_marker(ticket, marker)
    }

    /// Clones a ticket like a user, including its marker. Returns the key or number of the clone; `None` if
    /// the ticket does not exist.
    pub fn clone_ticket(&self, ticket: &str) -> Option<String> {
        self.shared.clone_ticket(ticket)
    }

    /// Moves an issue to another key, possibly of another project, like a user; the old key still resolves,
    /// and the ID does not change. Returns whether it exists.
    pub fn move_ticket(&self, ticket: &str, new_key: &str) -> bool {
        self.shared.state().move_ticket(ticket, new_key)
    }

    /// Deletes a ticket like a user. Returns whether it exists.
    pub fn delete_ticket(&self, ticket: &str) -> bool {
        self.shared.state().delete_ticket(ticket)
    }

    /// Overwrites one field of a ticket like a user. Returns whether it exists.
    pub fn set_field(&self, ticket: &str, field: &str, value: Value) -> bool {
        self.shared.state().set_fields(ticket, Map::from_iter([(field.to_owned(), value)]))
    }

    /// Creates a ticket as another user would, in the named or the first project or in the incident table,
    /// with these fields in addition to the defaults and without validation. Returns its key or number.
    pub fn add_foreign_ticket(&self, fields: Map<String, Value>) -> String {
        self.shared.add_foreign_ticket(fields)
    }
}

impl Shared {
    pub(crate) fn add_foreign_ticket(&self, fields: Map<String, Value>) -> String {
        let now = self.clock.now();
        site::add_foreign_ticket(self.vendor, &mut self.state(), fields, now)
    }

    pub(crate) fn clone_ticket(&self, ticket: &str) -> Option<String> {
        let mut fields = self.state().tickets.find(ticket)?.fields.clone();
        for own in ["sys_id", "number", "sys_created_on", "sys_updated_on", "created", "updated"] {
            fields.remove(own);
        }
        Some(self.add_foreign_ticket(fields))
    }
}

impl State {
    pub(crate) fn remove_marker(&mut self, ticket: &str, marker: &str) -> bool {
        let remove = |found: &mut Ticket| {
            let mut bore = without_label(found, marker);
            if found.correlation_id() == Some(marker) {
                found.fields.insert("correlation_id".to_owned(), "".into());
                bore = true;
            }
            found.fields.get_mut("description").is_some_and(|text| without_text(text, marker)) || bore
        };
        self.tickets.change(ticket, remove).unwrap_or(false)
    }

    pub(crate) fn move_ticket(&mut self, ticket: &str, new_key: &str) -> bool {
        let name = new_key.rsplit_once('-').map(|(project, _)| project.to_owned());
        let known = name.as_deref().and_then(|name| self.profile.project(name)).cloned();
        let moved = self.tickets.change(ticket, |found| {
            let old_key = std::mem::replace(&mut found.key, new_key.to_owned());
            found.previous_keys.push(old_key);
            if let Some(name) = name {
                let id = known.as_ref().map_or("10999", |project| &project.id);
                let title = known.as_ref().map_or(name.as_str(), |project| &project.name);
                let project = json!({ "id": id, "key": name, "name": title });
                found.fields.insert("project".to_owned(), project);
                found.container = name;
            }
        });
        moved.is_some()
    }

    pub(crate) fn delete_ticket(&mut self, ticket: &str) -> bool {
        self.tickets.change(ticket, |found| found.deleted = true).is_some()
    }

    pub(crate) fn set_fields(&mut self, ticket: &str, fields: Map<String, Value>) -> bool {
        self.tickets.change(ticket, |found| found.fields.extend(fields)).is_some()
    }
}

fn without_label(ticket: &mut Ticket, label: &str) -> bool {
    let labels = ticket.fields.get_mut("labels").and_then(Value::as_array_mut);
    labels.is_some_and(|labels| {
        let before = labels.len();
        labels.retain(|known| known != label);
        labels.len() < before
    })
}

fn without_text(value: &mut Value, text: &str) -> bool {
    match value {
        Value::String(whole) => {
            let found = whole.contains(text);
            *whole = whole.replace(text, "");
            found
        }
        Value::Array(parts) => {
            parts.iter_mut().map(|part| u32::from(without_text(part, text))).sum::<u32>() > 0
        }
        Value::Object(parts) => {
            parts.values_mut().map(|part| u32::from(without_text(part, text))).sum::<u32>() > 0
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
