//! Rendering of incidents: text stays text, and limits hold.

use serde_json::Value;
use ticketing_jira::Flavour;

use super::jira::check_rendered;
use super::tickets::{check_plain, ticket_draft};
use super::{jira, servicenow};

pub(super) const INCIDENT: &str = "rhythmx.ticketing.v1.Incident";

/// Limits of ServiceNow, in UTF-16 code units.
const MAX_SHORT_DESCRIPTION: usize = 160;
const MAX_SERVICENOW_DESCRIPTION: usize = 4_000;
const MAX_WORK_NOTES: usize = 32_000;

/// Every type of ADF node that the renderer emits.
const NODES: [&str; 14] = [
    "doc",
    "panel",
    "heading",
    "paragraph",
    "codeBlock",
    "text",
    "hardBreak",
    "status",
    "bulletList",
    "listItem",
    "table",
    "tableRow",
    "tableHeader",
    "tableCell",
];
/// Every macro of wiki markup that the renderer emits.
const BRACES: [&str; 7] = [
    "{noformat}",
    "{code}",
    "{color}",
    "{color:#de350b}",
    "{color:#ff991f}",
    "{color:#0747a6}",
    "{color:#00875a}",
];

pub(super) fn adf(input: &[u8]) {
    let Some(ticket_draft) = ticket_draft(input) else { return };
    for has_labels in [true, false] {
        let rendered = jira::render(Flavour::Cloud, has_labels, &ticket_draft);
        check_rendered(&rendered, &ticket_draft);
        let document: Value = serde_json::from_str(&rendered.description).expect("a document is JSON");
        check_node(&document);
        let marked = document.to_string().contains(ticket_draft.marker.as_str());
        assert!(has_labels || marked, "the marker is in the description");
    }
}

pub(super) fn wiki(input: &[u8]) {
    let Some(ticket_draft) = ticket_draft(input) else { return };
    for has_labels in [true, false] {
        let rendered = jira::render(Flavour::DataCenter, has_labels, &ticket_draft);
        check_rendered(&rendered, &ticket_draft);
        check_wiki(&rendered.description);
        let marked = rendered.description.replace('\\', "").contains(ticket_draft.marker.as_str());
        assert!(has_labels || marked, "the marker is in the description");
    }
}

pub(super) fn text(input: &[u8]) {
    let Some(ticket_draft) = ticket_draft(input) else { return };
    let rendered = servicenow::render(&ticket_draft);
    let body: Value = serde_json::from_str(&rendered.body).expect("a body is JSON");
    let fields = [
        ("short_description", MAX_SHORT_DESCRIPTION),
        ("description", MAX_SERVICENOW_DESCRIPTION),
        ("work_notes", MAX_WORK_NOTES),
    ];
    for (field, longest) in fields {
        let text = body[field].as_str().unwrap_or_default();
        assert!(text.encode_utf16().count() <= longest, "{field} is too long");
        check_plain(text);
        let lower = text.to_lowercase();
        assert!(!lower.contains("[code") && !lower.contains("[/code"), "{field} has a code tag: {text}");
    }
    assert!(!rendered.summary.contains('\n'));
    assert_eq!(body["correlation_id"], ticket_draft.marker.as_str());
}

/// Checks that a node is of a known type within its limits: texts are not empty and, outside code, have one
/// line; links lead to the web.
fn check_node(node: &Value) {
    check_node_in(node, "doc");
}

fn check_node_in(node: &Value, parent: &str) {
    let kind = node["type"].as_str().expect("a node has a type");
    assert!(NODES.contains(&kind), "{kind} is no node of ours");
    if kind == "text" {
        let text = node["text"].as_str().expect("a text has text");
        assert!(!text.is_empty() && (parent == "codeBlock" || !text.contains('\n')), "{text:?}");
        check_plain(text);
    }
    for mark in node["marks"].as_array().into_iter().flatten() {
        match mark["type"].as_str() {
            Some("strong") => {}
            Some("link") => {
                let href = mark["attrs"]["href"].as_str().unwrap_or_default();
                assert!(href.starts_with("https://") || href.starts_with("http://"), "{href}");
            }
            other => panic!("{other:?} is no mark of ours"),
        }
    }
    node["content"].as_array().into_iter().flatten().for_each(|child| check_node_in(child, kind));
}

/// Parses markup like Jira: everything that is not escaped must come from the renderer.
fn check_wiki(markup: &str) {
    let mut rest = markup;
    let mut before = '\n';
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '\\' if before != '\\' => 1 + escaped(&rest[1..]),
            '{' => brace(rest),
            '[' => link(rest),
            '!' | '~' | '^' => panic!("{c} is not escaped: {}", excerpt(rest)),
            c => c.len_utf8(),
        };
        // An escaped character, even a backslash, does not escape the next one.
        before = if taken > 1 { ' ' } else { c };
        rest = &rest[taken..];
    }
}

/// Length of a character that a backslash can escape, or 0.
fn escaped(rest: &str) -> usize {
    usize::from(rest.starts_with(|c| "-#*_+?^~|%{}[]()!@".contains(c)))
}

fn brace(rest: &str) -> usize {
    let found = BRACES.iter().find(|brace| rest.starts_with(**brace));
    let brace = found.unwrap_or_else(|| panic!("a macro that is not ours: {}", excerpt(rest)));
    if !["{noformat}", "{code}"].contains(brace) {
        return brace.len();
    }
    let inside = &rest[brace.len()..];
    let end = inside.to_ascii_lowercase().find(brace.trim_end_matches('}'));
    let end = end.unwrap_or_else(|| panic!("a block that is not closed: {}", excerpt(rest)));
    assert!(inside[end..].starts_with(brace), "a block that is closed by its text: {}", excerpt(rest));
    brace.len() + end + brace.len()
}

/// Length of a link, `[text|address]`.
fn link(rest: &str) -> usize {
    let end = rest.find("|http").unwrap_or_else(|| panic!("a link that is not ours: {}", excerpt(rest)));
    let length = rest[end..].find(']').map(|at| end + at + 1);
    let length = length.unwrap_or_else(|| panic!("a link that does not end: {}", excerpt(rest)));
    assert!(!rest[..length].contains('\n'), "a link over lines: {}", excerpt(rest));
    length
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}
