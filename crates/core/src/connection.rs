//! Names and IDs of connections.
//!
//! A delivery belongs to the ID of its connection, which never changes. The ID of the first connection of a name is the
//! name. A name that is used again after its connection was removed is another connection, with a numbered ID:
//! `jira-eu#2`. Names have no `#`.

/// Maximum length of a name.
pub const MAX_NAME: usize = 63;

/// What a name must be, for a violation.
pub const NAME_RULE: &str =
    "must be a lower-case letter, then lower-case letters, digits or \"-\"; at most 63 characters";

/// Whether `text` can be the name of a connection: a lower-case letter, then lower-case letters, digits or `-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase();
    let is_next = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    text.len() <= MAX_NAME
        && text
            .as_bytes()
            .split_first()
            .is_some_and(|(first, rest)| is_first(first) && rest.iter().all(is_next))
}

/// The ID of the connection that is the `number`th of its name, from 1.
#[must_use]
pub fn id(name: &str, number: u32) -> String {
    if number <= 1 { name.to_owned() } else { format!("{name}#{number}") }
}

/// The name of a connection by its ID.
#[must_use]
pub fn name_of(id: &str) -> &str {
    id.split_once('#').map_or(id, |(name, _)| name)
}

/// Which connection of its name an ID is, from 1.
#[must_use]
pub fn number_of(id: &str) -> u32 {
    id.split_once('#').and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_begins_with_letter_and_is_short() {
        for name in ["jira", "j", "servicenow", "jira-eu-2", &"x".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "Jira", "2jira", "-jira", "jira_eu", "jira#2", "jira eu", "jirä", &"x".repeat(64)] {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn id_contains_name_and_number() {
        for (number, expected) in [(1, "jira-eu"), (2, "jira-eu#2")] {
            let id = id("jira-eu", number);
            assert_eq!((id.as_str(), name_of(&id), number_of(&id)), (expected, "jira-eu", number));
        }
    }
}
