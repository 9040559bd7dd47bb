//! Jira's wiki markup, for Data Center. Blank lines separate blocks, without which a list after a table is
//! not recognized.

use ticketing_core::document::{Block, Document, Fact, Inline, Section, Table, Tone};
use url::{Host, Url};

use super::wiki_text::{as_text, escape, starts_a_block, verbatim_block};

pub(super) fn render(document: &Document) -> String {
    let blocks = document.sections.iter().flat_map(section).filter(|block| !block.is_empty());
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn section(section: &Section) -> Vec<String> {
    let title = section.topic.title().map(|title| format!("h3. {}", as_text(title)));
    title.into_iter().chain(section.blocks.iter().map(block)).collect()
}

fn block(block: &Block) -> String {
    match block {
        Block::Paragraph(inlines) => line(inlines),
        Block::Facts(facts) => facts.iter().map(fact).collect::<Vec<_>>().join("\n"),
        Block::List(items) => {
            let item = |item: &Vec<Inline>| format!("* {}", line(item));
            items.iter().map(item).collect::<Vec<_>>().join("\n")
        }
        Block::Table(table) => self::table(table),
        Block::Prose(prose) => verbatim_block(prose),
    }
}

fn fact(fact: &Fact) -> String {
    format!("{} {}", strong(&format!("{}:", fact.name)), line(&fact.value))
}

fn table(table: &Table) -> String {
    let header: String = table.header.iter().map(|name| format!("|| {} ", as_text(name))).collect();
    let row = |cells: &Vec<Vec<Inline>>| {
        let cells: String = cells.iter().map(|cell| format!("| {} ", line(cell))).collect();
        format!("{cells}|")
    };
    let rows = table.rows.iter().map(row);
    std::iter::once(format!("{header}||")).chain(rows).collect::<Vec<_>>().join("\n")
}

fn line(inlines: &[Inline]) -> String {
    let text: String = inlines.iter().map(inline).collect();
    text.trim().to_owned()
}

fn inline(inline: &Inline) -> String {
    let words = inline.plain();
    match inline {
        Inline::Text(_) => as_text(words),
        Inline::Strong(_) => strong(words),
        Inline::Badge { tone, .. } if is_simple(words) => {
            format!("{{color:{}}}*{words}*{{color}}", colour(*tone))
        }
        Inline::Badge { .. } => as_text(words),
        Inline::Link { url, .. } => match address(url).zip(escape(words)) {
            Some((address, words)) => format!("[{words}|{address}]"),
            None => as_text(words),
        },
    }
}

/// Bold, if the words contain nothing to escape: within bold text, Jira Cloud's converter interprets escapes
/// twice.
fn strong(words: &str) -> String {
    if is_simple(words) { format!("*{words}*") } else { as_text(words) }
}

fn is_simple(words: &str) -> bool {
    let trimmed = !words.is_empty() && words.trim() == words && !starts_a_block(words);
    trimmed
        && words.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | ':'))
        && !words.contains(":D")
        && !words.contains(":P")
}

fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Alarming => "#de350b",
        Tone::Warning => "#ff991f",
        Tone::Notable => "#0747a6",
        Tone::Calm => "#00875a",
    }
}

/// A web address without the characters that end or change a link; `None` if impossible.
fn address(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") || matches!(url.host(), None | Some(Host::Ipv6(_))) {
        return None;
    }
    let bent = |c: char| {
        matches!(c, '|' | '[' | ']' | '{' | '}' | '^' | '~' | '!' | '*' | '@' | '\\' | '\'' | '"' | '(' | ')')
    };
    let encode = |c: char| if bent(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() };
    Some(url.as_str().chars().map(encode).collect())
}
