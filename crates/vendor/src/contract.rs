//! Parts of the contract that the settings of all vendors have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prost_types::value::Kind;
use serde_json::{Number, Value};
use ticketing_contract::v1;
use ticketing_contract::v1::field_value::Value as FieldSourceMessage;
use ticketing_core::content_settings::{ContentSettings, FieldSource, FieldValue, setting_of};
use ticketing_core::secret::{SecretChange, SecretKind, SecretUse};
use ticketing_core::system::System;
use ticketing_core::violation::Violations;

use crate::ConnectionSettings;

/// The change of a secret's field: absent keeps it, an empty text removes it.
#[must_use]
pub fn secret_change(field: Option<String>, kind: SecretKind) -> Option<SecretChange> {
    Some(match field? {
        value if value.is_empty() => SecretChange::Remove,
        value => SecretChange::Set { kind, value: value.into() },
    })
}

/// The changes of the secret for the ticket system and of the proxy password.
#[must_use]
pub fn secret_changes(
    of_system: Option<SecretChange>,
    proxy_password: Option<String>,
) -> BTreeMap<SecretUse, SecretChange> {
    let of_proxy = secret_change(proxy_password, SecretKind::ProxyPassword);
    let all = [(SecretUse::TicketSystem, of_system), (SecretUse::Proxy, of_proxy)];
    all.into_iter().filter_map(|(used_for, change)| Some((used_for, change?))).collect()
}

/// When a secret was set, as the contract shows it instead of the secret.
#[must_use]
pub fn set_at(settings: &ConnectionSettings, kind: SecretKind) -> Option<prost_types::Timestamp> {
    settings.set_at(kind).map(timestamp)
}

/// A ticket system in the contract, which names it after the system.
///
/// # Panics
/// If the contract lacks it.
#[must_use]
pub fn ticket_system(system: System) -> v1::TicketSystem {
    let name = format!("TICKET_SYSTEM_{}", system.as_str().to_ascii_uppercase());
    v1::TicketSystem::from_str_name(&name).expect("the contract has every ticket system")
}

/// The ticket system of a value of the contract; `None` if it is not specified.
#[must_use]
pub fn system(value: v1::TicketSystem) -> Option<System> {
    System::ALL.into_iter().find(|system| ticket_system(*system) == value)
}

/// Content settings of a request: what is absent stays. Adds what is invalid in the message itself to `violations`.
#[must_use]
pub fn content_settings(settings: v1::ContentSettings, violations: &mut Violations) -> ContentSettings {
    let mut value = |(name, value): (String, v1::FieldValue)| {
        let path = format!("content.{}", setting_of(&name));
        let source = match value.value {
            Some(FieldSourceMessage::Template(template)) => FieldSource::Template(template),
            Some(FieldSourceMessage::Json(value)) => match json(value) {
                Some(json) => FieldSource::Json(json),
                None => {
                    violations.add(path, "contains a number that JSON does not have");
                    return None;
                }
            },
            None => {
                violations.add(path, "must have a template or json");
                return None;
            }
        };
        Some((name, FieldValue { value: source, droppable: value.droppable }))
    };
    ContentSettings {
        summary_template: settings.summary_template,
        introduction_template: settings.introduction_template,
        fields: settings.fields.map(|fields| fields.values.into_iter().filter_map(&mut value).collect()),
    }
}

/// Content settings as the contract shows them; every field is set.
#[must_use]
pub fn content_view(settings: &ContentSettings) -> v1::ContentSettings {
    let text = |template: &Option<String>| Some(template.clone().unwrap_or_default());
    let value = |value: &FieldValue| {
        let source = match &value.value {
            FieldSource::Template(template) => FieldSourceMessage::Template(template.clone()),
            FieldSource::Json(json) => FieldSourceMessage::Json(message(json)),
        };
        v1::FieldValue { value: Some(source), droppable: value.droppable }
    };
    let fields = settings.fields.iter().flatten();
    v1::ContentSettings {
        summary_template: text(&settings.summary_template),
        introduction_template: text(&settings.introduction_template),
        fields: Some(v1::FieldMap {
            values: fields.map(|(name, given)| (name.clone(), value(given))).collect(),
        }),
    }
}

/// Whole numbers are JSON integers; `None` for a number that JSON does not have.
fn json(value: prost_types::Value) -> Option<Value> {
    Some(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::NumberValue(number)) => Value::Number(json_number(number)?),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(json).collect::<Option<_>>()?)
        }
        Some(Kind::StructValue(members)) => {
            let members = members.fields.into_iter().map(|(name, value)| Some((name, json(value)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

fn json_number(number: f64) -> Option<Number> {
    /// Whole numbers up to here are exact.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= MAX_EXACT {
        return format!("{number:.0}").parse::<i64>().ok().map(Number::from);
    }
    Number::from_f64(number)
}

fn message(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            Kind::ListValue(prost_types::ListValue { values: items.iter().map(message).collect() })
        }
        Value::Object(members) => {
            let fields = members.iter().map(|(name, value)| (name.clone(), message(value)));
            Kind::StructValue(prost_types::Struct { fields: fields.collect() })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

#[must_use]
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    // Before 1970, jiff's nanoseconds are negative; those of the contract are always positive.
    let nanos = time.as_nanosecond();
    let seconds = nanos.div_euclid(1_000_000_000);
    let nanos = nanos.rem_euclid(1_000_000_000);
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_has_every_ticket_system() {
        for name in System::ALL {
            assert_eq!(system(ticket_system(name)), Some(name));
        }
        assert_eq!(system(v1::TicketSystem::Unspecified), None);
    }

    #[test]
    fn content_settings_survive_the_contract() {
        let given = serde_json::json!({
            "summary_template": "{{ id }}",
            "fields": {
                "A": { "value": { "template": "{{ id }}" }, "droppable": true },
                "B": { "value": { "json": { "id": "1", "list": [37, 2.5, null, true] } }, "droppable": false },
            },
        });
        let settings: ContentSettings = serde_json::from_value(given.clone()).unwrap();
        let mut violations = Violations::default();
        let mut again = ContentSettings::default();
        again.merge(content_settings(content_view(&settings), &mut violations));
        assert!(violations.is_empty());
        assert_eq!(serde_json::to_value(again).unwrap(), given);
    }

    #[test]
    fn refuses_fields_without_a_value() {
        let nan = prost_types::Value { kind: Some(Kind::NumberValue(f64::NAN)) };
        let of = |value| v1::FieldValue { value, droppable: false };
        let values = [("A", of(None)), ("B", of(Some(FieldSourceMessage::Json(nan))))];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        let fields = Some(v1::FieldMap { values: values.into() });
        let mut violations = Violations::default();
        let settings = v1::ContentSettings { fields, ..Default::default() };
        assert_eq!(content_settings(settings, &mut violations).fields, Some(BTreeMap::new()));
        let mut wrong: Vec<&str> = violations.iter().map(|found| found.field.as_str()).collect();
        wrong.sort_unstable();
        assert_eq!(wrong, ["content.fields[\"A\"]", "content.fields[\"B\"]"]);
    }

    #[test]
    fn converts_time_before_1970() {
        let time = timestamp("1969-12-31T23:59:59.25Z".parse().unwrap());
        assert_eq!(time, prost_types::Timestamp { seconds: -1, nanos: 250_000_000 });
    }
}
