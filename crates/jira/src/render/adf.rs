//! The Atlassian Document Format. Text has its own nodes, so it cannot become markup; the schema requires
//! non-empty texts without line breaks, and restricts the children of each node.

use serde_json::{Value, json};
use ticketing_core::document::{Block, Document, Fact, Inline, Section, Table, Tone, Topic};

/// How multi-line prose is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProseForm {
    /// As lines in one paragraph, which wrap.
    Paragraph,
    /// As one text in a code block, which does not wrap and is shortest.
    CodeBlock,
}

pub(super) fn render(document: &Document, form: ProseForm) -> Value {
    let content: Vec<Value> = document.sections.iter().flat_map(|part| section(part, form)).collect();
    json!({ "version": 1, "type": "doc", "content": content })
}

fn section(section: &Section, form: ProseForm) -> Vec<Value> {
    if section.topic == Topic::Headline {
        return headline(section, form);
    }
    let title = section
        .topic
        .title()
        .map(|title| json!({ "type": "heading", "attrs": { "level": 3 }, "content": [text(title, &[])] }));
    title.into_iter().chain(section.blocks.iter().map(|part| block(part, form))).collect()
}

/// A panel in the color of the severity; content that a panel cannot hold follows it.
fn headline(section: &Section, form: ProseForm) -> Vec<Value> {
    let fits = |block: &&Block| {
        matches!(block, Block::Paragraph(_) | Block::Facts(_) | Block::List(_) | Block::Prose(_))
    };
    let (inside, below): (Vec<&Block>, Vec<&Block>) = section.blocks.iter().partition(fits);
    let content: Vec<Value> = inside.into_iter().map(|part| block(part, form)).collect();
    let panel = json!({ "type": "panel", "attrs": { "panelType": panel_type(section) }, "content": content });
    let panel = (!content.is_empty()).then_some(panel);
    panel.into_iter().chain(below.into_iter().map(|part| block(part, form))).collect()
}

fn panel_type(section: &Section) -> &'static str {
    let inlines = section.blocks.iter().flat_map(|block| match block {
        Block::Paragraph(inlines) => inlines.as_slice(),
        _ => &[],
    });
    let tone = inlines.into_iter().find_map(|inline| match inline {
        Inline::Badge { tone, .. } => Some(*tone),
        _ => None,
    });
    match tone {
        Some(Tone::Alarming) => "error",
        Some(Tone::Warning) => "warning",
        Some(Tone::Notable) => "note",
        Some(Tone::Calm) | None => "info",
    }
}

fn block(block: &Block, form: ProseForm) -> Value {
    match block {
        Block::Paragraph(inlines) => paragraph(&line(inlines)),
        Block::Facts(facts) => paragraph(&join_lines(facts.iter().map(fact).collect())),
        Block::List(items) => {
            let items =
                items.iter().map(|item| json!({ "type": "listItem", "content": [paragraph(&line(item))] }));
            let items: Vec<Value> = items.collect();
            if items.is_empty() { paragraph(&[]) } else { json!({ "type": "bulletList", "content": items }) }
        }
        Block::Table(table) => self::table(table),
        Block::Prose(prose) => self::prose(prose, form),
    }
}

fn prose(prose: &str, form: ProseForm) -> Value {
    match form {
        ProseForm::Paragraph => {
            paragraph(&join_lines(prose.split('\n').map(|line| texts(line, &[])).collect()))
        }
        ProseForm::CodeBlock => json!({ "type": "codeBlock", "content": texts(prose, &[]) }),
    }
}

fn fact(fact: &Fact) -> Vec<Value> {
    let mut nodes = texts(&format!("{}: ", fact.name), &[json!({ "type": "strong" })]);
    nodes.extend(line(&fact.value));
    nodes
}

fn table(table: &Table) -> Value {
    let row = |cells: Vec<Value>| json!({ "type": "tableRow", "content": cells });
    let cell = |kind: &str, nodes: Vec<Value>| json!({ "type": kind, "content": [paragraph(&nodes)] });
    let header = table.header.iter().map(|name| cell("tableHeader", texts(name, &[])));
    let mut rows = vec![row(header.collect())];
    rows.extend(
        table
            .rows
            .iter()
            .map(|cells| row(cells.iter().map(|inlines| cell("tableCell", line(inlines))).collect())),
    );
    json!({ "type": "table", "content": rows })
}

