//! Mutations of one field of a protobuf message.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::{Rng, hostile_text};
use crate::contract;

/// The longest that a list is made.
const MAX_LIST: usize = 8_192;

/// `None` if the input is no such message, or the message has no fields.
pub(super) fn mutate(descriptor: &MessageDescriptor, input: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut message = DynamicMessage::decode(descriptor.clone(), input).ok()?;
    change(&mut message, rng).then(|| message.encode_to_vec())
}

/// `false` if there is nothing to change.
fn change(message: &mut DynamicMessage, rng: &mut Rng) -> bool {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    if fields.is_empty() {
        return false;
    }
    let field = rng.pick(&fields).clone();
    if rng.one_in(12) {
        message.clear_field(&field);
        return true;
    }
    let mut value = message.get_field(&field).into_owned();
    if field.is_map() {
        return false;
    }
    if let Value::List(values) = &mut value {
        change_list(&field, values, rng);
    } else {
        change_value(&field, &mut value, rng);
    }
    message.try_set_field(&field, value).is_ok()
}

fn change_list(field: &FieldDescriptor, values: &mut Vec<Value>, rng: &mut Rng) {
    match rng.below(6) {
        0 => values.clear(),
        1 => drop(values.pop()),
        2 => {
            let more = (values.len() << rng.below(14)).min(MAX_LIST);
            *values = values.iter().cloned().cycle().take(more).collect();
        }
        3 => values.push(fresh(field)),
        _ => {
            let at = rng.below(values.len());
            if let Some(value) = values.get_mut(at) {
                change_value(field, value, rng);
            }
        }
    }
}

fn change_value(field: &FieldDescriptor, value: &mut Value, rng: &mut Rng) {
    // What does not fit a number wraps around: any number will do.
    let number = hostile_text::number(rng);
    match value {
        Value::Bool(on) => *on = !*on,
        Value::I32(old) => *old = number as i32,
        Value::EnumNumber(old) => *old = if rng.one_in(4) { number as i32 } else { rng.below(6) as i32 },
        Value::I64(old) => *old = number,
        Value::U32(old) => *old = number as u32,
        Value::U64(old) => *old = number as u64,
        Value::F32(old) => *old = hostile_text::fraction(rng) as f32,
        Value::F64(old) => {
            *old = if rng.one_in(2) { hostile_text::fraction(rng) } else { rng.below(101) as f64 }
        }
        Value::String(text) => *text = hostile_text::altered(text, rng),
        Value::Bytes(bytes) => *bytes = hostile_text::text(rng).into_bytes().into(),
        Value::Message(message) => {
            if !change(message, rng) {
                *value = fresh(field);
            }
        }
        Value::List(_) | Value::Map(_) => {}
    }
}

fn fresh(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Message(message) => Value::Message(contract::filled(&message)),
        kind => Value::default_value(&kind),
    }
}
