//! Operations on one issue: read, properties, comments, remote links and transitions.

use http::Method;
use serde_json::{Value, json};

use super::values::{self, Limits, Objection};
use super::{Visit, auth, create, issue, visible};
use crate::message::Answer;
use crate::ticket::Ticket;

pub(super) fn route(visit: &mut Visit<'_, '_>, key: &str, rest: &[&str]) -> Answer {
    let method = &visit.turn.request.method;
    if *method != Method::GET && !visit.logged_in() {
        return auth::not_authenticated(&visit.caller);
    }
    let Some(id) = visible(visit, key).map(|ticket| ticket.id.clone()) else {
        return Answer::jira_messages(
            404,
            &["Issue does not exist or you do not have permission to see it."],
        );
    };
    match (method, rest) {
        (&Method::GET, []) => read(visit, &id),
        (&Method::PUT, []) => edit(visit, &id),
        (&Method::GET, ["properties", name]) => property(visit, &id, name),
        (&Method::PUT, ["properties", name]) => set_property(visit, &id, name),
        (&Method::POST, ["comment"]) => comment(visit, &id),
        (&Method::POST, ["remotelink"]) => remote_link(visit, &id),
        (&Method::GET, ["transitions"]) => Answer::json(200, &json!({ "transitions": [] })),
        _ => Answer::jira_status(visit.turn.request, 405, "Method Not Allowed"),
    }
}

fn read(visit: &Visit<'_, '_>, id: &str) -> Answer {
    let asked = visit.turn.request.query("fields").map(|text| issue::asked_fields(&text));
    match visit.turn.state.tickets.find(id) {
        Some(ticket) => {
            // A single issue always contains its key, whatever fields were requested.
            let mut body = issue::shown(visit, ticket, asked.as_deref());
            body["key"] = ticket.key.clone().into();
            Answer::json(200, &body)
        }
        None => Answer::empty(404),
    }
}

fn edit(visit: &mut Visit<'_, '_>, id: &str) -> Answer {
    if !visit.may("EDIT_ISSUES") {
        return Answer::jira_messages(403, &["You do not have permission to edit this issue."]);
    }
    let Some(Value::Object(body)) = visit.turn.request.json() else { return create::unreadable(visit) };
    let Some(fields) = body.get("fields").and_then(Value::as_object) else { return Answer::empty(204) };
    let limits = Limits { adf: visit.version == 3, text: visit.turn.state.profile.text_limit };
    let container =
        visit.turn.state.tickets.find(id).map(|ticket| ticket.container.clone()).unwrap_or_default();
    let Some(project) = visit.turn.state.profile.project(&container).cloned() else {
        return Answer::empty(404);
    };
    let mut read = Vec::new();
    for (field, value) in fields {
        if !project.screen.contains(field) {
            let message =
                format!("Field '{field}' cannot be set. It is not on the appropriate screen, or unknown.");
            return Answer::jira_fields(400, &create::single(field, &message));
        }
        match values::read(&project, field, value, limits) {
            Ok(value) => read.push((field.clone(), value)),
            Err(Objection::Field(message)) => {
                return Answer::jira_fields(400, &create::single(field, &message));
            }
            Err(Objection::Whole(message)) => return Answer::jira_messages(400, &[&message]),
        }
    }
    visit.turn.state.tickets.change(id, |ticket| ticket.fields.extend(read));
    Answer::empty(204).applied()
}

fn property(visit: &Visit<'_, '_>, id: &str, name: &str) -> Answer {
    match visit.turn.state.tickets.find(id).and_then(|ticket| ticket.properties.get(name)) {
        Some(value) => Answer::json(200, &json!({ "key": name, "value": value })),
        None => Answer::jira_messages(404, &[&format!("The property with key '{name}' does not exist.")]),
    }
}

fn set_property(visit: &mut Visit<'_, '_>, id: &str, name: &str) -> Answer {
    if !visit.may("EDIT_ISSUES") {
        return Answer::jira_messages(403, &["You do not have permission to edit this issue."]);
    }
    let Some(value) = visit.turn.request.json() else { return create::unreadable(visit) };
    if let Err(message) = values::check_property(name, &value) {
        return Answer::jira_messages(400, &[&message]);
    }
    let set = |ticket: &mut Ticket| ticket.properties.insert(name.to_owned(), value);
    let replaced = visit.turn.state.tickets.change(id, set).flatten();
    Answer::empty(if replaced.is_some() { 200 } else { 201 }).applied()
}

fn comment(visit: &mut Visit<'_, '_>, id: &str) -> Answer {
    let Some(body) = visit.turn.request.json() else { return create::unreadable(visit) };
    let limits = Limits { adf: visit.version == 3, text: visit.turn.state.profile.text_limit };
    let text = body.get("body").unwrap_or(&Value::Null);
    match values::long_text("comment", text, limits) {
        Ok(Value::Null) => {
            Answer::jira_fields(400, &create::single("comment", "Comment body can not be empty!"))
        }
        Ok(text) => {
            let entry = json!({ "id": "10000", "self": visit.api(&format!("issue/{id}/comment/10000")), "body": text });
            push(visit, id, "comments", &entry);
            Answer::json(201, &entry).applied()
        }
        Err(Objection::Field(message)) => Answer::jira_fields(400, &create::single("comment", &message)),
        Err(Objection::Whole(message)) => Answer::jira_messages(400, &[&message]),
    }
}

fn remote_link(visit: &mut Visit<'_, '_>, id: &str) -> Answer {
    let Some(body) = visit.turn.request.json() else { return create::unreadable(visit) };
    for member in ["title", "url"] {
        if body.pointer(&format!("/object/{member}")).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Answer::jira_fields(400, &create::single(member, &format!("'{member}' is required.")));
        }
    }
    let global = body.get("globalId").and_then(Value::as_str).map(str::to_owned);
    let update = |ticket: &mut Ticket| {
        let links = ticket.fields.get_mut("remotelinks")?.as_array_mut()?;
        let known = |link: &Value| global.is_some() && link["globalId"].as_str() == global.as_deref();
        links.iter_mut().find(|link| known(link)).map(|link| *link = body.clone())
    };
    let updated = visit.turn.state.tickets.change(id, update).flatten().is_some();
    if !updated {
        push(visit, id, "remotelinks", &body);
    }
    // Data Center documents 200 for both.
    let status = if updated || visit.flavour == super::Flavour::DataCenter { 200 } else { 201 };
    let link = visit.api(&format!("issue/{id}/remotelink/10000"));
    Answer::json(status, &json!({ "id": 10000, "self": link })).applied()
}

/// Appends to a list that the simulator stores among the fields of the issue.
fn push(visit: &mut Visit<'_, '_>, id: &str, list: &str, entry: &Value) {
    visit.turn.state.tickets.change(id, |ticket| {
        let list = ticket.fields.entry(list).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(entry.clone());
        }
    });
}
