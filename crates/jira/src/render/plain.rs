//! The description as plain text, for previews.

use ticketing_core::document::{Block, Document, Inline, Section};

pub(super) fn render(document: &Document) -> String {
    document.sections.iter().map(section).collect::<Vec<_>>().join("\n\n")
}

fn section(section: &Section) -> String {
    let title = section.topic.title().map(str::to_uppercase);
    title.into_iter().chain(section.blocks.iter().map(block)).collect::<Vec<_>>().join("\n")
}

fn block(block: &Block) -> String {
    match block {
        Block::Paragraph(inlines) => line(inlines),
        Block::Facts(facts) => {
            lines(facts.iter().map(|fact| format!("{}: {}", fact.name, line(&fact.value))))
        }
        Block::List(items) => lines(items.iter().map(|item| format!("- {}", line(item)))),
        Block::Table(table) => {
            let header = table.header.join(" | ");
            let row =
                |row: &Vec<Vec<Inline>>| row.iter().map(|cell| line(cell)).collect::<Vec<_>>().join(" | ");
            lines(std::iter::once(header).chain(table.rows.iter().map(row)))
        }
        Block::Prose(text) => text.clone(),
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn line(inlines: &[Inline]) -> String {
    let piece = |inline: &Inline| match inline {
        Inline::Link { text, url } => format!("{text}: {url}"),
        other => other.plain().to_owned(),
    };
    inlines.iter().map(piece).collect::<String>().trim().to_owned()
}
