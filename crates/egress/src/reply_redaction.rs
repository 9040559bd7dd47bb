//! Redacts secrets in a successful reply before it is parsed.
//!
//! A ticket system, or an intermediary, may echo a secret in a ticket key or a name. JSON field names are left
//! unchanged, so that the reply can still be parsed.

use serde_json::Value;

use crate::redact::{MAX_EXPANSION, encoded};

/// Minimum length of a secret that is redacted here; shorter ones occur in ordinary words.
const MIN_SECRET: usize = 6;

/// Applies `redact` to each string in the body of a successful reply. The body is unchanged if nothing was echoed, or
/// if the secret is shorter than 6 bytes.
#[must_use]
pub fn redact_reply(body: String, secret: &str, redact: impl Fn(&str) -> String) -> String {
    if secret.len() < MIN_SECRET || !may_repeat(&body, secret) {
        return body;
    }
    let hidden = redact(&body);
    if hidden == body {
        return body;
    }
    match serde_json::from_str::<Value>(&body) {
        Ok(mut value) => {
            redact_in_value(&mut value, &redact);
            value.to_string()
        }
        Err(_) => hidden,
    }
}

/// A cheap filter before the search, whose cost grows with the reply. However a text is escaped, its letters and
/// digits stay: a reply that echoes the secret has all of its alphanumeric runs close together, or holds its base64
/// or hex.
fn may_repeat(body: &str, secret: &str) -> bool {
    let runs = || secret.split(|c: char| !c.is_ascii_alphanumeric());
    let longest = runs().max_by_key(|run| run.len()).unwrap_or_default();
    let span = (secret.len() - runs().map(str::len).sum::<usize>()) * MAX_EXPANSION + secret.len();
    let has_all = |(at, _): (usize, &str)| {
        let near = body.floor_char_boundary(at.saturating_sub(span))..body.ceil_char_boundary(at + span);
        runs().all(|run| body[near.clone()].contains(run))
    };
    longest.is_empty()
        || body.match_indices(longest).any(has_all)
        || encoded(secret).iter().any(|form| body.contains(form))
}

fn redact_in_value(value: &mut Value, redact: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = redact(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_in_value(value, redact)),
        Value::Object(fields) => fields.values_mut().for_each(|value| redact_in_value(value, redact)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact;

    fn hidden(body: &str, secret: &str) -> String {
        redact_reply(body.to_owned(), secret, |text| redact(text, secret))
    }

    #[test]
    fn redacts_values_and_keeps_field_names() {
        let body = r#"{"hunter2":{"key":"SEC-hunter2","names":["a hunter2\n","b"],"id":42}}"#;
        let expected = r#"{"hunter2":{"key":"SEC-[secret]","names":["a [secret]\n","b"],"id":42}}"#;
        let (shown, expected): (Value, Value) = (
            serde_json::from_str(&hidden(body, "hunter2")).unwrap(),
            serde_json::from_str(expected).unwrap(),
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn redacts_body_that_is_not_json() {
        assert_eq!(hidden("<p>hunter2</p>", "hunter2"), "<p>[secret]</p>");
    }

    #[test]
    fn redacts_escaped_or_encoded_secret() {
        let secret = "hunter2=x/";
        for written in ["hunter2\\u003dx\\/", "aHVudGVyMj14Lw", "68756e746572323d782f"] {
            let body = format!("{{\"name\":\"a {written}\"}}");
            assert!(!hidden(&body, secret).contains(written), "{written}");
        }
    }

    #[test]
    fn searches_only_replies_that_may_contain_secret() {
        assert!(may_repeat(r#"{"name":"a-b\u002fc"}"#, "a-b/c"));
        assert!(may_repeat("the %21%21 of it", "!!"));
        assert!(!may_repeat("an api and no other word", "api-token"));
        assert!(!may_repeat(&format!("an api{}and a token", " ".repeat(200)), "api-token"));
        assert!(may_repeat("ä an api&amp;#x0000000002d;token ä", "api-token"));
    }

    #[test]
    fn leaves_other_body_unchanged() {
        for (body, secret) in [(r#"{ "key" : "SEC-1" }"#, "hunter2"), (r#"{"key":"admin"}"#, "admin")] {
            assert_eq!(hidden(body, secret), body);
        }
    }
}
