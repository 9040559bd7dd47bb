//! Takes secrets out of what a server says.
//!
//! An error page may repeat what was sent, and not as it was sent: escaped for HTML, for JSON or for an address, or for
//! one within another. So the text is read in each of these ways, as deep as they usually stand in one another.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in the place of a secret.
const INSTEAD: &str = "[secret]";
/// How many escapes may stand within one another: HTML within JSON are two.
const DEEPEST: u8 = 2;
/// The longest name or number between `&` and `;`.
const LONGEST_NAME: usize = 8;

/// Reads the escape that the bytes begin with: puts what it stands for at the end of the list, and tells how many bytes it
/// takes; 0 if there is none.
type Unescape = fn(&[u8], &mut Vec<u8>) -> usize;

/// One way to read a text.
struct Reading {
    bytes: Vec<u8>,
    /// Where in the text each byte comes from; and the end of the text.
    places: Vec<usize>,
}

/// Shorter pieces of base64 are too common to be taken for a secret.
const SHORTEST_PIECE: usize = 8;

/// `text` without `secret`, however it is escaped, and without its base64 and hex.
#[must_use]
pub fn hide(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let shown = hide_escaped(text, secret);
    encoded(secret).into_iter().fold(shown, |shown, form| shown.replace(&form, INSTEAD))
}

/// The secret in hex, and what of its base64 depends on it alone, wherever it stands in what was encoded.
fn encoded(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![hex.to_uppercase(), hex];
    for before in 0..3 {
        let text = [&b"..."[..before], secret.as_bytes()].concat();
        let whole = [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)];
        // Six bits a character: the first ones hold what stands before, the last one may hold what follows.
        let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        forms.extend(whole.iter().map(|whole| whole[first..last].to_owned()));
    }
    forms.retain(|form| form.len() >= SHORTEST_PIECE);
    forms
}

fn hide_escaped(text: &str, secret: &str) -> String {
    // Most of what is very long has no escapes in it.
    if !text.contains(['&', '\\', '%', '+']) {
        return text.replace(secret, INSTEAD);
    }
    let mut found = vec![];
    let reading = Reading { bytes: text.as_bytes().to_vec(), places: (0..=text.len()).collect() };
    reading.seek(secret.as_bytes(), DEEPEST, &mut found);
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let (mut shown, mut done) = (String::with_capacity(text.len()), 0);
    for range in found {
        if range.start >= done {
            shown.push_str(&text[done..range.start]);
            shown.push_str(INSTEAD);
        }
        done = done.max(range.end);
    }
    shown.push_str(&text[done..]);
    shown
}

// === impl Reading ===

impl Reading {
    /// Where a secret stands in the text if it is read so, or with escapes within.
    fn seek(&self, secret: &[u8], depth: u8, found: &mut Vec<Range<usize>>) {
        let mut from = 0;
        while from + secret.len() <= self.bytes.len() {
            if self.bytes[from..].starts_with(secret) {
                found.push(self.places[from]..self.places[from + secret.len()]);
                from += secret.len();
            } else {
                from += 1;
            }
        }
        if depth > 0 {
            let ways: [(&[u8], Unescape); 3] = [(b"&", html), (b"\\", json), (b"%+", address)];
            let readings = ways.into_iter().filter_map(|(begins, way)| self.read(begins, way));
            readings.for_each(|reading| reading.seek(secret, depth - 1, found));
        }
    }

    /// With the escapes of one kind read; `None` if there are none.
    fn read(&self, begins: &[u8], unescape: Unescape) -> Option<Self> {
        if !self.bytes.iter().any(|byte| begins.contains(byte)) {
            return None;
        }
        let (mut bytes, mut places, mut at) = (vec![], vec![], 0);
        while let Some(byte) = self.bytes.get(at) {
            let escape = if begins.contains(byte) { unescape(&self.bytes[at..], &mut bytes) } else { 0 };
            if escape == 0 {
                bytes.push(*byte);
            }
            places.resize(bytes.len(), self.places[at]);
            at += escape.max(1);
        }
        places.extend(self.places.last());
        Some(Self { bytes, places })
    }
}

/// `&amp;`, `&#38;`, `&#x26;`.
fn html(bytes: &[u8], meaning: &mut Vec<u8>) -> usize {
    let Some(end) = bytes.iter().take(LONGEST_NAME + 2).position(|byte| *byte == b';') else { return 0 };
    let name = std::str::from_utf8(&bytes[1..end]).unwrap_or_default();
    let code = match (name, name.strip_prefix('#')) {
        (_, Some(number)) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        },
        ("amp", _) => Some(u32::from(b'&')),
        ("lt", _) => Some(u32::from(b'<')),
        ("gt", _) => Some(u32::from(b'>')),
        ("quot", _) => Some(u32::from(b'"')),
        ("apos", _) => Some(u32::from(b'\'')),
        _ => None,
    };
    match code.and_then(char::from_u32) {
        Some(character) => push(character, meaning, end + 1),
        None => 0,
    }
}

