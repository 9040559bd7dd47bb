//! Secrets, in every form in which one may slip out.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The secrets of the simulators; none may ever be found in what the server writes.
pub const SECRETS: [&str; 5] = [
    "cloud-api-token",
    "data-center-pat",
    "servicenow-password",
    "cloud-scoped-token",
    "data-center-password",
];

/// Looks for many texts at once: files may be large, and tests are not optimised.
#[derive(Debug)]
pub(crate) struct Forms {
    forms: Vec<(Vec<u8>, String)>,
    /// Whether a form begins with these two bytes.
    begins: Vec<bool>,
}

// === impl Forms ===

impl Forms {
    /// Each secret in the clear, percent-encoded, and in base64 wherever it may stand within what was encoded: in
    /// `user:secret` it begins at any of three places of a group.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Self { forms: vec![], begins: vec![false; 1 << 16] };
        for secret in secrets {
            forms.add(secret, secret.as_bytes().to_vec());
            for hex in [percent_encoded(secret, "%2D"), percent_encoded(secret, "%2d")] {
                forms.add(secret, hex.into_bytes());
            }
            for before in 0..3 {
                forms.add(secret, within_base64(&STANDARD_NO_PAD, secret, before));
                forms.add(secret, within_base64(&URL_SAFE_NO_PAD, secret, before));
            }
        }
        forms
    }

    /// A secret that is in `bytes`, and as what.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<(&str, String)> {
        let mut pairs = bytes.windows(2).enumerate();
        pairs.find_map(|(at, pair)| {
            if !self.begins[two(pair)] {
                return None;
            }
            let (form, secret) = self.forms.iter().find(|(form, _)| bytes[at..].starts_with(form))?;
            Some((secret.as_str(), String::from_utf8_lossy(form).into_owned()))
        })
    }

    fn add(&mut self, secret: &str, form: Vec<u8>) {
        self.begins[two(&form)] = true;
        self.forms.push((form, secret.to_owned()));
    }
}

fn two(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The characters that depend on the secret alone when `before` bytes of a group stand before it.
fn within_base64(engine: &impl Engine, secret: &str, before: usize) -> Vec<u8> {
    let text = [&b"..."[..before], secret.as_bytes()].concat();
    let encoded = engine.encode(&text).into_bytes();
    // Six bits a character: the first ones hold what stands before, the last one may hold what follows.
    let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
    encoded[first..last].to_vec()
}

/// Our secrets are of letters and `-`, so that only `-` can be written otherwise.
fn percent_encoded(secret: &str, hyphen: &str) -> String {
    secret.replace('-', hyphen)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form_and_place() {
        let forms = Forms::of(["a-b-secret"]);
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
}