fn paragraph(nodes: &[Value]) -> Value {
    if nodes.is_empty() {
        json!({ "type": "paragraph" })
    } else {
        json!({ "type": "paragraph", "content": nodes })
    }
}

fn join_lines(lines: Vec<Vec<Value>>) -> Vec<Value> {
    let mut nodes = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        if index > 0 {
            nodes.push(json!({ "type": "hardBreak" }));
        }
        nodes.extend(line);
    }
    nodes
}

fn line(inlines: &[Inline]) -> Vec<Value> {
    inlines.iter().flat_map(inline).collect()
}

fn inline(inline: &Inline) -> Vec<Value> {
    let words = inline.plain();
    match inline {
        Inline::Text(_) => texts(words, &[]),
        Inline::Strong(_) => texts(words, &[json!({ "type": "strong" })]),
        Inline::Badge { .. } if words.is_empty() => Vec::new(),
        Inline::Badge { tone, .. } => {
            vec![json!({ "type": "status", "attrs": { "text": words, "color": colour(*tone) } })]
        }
        Inline::Link { url, .. } if !matches!(url.scheme(), "http" | "https") => texts(words, &[]),
        Inline::Link { url, .. } => {
            texts(words, &[json!({ "type": "link", "attrs": { "href": url.as_str() } })])
        }
    }
}

fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Alarming => "red",
        Tone::Warning => "yellow",
        Tone::Notable => "blue",
        Tone::Calm => "green",
    }
}

/// A text node, or nothing for an empty text.
fn texts(words: &str, marks: &[Value]) -> Vec<Value> {
    if words.is_empty() { Vec::new() } else { vec![text(words, marks)] }
}

fn text(words: &str, marks: &[Value]) -> Value {
    if marks.is_empty() {
        json!({ "type": "text", "text": words })
    } else {
        json!({ "type": "text", "text": words, "marks": marks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ticketing_core::clean::clean;
    use ticketing_core::text::single_line;

    use super::*;

    /// All text of a document; asserts that none is empty or, outside code blocks, contains line breaks.
    fn words(value: &Value, in_code: bool, out: &mut String) {
        match value {
            Value::Object(node) => {
                if node.get("type") == Some(&json!("text")) {
                    let text = node["text"].as_str().unwrap();
                    assert!(!text.is_empty() && (in_code || !text.contains('\n')));
                    out.push_str(text);
                }
                if node.get("type") == Some(&json!("hardBreak")) {
                    out.push('\n');
                }
                let in_code = node.get("type") == Some(&json!("codeBlock"));
                node.get("content").into_iter().for_each(|content| words(content, in_code, out));
            }
            Value::Array(nodes) => nodes.iter().for_each(|node| words(node, in_code, out)),
            _ => {}
        }
    }

    fn read(blocks: Vec<Block>, form: ProseForm) -> String {
        let document = Document { sections: vec![Section { topic: Topic::Marker, blocks }] };
        let mut out = String::new();
        words(&render(&document, form), false, &mut out);
        out
    }

    #[test]
    fn headline_panel_has_color_of_severity() {
        let badge = Inline::Badge { text: "CRITICAL".to_owned(), tone: Tone::Alarming };
        let section = Section { topic: Topic::Headline, blocks: vec![Block::Paragraph(vec![badge])] };
        let document = render(&Document { sections: vec![section] }, ProseForm::Paragraph);
        assert_eq!(document["content"][0]["attrs"]["panelType"], "error");
    }

    #[test]
    fn only_http_addresses_become_links() {
        for (address, linked) in [("https://x.example/?a=1", true), ("javascript:alert(1)", false)] {
            let url = url::Url::parse(address).unwrap();
            let link = Inline::Link { text: "click".to_owned(), url };
            assert_eq!(inline(&link)[0].get("marks").is_some(), linked, "{address}");
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_text_in_its_nodes(line in any::<String>(), prose in any::<String>()) {
            let line = single_line(&line);
            let prose = clean(&prose).text.into_owned();
            let paragraph = Block::Paragraph(vec![Inline::text(&line)]);
            prop_assert_eq!(read(vec![paragraph], ProseForm::Paragraph), line);
            for form in [ProseForm::Paragraph, ProseForm::CodeBlock] {
                prop_assert_eq!(read(vec![Block::Prose(prose.clone())], form), prose.clone());
            }
        }
    }
}
