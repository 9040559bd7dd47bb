//! Takes secrets out of a successful reply before anything is read from it.
//!
//! A ticket system, or something before it, may repeat what it was sent in a ticket key or in a name. The names of JSON
//! fields stay as they are, so that the reply can still be read.

use serde_json::Value;

use crate::redact::{MAX_EXPANSION, encoded};

/// Shorter secrets occur in ordinary words: replies would lose what they say.
const MIN_SECRET: usize = 6;

/// The body of a successful reply with `hide` applied to each text in it; as it is where nothing was repeated, or where
/// the secret is shorter than 6 bytes.
#[must_use]
pub fn hide_in_reply(body: String, secret: &str, hide: impl Fn(&str) -> String) -> String {
    if secret.len() < MIN_SECRET || !may_repeat(&body, secret) {
        return body;
    }
    let hidden = hide(&body);
    if hidden == body {
        return body;
    }
    match serde_json::from_str::<Value>(&body) {
        Ok(mut value) => {
            hide_in_value(&mut value, &hide);
            value.to_string()
        }
        Err(_) => hidden,
    }
}

/// Whether a closer look is worth its time, which grows with the reply. However a text is escaped, its letters and digits stay as
/// they are: a reply that repeats the secret has all of its runs of them near each other, or has it in base64 or hex.
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

fn hide_in_value(value: &mut Value, hide: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = hide(text),
        Value::Array(values) => values.iter_mut().for_each(|value| hide_in_value(value, hide)),
        Value::Object(fields) => fields.values_mut().for_each(|value| hide_in_value(value, hide)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hide;

    fn hidden(body: &str, secret: &str) -> String {
        hide_in_reply(body.to_owned(), secret, |text| hide(text, secret))
    }

    #[test]
    fn hides_a_secret_in_values_and_keeps_the_names_of_fields() {
        let body = r#"{"hunter2":{"key":"SEC-hunter2","names":["a hunter2\n","b"],"id":42}}"#;
        let expected = r#"{"hunter2":{"key":"SEC-[secret]","names":["a [secret]\n","b"],"id":42}}"#;
        let (shown, expected): (Value, Value) = (
            serde_json::from_str(&hidden(body, "hunter2")).unwrap(),
            serde_json::from_str(expected).unwrap(),
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn hides_a_secret_in_a_body_that_is_not_json() {
        assert_eq!(hidden("<p>hunter2</p>", "hunter2"), "<p>[secret]</p>");
    }

    #[test]
    fn hides_a_secret_that_is_escaped_or_encoded() {
        let secret = "hunter2=x/";
        for written in ["hunter2\\u003dx\\/", "aHVudGVyMj14Lw", "68756e746572323d782f"] {
            let body = format!("{{\"name\":\"a {written}\"}}");
            assert!(!hidden(&body, secret).contains(written), "{written}");
        }
    }

    #[test]
    fn looks_closer_only_at_a_reply_that_has_every_run_of_the_secret_in_one_place() {
        assert!(may_repeat(r#"{"name":"a-b\u002fc"}"#, "a-b/c"));
        assert!(may_repeat("the %21%21 of it", "!!"));
        assert!(!may_repeat("an api and no other word", "api-token"));
        assert!(!may_repeat(&format!("an api{}and a token", " ".repeat(200)), "api-token"));
        assert!(may_repeat("ä an api&amp;#x0000000002d;token ä", "api-token"));
    }

    #[test]
    fn leaves_a_body_alone_that_repeats_nothing() {
        for (body, secret) in [(r#"{ "key" : "SEC-1" }"#, "hunter2"), (r#"{"key":"admin"}"#, "admin")] {
            assert_eq!(hidden(body, secret), body);
        }
    }
}
