//! Validates pasted text: byte order marks and invisible characters.
//!
//! A check returns the intended text, or names the invalid character and its position, but never the text
//! itself: it may be a secret.

use std::fmt;

use crate::clean::is_invisible;

/// Marks the encoding at the start of a text; has no meaning of its own.
const BYTE_ORDER_MARK: char = '\u{FEFF}';
/// Join letters in some scripts, and emoji.
const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];
/// Schemes before a credential in a header.
const SCHEMES: [&str; 4] = ["authorization:", "bearer ", "basic ", "token "];
const QUOTES: [(char, char); 6] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’'), ('«', '»')];

/// A character of a text, named by its code point, with its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    pub character: char,
    /// From 1, in characters.
    pub position: usize,
    /// Of the text, in characters.
    pub length: usize,
}

/// Decodes a file or a reply: UTF-8 with or without a byte order mark, or UTF-16 with one. `None` if it is
/// neither.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |from: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let (units, rest) = bytes.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|unit| from(*unit)).collect::<Vec<_>>()).ok();
        text.filter(|_| rest.is_empty())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => utf16(u16::from_be_bytes, rest),
        _ => Some(without_mark(std::str::from_utf8(bytes).ok()?).to_owned()),
    }
}

/// `text` without a leading byte order mark.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.trim_start_matches(BYTE_ORDER_MARK)
}

/// `text` without leading and trailing white space and invisible characters.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// The first character of `text` that is `wrong`.
pub fn find(text: &str, wrong: impl Fn(char) -> bool) -> Option<Located> {
    let found = text.chars().enumerate().find(|(_, c)| wrong(*c));
    found.map(|(index, character)| Located { character, position: index + 1, length: text.chars().count() })
}

/// Checks a name or an identifier: no invisible characters, and no white space except spaces.
///
/// # Errors
/// What is wrong, for display.
pub fn name(text: &str) -> Result<&str, String> {
    let text = trim(text);
    match find(text, |c| is_invisible(c) || (c.is_whitespace() && c != ' ')) {
        Some(wrong) => Err(format!("contains {wrong}: type it again")),
        None => Ok(text),
    }
}

/// Checks a token: visible ASCII characters only.
///
/// # Errors
/// What is wrong, without the token.
pub fn token(text: &str) -> Result<&str, String> {
    let text = trim(text);
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if let Some(scheme) = scheme(text) {
        return Err(format!(
            "begins with \"{scheme}\": give the token alone, without the rest of the header"
        ));
    }
    if is_quoted(text) {
        return Err("is in quotation marks: remove them".to_owned());
    }
    match find(text, |c| !c.is_ascii_graphic()) {
        Some(wrong) => Err(format!("contains {wrong}, which no token contains: copy it again")),
        None => Ok(text),
    }
}

/// Checks a password. Any character that can be typed is allowed, including spaces and letters of any script;
/// surrounding line breaks and byte order marks, which come from files, are removed.
///
/// # Errors
/// What is wrong, without the password.
pub fn password(text: &str) -> Result<&str, String> {
    let text = text.trim_matches(['\r', '\n', BYTE_ORDER_MARK, '\u{200B}', '\u{2060}']);
    // Joiners are typed between letters of scripts that need them; beside ASCII they were pasted.
    let mut before = 'a';
    let mut characters = text.chars().enumerate().peekable();
    while let Some((index, c)) = characters.next() {
        let after = characters.peek().map_or('a', |(_, next)| *next);
        let joins = (JOINERS.contains(&c) || ('\u{FE00}'..='\u{FE0F}').contains(&c))
            && !before.is_ascii()
            && (!after.is_ascii() || !JOINERS.contains(&c));
        if is_invisible(c) && !joins {
            let wrong = Located { character: c, position: index + 1, length: text.chars().count() };
            return Err(format!("contains {wrong}, which cannot be typed: copy it again"));
        }
        before = c;
    }
    Ok(text)
}

