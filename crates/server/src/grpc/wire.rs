//! Validates protobuf messages without decoding them, and computes their decoded size.
//!
//! A few bytes on the wire can become many in memory: an empty message in a list takes two and becomes a whole
//! struct. So a request is measured before it is decoded. prost decodes everything that passes.

use std::collections::HashMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Maximum nesting of messages. prost allows 100.
const MAX_DEPTH: usize = 50;
/// Size of a string, a list, a map or a number in a struct, in bytes.
const STRING: usize = 24;
const LIST: usize = 24;
const MAP: usize = 48;
const NUMBER: usize = 8;
/// Overhead of an allocation.
const ALLOCATION: usize = 16;
/// A growing list briefly exists in an old and a new allocation of twice the size.
const GROWTH: usize = 3;

/// The methods of some services, with their request types.
#[derive(Debug)]
pub struct Schema {
    messages: Vec<MessageType>,
    methods: HashMap<String, MethodType>,
}

/// A method by its path.
#[derive(Debug, Clone, Copy)]
pub struct MethodType {
    input: usize,
    pub is_client_stream: bool,
}

/// Why bytes are not a valid message, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it ends within a field")]
    Truncated,
    #[error("it has a varint of more than 64 bits")]
    Varint,
    #[error("it has an invalid field number or wire type")]
    Key,
    #[error("field {0} has another wire type than the contract says")]
    WireType(u32),
    #[error("field {0} is text and not valid UTF-8")]
    Utf8(u32),
    #[error("its messages are nested too deeply")]
    TooDeep,
    #[error("it takes too much memory when it is decoded")]
    TooLarge,
}

#[derive(Debug, Default)]
struct MessageType {
    /// Few enough that linear search is fastest.
    fields: Vec<(u32, Field)>,
    /// Size of the struct in bytes, an upper bound.
    size: usize,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    kind: Kind,
    is_list: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Varint,
    Fixed32,
    Fixed64,
    Text,
    Bytes,
    Message(usize),
}

/// The unread rest of a message.
struct Reader<'b> {
    left: &'b [u8],
}

/// The value after a field's key.
enum Value<'b> {
    Varint,
    Fixed32,
    Fixed64,
    Delimited(&'b [u8]),
    Group,
}

// === impl Schema ===

impl Schema {
    /// Reads the services of these descriptors, each encoded as `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// If one is invalid.
    pub fn of(descriptors: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut files = vec![];
        for descriptors in descriptors {
            files.extend(FileDescriptorSet::decode(*descriptors)?.file);
        }
        let mut types = HashMap::new();
        for file in &files {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut types);
            }
        }
        let names: Vec<&String> = types.keys().collect();
        let numbers: HashMap<&str, usize> =
            names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let messages = names.iter().map(|name| MessageType {
            fields: types[*name].field.iter().map(|field| field_of(field, &numbers)).collect(),
            size: size_of(name, &types, 0),
        });
        let messages = messages.collect();
        let mut methods = HashMap::new();
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let Some(&input) = numbers.get(method.input_type()) else { continue };
                    let is_client_stream = method.client_streaming();
                    methods.insert(path, MethodType { input, is_client_stream });
                }
            }
        }
        Ok(Self { messages, methods })
    }

    /// A method by its path, such as `/package.Service/Method`.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<MethodType> {
        self.methods.get(path).copied()
    }

    /// The decoded size of a request of the method, an upper bound. Stops when it exceeds `limit`.
    ///
    /// # Errors
    /// Why it cannot be decoded, or is too large.
    pub fn measure(&self, method: MethodType, request: &[u8], limit: usize) -> Result<usize, Unreadable> {
        let mut size = self.messages[method.input].size;
        self.measure_fields(method.input, request, 0, limit, &mut size)?;
        Ok(size)
    }

    /// Adds the size of a message's fields beyond its struct.
    fn measure_fields(
        &self,
        number: usize,
        bytes: &[u8],
        depth: usize,
        limit: usize,
        size: &mut usize,
    ) -> Result<(), Unreadable> {
        if depth > MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        let message = &self.messages[number];
        let mut reader = Reader { left: bytes };
        while !reader.left.is_empty() {
            let (tag, value) = reader.field(depth)?;
            let Some((_, field)) = message.fields.iter().find(|(number, _)| *number == tag) else { continue };
            if let (Kind::Message(number), Value::Delimited(bytes)) = (field.kind, &value) {
                self.measure_fields(number, bytes, depth + 1, limit, size)?;
            }
            *size = size.saturating_add(self.measure_field(tag, *field, &value)?);
            if *size > limit {
                return Err(Unreadable::TooLarge);
            }
        }
        Ok(())
    }

    /// The size of a field, without the fields of a nested message.
    fn measure_field(&self, tag: u32, field: Field, value: &Value<'_>) -> Result<usize, Unreadable> {
        let in_list = |size: usize| if field.is_list { GROWTH * size } else { 0 };
        match (field.kind, value) {
            (Kind::Text, Value::Delimited(text)) => {
                std::str::from_utf8(text).map_err(|_| Unreadable::Utf8(tag))?;
                Ok(text.len() + ALLOCATION + in_list(STRING))
            }
            (Kind::Bytes, Value::Delimited(bytes)) => Ok(bytes.len() + ALLOCATION + in_list(STRING)),
            (Kind::Message(number), Value::Delimited(_)) => Ok(in_list(self.messages[number].size)),
            (Kind::Varint, Value::Varint)
            | (Kind::Fixed32, Value::Fixed32)
            | (Kind::Fixed64, Value::Fixed64) => Ok(in_list(NUMBER)),
            (Kind::Varint | Kind::Fixed32 | Kind::Fixed64, Value::Delimited(packed)) if field.is_list => {
                let mut reader = Reader { left: packed };
                let mut count = 0;
                while !reader.left.is_empty() {
                    reader.number(field.kind)?;
                    count += 1;
                }
                Ok(count * in_list(NUMBER))
            }
            _ => Err(Unreadable::WireType(tag)),
        }
    }
}

