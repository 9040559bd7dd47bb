//! Renders a document as plain text. ServiceNow displays a description verbatim, but interprets `[code]` in
//! journal fields as HTML, so no text may contain it.

use ticketing_core::document::{Block, Document, Inline, Section, Table};
use ticketing_core::text::single_line;

/// A whole document: sections separated by an empty line, each below its title.
pub(crate) fn plain_text(document: &Document) -> String {
    let sections: Vec<_> = document.sections.iter().map(section).filter(|text| !text.is_empty()).collect();
    harmless(&sections.join("\n\n"))
}

/// The text without `[code]` and `[/code]`: a space after the bracket makes them literal.
pub(crate) fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        safe.push(c);
        if c == '[' && begins_code(&text[at + 1..]) {
            safe.push(' ');
        }
    }
    safe
}

fn begins_code(rest: &str) -> bool {
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("code"))
}

fn section(section: &Section) -> String {
    let title = section.topic.title().map(str::to_uppercase);
    let blocks = section.blocks.iter().map(block).filter(|text| !text.is_empty());
    title.into_iter().chain(blocks).collect::<Vec<_>>().join("\n")
}

fn block(block: &Block) -> String {
    match block {
        Block::Paragraph(pieces) => line(pieces),
        Block::Facts(facts) => {
            lines(facts.iter().map(|fact| format!("{}: {}", fact.name, line(&fact.value))))
        }
        Block::List(items) => lines(items.iter().map(|item| format!("- {}", line(item)))),
        Block::Table(table) => lines(table.rows.iter().map(|row| table_row(table, row))),
        Block::Prose(text) => text.clone(),
    }
}

/// For example "- Brute force — Count: 12; Severity: HIGH": columns would not stay aligned in ServiceNow's proportional
/// type.
fn table_row(table: &Table, cells: &[Vec<Inline>]) -> String {
    let first = cells.first().map(|cell| line(cell)).unwrap_or_default();
    let named = table.header.iter().zip(cells).skip(1).map(|(name, cell)| (name, line(cell)));
    let rest: Vec<_> =
        named.filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name}: {text}")).collect();
    if rest.is_empty() { format!("- {first}") } else { format!("- {first} — {}", rest.join("; ")) }
}

fn line(pieces: &[Inline]) -> String {
    single_line(&pieces.iter().map(piece).collect::<String>())
}

fn piece(piece: &Inline) -> String {
    match piece {
        Inline::Text(text) | Inline::Strong(text) | Inline::Badge { text, .. } => text.clone(),
        Inline::Link { text, url } => format!("{text}: {url}"),
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ticketing_core::document::{Fact, Tone, Topic};
    use url::Url;

    use super::*;

    fn document() -> Document {
        let badge = Inline::Badge { text: "HIGH".to_owned(), tone: Tone::Warning };
        let link =
            Inline::Link { text: "Open".to_owned(), url: Url::parse("https://rhythmx.example/1").unwrap() };
        let table = Table {
            header: ["Rule", "Count", "Severity"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![vec![Inline::text("Brute force")], vec![Inline::text("12")], vec![badge.clone()]],
                vec![vec![Inline::text("Port scan")], vec![Inline::text("3")], vec![]],
            ],
        };
        let headline = vec![badge, Inline::text("user").padded(), Inline::strong("jdoe")];
        Document {
            sections: vec![
                Section {
                    topic: Topic::Headline,
                    blocks: vec![Block::Paragraph(headline), Block::Paragraph(vec![link])],
                },
                Section {
                    topic: Topic::Risk,
                    blocks: vec![Block::Facts(vec![Fact::new("Score", "92 of 100")])],
                },
                Section { topic: Topic::FiringRules, blocks: vec![Block::Table(table)] },
                Section { topic: Topic::InvestigationNotes, blocks: vec![Block::Prose("a\n\tb".to_owned())] },
            ],
        }
    }

    #[test]
    fn renders_document_as_plain_text() {
        let expected = "HIGH user jdoe\nOpen: https://rhythmx.example/1\n\nRISK\nScore: 92 of 100\n\nTOP FIRING RULES\n\
                        - Brute force — Count: 12; Severity: HIGH\n- Port scan — Count: 3\n\n\
                        INVESTIGATION NOTES\na\n\tb";
        assert_eq!(plain_text(&document()), expected);
    }

    #[test]
    fn code_tags_become_text_in_any_case() {
        let table = [
            ("[code]<b>x</b>[/code]", "[ code]<b>x</b>[ /code]"),
            ("[CoDe]", "[ CoDe]"),
            ("[[code]code]", "[[ code]code]"),
            ("[CRITICAL] [1]", "[CRITICAL] [1]"),
            ("[cod", "[cod"),
            ("[/é", "[/é"),
        ];
        for (text, expected) in table {
            assert_eq!(harmless(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_brings_a_code_tag_about(
            parts in prop::collection::vec("(\\[|/|code|CODE|\\]|[a-z ]|\\PC){0,8}", 1..6),
        ) {
            let pieces = parts.iter().map(Inline::text).collect();
            let blocks = vec![Block::Paragraph(pieces), Block::Prose(parts.join("\n"))];
            let text = plain_text(&Document { sections: vec![Section { topic: Topic::Risk, blocks }] });
            let lower = text.to_lowercase();
            prop_assert!(!lower.contains("[code") && !lower.contains("[/code"), "{text}");
        }
    }
}
