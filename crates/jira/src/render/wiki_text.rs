//! Writing text into wiki markup so that it stays text.
//!
//! A backslash escapes one of Jira's special characters, unless another backslash stands before it. Where no escape
//! exists, a word joiner (U+2060), which has neither width nor meaning, keeps apart what would together be markup. In a
//! table cell a `|` can not be written at all: a broken bar takes its place.

/// Stands between characters that would be markup together.
pub(super) const JOINER: char = '\u{2060}';
const BROKEN_BAR: char = '¦';
/// What Jira's renderer takes a backslash off.
const ESCAPABLE: &str = "-#*_+?^~|%{}[]()!@";
/// Those of them that are no markup by themselves.
const HARMLESS: &str = "%@";
/// How the names of macros begin.
const MACROS: [&str; 8] = ["adf", "anch", "code", "colo", "lore", "nofo", "pane", "quot"];
const SCHEMES: [&str; 6] = ["mailto:", "file:", "irc:", "ftp:", "news:", "jamfselfservice:"];

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Line,
    Cell,
}

/// One line of text as wiki markup that reads as that very text.
pub(super) fn escape(text: &str, place: Place) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    if starts_a_block(text) {
        // `h1.` and `bq.` begin a heading and a quotation.
        out.push(characters[0]);
        out.push(JOINER);
    }
    let from = usize::from(!out.is_empty());
    for index in from..characters.len() {
        push(&mut out, &characters, index, place);
    }
    out
}

/// Lines that are shown exactly as they are: a `{noformat}` block that they can not close.
pub(super) fn verbatim(text: &str) -> String {
    let mut out = String::from("{noformat}\n");
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at + 1);
        out.push_str(before);
        if begins_macro(from.chars()) {
            out.push(JOINER);
        }
        rest = from;
    }
    out.push_str(rest);
    out.push_str("\n{noformat}");
    out
}

fn push(out: &mut String, text: &[char], index: usize, place: Place) {
    let (c, next) = (text[index], text.get(index + 1).copied());
    match c {
        '|' if place == Place::Cell => out.push(BROKEN_BAR),
        '-' if joins_word(text, index) => out.push('-'),
        '\\' => {
            out.push('\\');
            if !backslash_is_safe(text, index) {
                out.push(JOINER);
            }
        }
        ':' => {
            out.push(':');
            if begins_face(next) || ends_scheme(text, index) {
                out.push(JOINER);
            }
        }
        ';' => {
            out.push(';');
            if begins_face(next) {
                out.push(JOINER);
            }
        }
        c if ESCAPABLE.contains(c) && !HARMLESS.contains(c) => {
            out.push('\\');
            out.push(c);
            // In a table cell the name of a macro counts even after an escaped brace.
            if c == '{' && begins_macro(text[index + 1..].iter().copied()) {
                out.push(JOINER);
            }
        }
        c => out.push(c),
    }
}

fn begins_macro(text: impl Iterator<Item = char>) -> bool {
    let word = text.take(4).collect::<String>().to_ascii_lowercase();
    MACROS.iter().any(|name| word.starts_with(name))
}

pub(super) fn starts_a_block(text: &str) -> bool {
    let lower = text.get(..3).unwrap_or_default().to_ascii_lowercase();
    let heading = lower.starts_with('h') && lower.ends_with('.') && lower.as_bytes()[1].is_ascii_digit();
    heading || lower == "bq."
}

/// A hyphen within a word is no markup, unless the word could be an issue key, which Jira would link.
fn joins_word(text: &[char], index: usize) -> bool {
    let before = text[..index].iter().rev().take_while(|c| c.is_ascii_alphanumeric() || **c == '_');
    let (Some(first), Some(after)) = (before.last(), text.get(index + 1)) else { return false };
    let key = first.is_ascii_uppercase() && after.is_ascii_digit();
    text[index - 1] != '_' && after.is_ascii_alphanumeric() && !key
}

