//! Applies a mapping to the fields of a project.

use jiff::Timestamp;
use serde_json::{Map, Value};
use ticketing_core::content_settings::{FieldContent, MappedContent, setting_of};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::nearest::nearest;
use ticketing_core::system::Adjustment;

use super::convert::{self, Known, Refusal, UserId};
use super::{Field, MAX_NEAREST, Users, find, is_id, own};
use crate::client::{Api, Client};
use crate::faults::is_final;

/// Maximum number of people that are looked up for one ticket.
const MAX_LOOK_UPS: usize = 20;
const NO_SUCH_USER: &str = "a user that Jira does not show to the account";

/// Where a mapping is applied, and what is known there.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) api: Api,
    /// The fields of the create screen; `None` if Jira did not list them.
    pub(crate) fields: Option<&'a [Field]>,
    pub(crate) users: &'a Users,
    /// Emails that lead to no person, and why.
    pub(crate) absent: &'a [(String, String)],
    pub(crate) now: Timestamp,
}

/// The values to send.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Applied {
    /// By the ID of the field.
    pub(crate) values: Map<String, Value>,
    /// The IDs of the fields that may be left out, with their settings.
    pub(crate) droppable: Vec<String>,
    /// The ID of each mapped field, and its name in the settings.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) adjustments: Vec<Adjustment>,
    /// What is wrong with the values of fields that must be sent.
    pub(crate) faults: Vec<FieldFault>,
    /// Emails of people that must be looked up first.
    pub(crate) unknown_users: Vec<String>,
}

/// What is wrong with the value of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldFault {
    /// Names the setting.
    pub(crate) message: String,
    /// Whether every ticket is concerned.
    pub(crate) is_of_settings: bool,
}

// === impl Applied ===

impl Applied {
    /// Whether the mapping has a value, or would have one, for the field with this ID.
    pub(crate) fn fills(&self, id: &str) -> bool {
        self.values.get(id).is_some_and(|value| !value.is_null())
    }

    /// Turns what is wrong into adjustments, for a rendering that is not sent.
    pub(crate) fn note_problems(&mut self) {
        let faults = self.faults.drain(..).map(|fault| Adjustment::new("", fault.message));
        let users = self
            .unknown_users
            .drain(..)
            .map(|email| Adjustment::new("", format!("not checked whether Jira knows the user \"{email}\"")));
        self.adjustments.extend(faults.chain(users));
    }

    /// All that is wrong, in one line.
    pub(crate) fn describe_faults(&self) -> String {
        self.faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// One fault for all that is wrong.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let kind = match self.faults.iter().any(|fault| fault.is_of_settings) {
            true => FaultKind::Misconfigured,
            false => FaultKind::Rejected,
        };
        let messages: Vec<&str> = self.faults.iter().map(|fault| fault.message.as_str()).collect();
        let mut hint =
            "correct the named settings, or mark a field as droppable to create the ticket without it"
                .to_owned();
        if messages.iter().any(|message| message.contains(NO_SUCH_USER)) {
            hint.push_str(
                "; for a user, give the account ID (on Data Center the user name), or grant the account Browse users and groups",
            );
        }
        (!messages.is_empty()).then(|| Fault::new(kind, messages.join("; ")).with_hint(hint))
    }
}

/// Converts every mapped value, after looking up the people among them.
pub(crate) async fn apply_online(
    content: &MappedContent,
    place: &Place<'_>,
    client: &Client,
    project: &str,
) -> Result<Applied, Fault> {
    let mut absent = Vec::new();
    for _ in 0..MAX_LOOK_UPS {
        let applied = apply(content, &Place { absent: &absent, ..*place });
        let Some(email) = applied.unknown_users.first() else { return Ok(applied) };
        match place.users.find(client, place.api, project, email).await {
            Ok(Some(_)) => {}
            Ok(None) => absent.push((email.clone(), NO_SUCH_USER.to_owned())),
            Err(fault) if is_final(fault.kind) => return Err(fault),
            Err(fault) => {
                absent.push((email.clone(), format!("who could not be looked up: {}", fault.message)));
            }
        }
    }
    let message = format!("the fields of a ticket name more than {MAX_LOOK_UPS} people by email");
    Err(Fault::new(FaultKind::Rejected, message).with_hint("map account IDs instead of emails"))
}

