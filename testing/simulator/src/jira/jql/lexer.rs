//! Tokenizes JQL.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

pub(super) fn is_reserved(word: &str) -> bool {
    matches!(
        word.to_lowercase().as_str(),
        "and"
            | "or"
            | "not"
            | "in"
            | "is"
            | "order"
            | "by"
            | "empty"
            | "null"
            | "was"
            | "changed"
            | "select"
            | "from"
    )
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [&str; 14] = ["!=", "!~", ">=", "<=", "||", "&&", "=", "~", ">", "<", "(", ")", ",", "!"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '"' || first == '\'' {
            let (value, after) = quoted(rest, first)?;
            tokens.push(Token::Text(value));
            rest = after;
        } else {
            let end =
                rest.find(|c: char| c.is_whitespace() || "=!<>~(),|&\"'".contains(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            if end == 0
                || word.contains(['[', ']', '{', '}', '*', '?', '+', ':', ';', '@', '#', '%', '^', '$', '/'])
            {
                return Err(format!(
                    "Error in the JQL Query: The character '{first}' is a reserved JQL character. You must enclose \
                     it in a string or use the escape '\\u{:04x}' instead.",
                    u32::from(first)
                ));
            }
            tokens.push(Token::Word(word.to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// Parses a quoted string. Returns its value and the rest of the text.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped @ ('"' | '\'' | '\\' | ' '))) => value.push(escaped),
                _ => return Err("Error in the JQL Query: invalid escape in a quoted string.".to_owned()),
            },
            _ if character == quote => return Ok((value, &text[at + character.len_utf8()..])),
            _ => value.push(character),
        }
    }
    Err("Error in the JQL Query: The quoted string has not been completed.".to_owned())
}