/// A possible cause of a refused password, as text after "it"; `None` if the password looks ordinary. Reveals
/// nothing that helps to guess it.
#[must_use]
pub fn oddity(text: &str) -> Option<String> {
    let first = text.chars().next()?;
    let last = text.chars().next_back()?;
    if first.is_whitespace() {
        return Some(format!("begins with {}", describe(first)));
    }
    if last.is_whitespace() {
        return Some(format!("ends with {}", describe(last)));
    }
    if is_quoted(text) {
        return Some("is in quotation marks".to_owned());
    }
    if let Some(scheme) = scheme(text) {
        return Some(format!("begins with \"{scheme}\""));
    }
    let space = text.chars().find(|c| c.is_whitespace() && *c != ' ');
    if let Some(space) = space {
        return Some(format!("contains {}", describe(space)));
    }
    (!text.is_ascii())
        .then(|| "contains characters beyond ASCII, which not every server reads in the same way".to_owned())
}

/// A character by its code point, with its common name if it has one.
#[must_use]
pub fn describe(c: char) -> String {
    let name = match c {
        '\n' | '\r' => "a line break",
        '\t' => "a tab",
        ' ' => "a space",
        '\0' => "a null character",
        '\u{A0}' => "a no-break space",
        '\u{AD}' => "a soft hyphen",
        '\u{2000}'..='\u{200A}' | '\u{3000}' => "a wide or narrow space",
        '\u{200B}' => "a zero-width space",
        '\u{200C}' => "a zero-width non-joiner",
        '\u{200D}' => "a zero-width joiner",
        '\u{200E}' | '\u{200F}' | '\u{61C}' => "an invisible direction mark",
        '\u{2028}' | '\u{2029}' => "a line separator",
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "an invisible direction control",
        '\u{202F}' => "a narrow no-break space",
        '\u{2060}' => "a word joiner",
        '\u{FE00}'..='\u{FE0F}' => "a variation selector",
        BYTE_ORDER_MARK => "a byte order mark",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "a dash that is not the ASCII hyphen",
        '\u{2018}'..='\u{201F}' => "a typographic quotation mark",
        c if c.is_control() => "a control character",
        c if is_invisible(c) => "an invisible character",
        c if c.is_ascii() => "a character",
        _ => "a character beyond ASCII",
    };
    format!("{name} (U+{:04X})", c as u32)
}

/// An address without surrounding quotation marks, brackets, a trailing comma and invisible characters. Inner
/// line breaks and spaces stay, so that they are refused.
#[must_use]
pub fn tidy_address(text: &str) -> String {
    let around = |c: char| c.is_whitespace() || is_invisible(c) || "\"'`“”‘’«»<>,;".contains(c);
    text.trim_matches(around).chars().filter(|c| c.is_control() || !is_invisible(*c)).collect()
}

/// A trimmed address with a scheme, https by default, and without trailing dots of the host.
#[must_use]
pub fn complete_address(text: &str) -> String {
    let (scheme, rest) = split_scheme(text);
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| is_port(port)) {
        Some((host, port)) => (host, format!(":{port}")),
        None => (authority, String::new()),
    };
    format!("{scheme}://{}{port}{rest}", host.trim_end_matches('.'))
}

/// The scheme, and the rest after any number of slashes. A host with a port has no scheme.
fn split_scheme(text: &str) -> (String, &str) {
    if let Some((scheme, rest)) = text.split_once("://") {
        return (scheme.to_ascii_lowercase(), rest.trim_start_matches('/'));
    }
    for scheme in ["https", "http"] {
        let rest = text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme));
        let rest = rest.map(|_| &text[scheme.len()..]);
        // A colon or a slash is missing, lost in copying.
        if let Some(rest) = rest.filter(|rest| rest.starts_with(":/") || rest.starts_with("//")) {
            return (scheme.to_owned(), rest.trim_start_matches([':', '/']));
        }
    }
    ("https".to_owned(), text.trim_start_matches('/'))
}

fn scheme(text: &str) -> Option<&'static str> {
    let begins =
        |scheme: &&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    SCHEMES.into_iter().find(begins)
}

fn is_quoted(text: &str) -> bool {
    QUOTES.iter().any(|(open, close)| {
        text.len() > open.len_utf8() && text.starts_with(*open) && text.ends_with(*close)
    })
}

