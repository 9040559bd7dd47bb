//! The Atlassian Document Format. Text has its own nodes, so it cannot become markup; the schema requires
//! non-empty texts without line breaks, and restricts the children of each node.

use serde::Serialize;
use ticketing_core::document::{Block, Document, Fact, Inline, Section, Table, Tone, Topic};

/// How multi-line prose is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProseForm {
    /// As lines in one paragraph, which wrap.
    Paragraph,
    /// As one text in a code block, which does not wrap and is shortest.
    CodeBlock,
}

/// A node of a document. Its members are in the order of their names.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Node {
    #[serde(skip_serializing_if = "Option::is_none")]
    attrs: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Vec<Node>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u8>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Attributes {
    Heading {
        level: u8,
    },
    Panel {
        #[serde(rename = "panelType")]
        panel_type: &'static str,
    },
    Status {
        color: &'static str,
        text: String,
    },
}

/// How a text looks.
#[derive(Debug, Clone, Serialize)]
struct Mark {
    #[serde(skip_serializing_if = "Option::is_none")]
    attrs: Option<LinkAttributes>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct LinkAttributes {
    href: String,
}

/// Marks a text as strong.
const STRONG: Mark = Mark { attrs: None, kind: "strong" };

// === impl Node ===

impl Node {
    fn leaf(kind: &'static str) -> Self {
        Self { attrs: None, content: None, marks: Vec::new(), text: None, kind, version: None }
    }

    fn of(kind: &'static str, content: Vec<Self>) -> Self {
        Self { content: Some(content), ..Self::leaf(kind) }
    }

    fn with(self, attrs: Attributes) -> Self {
        Self { attrs: Some(attrs), ..self }
    }
}

pub(super) fn render(document: &Document, form: ProseForm) -> Node {
    let content = document.sections.iter().flat_map(|part| section(part, form)).collect();
    Node { version: Some(1), ..Node::of("doc", content) }
}

fn section(section: &Section, form: ProseForm) -> Vec<Node> {
    if section.topic == Topic::Headline {
        return headline(section, form);
    }
    let title = section
        .topic
        .title()
        .map(|title| Node::of("heading", vec![text(title, &[])]).with(Attributes::Heading { level: 3 }));
    title.into_iter().chain(section.blocks.iter().map(|part| block(part, form))).collect()
}

/// A panel in the color of the severity; content that a panel cannot hold follows it.
fn headline(section: &Section, form: ProseForm) -> Vec<Node> {
    let fits = |block: &&Block| {
        matches!(block, Block::Paragraph(_) | Block::Facts(_) | Block::List(_) | Block::Prose(_))
    };
    let (inside, below): (Vec<&Block>, Vec<&Block>) = section.blocks.iter().partition(fits);
    let content: Vec<Node> = inside.into_iter().map(|part| block(part, form)).collect();
    let attributes = Attributes::Panel { panel_type: panel_type(section) };
    let panel = (!content.is_empty()).then(|| Node::of("panel", content).with(attributes));
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

fn block(block: &Block, form: ProseForm) -> Node {
    match block {
        Block::Paragraph(inlines) => paragraph(line(inlines)),
        Block::Facts(facts) => paragraph(join_lines(facts.iter().map(fact).collect())),
        Block::List(items) if items.is_empty() => paragraph(Vec::new()),
        Block::List(items) => {
            let items = items.iter().map(|item| Node::of("listItem", vec![paragraph(line(item))]));
            Node::of("bulletList", items.collect())
        }
        Block::Table(table) => self::table(table),
        Block::Prose(prose) => self::prose(prose, form),
    }
}

fn prose(prose: &str, form: ProseForm) -> Node {
    match form {
        ProseForm::Paragraph => {
            paragraph(join_lines(prose.split('\n').map(|line| texts(line, &[])).collect()))
        }
        ProseForm::CodeBlock => Node::of("codeBlock", texts(prose, &[])),
    }
}

fn fact(fact: &Fact) -> Vec<Node> {
    let mut nodes = texts(&format!("{}: ", fact.name), &[STRONG]);
    nodes.extend(line(&fact.value));
    nodes
}

fn table(table: &Table) -> Node {
    let row = |cells: Vec<Node>| Node::of("tableRow", cells);
    let cell = |kind: &'static str, nodes: Vec<Node>| Node::of(kind, vec![paragraph(nodes)]);
    let header = table.header.iter().map(|name| cell("tableHeader", texts(name, &[])));
    let mut rows = vec![row(header.collect())];
    rows.extend(
        table
            .rows
            .iter()
            .map(|cells| row(cells.iter().map(|inlines| cell("tableCell", line(inlines))).collect())),
    );
    Node::of("table", rows)
}

fn paragraph(nodes: Vec<Node>) -> Node {
    Node { content: (!nodes.is_empty()).then_some(nodes), ..Node::leaf("paragraph") }
}

fn join_lines(lines: Vec<Vec<Node>>) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        if index > 0 {
            nodes.push(Node::leaf("hardBreak"));
        }
        nodes.extend(line);
    }
    nodes
}

fn line(inlines: &[Inline]) -> Vec<Node> {
    inlines.iter().flat_map(inline).collect()
}

fn inline(inline: &Inline) -> Vec<Node> {
    let words = inline.plain();
    match inline {
        Inline::Text(_) => texts(words, &[]),
        Inline::Strong(_) => texts(words, &[STRONG]),
        Inline::Badge { .. } if words.is_empty() => Vec::new(),
        Inline::Badge { tone, .. } => {
            let attributes = Attributes::Status { color: colour(*tone), text: words.to_owned() };
            vec![Node::leaf("status").with(attributes)]
        }
        Inline::Link { url, .. } if !matches!(url.scheme(), "http" | "https") => texts(words, &[]),
        Inline::Link { url, .. } => {
            let attrs = LinkAttributes { href: url.as_str().to_owned() };
            texts(words, &[Mark { attrs: Some(attrs), kind: "link" }])
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
fn texts(words: &str, marks: &[Mark]) -> Vec<Node> {
    if words.is_empty() { Vec::new() } else { vec![text(words, marks)] }
}

fn text(words: &str, marks: &[Mark]) -> Node {
    Node { text: Some(words.to_owned()), marks: marks.to_vec(), ..Node::leaf("text") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
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
        words(&json!(render(&document, form)), false, &mut out);
        out
    }

    #[test]
    fn headline_panel_has_color_of_severity() {
        let badge = Inline::Badge { text: "CRITICAL".to_owned(), tone: Tone::Alarming };
        let section = Section { topic: Topic::Headline, blocks: vec![Block::Paragraph(vec![badge])] };
        let document = json!(render(&Document { sections: vec![section] }, ProseForm::Paragraph));
        assert_eq!(document["content"][0]["attrs"]["panelType"], "error");
    }

    #[test]
    fn only_http_addresses_become_links() {
        for (address, linked) in [("https://x.example/?a=1", true), ("javascript:alert(1)", false)] {
            let url = url::Url::parse(address).unwrap();
            let link = Inline::Link { text: "click".to_owned(), url };
            assert_eq!(!inline(&link)[0].marks.is_empty(), linked, "{address}");
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
