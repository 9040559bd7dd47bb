//! The status of the service and its ticket systems.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::delivery::State;
use ticketing_engine::app::{ConnectionTest, Status, SystemStatus};
use ticketing_engine::settings::Settings;
use ticketing_store::{LastFailure, LastSuccess};
use ticketing_vendor::Vendors;

use super::{connection, field, rules, ticket};

pub(crate) fn status(status: Status, vendors: &Vendors) -> v1::GetStatusResponse {
    let Status { started_at, now, settings, checking_database, systems } = status;
    v1::GetStatusResponse {
        connections: systems
            .into_iter()
            .map(|system| connection_status(system, &settings, vendors, now))
            .collect(),
        auto_push: Some(rules::auto_push(&settings.rules.auto_push)),
        retry: Some(rules::retry(&settings.rules.retry)),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: Some(field::timestamp(started_at)),
        checking_database,
    }
}

/// The current settings, after a change that made deliveries due.
pub(crate) fn configured(settings: &Settings, vendors: &Vendors, made_due: u64) -> v1::ConfigureResponse {
    let mut response = v1::ConfigureResponse {
        auto_push: Some(rules::auto_push(&settings.rules.auto_push)),
        retry: Some(rules::retry(&settings.rules.retry)),
        deliveries_made_due: u32::try_from(made_due).unwrap_or(u32::MAX),
        ..Default::default()
    };
    for settings in settings.connections.values() {
        vendors.of(settings.draft.system()).show(settings, &mut response);
    }
    response
}

pub(crate) fn connection_test(test: ConnectionTest) -> v1::ConnectionTest {
    v1::ConnectionTest {
        time: Some(field::timestamp(test.at)),
        passed: test.passed(),
        checks: ticket::checks(test.checks),
    }
}

fn connection_status(
    status: SystemStatus,
    all: &Settings,
    vendors: &Vendors,
    now: Timestamp,
) -> v1::ConnectionStatus {
    let settings = all.connections.get(&status.connection);
    v1::ConnectionStatus {
        system: field::system(status.system).into(),
        configured: status.configured,
        enabled: status.enabled,
        settings: settings.map(|settings| vendors.of(status.system).view(settings)),
        last_test: status.last_test.map(connection_test),
        deliveries: Some(counts(&status.counts)),
        last_success: status.last_success.map(last_success),
        last_failure: status.last_failure.map(last_failure),
        condition: Some(connection::condition(&status.health, now)),
        needs_attention: u32::try_from(status.needs_attention).unwrap_or(u32::MAX),
        concurrency_limit: u32::try_from(status.concurrency_limit).unwrap_or(u32::MAX),
        connection: status.connection,
    }
}

fn counts(counts: &BTreeMap<State, u64>) -> v1::DeliveryCounts {
    let of = |state| counts.get(&state).copied().unwrap_or_default();
    v1::DeliveryCounts {
        pending: of(State::Pending),
        attempting: of(State::Attempting),
        delivered: of(State::Delivered),
        waiting: of(State::Waiting),
        reconciling: of(State::Reconciling),
        failed: of(State::Failed),
        cancelled: of(State::Cancelled),
    }
}

fn last_success(success: LastSuccess) -> v1::LastSuccess {
    v1::LastSuccess {
        time: Some(field::timestamp(success.at)),
        delivery_id: success.delivery_id,
        ticket: success.ticket.map(ticket::ticket),
    }
}

fn last_failure(failure: LastFailure) -> v1::LastFailure {
    v1::LastFailure {
        time: Some(field::timestamp(failure.error.at)),
        delivery_id: failure.delivery_id,
        fault: Some(ticket::last_error(failure.error)),
    }
}