/// Collects a message and its nested ones, by their full names with a leading dot.
fn collect<'d>(scope: &str, message: &'d DescriptorProto, types: &mut HashMap<String, &'d DescriptorProto>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, types);
    }
    types.insert(name, message);
}

fn field_of(field: &FieldDescriptorProto, numbers: &HashMap<&str, usize>) -> (u32, Field) {
    let kind = match field.r#type() {
        Type::String => Kind::Text,
        Type::Bytes => Kind::Bytes,
        Type::Message => numbers.get(field.type_name()).map_or(Kind::Bytes, |number| Kind::Message(*number)),
        Type::Fixed32 | Type::Sfixed32 | Type::Float => Kind::Fixed32,
        Type::Fixed64 | Type::Sfixed64 | Type::Double => Kind::Fixed64,
        // proto3 has no groups.
        Type::Group
        | Type::Int32
        | Type::Int64
        | Type::Uint32
        | Type::Uint64
        | Type::Sint32
        | Type::Sint64
        | Type::Bool
        | Type::Enum => Kind::Varint,
    };
    let is_list = field.label() == Label::Repeated;
    (u32::try_from(field.number()).unwrap_or_default(), Field { kind, is_list })
}

/// The size of the struct that prost generates, an upper bound. Recursive messages are boxed.
fn size_of(name: &str, types: &HashMap<String, &DescriptorProto>, depth: usize) -> usize {
    let Some(message) = types.get(name).filter(|_| depth < MAX_DEPTH) else { return NUMBER };
    let is_map_entry = message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
    let fields = message.field.iter().map(|field| match (field.label(), field.r#type()) {
        (Label::Repeated, Type::Message) => MAP,
        (Label::Repeated, _) => LIST,
        (_, Type::String | Type::Bytes) => STRING,
        (_, Type::Message) => NUMBER + size_of(field.type_name(), types, depth + 1),
        // An optional number has a presence flag.
        _ => 2 * NUMBER,
    });
    fields.sum::<usize>() + if is_map_entry { MAP } else { NUMBER }
}

// === impl Reader ===

