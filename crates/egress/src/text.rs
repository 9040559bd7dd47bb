//! Text helpers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

/// Maximum part of a truncated JSON text that is read, in bytes.
const MAX_CUT: usize = 64 * 1024;
/// Maximum nesting of values.
const MAX_DEPTH: usize = 100;
/// Maximum length of an escape, a surrogate pair, in bytes.
const MAX_ESCAPE: usize = 12;

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Parses a JSON text, or the first 64 KiB of a truncated one. For error messages only: nothing can be concluded from
/// absent values.
#[must_use]
pub fn read_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text)
        .ok()
        .or_else(|| completions(text).iter().find_map(|whole| serde_json::from_str(whole).ok()))
}

/// Completions of a truncated JSON text, the longest first: ends its last string, or else drops everything after the last
/// comma; then closes every open list and object.
fn completions(text: &str) -> Vec<String> {
    let text = &text[..text.floor_char_boundary(MAX_CUT)];
    let mut open = Vec::new();
    let mut in_text = false;
    let mut is_escaped = false;
    let mut whole = None;
    let mut began = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => (in_text, began) = (!in_text, at),
            _ if in_text => {}
            b'{' | b'[' => {
                open.push(if byte == b'{' { '}' } else { ']' });
                whole = Some((at + 1, open.clone()));
            }
            b'}' | b']' => drop(open.pop()),
            b',' => whole = Some((at, open.clone())),
            _ => {}
        }
        if open.len() > MAX_DEPTH {
            return Vec::new();
        }
    }
    let closed = |end: usize, ends: &str, open: &[char]| {
        format!("{}{ends}{}", &text[..end], open.iter().rev().collect::<String>())
    };
    let mut ways = vec![closed(text.len(), if in_text { "\"" } else { "" }, &open)];
    if in_text {
        let escapes = began.max(text.len().saturating_sub(MAX_ESCAPE))..text.len();
        let cut = escapes.rev().filter(|at| text.as_bytes()[*at] == b'\\');
        ways.extend(cut.map(|at| closed(at, "\"", &open)));
    }
    ways.extend(whole.map(|(end, open)| closed(end, "", &open)));
    ways
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn reads_json_wherever_it_was_cut() {
        let whole = r#"{"error":{"message":"Ä \ud83d\ude00 \"no\" \\","detail":["a",1.5,{"b":null,"c":true}]},"status":"x"}"#;
        let meant: Value = serde_json::from_str(whole).unwrap();
        let message = meant["error"]["message"].as_str().unwrap();
        for end in (1..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let read: Value = read_json(&whole[..end]).unwrap_or_else(|| panic!("{}", &whole[..end]));
            let part = read["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with(part), "{part}");
            assert_eq!(part == message, end >= whole.find(",\"detail").unwrap() - 1, "{}", &whole[..end]);
        }
    }

    #[test]
    fn reads_first_64_kib_and_limited_nesting() {
        let long = format!("{{\"a\":\"no\",\"b\":\"{}", "ä".repeat(100_000));
        let read: Value = read_json(&long).unwrap();
        assert_eq!((read["a"].as_str(), read["b"].as_str().map(str::len)), (Some("no"), Some(65_520)));
        for text in ["", "no", "<html>", &"[".repeat(100_000), &",".repeat(100_000)] {
            assert_eq!(read_json::<Value>(text), None);
        }
    }
}
