//! The Atlassian Document Format: validation of a document, and its plain text.

use serde_json::{Map, Value};

use crate::ticket::Ticket;

const INLINE: &[&str] =
    &["text", "hardBreak", "mention", "emoji", "date", "status", "inlineCard", "placeholder"];
const NEVER_EMPTY: [&str; 12] = [
    "listItem",
    "panel",
    "table",
    "tableCell",
    "tableHeader",
    "expand",
    "nestedExpand",
    "blockquote",
    "bulletList",
    "orderedList",
    "taskList",
    "decisionList",
];

/// A ticket's description as plain text.
pub(crate) fn plain_description(ticket: &Ticket) -> String {
    ticket.fields.get("description").map(plain_text).unwrap_or_default()
}

/// Validates a document. The error states place and reason, for the simulator's own tests.
pub(super) fn check(document: &Value) -> Result<(), String> {
    let members = document.as_object().ok_or("the document is no object")?;
    only(members, &["type", "version", "content"], "doc")?;
    if document["type"] != "doc" || document["version"] != 1 {
        return Err("a document has type doc and version 1".to_owned());
    }
    if !document["content"].is_array() {
        return Err("a document has content".to_owned());
    }
    children(document, "doc")
}

/// Plain text of a document, with a line per block; a plain string is returned as is.
pub(super) fn plain_text(value: &Value) -> String {
    let mut text = String::new();
    collect(value, &mut text);
    text
}

fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(plain) => text.push_str(plain),
        Value::Array(nodes) => nodes.iter().for_each(|node| collect(node, text)),
        Value::Object(node) => {
            for own in [node.get("text"), node.get("attrs").and_then(|attrs| attrs.get("text"))]
                .into_iter()
                .flatten()
            {
                collect(own, text);
            }
            if let Some(content) = node.get("content") {
                collect(content, text);
            }
            let kind = node.get("type").and_then(Value::as_str).unwrap_or_default();
            if !INLINE.contains(&kind) || kind == "hardBreak" {
                text.push('\n');
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The permitted children of a node; `None` for an unknown type.
fn allowed(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "doc" => &[
            "paragraph",
            "heading",
            "bulletList",
            "orderedList",
            "panel",
            "table",
            "expand",
            "rule",
            "codeBlock",
            "blockquote",
            "taskList",
            "decisionList",
            "blockCard",
            "mediaSingle",
            "mediaGroup",
        ],
        "paragraph" | "heading" | "taskItem" | "decisionItem" => INLINE,
        "bulletList" | "orderedList" => &["listItem"],
        "listItem" => &["paragraph", "bulletList", "orderedList", "codeBlock", "taskList", "mediaSingle"],
        "panel" => &[
            "paragraph",
            "heading",
            "bulletList",
            "orderedList",
            "codeBlock",
            "rule",
            "taskList",
            "decisionList",
            "blockCard",
            "mediaSingle",
            "mediaGroup",
        ],
        "table" => &["tableRow"],
        "tableRow" => &["tableCell", "tableHeader"],
        "tableCell" | "tableHeader" => &[
            "paragraph",
            "heading",
            "bulletList",
            "orderedList",
            "panel",
            "codeBlock",
            "rule",
            "blockquote",
            "nestedExpand",
            "taskList",
            "decisionList",
            "blockCard",
            "mediaSingle",
            "mediaGroup",
        ],
        "expand" => &[
            "paragraph",
            "heading",
            "bulletList",
            "orderedList",
            "panel",
            "table",
            "rule",
            "codeBlock",
            "blockquote",
            "nestedExpand",
            "taskList",
            "decisionList",
            "blockCard",
            "mediaSingle",
            "mediaGroup",
        ],
        "nestedExpand" => &[
            "paragraph",
            "heading",
            "bulletList",
            "orderedList",
            "panel",
            "rule",
            "codeBlock",
            "blockquote",
            "taskList",
            "decisionList",
            "mediaSingle",
            "mediaGroup",
        ],
        "blockquote" => &["paragraph", "bulletList", "orderedList", "codeBlock", "mediaSingle", "mediaGroup"],
        "codeBlock" => &["text"],
        "taskList" => &["taskItem", "taskList"],
        "decisionList" => &["decisionItem"],
        "mediaSingle" | "mediaGroup" => &["media", "caption"],
        "rule" | "text" | "hardBreak" | "mention" | "emoji" | "date" | "status" | "inlineCard"
        | "placeholder" | "blockCard" | "media" => &[],
        _ => return None,
    })
}

