//! Redacts secrets in text from servers.
//!
//! An error page may echo what was sent, escaped for HTML, JSON or a URL, or for one inside another. So the text is
//! searched in each of these readings, nested up to [`MAX_NESTING`].
//!
//! Time is linear in the length of the text, memory constant: the text is searched window by window, each in at most
//! 13 readings and with a margin that fits any secret that begins in the window. For excerpts,
//! [`Redactor::redact_excerpt`] searches the first window alone.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Replaces a secret.
const PLACEHOLDER: &str = "[secret]";
/// Maximum nesting of escapes: HTML within JSON is two.
const MAX_NESTING: u8 = 2;
/// Maximum length of a name or number between `&` and `;`.
const MAX_NAME: usize = 8;
/// Window size of the search, and maximum length of an excerpt, in bytes.
const WINDOW: usize = 64 * 1_024;
/// Maximum bytes that escaping makes of one: ten for HTML, and ten for each of those.
pub(crate) const MAX_EXPANSION: usize = (MAX_NAME + 2) * (MAX_NAME + 2);

/// Decodes the escape at the start of the bytes: appends the decoded bytes, and returns its length; 0 if there is
/// none.
type Unescape = fn(&[u8], &mut Vec<u8>) -> usize;

/// Redacts the secrets of one request.
#[derive(Default)]
pub struct Redactor {
    patterns: Vec<Pattern>,
    longest: usize,
}

/// A secret, prepared for linear search (Knuth, Morris, Pratt).
struct Pattern {
    bytes: Vec<u8>,
    /// For each length of a match, the longest shorter match that ends at the same position.
    shorter: Vec<usize>,
    /// An encoded form, such as hex, which is not searched in escaped readings.
    is_encoded: bool,
}

/// One reading of a text.
struct Reading {
    bytes: Vec<u8>,
    /// Position in the original text of each byte, and its end.
    places: Vec<usize>,
}

/// Minimum length of a base64 fragment; shorter ones are too common.
const MIN_PIECE: usize = 8;

/// `text` without `secret`, in any escaping, in base64 and in hex.
#[must_use]
pub fn redact(text: &str, secret: &str) -> String {
    Redactor::default().with(secret).redact(text)
}

/// The secret in hex, and the part of its base64 that does not depend on what surrounds it.
pub(crate) fn encoded(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![hex.to_uppercase(), hex];
    for before in 0..3 {
        let text = [&b"..."[..before], secret.as_bytes()].concat();
        let whole = [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)];
        // Six bits a character: the first characters mix with what precedes, the last one with what follows.
        let first = (before * 8).div_ceil(6);
        let last = text.len() * 8 / 6;
        forms.extend(whole.iter().map(|whole| whole[first..last].to_owned()));
    }
    forms.retain(|form| form.len() >= MIN_PIECE);
    forms
}

// === impl Redactor ===

impl Redactor {
    /// Adds a secret, with its base64 and hex. Ignores an empty one.
    #[must_use]
    pub fn with(mut self, secret: &str) -> Self {
        if !secret.is_empty() {
            self.longest = self.longest.max(secret.len() * MAX_EXPANSION);
            self.patterns.push(Pattern::new(secret, false));
            for form in encoded(secret) {
                self.longest = self.longest.max(form.len());
                self.patterns.push(Pattern::new(&form, true));
            }
        }
        self
    }

    /// `text` without the secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.redact_until(text, text.len(), &mut 0)
    }

    /// The first 64 KiB of `text`, redacted, without a partial secret at the cut. Nothing after that is searched.
    #[must_use]
    pub fn redact_excerpt(&self, text: &str) -> String {
        self.redact_until(text, text.floor_char_boundary(WINDOW), &mut 0)
    }

    /// The text up to `end`, without secrets that begin before it. Counts the examined bytes.
    fn redact_until(&self, text: &str, end: usize, examined: &mut usize) -> String {
        let mut found = vec![];
        let mut begin = 0;
        while begin < end && !self.patterns.is_empty() {
            let until = text.floor_char_boundary((begin + WINDOW).min(end)).max(begin + 1);
            let margin = text.floor_char_boundary((until + self.longest).min(text.len()));
            let bytes = text.as_bytes()[begin..margin.max(until)].to_vec();
            let places = (begin..=begin + bytes.len()).collect();
            let mut here = vec![];
            Reading { bytes, places }.seek(&self.patterns, MAX_NESTING, &mut here, examined);
            found.extend(here.into_iter().filter(|range| range.start < until));
            begin = until;
        }
        found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        let mut shown = String::with_capacity(end);
        let mut done = 0;
        for range in found {
            if range.start >= done {
                shown.push_str(&text[done..range.start]);
                shown.push_str(PLACEHOLDER);
            }
            done = done.max(range.end);
        }
        shown.push_str(text.get(done..end).unwrap_or_default());
        shown
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

// === impl Pattern ===

impl Pattern {
    fn new(secret: &str, is_encoded: bool) -> Self {
        let bytes = secret.as_bytes().to_vec();
        let mut shorter = vec![0; bytes.len()];
        let mut matched = 0;
        for at in 1..bytes.len() {
            while matched > 0 && bytes[matched] != bytes[at] {
                matched = shorter[matched - 1];
            }
            matched += usize::from(bytes[matched] == bytes[at]);
            shorter[at] = matched;
        }
        Self { bytes, shorter, is_encoded }
    }

    /// Calls `found` for each occurrence in a text.
    fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut matched = 0;
        for (at, byte) in text.iter().enumerate() {
            while matched > 0 && self.bytes[matched] != *byte {
                matched = self.shorter[matched - 1];
            }
            matched += usize::from(self.bytes[matched] == *byte);
            if matched == self.bytes.len() {
                found(at + 1 - matched..at + 1);
                matched = 0;
            }
        }
    }
}

