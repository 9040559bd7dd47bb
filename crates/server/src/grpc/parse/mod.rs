//! From the contract to the domain. Requests are validated as a whole: the error lists every violation under its
//! field path.

mod delivery;
mod destination;
mod event;
mod field;
mod incident;
mod rules;
mod settings;

pub use delivery::{
    Cancellation, ListFilter, Resolution, Retries, cancel_delivery, delivery_id, list_deliveries, page_size,
    resolve_delivery, retry_deliveries,
};
pub use destination::{Destination, Rejection};
pub use event::{Start, Subscription, subscription};
pub use incident::{pushed_incident, submitted_incident};
pub use settings::{change, tested_connection};
