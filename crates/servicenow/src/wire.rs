//! What instances answer, read with tolerance: a value may be a text, a number, a reference, or a pair of value and
//! display value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use ticketing_egress::read_json;

/// One record, field by field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Record(BTreeMap<String, Value>);

/// `{"result": ...}`
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    pub(crate) result: T,
}

/// `{"error": {"message": ..., "detail": ...}, "status": "failure"}`
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: FailureWords,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FailureWords {
    pub(crate) message: Option<String>,
    pub(crate) detail: Option<String>,
}

// === impl Record ===

impl Record {
    /// The raw value of a field; `None` where the record does not show the field.
    pub(crate) fn value(&self, field: &str) -> Option<String> {
        self.0.get(field).and_then(|value| plain(value, "value"))
    }

    /// What people see of a field, where the instance was asked to say so; else its raw value.
    pub(crate) fn display(&self, field: &str) -> Option<String> {
        self.0.get(field).and_then(|value| plain(value, "display_value")).or_else(|| self.value(field))
    }

    /// The `sys_id`, if it is one that can stand in an address.
    pub(crate) fn sys_id(&self) -> Option<String> {
        let plausible = |id: &String| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        self.value("sys_id").filter(plausible)
    }

    pub(crate) fn created_at(&self) -> Option<Timestamp> {
        let text = self.value("sys_created_on")?;
        let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    }
}

/// The words of an error body, even if that was cut short; nothing if it is no error body of ServiceNow.
pub(crate) fn failure_words(body: &str) -> Option<FailureWords> {
    read_json::<Failure>(body).map(|failure| failure.error)
}

/// Whether it is a whole error body of ServiceNow.
pub(crate) fn is_failure(body: &str) -> bool {
    serde_json::from_str::<Failure>(body).is_ok()
}

fn plain(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null => Some(String::new()),
        Value::Object(pair) => {
            pair.get(key).filter(|inner| !inner.is_object()).and_then(|inner| plain(inner, key))
        }
        Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: Value) -> Record {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_field_reads_the_same_in_each_of_the_shapes_it_comes_in() {
        let shapes = [
            json!("3"),
            json!(3),
            json!({"value": "3", "display_value": "3 - Moderate"}),
            json!({"link": "https://acme.example/3", "value": "3"}),
        ];
        for shape in shapes {
            assert_eq!(record(json!({"priority": shape})).value("priority").as_deref(), Some("3"), "{shape}");
        }
        assert_eq!(record(json!({"group": ""})).value("group").as_deref(), Some(""));
        assert_eq!(record(json!({"group": null})).value("group").as_deref(), Some(""));
        assert_eq!(record(json!({"group": ["x"]})).value("group"), None);
        assert_eq!(record(json!({})).value("group"), None);
    }

    #[test]
    fn reads_creation_time_as_utc() {
        let at = |text: &str| record(json!({"sys_created_on": text})).created_at();
        assert_eq!(at("2016-01-22 14:28:24"), "2016-01-22T14:28:24Z".parse().ok());
        assert_eq!(at("22/01/2016"), None);
        assert_eq!(at(""), None);
    }

    #[test]
    fn a_sys_id_that_could_lead_elsewhere_is_none() {
        for id in ["", "../x", "a b", "a?b", &"f".repeat(65)] {
            assert_eq!(record(json!({"sys_id": id})).sys_id(), None, "{id}");
        }
        let pair = json!({"sys_id": {"value": "c5", "display_value": "c5"}});
        assert_eq!(record(pair).sys_id().as_deref(), Some("c5"));
    }
}
