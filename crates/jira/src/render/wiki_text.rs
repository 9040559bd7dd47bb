//! Escapes text for wiki markup, so that it is displayed, and copied from the ticket, unchanged.
//!
//! A backslash escapes one of Jira's special characters, unless another backslash precedes it. If no escape
//! exists (a bar in a table cell, an address that would become a link), the text is put in a `{noformat}`
//! macro, which contains no markup.

/// Prevents a macro's name in the text from ending that macro. It has no width, and is used only in text that
/// contains both `{noformat` and `{code`.
const JOINER: char = '\u{2060}';
/// Characters from which Jira's renderer removes a preceding backslash.
const ESCAPABLE: &str = "-#*_+?^~|%{}[]()!@";
/// Those of them that are not markup by themselves.
const HARMLESS: &str = "%@";
/// Prefixes of macro names.
const MACROS: [&str; 8] = ["adf", "anch", "code", "colo", "lore", "nofo", "pane", "quot"];
/// Macros without markup in their content.
const VERBATIM: [&str; 2] = ["noformat", "code"];
const SCHEMES: [&str; 6] = ["mailto:", "file:", "irc:", "ftp:", "news:", "jamfselfservice:"];

/// A line of text as wiki markup that displays exactly that text: escaped if possible, else verbatim.
pub(super) fn as_text(text: &str) -> String {
    escape(text).unwrap_or_else(|| verbatim(text))
}

/// A line of text with special characters escaped; `None` if escapes are not sufficient.
pub(super) fn escape(text: &str) -> Option<String> {
    if starts_a_block(text) {
        // `h1.` and `bq.` start a heading and a quotation.
        return None;
    }
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for index in 0..characters.len() {
        push(&mut out, &characters, index)?;
    }
    Some(out)
}

/// Lines displayed verbatim, in a block that they cannot close.
pub(super) fn verbatim_block(text: &str) -> String {
    verbatim(&format!("\n{text}\n"))
}

