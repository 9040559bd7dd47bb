//! JSON documents.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::hostile;

/// The most copies of its entries that a list gets.
const MAX_COPIES: usize = 60;

/// What becomes of a list.
#[derive(Debug, Clone, Copy)]
enum Length {
    Same,
    /// Without its last entry.
    Shorter,
    Times(usize),
}

/// The number of nodes.
pub(super) fn parts(node: &Value) -> usize {
    1 + match node {
        Value::Array(nodes) => nodes.iter().map(parts).sum(),
        Value::Object(members) => members.values().map(parts).sum(),
        _ => 0,
    }
}

/// Documents like `base`: each node is replaced once for `kept` times that it is not.
pub(super) fn like(base: &Value, kept: u32) -> BoxedStrategy<Value> {
    let replaced = prop_oneof![4 => any_node(), 1 => deep(base.clone())];
    match base {
        Value::Object(members) => prop_oneof![kept => object(members, kept), 1 => replaced].boxed(),
        Value::Array(nodes) => prop_oneof![kept => array(nodes, kept), 1 => replaced].boxed(),
        Value::String(text) => {
            let altered = hostile::altered(text).prop_map(Value::String);
            prop_oneof![kept => Just(base.clone()), 2 => altered, 1 => replaced].boxed()
        }
        Value::Number(_) => {
            let number = hostile::number().prop_map(Value::from);
            prop_oneof![kept => Just(base.clone()), 1 => number, 1 => replaced].boxed()
        }
        Value::Null | Value::Bool(_) => prop_oneof![kept => Just(base.clone()), 1 => replaced].boxed(),
    }
}

/// Each member may be missing, and there may be one more.
fn object(members: &Map<String, Value>, kept: u32) -> BoxedStrategy<Value> {
    let member = |(name, base): (&String, &Value)| {
        let name = name.clone();
        let value = like(base, kept);
        let member = value.prop_map(move |value| Some((name.clone(), value)));
        prop_oneof![kept => member, 1 => Just(None)].boxed()
    };
    let more = (hostile::text(), any_node()).prop_map(Some);
    let more = prop_oneof![kept => Just(None), 1 => more].boxed();
    let all: Vec<BoxedStrategy<Option<(String, Value)>>> = members.iter().map(member).chain([more]).collect();
    all.prop_map(|members| Value::Object(members.into_iter().flatten().collect())).boxed()
}

fn array(nodes: &[Value], kept: u32) -> BoxedStrategy<Value> {
    let nodes: Vec<BoxedStrategy<Value>> = nodes.iter().map(|node| like(node, kept)).collect();
    let length = prop_oneof![
        kept => Just(Length::Same),
        1 => Just(Length::Shorter),
        1 => (0..MAX_COPIES).prop_map(Length::Times),
    ];
    (nodes, length)
        .prop_map(|(mut nodes, length)| {
            match length {
                Length::Same => {}
                Length::Shorter => drop(nodes.pop()),
                Length::Times(times) => {
                    nodes = nodes.iter().cloned().cycle().take(nodes.len() * times).collect();
                }
            }
            Value::Array(nodes)
        })
        .boxed()
}

/// A node within others, about as deep as the reader lets them be.
fn deep(inner: Value) -> BoxedStrategy<Value> {
    let wrapped = move |depth: usize| {
        (0..depth).fold(inner.clone(), |inner, level| {
            if level % 2 == 0 { json!([inner]) } else { json!({ "content": inner }) }
        })
    };
    select(&[1, 2, 120, 126, 127, 128, 200][..]).prop_map(wrapped).boxed()
}

fn any_node() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => hostile::number().prop_map(Value::from),
        1 => hostile::fraction().prop_map(Value::from),
        3 => hostile::text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 4, |node| {
        let members = vec((hostile::text(), node.clone()), 0..4);
        prop_oneof![
            vec(node, 0..4).prop_map(Value::Array),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}
