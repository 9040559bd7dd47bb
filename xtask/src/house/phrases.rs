//! Words that code, comments and documents must not use, and what to write instead.

use std::path::Path;

use super::Violation;
use crate::workspace::Source;

/// The folders and files that are checked.
const CHECKED: &[&str] = &[
    "crates",
    "testing",
    "tests",
    "xtask",
    "src",
    "proto",
    "sdks",
    "examples",
    "packaging",
    "docs",
    ".ci",
    "build.rs",
    "README.md",
    "SECURITY.md",
    "RELIABILITY.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "buf.yaml",
];

/// Files of these extensions are checked.
pub(super) const EXTENSIONS: &[&str] =
    &["rs", "md", "toml", "proto", "sql", "py", "ts", "mjs", "go", "java", "sh"];

/// Checked files with another extension or none, or in a hidden folder.
pub(super) const FURTHER_FILES: &[&str] = &[
    ".ci/run",
    "docs/check",
    "docs/recipes",
    "packaging/Containerfile",
    "packaging/ticketing.service",
    "packaging/ticketing.sysusers.conf",
    "sdks/generate",
    "sdks/table",
];

/// Generated code, as in `.gitattributes`: its comments are those of the contract.
const GENERATED: &[&str] = &[
    "sdks/python/src/rhythmx_ticketing/v1",
    "sdks/typescript/src/gen",
    "sdks/typescript/dist",
    "sdks/go/ticketingv1",
    "sdks/java/src/generated",
];

/// Files, or folders, that may use a phrase: this list, texts of vendors, and landed migrations, which are never edited.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("xtask/src/house/phrases.rs", ""),
    ("testing/simulator/src/jira", "can not"),
    ("crates/store/migrations/0002_restored.sql", "put back"),
    ("crates/store/migrations/0004_access.sql", "whom"),
    ("crates/store/migrations/0005_keys.sql", "put back"),
    ("crates/store/migrations/0008_filters.sql", "nobody"),
];

/// Around a docstring of Python.
const QUOTES: &str = "\"\"\"";

/// Generated tables in documents are checked where they are generated from.
const TABLE_BEGINS: &str = "<!-- table:";
const TABLE_ENDS: &str = "<!-- end table -->";

/// A phrase that is banned.
struct Phrase {
    /// In lower case, separated by spaces. Identifiers are split into words.
    words: &'static str,
    instead: &'static str,
    place: Place,
}

/// Where a phrase is banned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    /// In comments, documents and identifiers; strings may quote it.
    Comments,
}

const fn anywhere(words: &'static str, instead: &'static str) -> Phrase {
    Phrase { words, instead, place: Place::Anywhere }
}

const fn in_comments(words: &'static str, instead: &'static str) -> Phrase {
    Phrase { words, instead, place: Place::Comments }
}

const PHRASES: &[Phrase] = &[
    anywhere("can not", "cannot"),
    anywhere("nobody", "the subject that does not act: \"no caller\", \"no process\""),
    anywhere("somebody", "the subject: \"a caller\", \"another process\", \"an operator\""),
    anywhere("anybody", "the subject: \"any caller\", \"any process\""),
    anywhere("everybody", "the subject: \"every caller\", \"all peers\""),
    anywhere("whoever", "the subject: \"a caller that\", \"a process that\""),
    anywhere("whom", "the subject or the object by its name"),
    anywhere("lest", "so that ... not"),
    anywhere("lend a hand", "intervene"),
    anywhere("lends a hand", "intervenes"),
    anywhere("come about", "happen, or be established"),
    anywhere("comes about", "happens, or is established"),
    anywhere("came about", "happened, or was established"),
    anywhere("came to nothing", "failed"),
    anywhere("comes to nothing", "fails"),
    anywhere("in earnest", "in production, or nothing"),
    anywhere("for ever", "forever, or permanently"),
    in_comments("put back", "restored, or written back"),
    in_comments("let in", "authenticated, or accepted"),
    in_comments("lets in", "authenticates, or accepts"),
    in_comments("is believed", "is accepted, or is trusted"),
    in_comments("once more", "again"),
    in_comments("such is", "the statement itself"),
    in_comments("what is more", "also"),
    in_comments("to be told", "to be reported, or to be answered"),
    in_comments("is told", "is answered, is reported, or receives"),
    in_comments("are told", "are answered, are reported, or receive"),
];