fn verbatim(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let opening = |name: &str| format!("{{{name}");
    // Neither may be adjacent to the end of the macro. A line break before it is not displayed.
    let apart = if text.ends_with(['\\', '{']) { "\n" } else { "" };
    if let Some(name) = VERBATIM.into_iter().find(|name| !lower.contains(&opening(name))) {
        return format!("{{{name}}}{text}{apart}{{{name}}}");
    }
    let mut out = String::from("{noformat}");
    let mut from = 0;
    for (at, _) in lower.match_indices(&opening("noformat")) {
        out.push_str(&text[from..=at]);
        out.push(JOINER);
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push_str(apart);
    out.push_str("{noformat}");
    out
}

/// Writes the character at `index`; `None` if no escape exists for it.
fn push(out: &mut String, text: &[char], index: usize) -> Option<()> {
    let c = text[index];
    let next = text.get(index + 1).copied();
    let is_safe = match c {
        // In a table cell no escape prevents it from ending the cell.
        '|' => false,
        '\\' => backslash_is_safe(text, index),
        ':' => !begins_face(next) && !ends_scheme(text, index),
        ';' => !begins_face(next),
        // In a table cell a macro name is recognized even after an escaped brace.
        '{' => !begins_macro(text[index + 1..].iter().copied()),
        _ => true,
    };
    let special = ESCAPABLE.contains(c) && !HARMLESS.contains(c);
    if special && !(c == '-' && joins_word(text, index)) {
        out.push('\\');
    }
    out.push(c);
    is_safe.then_some(())
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

/// A hyphen within a word is not markup, unless the word could be an issue key, which Jira would link.
fn joins_word(text: &[char], index: usize) -> bool {
    let before = text[..index].iter().rev().take_while(|c| c.is_ascii_alphanumeric() || **c == '_');
    let (Some(first), Some(after)) = (before.last(), text.get(index + 1)) else { return false };
    let key = first.is_ascii_uppercase() && after.is_ascii_digit();
    text[index - 1] != '_' && after.is_ascii_alphanumeric() && !key
}

/// A backslash before a letter, a digit or a space is literal. Of two in a row the first is literal if a
/// third follows before the next white space, as in `\\server\share`: otherwise they are a line break.
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

/// Whether the colon ends a URL scheme that would become a link.
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

    /// Reads escaped text like Jira's renderer, and finds what it would interpret as markup.
    fn unescape(markup: &str) -> Result<String, String> {
        let characters: Vec<char> = markup.chars().collect();
        let mut out = String::new();
        let mut index = 0;
        while index < characters.len() {
            let c = characters[index];
            let next = characters.get(index + 1).copied();
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
        Ok(out)
    }

    /// The text of a verbatim macro, which only its own end may close.
    fn unwrap(markup: &str) -> Result<String, String> {
        let whole = || format!("no macro around {markup}");
        let (name, rest) = markup[1..].split_once('}').ok_or_else(whole)?;
        let text = rest.strip_suffix(&format!("{{{name}}}")).ok_or_else(whole)?.trim_end_matches('\n');
        let closed = text.to_ascii_lowercase().contains(&format!("{{{name}"));
        if closed { Err(format!("{markup} ends within")) } else { Ok(text.to_owned()) }
    }

    #[test]
    fn escapes_every_kind_of_markup() {
        let table = [
            ("[~admin]", "\\[\\~admin\\]"),
            ("*a* _b_", "\\*a\\* \\_b\\_"),
            ("well-known", "well-known"),
            ("SEC-1", "SEC\\-1"),
            ("2026-01-31 50% a@b.example", "2026-01-31 50% a@b.example"),
            ("a--b", "a\\-\\-b"),
            ("C:\\Windows", "C:\\Windows"),
            ("\\\\srv\\share", "\\\\srv\\share"),
        ];
        for (text, markup) in table {
            assert_eq!(as_text(text), markup, "{text}");
        }
    }

    #[test]
    fn text_without_possible_escape_is_verbatim() {
        let texts = [
            "{code}",
            "\\\\srv",
            "\\[x",
            "https://x/?a_b",
            "mailto:a@b",
            "h1.example",
            "bq. x",
            "C:Docs",
            ":)",
        ];
        for text in texts {
            assert_eq!(as_text(text), format!("{{noformat}}{text}{{noformat}}"));
        }
        assert_eq!(as_text("10.0.0.1|443"), "{noformat}10.0.0.1|443{noformat}");
        assert_eq!(as_text("end\\"), "{noformat}end\\\n{noformat}");
        assert_eq!(as_text("http://x/{noformat}"), "{code}http://x/{noformat}{code}");
    }

    #[test]
    fn no_text_closes_its_own_verbatim_block() {
        let block = verbatim_block("a {NoFormat} {code:json} {x} {");
        assert_eq!(block.to_lowercase().matches("{noformat").count(), 2);
        assert_eq!(block.replace(JOINER, ""), "{noformat}\na {NoFormat} {code:json} {x} {\n{noformat}");
        assert_eq!(verbatim_block("a {code} b"), "{noformat}\na {code} b\n{noformat}");
    }

    proptest! {
        #[test]
        fn any_text_renders_without_markup(
            text in "([-#*_+?^~|%{}\\[\\]()!@\\\\:;DPa-cH1 .]|\\{code|\\{noFormat|http://|\\PC){0,40}"
        ) {
                let markup = as_text(&text);
                let read = match escape(&text) {
                    Some(escaped) => {
                        prop_assert_eq!(&escaped, &markup);
                        prop_assert!(!escaped.contains('|'));
                        unescape(&markup)
                    }
                    None => unwrap(&markup),
                };
                let both = VERBATIM.iter().all(|name| text.to_ascii_lowercase().contains(&format!("{{{name}")));
                let read = if both { read.map(|text| text.replace(JOINER, "")) } else { read };
                let text = if both { text.replace(JOINER, "") } else { text.clone() };
                prop_assert_eq!(read, Ok(text));
        }
    }
}
