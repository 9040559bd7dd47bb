//! Parses replies leniently: a value may be a string, a number, a reference, or a pair of value and display
//! value.

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
    pub(crate) error: ErrorBody,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorBody {
    pub(crate) message: Option<String>,
    pub(crate) detail: Option<String>,
}

// === impl Record ===

impl Record {
    /// The raw value of a field; `None` if the record lacks the field.
    pub(crate) fn value(&self, field: &str) -> Option<String> {
        self.0.get(field).and_then(|value| plain(value, "value"))
    }

    /// The display value of a field, if it was requested; else its raw value.
    pub(crate) fn display(&self, field: &str) -> Option<String> {
        self.0.get(field).and_then(|value| plain(value, "display_value")).or_else(|| self.value(field))
    }

    /// The `sys_id`, if it is safe in a URL.
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

/// The messages of an error body, even if it was truncated; empty if it is not an error body of ServiceNow.
pub(crate) fn error_body(body: &str) -> Option<ErrorBody> {
    read_json::<Failure>(body).map(|failure| failure.error)
}

/// Whether it is a complete error body of ServiceNow.
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
    fn parses_a_field_in_each_of_its_formats() {
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
    fn refuses_sys_id_that_is_unsafe_in_a_url() {
        for id in ["", "../x", "a b", "a?b", &"f".repeat(65)] {
            assert_eq!(record(json!({"sys_id": id})).sys_id(), None, "{id}");
        }
        let pair = json!({"sys_id": {"value": "c5", "display_value": "c5"}});
        assert_eq!(record(pair).sys_id().as_deref(), Some("c5"));
    }
}