/// The permitted attributes of a node.
fn attributes(kind: &str) -> &'static [&'static str] {
    match kind {
        "heading" => &["level", "localId"],
        "panel" => &["panelType", "panelIcon", "panelIconId", "panelIconText", "panelColor", "localId"],
        "orderedList" => &["order", "localId"],
        "codeBlock" => &["language", "wrap", "hideLineNumbers", "uniqueId", "localId"],
        "table" => &["displayMode", "isNumberColumnEnabled", "layout", "localId", "width"],
        "tableCell" | "tableHeader" => &["colspan", "rowspan", "colwidth", "background", "valign", "localId"],
        "expand" | "nestedExpand" => &["title", "localId"],
        "status" => &["text", "color", "style", "localId"],
        "date" => &["timestamp", "localId"],
        "hardBreak" => &["text", "localId"],
        "mention" => &["id", "text", "accessLevel", "userType", "localId"],
        "emoji" => &["id", "shortName", "text", "localId"],
        "inlineCard" | "blockCard" => &["url", "data", "datasource", "width", "layout", "localId"],
        "taskItem" | "decisionItem" => &["localId", "state"],
        "placeholder" => &["text", "localId"],
        "media" => &["id", "type", "collection", "alt", "width", "height", "url", "localId", "occurrenceKey"],
        "mediaSingle" => &["layout", "width", "widthType", "localId"],
        _ => &["localId"],
    }
}

fn children(node: &Value, kind: &str) -> Result<(), String> {
    let allowed = allowed(kind).ok_or_else(|| format!("unknown node {kind}"))?;
    let content = match node.get("content") {
        None => &[][..],
        Some(Value::Array(content)) => content,
        Some(_) => return Err(format!("content of {kind} is no array")),
    };
    let leaf = allowed.is_empty();
    if leaf && node.get("content").is_some() {
        return Err(format!("{kind} has no content"));
    }
    if kind == "tableRow" && node.get("content").is_none() {
        return Err("a tableRow has content".to_owned());
    }
    let never_empty = NEVER_EMPTY.contains(&kind);
    if never_empty && content.is_empty() {
        return Err(format!("{kind} is empty"));
    }
    for child in content {
        let child_kind = child["type"].as_str().ok_or_else(|| format!("a node in {kind} has no type"))?;
        if !allowed.contains(&child_kind) {
            return Err(format!("{child_kind} is not allowed in {kind}"));
        }
        check_node(child, child_kind, kind)?;
    }
    Ok(())
}

fn check_node(node: &Value, kind: &str, parent: &str) -> Result<(), String> {
    let members = node.as_object().ok_or("a node is no object")?;
    only(members, &["type", "content", "attrs", "marks", "text"], kind)?;
    let empty = Map::new();
    let attrs = match members.get("attrs") {
        None => &empty,
        Some(attrs) => attrs.as_object().ok_or_else(|| format!("attrs of {kind} is no object"))?,
    };
    only(attrs, attributes(kind), kind)?;
    check_attributes(attrs, kind, members.contains_key("attrs"))?;
    let is_text = kind == "text";
    if is_text != members.contains_key("text") {
        return Err(format!("{kind}: text belongs on text nodes"));
    }
    if is_text && node["text"].as_str().is_none_or(str::is_empty) {
        return Err("a text node holds at least one character".to_owned());
    }
    match members.get("marks") {
        Some(marks) if is_text => check_marks(marks, parent)?,
        Some(Value::Array(marks)) if marks.iter().all(|mark| block_mark(kind, mark)) => {}
        Some(_) => return Err(format!("{kind} takes no marks")),
        None => {}
    }
    children(node, kind)
}

