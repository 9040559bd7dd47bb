//! The batched writes, which change the rows of a unit of work. Independent of the database.

pub(super) mod accept;
pub(super) mod change_deliveries;
pub(super) mod claim;
pub(super) mod health;
pub(super) mod operate;
pub(super) mod record;
pub(super) mod retry_many;
