//! Incidents to push.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rhythmx_ticketing::{FILE_DESCRIPTOR_SET, v1};

const EXAMPLE: &str = include_str!("../../../examples/incident.json");

/// The example incident, critical, with another ID.
pub fn incident(id: &str) -> v1::Incident {
    static EXAMPLE: LazyLock<v1::Incident> = LazyLock::new(example);
    v1::Incident { id: id.to_owned(), ..EXAMPLE.clone() }
}

fn example() -> v1::Incident {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("rhythmx.ticketing.v1.Incident").unwrap();
    let mut reader = serde_json::Deserializer::from_str(EXAMPLE);
    let message = DynamicMessage::deserialize(descriptor, &mut reader).unwrap();
    v1::Incident::decode(message.encode_to_vec().as_slice()).unwrap()
}