fn check_attributes(attrs: &Map<String, Value>, kind: &str, has_attrs: bool) -> Result<(), String> {
    let text = |name: &str| attrs.get(name).and_then(Value::as_str);
    let fine = match kind {
        "heading" => attrs.get("level").and_then(Value::as_u64).is_some_and(|level| (1..=6).contains(&level)),
        "panel" => text("panelType").is_some_and(|kind| {
            ["info", "note", "tip", "warning", "error", "success", "custom"].contains(&kind)
        }),
        "status" => {
            text("text").is_some_and(|text| !text.is_empty())
                && text("color").is_some_and(|color| {
                    ["neutral", "purple", "blue", "red", "yellow", "green"].contains(&color)
                        || is_colour(color)
                })
        }
        "date" => text("timestamp").is_some_and(|time| !time.is_empty()),
        "nestedExpand" => has_attrs,
        "taskList" | "decisionList" => text("localId").is_some(),
        "taskItem" | "decisionItem" => text("localId").is_some() && text("state").is_some(),
        "mention" => text("id").is_some(),
        "emoji" => text("shortName").is_some(),
        "inlineCard" | "blockCard" => text("url").is_some() || attrs.contains_key("data"),
        "codeBlock" => attrs.get("language").is_none_or(Value::is_string),
        "expand" => attrs.get("title").is_none_or(Value::is_string),
        "orderedList" => attrs.get("order").is_none_or(Value::is_u64),
        _ => true,
    };
    if fine { Ok(()) } else { Err(format!("attributes of {kind} are wrong")) }
}

/// Whether a node other than text may have this mark; checks its position, not its attributes.
fn block_mark(kind: &str, mark: &Value) -> bool {
    match mark["type"].as_str().unwrap_or_default() {
        "alignment" | "indentation" => matches!(kind, "paragraph" | "heading"),
        "breakout" => matches!(kind, "codeBlock" | "expand"),
        "link" | "border" | "annotation" => kind == "media",
        _ => false,
    }
}

fn check_marks(marks: &Value, parent: &str) -> Result<(), String> {
    let marks = marks.as_array().ok_or("marks is no array")?;
    if parent == "codeBlock" && !marks.is_empty() {
        return Err("text in a code block takes no marks".to_owned());
    }
    let kinds: Vec<&str> = marks.iter().filter_map(|mark| mark["type"].as_str()).collect();
    if kinds.contains(&"code") && kinds.iter().any(|kind| !["code", "link", "annotation"].contains(kind)) {
        return Err("code combines only with link".to_owned());
    }
    for mark in marks {
        let attr = |name: &str| mark["attrs"][name].as_str();
        let fine = match mark["type"].as_str().unwrap_or_default() {
            "strong" | "em" | "strike" | "underline" | "code" => true,
            "subsup" => matches!(attr("type"), Some("sub" | "sup")),
            "textColor" | "backgroundColor" => attr("color").is_some_and(is_colour),
            "link" => attr("href").is_some_and(is_safe_link),
            "annotation" => attr("id").is_some(),
            _ => false,
        };
        if !fine {
            return Err(format!("mark {mark} is not allowed"));
        }
    }
    Ok(())
}

fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_safe_link(href: &str) -> bool {
    let scheme = href.trim_start().split(':').next().unwrap_or_default().to_lowercase();
    !href.is_empty() && !["javascript", "data", "vbscript"].contains(&scheme.as_str())
}

fn only(members: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), String> {
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(format!("{place} has no {unknown}")),
        None => Ok(()),
    }
}
