//! Searches for secrets, in every form in which they may leak.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The secrets of the simulators, none of which may be found in what the server writes.
pub const SECRETS: [&str; 5] = [
    "cloud-api-token",
    "data-center-pat",
    "servicenow-password",
    "cloud-scoped-token",
    "data-center-password",
];

/// Searches for many texts at once: files may be large, and tests are not optimized.
#[derive(Debug)]
pub(crate) struct SecretForms {
    forms: Vec<(Vec<u8>, String)>,
    /// Whether a form begins with these two bytes.
    begins: Vec<bool>,
}

// === impl SecretForms ===

impl SecretForms {
    /// Each secret in the clear, escaped, and in base64 at any alignment: in `user:secret` it begins at one
    /// of three positions of a group.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Self { forms: vec![], begins: vec![false; 1 << 16] };
        for secret in secrets {
            escaped(secret).into_iter().for_each(|form| forms.add(secret, form.into_bytes()));
            for before in 0..3 {
                forms.add(secret, within_base64(&STANDARD_NO_PAD, secret, before));
                forms.add(secret, within_base64(&URL_SAFE_NO_PAD, secret, before));
            }
        }
        forms
    }

    /// A secret in `bytes`, and its form.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<(&str, String)> {
        let mut pairs = bytes.windows(2).enumerate();
        pairs.find_map(|(at, pair)| {
            if !self.begins[first_two_bytes(pair)] {
                return None;
            }
            let (form, secret) = self.forms.iter().find(|(form, _)| bytes[at..].starts_with(form))?;
            Some((secret.as_str(), String::from_utf8_lossy(form).into_owned()))
        })
    }

    fn add(&mut self, secret: &str, form: Vec<u8>) {
        self.begins[first_two_bytes(&form)] = true;
        self.forms.push((form, secret.to_owned()));
    }
}

fn first_two_bytes(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The characters that depend only on the secret when `before` bytes of a group precede it.
fn within_base64(engine: &impl Engine, secret: &str, before: usize) -> Vec<u8> {
    let text = [&b"..."[..before], secret.as_bytes()].concat();
    let encoded = engine.encode(&text).into_bytes();
    // Six bits a character: the first ones depend on what precedes, the last one on what follows.
    let first = (before * 8).div_ceil(6);
    let last = text.len() * 8 / 6;
    encoded[first..last].to_vec()
}

/// A secret in the clear, escaped for HTML, JSON and URLs, and combinations with JSON.
fn escaped(secret: &str) -> BTreeSet<String> {
    let outer = [secret.to_owned(), html_named(secret), html_numbered(secret), html_hexadecimal(secret)];
    let addresses =
        [percent_encoded(secret, hexadecimal), percent_encoded(secret, |byte| format!("%{byte:02x}"))];
    let addresses = addresses.into_iter().flat_map(|form| [form.replace("%20", "+"), form]);
    let outer: Vec<_> = outer.into_iter().chain(addresses).chain([secret.replace('-', "%2D")]).collect();
    let within = outer.iter().flat_map(|form| {
        let json = json(form);
        [
            json.replace('/', "\\/"),
            html_safe_json(&json, hexadecimal_unit),
            html_safe_json(&json, |c| format!("\\u{c:04x}")),
            self::json(&json),
            json,
        ]
    });
    within.chain(outer.clone()).collect()
}

fn html_named(secret: &str) -> String {
    let names = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
    names.into_iter().fold(secret.to_owned(), |text, (plain, name)| text.replace(plain, name))
}

fn html_numbered(secret: &str) -> String {
    escape_each(secret, |c| format!("&#{c};"))
}

fn html_hexadecimal(secret: &str) -> String {
    escape_each(secret, |c| format!("&#x{c:x};"))
}

fn escape_each(secret: &str, write: impl Fn(u32) -> String) -> String {
    let special =
        |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_string() } else { write(c.into()) };
    secret.chars().map(special).collect()
}

/// Without the quotes around it.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// JSON embedded in HTML: characters with a meaning in HTML are escaped by number.
fn html_safe_json(json: &str, number: impl Fn(u32) -> String) -> String {
    let write = |c: char| if "<>&'+=".contains(c) { number(c.into()) } else { c.to_string() };
    json.chars().map(write).collect()
}

fn hexadecimal_unit(unit: u32) -> String {
    format!("\\u{unit:04X}")
}

fn hexadecimal(byte: u8) -> String {
    format!("%{byte:02X}")
}

fn percent_encoded(secret: &str, write: impl Fn(u8) -> String) -> String {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    secret.bytes().map(|byte| if stays(byte) { char::from(byte).to_string() } else { write(byte) }).collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    #[test]
    fn finds_secret_in_every_form_and_place() {
        let forms = SecretForms::of(["a-b-secret"]);
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = format!("{before}a-b-secret{after}");
                let written =
                    [text.clone(), STANDARD.encode(&text), URL_SAFE.encode(&text), text.replace('-', "%2D")];
                for form in written {
                    let line = format!("authorization: Basic {form}\n");
                    assert!(forms.find(line.as_bytes()).is_some(), "{line}");
                }
            }
        }
        assert_eq!(forms.find(b"a-b-other, and nothing else"), None);
    }

    #[test]
    fn finds_secrets_escaped_as_html_json_and_urls() {
        let forms = SecretForms::of([r#"p"a<s>s&w/o\r d'+x"#]);
        let written = [
            r#"p"a<s>s&w/o\r d'+x"#,
            r#"p\"a<s>s&w/o\\r d'+x"#,
            r#"p\"a<s>s&w\/o\\r d'+x"#,
            r#"p\"a\u003cs\u003es\u0026w/o\\r d\u0027\u002bx"#,
            r#"p\\\"a<s>s&w/o\\\\r d'+x"#,
            r#"p&quot;a&lt;s&gt;s&amp;w/o\r d&#39;+x"#,
            r#"p&quot;a&lt;s&gt;s&amp;w/o\\r d&#39;+x"#,
            r#"p\u0026quot;a\u0026lt;s\u0026gt;s\u0026amp;w/o\\r d\u0026#39;\u002bx"#,
            "p&#34;a&#60;s&#62;s&#38;w&#47;o&#92;r&#32;d&#39;&#43;x",
            "p%22a%3Cs%3Es%26w%2Fo%5Cr%20d%27%2Bx",
            "p%22a%3cs%3es%26w%2fo%5cr+d%27%2bx",
        ];
        for form in written {
            assert!(forms.find(format!("it said {form}!").as_bytes()).is_some(), "{form}");
        }
    }
}