/// `\"`, `\/`, `\u0026`; and what JavaScript takes beside, `\'` and `\x26`.
fn json(bytes: &[u8], meaning: &mut Vec<u8>) -> usize {
    match bytes.get(1) {
        Some(byte @ (b'"' | b'\\' | b'/' | b'\'')) => push(char::from(*byte), meaning, 2),
        Some(b'x') => match number(bytes, 2..4).and_then(char::from_u32) {
            Some(character) => push(character, meaning, 4),
            None => 0,
        },
        Some(b'u') => {
            let units = [number(bytes, 2..6), second_unit(bytes)];
            let units = units.into_iter().map_while(|unit| unit.and_then(|unit| u16::try_from(unit).ok()));
            match char::decode_utf16(units).next() {
                Some(Ok(character)) => push(character, meaning, 6 * character.len_utf16()),
                _ => 0,
            }
        }
        _ => 0,
    }
}

/// The other half of what takes two of `\uXXXX`.
fn second_unit(bytes: &[u8]) -> Option<u32> {
    if bytes.get(6..8)? == b"\\u" { number(bytes, 8..12) } else { None }
}

/// `%26`, and `+` for a space.
fn address(bytes: &[u8], meaning: &mut Vec<u8>) -> usize {
    if bytes[0] == b'+' {
        return push(' ', meaning, 1);
    }
    match number(bytes, 1..3).and_then(|byte| u8::try_from(byte).ok()) {
        Some(byte) => {
            meaning.push(byte);
            3
        }
        None => 0,
    }
}

fn number(bytes: &[u8], place: Range<usize>) -> Option<u32> {
    let digits = std::str::from_utf8(bytes.get(place)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

fn push(character: char, meaning: &mut Vec<u8>, taken: usize) -> usize {
    meaning.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = r#"p"a<s>s&w/o\r d'+é😀"#;

    #[test]
    fn a_secret_is_hidden_however_it_is_escaped() {
        assert_eq!(hide("a plain one", "plain"), "a [secret] one");
        let forms = [
            SECRET,
            r#"p\"a<s>s&w\/o\\r d'+é😀"#,
            r#"p\u0022a\u003Cs\u003es\u0026w/o\u005cr d\u0027\u002b\u00e9\ud83d\uDE00"#,
            r#"p\x22a\x3Cs\x3es\x26w/o\\r d\'+é😀"#,
            r#"p&quot;a&lt;s&gt;s&amp;w/o\r d&#39;+é😀"#,
            r#"p&#34;a&#60;s&#x3E;s&#x26;w&#x2f;o&#92;r d&#039;&#43;&#233;&#x1F600;"#,
            "p%22a%3Cs%3es%26w%2Fo%5Cr+d%27%2B%C3%A9%F0%9F%98%80",
            // HTML within JSON, JSON within JSON, HTML within HTML, an address within HTML.
            r#"p\u0026quot;a\u0026lt;s\u0026gt;s\u0026amp;w\/o\\r d\u0026#39;+é😀"#,
            r#"p\\\"a<s>s&w\\\/o\\\\r d'+é😀"#,
            r#"p&amp;quot;a&amp;lt;s&amp;gt;s&amp;amp;w/o\r d'+é😀"#,
            "p%22a%3Cs%3es%26amp;w/o%5Cr&#32;d'%2B%C3%A9😀",
        ];
        for form in forms {
            assert_eq!(hide(&format!("a {form}, ä"), SECRET), "a [secret], ä", "{form}");
            assert_eq!(hide(&format!("{form}{form}"), SECRET), "[secret][secret]", "{form}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in
            ["", "é & \\ % + &; &#; &#xFFFFFF; \\u \\ud83d \\u12 %4 %zz &amp; \\\" %20", "p&quot;a&lt;s"]
        {
            assert_eq!(hide(text, SECRET), text);
            assert_eq!(hide(text, ""), text);
        }
    }

    #[test]
    fn a_secret_in_base64_or_in_hex_is_hidden_wherever_it_stands_in_what_was_encoded() {
        let secret = "a-token-of-some-length";
        for before in ["", "u", "us", "user:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret} and more"));
            let piece = &STANDARD_NO_PAD.encode(secret)[..20];
            let shown = hide(&format!("got Basic {encoded}"), secret);
            assert!(shown.contains(INSTEAD) && !shown.contains(piece), "{shown}");
        }
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hide(&hex, secret), INSTEAD);
        assert_eq!(hide("nothing of it", secret), "nothing of it");
    }
}
