//! The contract as descriptors, and messages of it that are filled as a caller would.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use rhythmx_ticketing::{FILE_DESCRIPTOR_SET, Method};

const EXAMPLES: [&str; 2] =
    [include_str!("../../../examples/incident.json"), include_str!("../../../examples/incident-medium.json")];
const INCIDENT: &str = "rhythmx.ticketing.v1.Incident";
/// Deeper than any message of the contract.
const DEEPEST: usize = 8;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the contract has descriptors"));

/// The descriptor of a message of the contract.
#[must_use]
pub fn message(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(name).unwrap_or_else(|| panic!("the contract has no {name}"))
}

/// The method that a byte chooses.
#[must_use]
pub fn method(choice: u8) -> Method {
    Method::ALL[usize::from(choice) % Method::ALL.len()]
}

/// What a method is asked.
#[must_use]
pub fn request(method: Method) -> MessageDescriptor {
    let (service, name) =
        method.path().trim_start_matches('/').split_once('/').expect("a path has two parts");
    let service = POOL.get_service_by_name(service).expect("the service is in the contract");
    let found = service.methods().find(|method| method.name() == name);
    found.expect("the method is in the contract").input()
}

/// The incidents that the examples show.
#[must_use]
pub fn incidents() -> Vec<Vec<u8>> {
    let read = |example: &str| {
        let mut reader = serde_json::Deserializer::from_str(example);
        DynamicMessage::deserialize(message(INCIDENT), &mut reader).expect("an example is an incident")
    };
    EXAMPLES.iter().map(|example| read(example).encode_to_vec()).collect()
}

/// A message with every field set; of each `oneof` the last.
#[must_use]
pub fn filled(descriptor: &MessageDescriptor) -> DynamicMessage {
    fill(descriptor, 0)
}

fn fill(descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    if descriptor.full_name() == INCIDENT {
        let bytes = incidents().remove(0);
        return DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).expect("it was just encoded");
    }
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields().filter(|_| depth < DEEPEST) {
        let value = match field.kind() {
            // The entry of a map is not its value.
            Kind::Message(entry) if field.is_map() => typical(&entry.map_entry_value_field(), depth),
            _ => typical(&field, depth),
        };
        let value = if field.is_map() {
            Value::Map([(MapKey::String("key".to_owned()), value)].into())
        } else if field.is_list() {
            Value::List(vec![value])
        } else {
            value
        };
        message.try_set_field(&field, value).ok();
    }
    message
}

fn typical(field: &FieldDescriptor, depth: usize) -> Value {
    let text = match field.name() {
        "url" | "ticket_url" => "https://acme.atlassian.net",
        "gateway_url" => "https://api.atlassian.com",
        "instance" => "acme",
        "cloud_id" => "11111111-2222-4333-8444-555555555555",
        "ticket_key" | "project_key" => "SEC",
        "incident_id" => "INC-2026-004217",
        _ => "42",
    };
    match field.kind() {
        Kind::Double => Value::F64(0.5),
        Kind::Float => Value::F32(0.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(1),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String(text.to_owned()),
        Kind::Bytes => Value::Bytes(text.as_bytes().to_vec().into()),
        Kind::Message(message) => Value::Message(fill(&message, depth + 1)),
        Kind::Enum(_) => Value::EnumNumber(1),
    }
}
