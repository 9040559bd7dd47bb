//! What tends to break readers and writers of text.

use super::Rng;

const HOSTILE: [&str; 66] = [
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
const TIMES: [&str; 6] = [
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "2026-01-31T12:00:00.000+2559",
    "2016-12-31 23:59:60",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "1e400",
];
const NUMBERS: [i64; 14] = [
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
const FRACTIONS: [f64; 9] =
    [0.0, -0.0, 1.0, 100.000_001, -1.0, 1e308, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];

/// A text that is one of the hostile ones, some of them, or very long.
pub(super) fn text(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => (*rng.pick(&TIMES)).to_owned(),
        1 => rng.pick(&NUMBERS).to_string(),
        2 => rng.pick(&HOSTILE).repeat(1 << rng.below(12)),
        3 => (0..rng.below(12)).map(|_| *rng.pick(&HOSTILE)).collect(),
        4 => (0..rng.below(8))
            .filter_map(|_| char::from_u32(u32::try_from(rng.below(0x11_0000)).ok()?))
            .collect(),
        _ => (*rng.pick(&HOSTILE)).to_owned(),
    }
}

/// `text` with something put in, taken out, or all of it replaced.
pub(super) fn altered(text: &str, rng: &mut Rng) -> String {
    let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let (one, other) = (*rng.pick(&cuts), *rng.pick(&cuts));
    let (from, to) = (one.min(other), one.max(other));
    match rng.below(5) {
        0 => self::text(rng),
        1 => [&text[..from], &text[to..]].concat(),
        2 => [&text[..to], &text[from..]].concat(),
        _ => [&text[..from], &self::text(rng), &text[from..]].concat(),
    }
}

pub(super) fn number(rng: &mut Rng) -> i64 {
    if rng.one_in(3) { i64::from(rng.byte()) } else { *rng.pick(&NUMBERS) }
}

pub(super) fn fraction(rng: &mut Rng) -> f64 {
    *rng.pick(&FRACTIONS)
}
