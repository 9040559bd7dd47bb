//! Parts of the contract that the settings of all vendors have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_contract::v1;
use ticketing_core::secret::{SecretChange, SecretKind, SecretUse};
use ticketing_core::system::System;

use crate::ConnectionSettings;

/// The change of a secret's field: absent keeps it, an empty text removes it.
#[must_use]
pub fn secret_change(field: Option<String>, kind: SecretKind) -> Option<SecretChange> {
    Some(match field? {
        value if value.is_empty() => SecretChange::Remove,
        value => SecretChange::Set { kind, value: value.into() },
    })
}

/// The changes of the secret for the ticket system and of the proxy password.
#[must_use]
pub fn secret_changes(
    of_system: Option<SecretChange>,
    proxy_password: Option<String>,
) -> BTreeMap<SecretUse, SecretChange> {
    let of_proxy = secret_change(proxy_password, SecretKind::ProxyPassword);
    let all = [(SecretUse::TicketSystem, of_system), (SecretUse::Proxy, of_proxy)];
    all.into_iter().filter_map(|(used_for, change)| Some((used_for, change?))).collect()
}

/// When a secret was set, as the contract shows it instead of the secret.
#[must_use]
pub fn set_at(settings: &ConnectionSettings, kind: SecretKind) -> Option<prost_types::Timestamp> {
    settings.set_at(kind).map(timestamp)
}

/// A ticket system in the contract, which names it after the system.
///
/// # Panics
/// If the contract lacks it.
#[must_use]
pub fn ticket_system(system: System) -> v1::TicketSystem {
    let name = format!("TICKET_SYSTEM_{}", system.as_str().to_ascii_uppercase());
    v1::TicketSystem::from_str_name(&name).expect("the contract has every ticket system")
}

/// The ticket system of a value of the contract; `None` if it is not specified.
#[must_use]
pub fn system(value: v1::TicketSystem) -> Option<System> {
    System::ALL.into_iter().find(|system| ticket_system(*system) == value)
}

#[must_use]
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    // Before 1970, jiff's nanoseconds are negative; those of the contract are always positive.
    let nanos = time.as_nanosecond();
    let seconds = nanos.div_euclid(1_000_000_000);
    let nanos = nanos.rem_euclid(1_000_000_000);
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_has_every_ticket_system() {
        for name in System::ALL {
            assert_eq!(system(ticket_system(name)), Some(name));
        }
        assert_eq!(system(v1::TicketSystem::Unspecified), None);
    }

    #[test]
    fn converts_time_before_1970() {
        let time = timestamp("1969-12-31T23:59:59.25Z".parse().unwrap());
        assert_eq!(time, prost_types::Timestamp { seconds: -1, nanos: 250_000_000 });
    }
}
