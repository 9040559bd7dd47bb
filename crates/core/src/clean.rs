//! Cleans text from untrusted sources, so that a reader sees exactly what the text contains.
//!
//! Attackers reorder names with bidirectional controls and hide text in characters without a glyph (MITRE ATT&CK
//! T1036.002). One rule holds for tickets in every ticket system, for lists and for logs:
//!
//! - a control that reorders text becomes visible, for example `[U+202E]`: it is evidence;
//! - any other character without a glyph is removed: control and zero-width characters, tags, non-characters;
//! - joiners and variation selectors stay where a script or an emoji needs them;
//! - every kind of line break becomes `\n`. Tabs stay.

use std::borrow::Cow;
use std::fmt::Write;

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
const BLACK_FLAG: char = '\u{1f3f4}';
const CANCEL_TAG: char = '\u{e007f}';
/// Maximum length of a region code in a flag sequence, for example `gbsct` for Scotland.
const MAX_FLAG_TAGS: usize = 6;

/// A cleaned text, and what was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned<'a> {
    pub text: Cow<'a, str>,
    /// Number of removed characters. Normalized line breaks do not count.
    pub removed: usize,
    /// Number of bidirectional controls that were made visible.
    pub shown: usize,
}

/// How a character is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Visible,
    LineBreak,
    /// Reorders the text that follows.
    Reorders,
    /// Joins its neighbors, or keeps them from joining.
    Joiner,
    /// Selects a variant of the character before it.
    Selector,
    Invisible,
}

/// Cleans a text; borrows it where nothing changes. Cleaning a second time changes nothing.
#[must_use]
pub fn clean(text: &str) -> Cleaned<'_> {
    if text.chars().all(is_plain) {
        return Cleaned { text: Cow::Borrowed(text), removed: 0, shown: 0 };
    }
    let mut out = String::with_capacity(text.len());
    let mut removed = 0;
    let mut shown = 0;
    let mut previous = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let next = rest.chars().next();
        let kept = match class(c) {
            Class::Visible => true,
            Class::LineBreak => {
                if !(c == '\r' && next == Some('\n')) {
                    out.push('\n');
                    previous = Some('\n');
                }
                continue;
            }
            Class::Reorders => {
                let _ = write!(out, "[U+{:04X}]", u32::from(c));
                previous = Some(']');
                shown += 1;
                continue;
            }
            Class::Joiner => joins(previous, c, next),
            Class::Selector => selects(previous, c, next),
            Class::Invisible => false,
        };
        if !kept {
            removed += 1;
            continue;
        }
        out.push(c);
        previous = Some(c);
        if c == BLACK_FLAG {
            let tags = flag_tags(rest);
            out.push_str(tags);
            rest = &rest[tags.len()..];
        }
    }
    Cleaned { text: Cow::Owned(out), removed, shown }
}

/// Whether the text is invisible to a reader.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    // A blank Braille pattern has a width and no dots.
    text.chars().all(|c| c.is_whitespace() || c == '\u{2800}' || class(c) != Class::Visible)
}

/// Whether a character is invisible: everything that [`clean`] removes or makes visible where it occurs
/// alone, line breaks and tabs. Other white space does not count.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control() || class(c) != Class::Visible
}

/// Characters that can be classified without their neighbors: most text.
fn is_plain(c: char) -> bool {
    matches!(c, '\n' | '\t' | ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}')
}

fn class(c: char) -> Class {
    match c {
        '\n' | '\t' => Class::Visible,
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Class::LineBreak,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Class::Reorders,
        ZERO_WIDTH_NON_JOINER | ZERO_WIDTH_JOINER => Class::Joiner,
        '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            Class::Selector
        }
        c if c.is_control() || is_noncharacter(c) || is_ignorable(c) => Class::Invisible,
        _ => Class::Visible,
    }
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Unicode's `Default_Ignorable_Code_Point`, the annotation characters and the Hangul fillers, without what [`class`]
/// treats by itself.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a joiner has an effect between its neighbors: it combines emoji, or shapes letters.
fn joins(previous: Option<char>, joiner: char, next: Option<char>) -> bool {
    let Some(previous) = previous else { return false };
    let emoji = |c: char| is_pictographic(c) || matches!(c, '\u{fe0f}');
    let makes_emoji = joiner == ZERO_WIDTH_JOINER && emoji(previous) && next.is_some_and(is_pictographic);
    let shapes = is_of_joining_script(previous) && next.is_some_and(is_of_joining_script);
    makes_emoji || shapes || is_virama(previous)
}

/// Whether a selector follows a character that has variants. A run of selectors cannot hide text, because only
/// the first counts.
fn selects(previous: Option<char>, selector: char, next: Option<char>) -> bool {
    let Some(previous) = previous else { return false };
    match selector {
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(previous, '\u{1820}'..='\u{18aa}'),
        '\u{e0100}'..='\u{e01ef}' => is_ideograph(previous),
        _ if matches!(previous, '0'..='9' | '#' | '*') => next == Some(KEYCAP),
        _ => !previous.is_ascii() && !previous.is_whitespace() && class(previous) == Class::Visible,
    }
}

/// The tags after a black flag that make it the flag of a region; empty if they are not such a sequence.
fn flag_tags(rest: &str) -> &str {
    let code =
        rest.chars().take_while(|c| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}'));
    let count = code.take(MAX_FLAG_TAGS + 1).count();
    let end = rest.char_indices().nth(count).filter(|(_, c)| *c == CANCEL_TAG && count > 0);
    match end {
        Some((at, tag)) if count <= MAX_FLAG_TAGS => &rest[..at + tag.len_utf8()],
        _ => "",
    }
}