/// Converts every mapped value.
pub(crate) fn apply(content: &MappedContent, place: &Place<'_>) -> Applied {
    let mut applied = Applied::default();
    for mapped in &content.fields {
        match value_of(mapped, place) {
            Ok((field, value)) => {
                if place.fields.is_none() {
                    let reason = "sent as configured, not checked: Jira did not say what the project offers";
                    applied.adjustments.push(Adjustment::new(&field.id, reason));
                }
                if mapped.droppable {
                    applied.droppable.push(field.id.clone());
                }
                applied.settings.push((field.id.clone(), mapped.name.clone()));
                applied.values.insert(field.id, value);
            }
            Err(Problem::UnknownUser(email)) => applied.unknown_users.push(email),
            Err(Problem::Fault(fault)) if mapped.droppable => {
                let reason = format!("not sent: {}", fault.message);
                applied.adjustments.push(Adjustment::new(&mapped.name, reason));
            }
            Err(Problem::Fault(fault)) => applied.faults.push(fault),
        }
    }
    applied
}

enum Problem {
    Fault(FieldFault),
    UnknownUser(String),
}

fn value_of(mapped: &FieldContent, place: &Place<'_>) -> Result<(Field, Value), Problem> {
    let setting = setting_of(&mapped.name);
    let field = field_of(&mapped.name, place).map_err(|what| {
        Problem::Fault(FieldFault { message: format!("{setting}: {what}"), is_of_settings: true })
    })?;
    let fault = |what: String| {
        Problem::Fault(FieldFault { message: format!("{setting}: {what}"), is_of_settings: false })
    };
    let given = mapped.value.as_ref().map_err(|error| fault(error.to_string()))?;
    let user = |email: &str| match place.users.known(email, place.now) {
        Some(id) => UserId::Found(id),
        None => {
            let absent = place.absent.iter().find(|(absent, _)| absent == email);
            absent.map_or(UserId::Unknown, |(_, reason)| UserId::Absent(reason.clone()))
        }
    };
    let known = Known { api: place.api, user: &user };
    match convert::convert(&field, given, &known) {
        Ok(value) => Ok((field, value)),
        Err(Refusal::UnknownUser(email)) => Err(Problem::UnknownUser(email)),
        Err(Refusal::Wrong(what)) => Err(fault(what)),
    }
}

/// The field that a setting names.
fn field_of(name: &str, place: &Place<'_>) -> Result<Field, String> {
    let field = match place.fields {
        Some(fields) => match find(fields, name).as_slice() {
            [field] => (*field).clone(),
            [] => return Err(unknown(name, fields)),
            several => {
                let ids: Vec<&str> = several.iter().map(|field| field.id.as_str()).collect();
                return Err(format!("is the name of several fields: use one of {}", ids.join(", ")));
            }
        },
        None if is_id(name) || own(name).is_some() => Field::assumed(name),
        None => {
            return Err(
                "is a name, and Jira did not say which field has it: use the ID, such as customfield_10010"
                    .to_owned(),
            );
        }
    };
    if let Some(instead) = own(&field.id).and_then(|own| own.instead) {
        return Err(format!("cannot be mapped: {instead}"));
    }
    match field.is_settable {
        true => Ok(field),
        false => Err("is shown by Jira, and cannot be set".to_owned()),
    }
}

fn unknown(name: &str, fields: &[Field]) -> String {
    let offered = fields.iter().filter(|field| own(&field.id).is_none_or(|own| own.instead.is_none()));
    let wanted = if is_id(name) { "" } else { name };
    let nearest = nearest(wanted, offered.map(|field| field.name.as_str()), MAX_NEAREST);
    match nearest.as_slice() {
        [] => "is not on the create screen".to_owned(),
        names => format!("is not on the create screen; nearest: {}", names.join(", ")),
    }
}
