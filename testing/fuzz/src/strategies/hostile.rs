//! Texts and numbers that tend to break readers and writers.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const HOSTILE: &[&str] = &[
    "",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{7f}",
    "\u{85}",
    "\u{200b}",
    "\u{202e}",
    "\u{2060}",
    "\u{feff}",
    "\u{fffe}",
    "\u{10ffff}",
    "é",
    "👩‍👩‍👧",
    "a\u{300}\u{301}\u{302}",
    "İ",
    "ß",
    "ﬃ",
    "{code}",
    "{noformat}",
    "{noformat",
    "{color:red}",
    "{panel:title=x}",
    "{adf}",
    "{{x}}",
    "{*}",
    "[~admin]",
    "[x|http://evil.example]",
    "[^x]",
    "!x.png!",
    "*b*",
    "_i_",
    "-d-",
    "+u+",
    "^s^",
    "~s~",
    "??c??",
    "h1. x",
    "bq. x",
    "# x",
    "* x",
    "----",
    "||a||",
    "|a|",
    "\\",
    "\\\\",
    "\\{",
    "\\[",
    ":D",
    "SEC-1",
    "mailto:a@b",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    "[code]<script>alert(1)</script>[/code]",
    "[/CODE]",
    "<title>",
    "</title",
    "<message>",
    "%00%2e%2f",
    "&#124;",
    "Bearer ",
    "..",
    "' OR 1=1 --",
];
const TIMES: &[&str] = &[
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "2026-01-31T12:00:00.000+2559",
    "2016-12-31 23:59:60",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "1e400",
];
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    7,
    100,
    255,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    253_402_300_799,
    315_576_000_001,
    i64::MAX,
    i64::MIN,
];
const FRACTIONS: &[f64] =
    &[0.0, -0.0, 1.0, 100.000_001, -1.0, 1e308, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];

/// What replaces a part of a text.
#[derive(Debug, Clone)]
enum Replacement {
    Nothing,
    /// The part, twice.
    Twice,
    Text(String),
}

/// A hostile text, some of them, one of them many times, or arbitrary characters.
pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        1 => select(TIMES).prop_map(str::to_owned),
        1 => select(NUMBERS).prop_map(|number| number.to_string()),
        1 => (select(HOSTILE), 0..12_u32).prop_map(|(text, doublings)| text.repeat(1 << doublings)),
        // Several at once are tried faster, and what fails is shrunk to one.
        4 => vec(select(HOSTILE), 1..12).prop_map(|texts| texts.concat()),
        1 => vec(any::<char>(), 0..8).prop_map(String::from_iter),
        2 => select(HOSTILE).prop_map(str::to_owned),
    ]
    .boxed()
}

/// `base` with a part replaced, removed or repeated, or a hostile text in its place.
pub(super) fn altered(base: &str) -> BoxedStrategy<String> {
    let base = base.to_owned();
    let replacement = prop_oneof![
        1 => Just(Replacement::Nothing),
        1 => Just(Replacement::Twice),
        4 => text().prop_map(Replacement::Text),
    ];
    // Half of the replacements are insertions.
    let part = (any::<Index>(), any::<Index>(), any::<bool>());
    let in_part = (part, replacement).prop_map(move |((one, other, is_empty), replacement)| {
        let cuts: Vec<usize> = base.char_indices().map(|(at, _)| at).chain([base.len()]).collect();
        let one = *one.get(&cuts);
        let other = *other.get(&cuts);
        let from = one.min(other);
        let to = if is_empty { one.min(other) } else { one.max(other) };
        match replacement {
            Replacement::Nothing => [&base[..one.min(other)], &base[one.max(other)..]].concat(),
            Replacement::Twice => [&base[..one.max(other)], &base[one.min(other)..]].concat(),
            Replacement::Text(text) => [&base[..from], &text, &base[to..]].concat(),
        }
    });
    prop_oneof![4 => in_part, 1 => text()].boxed()
}

pub(super) fn number() -> BoxedStrategy<i64> {
    prop_oneof![1 => 0..256_i64, 2 => select(NUMBERS)].boxed()
}

pub(super) fn fraction() -> BoxedStrategy<f64> {
    prop_oneof![1 => (0..=100_u8).prop_map(f64::from), 1 => select(FRACTIONS)].boxed()
}