impl<'b> Reader<'b> {
    /// The number and value of the next field.
    fn field(&mut self, depth: usize) -> Result<(u32, Value<'b>), Unreadable> {
        let (tag, wire_type) = self.key()?;
        let value = match wire_type {
            0 => self.varint().map(|_| Value::Varint)?,
            1 => self.take(8).map(|_| Value::Fixed64)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Unreadable::Truncated)?;
                Value::Delimited(self.take(length)?)
            }
            3 => {
                self.skip_group(tag, depth + 1)?;
                Value::Group
            }
            5 => self.take(4).map(|_| Value::Fixed32)?,
            _ => return Err(Unreadable::Key),
        };
        Ok((tag, value))
    }

    fn key(&mut self) -> Result<(u32, u8), Unreadable> {
        let key = u32::try_from(self.varint()?).map_err(|_| Unreadable::Key)?;
        match key >> 3 {
            0 => Err(Unreadable::Key),
            tag => Ok((tag, (key & 7) as u8)),
        }
    }

    fn skip_group(&mut self, tag: u32, depth: usize) -> Result<(), Unreadable> {
        if depth > MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        loop {
            let before = self.left;
            match self.key()? {
                (ended, 4) if ended == tag => return Ok(()),
                (_, 4) => return Err(Unreadable::Key),
                _ => {
                    self.left = before;
                    self.field(depth)?;
                }
            }
        }
    }

    fn number(&mut self, kind: Kind) -> Result<(), Unreadable> {
        match kind {
            Kind::Fixed32 => self.take(4).map(|_| ()),
            Kind::Fixed64 => self.take(8).map(|_| ()),
            _ => self.varint().map(|_| ()),
        }
    }

    fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0_u64;
        for (place, byte) in self.left.iter().take(10).enumerate() {
            if place == 9 && *byte > 1 {
                return Err(Unreadable::Varint);
            }
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                self.left = &self.left[place + 1..];
                return Ok(value);
            }
        }
        Err(if self.left.len() < 10 { Unreadable::Truncated } else { Unreadable::Varint })
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Unreadable> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(Unreadable::Truncated)?;
        self.left = left;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use ticketing_contract::{FILE_DESCRIPTOR_SET, v1};
    use ticketing_core::incident::limits;

    use super::*;
    use crate::grpc::parse;

    const SUBMIT: &str = "/rhythmx.ticketing.v1.TicketingService/SubmitIncident";

    fn schema() -> Schema {
        Schema::of(&[FILE_DESCRIPTOR_SET]).unwrap()
    }

    fn measure(bytes: &[u8]) -> Result<usize, Unreadable> {
        let schema = schema();
        schema.measure(schema.method(SUBMIT).unwrap(), bytes, usize::MAX)
    }

    fn request() -> v1::SubmitIncidentRequest {
        let incident = v1::Incident {
            id: "INC-1".to_owned(),
            risk: Some(v1::Risk { score: 92.0, factors: vec![v1::RiskFactor::default(); 3], level: 1 }),
            timeline: Some(v1::Timeline {
                first_alert: Some(prost_types::Timestamp { seconds: 1, nanos: 2 }),
                ..Default::default()
            }),
            firing_rules: vec![v1::FiringRule { name: "é".to_owned(), count: 300, severity: 2 }],
            investigation_notes: "x".repeat(300),
            ..Default::default()
        };
        v1::SubmitIncidentRequest { incident: Some(incident) }
    }

    #[test]
    fn measures_what_prost_decodes() {
        let valid = request().encode_to_vec();
        assert!(measure(&valid).is_ok());
        let mut malformed = 0;
        for at in 0..valid.len() {
            for byte in [0x00, 0x07, 0x0B, 0x0C, 0x7F, 0x80, 0xFF, valid[at].wrapping_add(1)] {
                let mut bytes = valid.clone();
                bytes[at] = byte;
                let decoded = v1::SubmitIncidentRequest::decode(bytes.as_slice());
                match measure(&bytes) {
                    Ok(_) => assert!(decoded.is_ok(), "{at} {byte}: {decoded:?}"),
                    Err(why) => {
                        malformed += 1;
                        assert!(decoded.is_err(), "{at} {byte}: {why}");
                    }
                }
            }
        }
        assert!(malformed > 100, "{malformed}");
    }

    #[test]
    fn names_what_is_malformed() {
        let field = |bytes: &[u8]| [&[0x0A, bytes.len() as u8], bytes].concat();
        let table: [(&[u8], Unreadable); 7] = [
            (&[0x0A, 5, 1], Unreadable::Truncated),
            (&[0xFF; 11], Unreadable::Varint),
            (&[0x00], Unreadable::Key),
            (&[0x0F], Unreadable::Key),
            (&[0x08, 1], Unreadable::WireType(1)),
            (&field(&[0x0A, 1, 0xFF]), Unreadable::Utf8(1)),
            (&[0x7B; 60], Unreadable::TooDeep),
        ];
        for (bytes, expected) in table {
            assert_eq!(measure(bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn many_small_messages_cost_what_they_become() {
        let count = 10_000;
        let rules = vec![v1::FiringRule::default(); count];
        let incident = v1::Incident { firing_rules: rules, ..Default::default() };
        let request = v1::SubmitIncidentRequest { incident: Some(incident) };
        let bytes = request.encode_to_vec();
        assert!(bytes.len() < 21_000);
        let size = measure(&bytes).unwrap();
        assert!(size >= count * std::mem::size_of::<v1::FiringRule>() * 2, "{size}");
        let schema = schema();
        let limited = schema.measure(schema.method(SUBMIT).unwrap(), &bytes, size / 2);
        assert_eq!(limited, Err(Unreadable::TooLarge));
        let text = "x".repeat(20_000);
        let incident = v1::Incident { investigation_notes: text, ..Default::default() };
        let request = v1::SubmitIncidentRequest { incident: Some(incident) };
        assert!(measure(&request.encode_to_vec()).unwrap() < 22_000);
    }

    #[test]
    fn sizes_of_structs_are_not_underestimated() {
        let schema = schema();
        let size = |method: &str| {
            let path = format!("/rhythmx.ticketing.v1.TicketingService/{method}");
            schema.messages[schema.method(&path).unwrap().input].size
        };
        assert!(size("SubmitIncident") >= std::mem::size_of::<v1::SubmitIncidentRequest>());
        assert!(size("Configure") >= std::mem::size_of::<v1::ConfigureRequest>());
        assert!(size("ListDeliveries") >= std::mem::size_of::<v1::ListDeliveriesRequest>());
    }

    #[test]
    fn largest_valid_incident_fits_the_defaults() {
        let mut sizes = vec![];
        for character in ["x", "\u{1F600}"] {
            let text = |length: usize| character.repeat(length);
            let factor = v1::RiskFactor {
                name: text(limits::FACTOR_NAME),
                score: 50.5,
                detail: text(limits::FACTOR_DETAIL),
            };
            let rule = v1::FiringRule { name: text(limits::NAME), count: 1_000_000, severity: 1 };
            let tactic = v1::Tactic { id: "TA0006".to_owned(), name: text(limits::NAME) };
            let technique = v1::Technique { id: "T1110.001".to_owned(), name: text(limits::NAME) };
            let time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 999_999_999 });
            let incident = v1::Incident {
                id: "i".repeat(limits::ID),
                url: format!("https://rhythmx.example/{}", "u".repeat(limits::URL - 24)),
                actor: Some(v1::Actor {
                    name: text(limits::NAME),
                    r#type: v1::ActorType::User.into(),
                    entity: text(limits::NAME),
                }),
                risk: Some(v1::Risk { score: 92.5, level: 4, factors: vec![factor; limits::FACTORS] }),
                activity: Some(v1::Activity { primary_rule: text(limits::NAME), ..Default::default() }),
                timeline: Some(v1::Timeline { first_alert: time, last_alert: time, active_duration: None }),
                tactics: vec![tactic; limits::TACTICS],
                techniques: vec![technique; limits::TECHNIQUES],
                firing_rules: vec![rule; limits::FIRING_RULES],
                investigation_notes: text(limits::INVESTIGATION_NOTES),
                ..Default::default()
            };
            assert!(parse::submitted_incident(Some(incident.clone())).is_ok());
            let request = v1::SubmitIncidentRequest { incident: Some(incident) };
            let bytes = request.encode_to_vec();
            // It must fit in one caller's share of the default budget, 16 MiB.
            assert!(bytes.len() + 2 * measure(&bytes).unwrap() < 8 * 1_024 * 1_024);
            sizes.push(bytes.len());
        }
        // As documented in the book and the flag's help.
        assert!((380_000..420_000).contains(&sizes[0]), "{sizes:?}");
        assert!((1_500_000..1_620_000).contains(&sizes[1]), "{sizes:?}");
    }
}