// === impl Located ===

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as character {} of {}", describe(self.character), self.position, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_text_with_and_without_byte_order_mark() {
        assert_eq!(decode("é".as_bytes()).as_deref(), Some("é"));
        assert_eq!(decode(b"\xEF\xBB\xBFab").as_deref(), Some("ab"));
        assert_eq!(decode(b"\xFF\xFEa\0b\0").as_deref(), Some("ab"));
        assert_eq!(decode(b"\xFE\xFF\0a\0b").as_deref(), Some("ab"));
        for bytes in [&b"\xFF\xFEa"[..], b"\xFF\xFE\0\xD8", b"\xC3"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn trims_invisible_characters_of_tokens() {
        for text in ["abc", " abc\r\n", "\u{FEFF}abc", "abc\u{200B}", "\u{A0}abc\u{2060}"] {
            assert_eq!(token(text), Ok("abc"), "{text:?}");
        }
    }

    #[test]
    fn refuses_token_and_names_character_and_place() {
        let table = [
            ("ab\u{200B}c", "a zero-width space (U+200B) as character 3 of 4"),
            ("ab c", "a space (U+0020) as character 3 of 4"),
            ("ab\nc", "a line break (U+000A) as character 3 of 4"),
            ("a–b", "a dash that is not the ASCII hyphen (U+2013) as character 2 of 3"),
            ("\"abc\"", "quotation marks"),
            ("“abc”", "quotation marks"),
            ("Bearer abc", "\"bearer \""),
            ("Basic YTpi", "\"basic \""),
            ("Authorization: Bearer abc", "\"authorization:\""),
            ("\u{200B}", "must not be empty"),
        ];
        for (text, expected) in table {
            let wrong = token(text).unwrap_err();
            assert!(wrong.contains(expected) && !wrong.contains("abc"), "{text:?}: {wrong}");
        }
    }

    #[test]
    fn passwords_may_contain_spaces_and_any_script() {
        for text in [
            "pass word",
            " pass",
            "pässwörd",
            "می\u{200C}خواهم",
            "👩\u{200D}🔬x",
            "❤\u{FE0F}",
            "a\u{A0}b",
            "\"q\"",
        ] {
            assert_eq!(password(text), Ok(text), "{text:?}");
        }
        assert_eq!(password("\u{FEFF}pass\r\n"), Ok("pass"));
        assert_eq!(password("pass\u{200B}"), Ok("pass"));
    }

    #[test]
    fn refuses_password_with_untypeable_character() {
        for (text, position) in [("pa\u{200B}ss", 3), ("pa\u{200D}ss", 3), ("pa\nss", 3), ("pass\u{200C}", 5)]
        {
            let wrong = password(text).unwrap_err();
            assert!(wrong.contains(&format!("as character {position} of 5")), "{text:?}: {wrong}");
        }
    }

    #[test]
    fn completes_addresses_however_they_were_pasted() {
        let table = [
            ("jira.corp", "https://jira.corp"),
            (" <https://jira.corp/x>, ", "https://jira.corp/x"),
            ("\u{200B}jira\u{AD}.corp\u{FEFF}", "https://jira.corp"),
            ("HTTP://Jira.corp.:8080/a", "http://Jira.corp:8080/a"),
            ("https:/jira.corp", "https://jira.corp"),
            ("https//jira.corp..", "https://jira.corp"),
            ("https:///jira.corp", "https://jira.corp"),
            ("//jira.corp/?a", "https://jira.corp/?a"),
            ("“jira.corp:8443”", "https://jira.corp:8443"),
            ("httpd.corp", "https://httpd.corp"),
            ("[::1]:80", "https://[::1]:80"),
            ("ftp://x", "ftp://x"),
            ("a\nb", "https://a\nb"),
            ("", "https://"),
        ];
        for (pasted, expected) in table {
            assert_eq!(complete_address(&tidy_address(pasted)), expected, "{pasted:?}");
        }
    }

    #[test]
    fn names_allow_spaces_but_not_invisible_characters() {
        assert_eq!(name("\u{200B} Security Operations\u{A0}"), Ok("Security Operations"));
        assert!(name("Security\u{A0}Operations").unwrap_err().contains("a no-break space (U+00A0)"));
        assert!(name("SEC\u{202E}X").unwrap_err().contains("U+202E"));
    }

    #[test]
    fn oddity_explains_password_without_revealing_it() {
        let table = [
            ("pass ", "ends with a space (U+0020)"),
            ("\tpass", "begins with a tab (U+0009)"),
            ("'pass'", "is in quotation marks"),
            ("pa\u{A0}ss", "contains a no-break space (U+00A0)"),
        ];
        for (text, expected) in table {
            assert_eq!(oddity(text).as_deref(), Some(expected));
        }
        assert!(oddity("pässword").unwrap().contains("beyond ASCII"));
        assert_eq!(oddity("pass word"), None);
        assert_eq!(oddity(""), None);
    }
}