/// Prefixes of constants that are banned.
const PREFIXES: &[&str] = &["LONGEST_", "MOST_", "LARGEST_"];

/// The banned words in one file.
pub(super) fn violations(source: &Source) -> Vec<Violation> {
    let is_in = |folders: &[&str]| folders.iter().any(|folder| source.path.starts_with(folder));
    if !is_in(CHECKED) || is_in(GENERATED) {
        return Vec::new();
    }
    let is_excepted = |phrase: &str| {
        EXCEPTIONS
            .iter()
            .any(|(path, text)| source.path.starts_with(path) && (text.is_empty() || *text == phrase))
    };
    let mut violations = Vec::new();
    let mut is_in_table = false;
    let mut comments = Comments::of(&source.path);
    for (index, line) in source.text.lines().enumerate() {
        is_in_table = line.starts_with(TABLE_BEGINS) || is_in_table && !line.starts_with(TABLE_ENDS);
        if is_in_table {
            continue;
        }
        let mut report = |banned: &str, instead: &str| {
            if !is_excepted(banned) {
                let place = format!("{}:{}", source.path.display(), index + 1);
                violations.push(Violation::new(place, format!("write {instead}, not \"{banned}\"")));
            }
        };
        let (whole, comment) = (normalized(line), normalized(comments.next(line)));
        let identifiers = compound_identifiers(line);
        for phrase in PHRASES {
            let is_used = match phrase.place {
                Place::Anywhere => contains_words(&whole, phrase.words),
                Place::Comments => {
                    contains_words(&comment, phrase.words)
                        || identifiers.iter().any(|name| contains_words(name, phrase.words))
                }
            };
            if is_used {
                report(phrase.words, phrase.instead);
            }
        }
        for prefix in PREFIXES {
            if line.match_indices(prefix).any(|(at, _)| !line[..at].ends_with(is_of_identifier)) {
                report(prefix, "MAX_");
            }
        }
    }
    violations
}

/// In lower case, with the words of identifiers (`snake_case`, `CamelCase`) separated by spaces.
fn normalized(text: &str) -> String {
    let mut words = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        let ends_acronym =
            before.is_uppercase() && characters.peek().is_some_and(|&after| after.is_lowercase());
        let begins_word = character.is_uppercase() && (before.is_lowercase() || ends_acronym);
        if begins_word {
            words.push(' ');
        }
        if character == '_' {
            words.push(' ');
        } else {
            words.extend(character.to_lowercase());
        }
        before = character;
    }
    words
}

/// The identifiers of more than one word in a line, normalized.
fn compound_identifiers(line: &str) -> Vec<String> {
    let identifiers = line.split(|character| !is_of_identifier(character)).map(normalized);
    identifiers.filter(|words| words.trim().contains(' ')).collect()
}

/// Finds the comments of a file, line by line.
struct Comments {
    syntax: Syntax,
    is_in_docstring: bool,
}

/// How comments look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// A document: every line.
    Document,
    /// `--`
    Sql,
    /// `#`
    Hash,
    /// `#`, and strings in three quotes.
    Python,
    /// `//`, `/*`, and lines that begin with `*`.
    Slashes,
}

impl Comments {
    fn of(path: &Path) -> Self {
        let syntax = match path.extension().and_then(|extension| extension.to_str()) {
            Some("md") => Syntax::Document,
            Some("sql") => Syntax::Sql,
            Some("py") => Syntax::Python,
            Some("rs" | "proto" | "ts" | "mjs" | "go" | "java") => Syntax::Slashes,
            Some(_) | None => Syntax::Hash,
        };
        Self { syntax, is_in_docstring: false }
    }