/// The Unicode blocks of emoji.
fn is_pictographic(c: char) -> bool {
    matches!(
        c,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'
            | '\u{2049}'
            | '\u{2122}'
            | '\u{2139}'
            | '\u{2194}'..='\u{21aa}'
            | '\u{231a}'..='\u{23ff}'
            | '\u{25aa}'..='\u{27bf}'
            | '\u{2934}'..='\u{2935}'
            | '\u{2b05}'..='\u{2b55}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3297}'
            | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Scripts whose letters joiners shape: Arabic and related scripts, the scripts of India, Tibetan, Burmese,
/// Khmer, Mongolian.
fn is_of_joining_script(c: char) -> bool {
    let block = matches!(
        c,
        '\u{600}'..='\u{8ff}'
            | '\u{900}'..='\u{dff}'
            | '\u{f00}'..='\u{109f}'
            | '\u{1780}'..='\u{18af}'
            | '\u{1b00}'..='\u{1c4f}'
            | '\u{a840}'..='\u{a8ff}'
            | '\u{fb50}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefc}'
            | '\u{10a00}'..='\u{11fff}'
    );
    block && class(c) == Class::Visible
}

/// Virama signs of Indic scripts, which a joiner may follow at the end of a word.
fn is_virama(c: char) -> bool {
    matches!(u32::from(c), 0x94d | 0x9cd | 0xa4d | 0xacd | 0xb4d | 0xbcd | 0xc4d | 0xccd | 0xd4d | 0xdca)
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str) -> (String, usize, usize) {
        let cleaned = clean(text);
        (cleaned.text.into_owned(), cleaned.removed, cleaned.shown)
    }

    #[test]
    fn shows_controls_that_reorder_text() {
        assert_eq!(cleaned("invoice\u{202e}fdp.exe"), ("invoice[U+202E]fdp.exe".to_owned(), 0, 1));
        for c in ['\u{202a}', '\u{202d}', '\u{2066}', '\u{2069}'] {
            assert_eq!(cleaned(&format!("a{c}")), (format!("a[U+{:04X}]", u32::from(c)), 0, 1));
        }
    }

    #[test]
    fn removes_characters_without_a_glyph() {
        let invisible = "\0\u{8}\u{1b}\u{7f}\u{9f}\u{ad}\u{34f}\u{61c}\u{3164}\u{200b}\u{200e}\u{2060}\u{2064}\u{feff}\
                         \u{fff9}\u{fffe}\u{ffff}\u{fdd0}\u{1fffe}\u{10ffff}\u{e0001}\u{e0041}\u{e007f}";
        for c in invisible.chars() {
            assert_eq!(cleaned(&format!("a{c}b")), ("ab".to_owned(), 1, 0), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn invisible_means_changed_by_cleaning() {
        for c in '\0'..=char::MAX {
            let stays = clean(&c.to_string()).text == c.to_string();
            assert_eq!(is_invisible(c), !stays || matches!(c, '\n' | '\t'), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn makes_every_line_break_a_newline() {
        assert_eq!(cleaned("a\r\nb\rc\u{2028}d\u{85}e\u{b}f\tg"), ("a\nb\nc\nd\ne\nf\tg".to_owned(), 0, 0));
    }

    #[test]
    fn keeps_joiners_that_scripts_and_emoji_need() {
        let texts = [
            "👨‍👩‍👧‍👦 🏳️‍🌈 👩🏽‍💻 ❤️ 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🐈‍⬛ ☎︎",
            "می‌خواهم",
            "क्‍ष र्‍",
            "ශ්‍රී",
            "葛\u{e0100}城",
            "日本語 עברית العربية é e\u{301} ÿ",
        ];
        for text in texts {
            assert_eq!(cleaned(text), (text.to_owned(), 0, 0));
        }
    }

    #[test]
    fn removes_joiners_and_selectors_without_effect() {
        let table = [
            ("pass\u{200d}word", "password"),
            ("\u{200c}x\u{200d}", "x"),
            ("a\u{fe0f}b 1\u{fe0f}2", "ab 12"),
            ("😀\u{fe0f}\u{fe0e}\u{e0101}\u{e0102}", "😀\u{fe0f}"),
            ("x\u{e0100}", "x"),
            ("🏴\u{e0068}\u{e0069}", "🏴"),
            ("🏴\u{e0061}\u{e0062}\u{e0063}\u{e0064}\u{e0065}\u{e0066}\u{e0067}\u{e007f}", "🏴"),
            ("😀\u{200d}a", "😀a"),
        ];
        for (text, expected) in table {
            assert_eq!(clean(text).text, expected, "{}", text.escape_unicode());
        }
    }

    #[test]
    fn text_without_a_visible_character_is_blank() {
        for text in [
            "",
            " \t",
            "\u{200b}\u{200b}",
            "\u{202e}\u{2066}",
            "\u{3164}",
            "\u{2800}",
            "\u{fe0f}\u{200d}",
            "\0",
        ] {
            assert!(is_blank(text), "{}", text.escape_unicode());
        }
        assert!(!is_blank("\u{200b}x"));
    }

    proptest! {
            #[test]
            fn cleaning_twice_changes_nothing(text in "(\\PC|[\u{200b}-\u{200f}\u{202a}-\u{202e}\u{fe0e}\u{fe0f}\u{e0061}\u{e007f}🏴👩💻क्م\r\n]|.){0,40}") {
                let once = clean(&text).text.into_owned();
                let twice = clean(&once);
                prop_assert_eq!(twice.text.as_ref(), once.as_str());
                prop_assert_eq!((twice.removed, twice.shown), (0, 0));
    let is_clean = !once.contains(['\r', '\0', '\u{202e}', '\u{200b}', '\u{feff}', '\u{fffe}']);
                prop_assert!(is_clean);
            }
        }
}
