//! The status of the service and its ticket systems.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::connection::name_of;
use ticketing_core::delivery::State;
use ticketing_engine::app::{ConnectionStatus, ConnectionTest, Status};
use ticketing_engine::settings::Settings;
use ticketing_store::{LastFailure, LastSuccess};
use ticketing_vendor::{Vendors, contract};

use super::{connection, field, rules, ticket};

pub(crate) fn status(status: Status, vendors: &Vendors) -> v1::GetStatusResponse {
    let Status { started_at, now, settings, checking_database, connections } = status;
    let connections = connections.into_iter();
    v1::GetStatusResponse {
        connections: connections.map(|status| connection_status(status, &settings, vendors, now)).collect(),
        etag: settings.etag(),
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
        etag: settings.etag(),
        ..Default::default()
    };
    for (id, settings) in &settings.connections {
        let name = name_of(id).to_owned();
        let vendor = vendors.of(settings.draft.system());
        if name == vendor.system().as_str() {
            vendor.show(settings, &mut response);
        }
        let content = Some(contract::content_view(&settings.draft.content));
        let settings = Some(vendor.named_view(settings));
        response.connections.push(v1::ConnectionSettingsView { name, settings, content });
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
    status: ConnectionStatus,
    all: &Settings,
    vendors: &Vendors,
    now: Timestamp,
) -> v1::ConnectionStatus {
    let settings = all.connections.get(&status.id);
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
        connection: name_of(&status.id).to_owned(),
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