/// A backslash before a letter, a digit or a space is just that. Of two in a row the first is safe where a third
/// follows before the next white space, as in `\\server\share`: otherwise they are a line break.
fn backslash_is_safe(text: &[char], index: usize) -> bool {
    let Some(&next) = text.get(index + 1) else { return false };
    if next != '\\' {
        return !ESCAPABLE.contains(next);
    }
    let rest = text[index + 2..].iter();
    let second_of_many = index > 0 && text[index - 1] == '\\';
    second_of_many || rest.take_while(|c| !c.is_whitespace()).any(|c| *c == '\\')
}

fn begins_face(next: Option<char>) -> bool {
    matches!(next, Some('D' | 'P' | 'p' | ')' | '('))
}

/// Whether the colon ends a scheme that would become a link.
fn ends_scheme(text: &[char], colon: usize) -> bool {
    let slashes = text.get(colon + 1) == Some(&'/') && text.get(colon + 2) == Some(&'/');
    let from = colon.saturating_sub(16);
    let before: String = text[from..=colon].iter().collect::<String>().to_ascii_lowercase();
    slashes || SCHEMES.iter().any(|scheme| before.ends_with(scheme))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads escaped text as Jira's renderer does, and finds what it would take for markup.
    fn unescape(markup: &str) -> Result<String, String> {
        let characters: Vec<char> = markup.chars().collect();
        let mut out = String::new();
        let mut index = 0;
        while index < characters.len() {
            let (c, next) = (characters[index], characters.get(index + 1).copied());
            let lone = index == 0 || characters[index - 1] != '\\';
            if c == '\\' && lone && next.is_some_and(|next| ESCAPABLE.contains(next)) {
                out.extend(next);
                index += 2;
                continue;
            }
            let word_hyphen = c == '-' && joins_word(&characters, index);
            if ESCAPABLE.contains(c) && !HARMLESS.contains(c) && !word_hyphen {
                return Err(format!("{c} at {index} of {markup}"));
            }
            out.push(c);
            index += 1;
        }
        Ok(out.replace(JOINER, ""))
    }

    #[test]
    fn every_kind_of_markup_is_disarmed() {
        let table = [
            ("{code}", "\\{\u{2060}code\\}"),
            ("[~admin]", "\\[\\~admin\\]"),
            ("*a* _b_", "\\*a\\* \\_b\\_"),
            ("well-known", "well-known"),
            ("SEC-1", "SEC\\-1"),
            ("2026-01-31 50% a@b.example", "2026-01-31 50% a@b.example"),
            ("a--b", "a\\-\\-b"),
            ("C:\\Windows", "C:\\Windows"),
            ("\\\\srv\\share", "\\\\srv\\share"),
            ("\\\\srv", "\\\u{2060}\\srv"),
            ("\\[x", "\\\u{2060}\\[x"),
            ("end\\", "end\\\u{2060}"),
            ("http://x", "http:\u{2060}//x"),
            ("h1. x", "h\u{2060}1. x"),
            (":D :)", ":\u{2060}D :\u{2060}\\)"),
        ];
        for (text, markup) in table {
            assert_eq!(escape(text, Place::Line), markup, "{text}");
        }
        assert_eq!(escape("a|b", Place::Cell), "a¦b");
    }

    #[test]
    fn no_text_closes_its_own_verbatim_block() {
        let block = verbatim("a {NoFormat} {code:json} {x} {");
        assert_eq!(block.matches("{noformat}").count(), 2);
        assert_eq!(block.replace(JOINER, ""), "{noformat}\na {NoFormat} {code:json} {x} {\n{noformat}");
        assert!(!block.to_lowercase()[10..block.len() - 10].contains("{noformat"));
    }

    proptest! {
        #[test]
        fn whatever_the_text_nothing_of_it_is_markup(
            text in "([-#*_+?^~|%{}\\[\\]()!@\\\\:;DPa-cH1 .]|\\PC){0,40}"
        ) {
            let expected = text.replace(JOINER, "");
            prop_assert_eq!(unescape(&escape(&text, Place::Line)), Ok(expected.clone()));
            let cell = escape(&text, Place::Cell);
            prop_assert!(!cell.contains('|'));
            prop_assert_eq!(unescape(&cell), Ok(expected.replace('|', "¦")));
        }
    }
}