    /// The comment of the next line.
    fn next<'a>(&mut self, line: &'a str) -> &'a str {
        match self.syntax {
            Syntax::Document => line,
            Syntax::Sql => after(line, "--"),
            Syntax::Hash => after(line, "#"),
            Syntax::Slashes if line.trim_start().starts_with("* ") => line,
            Syntax::Slashes if line.contains("/*") => after(line, "/*"),
            Syntax::Slashes => after(line, "//"),
            Syntax::Python => {
                let (was_in_docstring, quotes) = (self.is_in_docstring, line.matches(QUOTES).count());
                self.is_in_docstring ^= quotes % 2 == 1;
                match (was_in_docstring, quotes) {
                    (true, _) => line,
                    (false, 0) => after(line, "#"),
                    (false, _) => after(line, QUOTES),
                }
            }
        }
    }
}

fn after<'a>(line: &'a str, sign: &str) -> &'a str {
    line.split_once(sign).map_or("", |(_, comment)| comment)
}

/// Whether the text contains these words, not as parts of longer ones.
fn contains_words(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, found)| {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !before.ends_with(is_of_identifier) && !after.starts_with(is_of_identifier)
    })
}

fn is_of_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_banned_phrases_with_the_replacement() {
        assert_eq!(
            found("testing/a.rs", "ok();\n// It can not fail.\n"),
            ["testing/a.rs:2: write cannot, not \"can not\""]
        );
        assert_eq!(found("tests/a.rs", "fn flag_that_can_not_be() {}").len(), 1);
        assert_eq!(found("docs/src/a.md", "Whoever reads").len(), 1);
        assert_eq!(found(".ci/run", "# nobody").len(), 1);
    }

    #[test]
    fn reports_words_only_as_a_whole() {
        assert_eq!(found("testing/a.rs", "// It can note the harvest, the wholesome."), [""; 0]);
    }

    #[test]
    fn reports_banned_prefixes_of_constants() {
        assert_eq!(found("testing/a.rs", "const LONGEST_WAIT: u8 = 1;").len(), 1);
        assert_eq!(found("testing/a.rs", "const ALMOST_ALL: u8 = 1;"), [""; 0]);
    }

    #[test]
    fn code_may_quote_phrases_that_are_banned_in_comments() {
        assert_eq!(found("testing/a.rs", "let text = \"put back\";"), [""; 0]);
        assert_eq!(found("testing/a.rs", "/// It is put back.").len(), 1);
    }

    #[test]
    fn block_comments_and_docstrings_are_comments() {
        assert_eq!(found("sdks/a.ts", "/** It was put back. */").len(), 1);
        assert_eq!(found("sdks/a.java", "/**\n * It was put back.\n */").len(), 1);
        assert_eq!(found("sdks/a.py", "\"\"\"It was put back.\"\"\"").len(), 1);
        assert_eq!(found("sdks/a.py", "\"\"\"Text\nput back\n\"\"\"\n'put back'").len(), 1);
        assert_eq!(found("packaging/Containerfile", "# put back").len(), 1);
    }

    #[test]
    fn splits_identifiers_into_words() {
        assert_eq!(found("sdks/a.py", "def test_what_can_not_be() -> None:").len(), 1);
        assert_eq!(found("sdks/a.go", "func TestOptionsThatCanNotWork() {").len(), 1);
        assert_eq!(found("sdks/a.java", "void aURLCanNotBe() {").len(), 1);
        assert_eq!(found("testing/a.rs", "queue.put_back(line);").len(), 1);
        assert_eq!(found("testing/a.rs", "let input = back; // canNotation"), [""; 0]);
    }

    #[test]
    fn skips_generated_text_exceptions_and_other_folders() {
        let table = "<!-- table: settings -->\nnobody\n<!-- end table -->\n";
        assert_eq!(found("docs/src/a.md", table), [""; 0]);
        assert_eq!(found("docs/src/a.md", &format!("{table}nobody")).len(), 1);
        assert_eq!(found("testing/simulator/src/jira/a.rs", "\"can not be empty\""), [""; 0]);
        assert_eq!(found("sdks/go/a.go", "// nobody").len(), 1);
        assert_eq!(found("sdks/go/ticketingv1/a.go", "// nobody"), [""; 0]);
        assert_eq!(found("fuzz/a.rs", "// nobody"), [""; 0]);
    }

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.into(), text: text.to_owned() };
        violations(&source).iter().map(ToString::to_string).collect()
    }
}