// === impl Reading ===

impl Reading {
    /// Finds secrets in this reading and in the readings nested in it.
    fn seek(&self, patterns: &[Pattern], depth: u8, found: &mut Vec<Range<usize>>, examined: &mut usize) {
        *examined += self.bytes.len();
        for pattern in patterns.iter().filter(|pattern| depth == MAX_NESTING || !pattern.is_encoded) {
            pattern.find(&self.bytes, |at| found.push(self.places[at.start]..self.places[at.end]));
        }
        if depth > 0 {
            let ways: [(&[u8], Unescape); 3] = [(b"&", html), (b"\\", json), (b"%+", address)];
            let readings = ways.into_iter().filter_map(|(begins, way)| self.read(begins, way));
            readings.for_each(|reading| reading.seek(patterns, depth - 1, found, examined));
        }
    }

    /// Decodes the escapes of one kind; `None` if there are none.
    fn read(&self, begins: &[u8], unescape: Unescape) -> Option<Self> {
        if !self.bytes.iter().any(|byte| begins.contains(byte)) {
            return None;
        }
        let mut bytes = vec![];
        let mut places = vec![];
        let mut at = 0;
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
    let Some(end) = bytes.iter().take(MAX_NAME + 2).position(|byte| *byte == b';') else { return 0 };
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

/// `\"`, `\/`, `\u0026`; and the JavaScript forms `\'` and `\x26`.
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

/// The second half of a surrogate pair.
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

fn push(character: char, meaning: &mut Vec<u8>, consumed: usize) -> usize {
    meaning.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    consumed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, its three readings, and three of each of those.
    const READINGS: usize = 13;
    const SECRET: &str = r#"p"a<s>s&w/o\r d'+é😀"#;

    #[test]
    fn redacts_escaped_secret() {
        assert_eq!(redact("a plain one", "plain"), "a [secret] one");
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
            assert_eq!(redact(&format!("a {form}, ä"), SECRET), "a [secret], ä", "{form}");
            assert_eq!(redact(&format!("{form}{form}"), SECRET), "[secret][secret]", "{form}");
        }
    }

    #[test]
    fn leaves_other_text_unchanged() {
        for text in
            ["", "é & \\ % + &; &#; &#xFFFFFF; \\u \\ud83d \\u12 %4 %zz &amp; \\\" %20", "p&quot;a&lt;s"]
        {
            assert_eq!(redact(text, SECRET), text);
            assert_eq!(redact(text, ""), text);
        }
    }

    #[test]
    fn redacts_base64_and_hex_of_secret() {
        let secret = "a-token-of-some-length";
        for before in ["", "u", "us", "user:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret} and more"));
            let piece = &STANDARD_NO_PAD.encode(secret)[..20];
            let shown = redact(&format!("got Basic {encoded}"), secret);
            assert!(shown.contains(PLACEHOLDER) && !shown.contains(piece), "{shown}");
        }
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(redact(&hex, secret), PLACEHOLDER);
        assert_eq!(redact("nothing of it", secret), "nothing of it");
    }

    #[test]
    fn searches_excerpt_once_per_reading() {
        let text = r"&amp;\u0026%26+ x".repeat(4 * 1_024 * 1_024 / 17);
        let redactor = Redactor::default().with(SECRET).with("another-secret");
        let mut examined = 0;
        let shown = redactor.redact_until(&text, text.floor_char_boundary(WINDOW), &mut examined);
        assert!(shown.len() <= WINDOW);
        assert!(examined <= READINGS * (WINDOW + redactor.longest), "{examined} bytes of {}", text.len());
    }

    #[test]
    fn searches_in_linear_time() {
        let work = |windows: usize| {
            let mut examined = 0;
            let text = r"&amp;\u0026%26+ x".repeat(windows * WINDOW / 17);
            let _ = Redactor::default().with("secret").redact_until(&text, text.len(), &mut examined);
            examined
        };
        let one = work(1);
        let eight = work(8);
        assert!(eight <= 10 * one, "{one} and {eight}");
    }

    #[test]
    fn redacts_secret_at_window_edge() {
        for form in [SECRET, r#"p&#x00022;a<s&gt;s&amp;w\/o\\r d'+é😀"#, &STANDARD_NO_PAD.encode(SECRET)] {
            let redactor = Redactor::default().with("first-of-two").with(SECRET);
            for before in [0, 1, 7, form.len() - 1] {
                let filler = "x".repeat(WINDOW - before);
                let text = format!("{filler}{form}, and then &amp; {form}");
                let excerpt = redactor.redact_excerpt(&text);
                assert!(excerpt == filler || excerpt == format!("{filler}{PLACEHOLDER}"), "{before}");
                let whole = redactor.redact(&text);
                assert_eq!(
                    whole.matches(PLACEHOLDER).count(),
                    2,
                    "{before} {form}: {}",
                    &whole[WINDOW - 9..]
                );
            }
        }
    }
}
