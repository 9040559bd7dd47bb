//! Mutations of one node of a JSON document.

use serde_json::{Map, Value, json};

use super::{Rng, hostile_text};

/// `None` if the input is no JSON.
pub(super) fn mutate(input: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(input).ok()?;
    let chosen = rng.below(count(&document));
    let mut left = chosen;
    change(nth(&mut document, &mut left)?, rng);
    serde_json::to_vec(&document).ok()
}

fn count(node: &Value) -> usize {
    1 + match node {
        Value::Array(nodes) => nodes.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The node with the number `left`, counted from the root.
fn nth<'a>(node: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(node);
    }
    *left -= 1;
    match node {
        Value::Array(nodes) => nodes.iter_mut().find_map(|node| nth(node, left)),
        Value::Object(members) => members.values_mut().find_map(|node| nth(node, left)),
        _ => None,
    }
}

fn change(node: &mut Value, rng: &mut Rng) {
    match (rng.below(10), &mut *node) {
        (0..5, Value::String(text)) => *text = hostile_text::altered(text, rng),
        (0..3, Value::Number(_)) => *node = hostile_text::number(rng).into(),
        (0..2, Value::Array(nodes)) => {
            let copies: Vec<Value> =
                nodes.iter().cloned().cycle().take(nodes.len() * rng.below(60)).collect();
            nodes.extend(copies);
        }
        (2..4, Value::Array(nodes)) => drop(nodes.pop()),
        (0..3, Value::Object(members)) => remove_one(members, rng),
        (3..5, Value::Object(members)) => {
            members.insert(hostile_text::text(rng), node_of(rng));
        }
        (5, _) => *node = deep(node.take(), rng),
        _ => *node = node_of(rng),
    }
}

fn remove_one(members: &mut Map<String, Value>, rng: &mut Rng) {
    if let Some(name) = members.keys().nth(rng.below(members.len())).cloned() {
        members.remove(&name);
    }
}

/// A node within others, about as deep as the reader lets them be.
fn deep(inner: Value, rng: &mut Rng) -> Value {
    let depth = *rng.pick(&[1, 2, 120, 126, 127, 128, 200]);
    (0..depth)
        .fold(inner, |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "content": inner }) })
}

fn node_of(rng: &mut Rng) -> Value {
    match rng.below(8) {
        0 => Value::Null,
        1 => true.into(),
        2 => hostile_text::number(rng).into(),
        3 => json!(hostile_text::fraction(rng)),
        4 => json!([]),
        5 => json!({}),
        _ => hostile_text::text(rng).into(),
    }
}
