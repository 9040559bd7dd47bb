//! Protobuf messages of the contract.

use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::{hostile, with_few_and_many_replaced};
use crate::contract;

/// How much rarer a number, a list or the presence of a field changes than a text: most such messages are refused, and
/// what a target reads of them ends there.
const RARE: u32 = 8;
/// The longest that a list is made.
const MAX_LIST: usize = 8_192;

/// What becomes of a list.
#[derive(Debug, Clone)]
enum Change {
    Nothing,
    Clear,
    /// Without its last entry.
    Shorter,
    /// Copies of its entries, up to [`MAX_LIST`].
    Doubled(u32),
    Longer(Value),
}

/// Encoded messages like the one in `seed`; `None` if it is no such message.
pub(super) fn encoded_like(descriptor: &MessageDescriptor, seed: &[u8]) -> Option<BoxedStrategy<Vec<u8>>> {
    let base = DynamicMessage::decode(descriptor.clone(), seed).ok()?;
    let alike = with_few_and_many_replaced(parts(&base), |kept| like(&base, kept));
    Some(alike.prop_map(|message| message.encode_to_vec()).boxed())
}

/// The number of fields, set or not, and of entries of lists.
fn parts(message: &DynamicMessage) -> usize {
    let in_value = |value: &Value| match value {
        Value::Message(message) => parts(message),
        _ => 1,
    };
    let in_field = |field: FieldDescriptor| match message.get_field(&field).as_ref() {
        Value::List(values) => 1 + values.iter().map(in_value).sum::<usize>(),
        Value::Message(message) if message.fields().next().is_some() => 1 + parts(message),
        _ => 1,
    };
    message.descriptor().fields().map(in_field).sum()
}

/// Messages like `base`: each field is replaced once for `kept` times that it is not.
fn like(base: &DynamicMessage, kept: u32) -> BoxedStrategy<DynamicMessage> {
    let descriptor = base.descriptor();
    let field = |field: FieldDescriptor| {
        let value = match base.has_field(&field) {
            true => {
                let value = like_field(&field, &base.get_field(&field), kept).prop_map(Some);
                prop_oneof![RARE * kept => value, 1 => Just(None)].boxed()
            }
            false => prop_oneof![RARE * kept => Just(None), 1 => added(&field).prop_map(Some)].boxed(),
        };
        value.prop_map(move |value| value.map(|value| (field.clone(), value))).boxed()
    };
    let fields: Vec<BoxedStrategy<Option<(FieldDescriptor, Value)>>> =
        descriptor.fields().map(field).collect();
    fields
        .prop_map(move |fields| {
            let mut message = DynamicMessage::new(descriptor.clone());
            for (field, value) in fields.into_iter().flatten() {
                message.try_set_field(&field, value).expect("a value is of its field's type");
            }
            message
        })
        .boxed()
}

fn like_field(field: &FieldDescriptor, base: &Value, kept: u32) -> BoxedStrategy<Value> {
    match base {
        Value::List(values) => list(field, values, kept),
        Value::Map(_) => Just(base.clone()).boxed(),
        value => like_value(value, kept),
    }
}

fn list(field: &FieldDescriptor, values: &[Value], kept: u32) -> BoxedStrategy<Value> {
    let values: Vec<BoxedStrategy<Value>> = values.iter().map(|value| like_value(value, kept)).collect();
    let change = prop_oneof![
        RARE * kept => Just(Change::Nothing),
        1 => Just(Change::Clear),
        1 => Just(Change::Shorter),
        1 => (0..14_u32).prop_map(Change::Doubled),
        1 => Just(Change::Longer(fresh(&field.kind()))),
    ];
    (values, change)
        .prop_map(|(mut values, change)| {
            match change {
                Change::Nothing => {}
                Change::Clear => values.clear(),
                Change::Shorter => drop(values.pop()),
                Change::Doubled(times) => {
                    let count = (values.len() << times).min(MAX_LIST);
                    values = values.iter().cloned().cycle().take(count).collect();
                }
                Change::Longer(value) => values.push(value),
            }
            Value::List(values)
        })
        .boxed()
}

fn like_value(base: &Value, kept: u32) -> BoxedStrategy<Value> {
    let replaced = match base {
        Value::Message(message) => return like(message, kept).prop_map(Value::Message).boxed(),
        Value::String(text) => {
            let altered = hostile::altered(text).prop_map(Value::String);
            return prop_oneof![kept => Just(base.clone()), 1 => altered].boxed();
        }
        Value::Bool(on) => Just(Value::Bool(!on)).boxed(),
        // What does not fit a number wraps around: any number will do.
        Value::I32(_) => hostile::number().prop_map(|number| Value::I32(number as i32)).boxed(),
        Value::I64(_) => hostile::number().prop_map(Value::I64).boxed(),
        Value::U32(_) => hostile::number().prop_map(|number| Value::U32(number as u32)).boxed(),
        Value::U64(_) => hostile::number().prop_map(|number| Value::U64(number as u64)).boxed(),
        Value::F32(_) => hostile::fraction().prop_map(|fraction| Value::F32(fraction as f32)).boxed(),
        Value::F64(_) => hostile::fraction().prop_map(Value::F64).boxed(),
        Value::Bytes(_) => hostile::text().prop_map(|text| Value::Bytes(text.into_bytes().into())).boxed(),
        Value::EnumNumber(_) => {
            let number = prop_oneof![3 => 0..6_i64, 1 => hostile::number()];
            number.prop_map(|number| Value::EnumNumber(number as i32)).boxed()
        }
        Value::List(_) | Value::Map(_) => Just(base.clone()).boxed(),
    };
    prop_oneof![RARE * kept => Just(base.clone()), 1 => replaced].boxed()
}

/// A value for a field that the base leaves out.
fn added(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    if field.is_map() {
        return Just(Value::default_value_for_field(field)).boxed();
    }
    let value = fresh(&field.kind());
    // A message in a message that contains itself would never end.
    let value = match value {
        Value::Message(_) => Just(value).boxed(),
        value => like_value(&value, 1),
    };
    if field.is_list() { value.prop_map(|value| Value::List(vec![value])).boxed() } else { value }
}

fn fresh(kind: &Kind) -> Value {
    match kind {
        Kind::Message(message) => Value::Message(contract::filled(message)),
        kind => Value::default_value(kind),
    }
}
