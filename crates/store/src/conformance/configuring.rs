use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::json;
use ticketing_core::auto_push::AutoPush;
use ticketing_core::delivery::State;
use ticketing_core::fault::FaultKind;
use ticketing_core::secret::{Secret, SecretKind, SecretUse};
use ticketing_core::system::{Check, System};

use super::settling::fail_for_good;
use super::{Bench, CONNECTION, created};
use crate::conformance::noted;
use crate::{ConfigureError, Revisions, SettingsChange, StoredTest};

const HERE: &str = "https://jira.example";
const THERE: &str = "https://other.example";

const SET_AT: Timestamp = Timestamp::constant(1_800_000_000, 0);

pub async fn settings_saved_together_are_read_back(bench: Bench) {
    assert!(bench.store.settings().await.unwrap().is_empty());
    assert_eq!(bench.store.policy().await.unwrap(), None);
    let auto_push = AutoPush { enabled: true, ..AutoPush::default() };
    let policy = SettingsChange::Policy { auto_push: auto_push.clone(), retry: json!({"max_attempts": 3}) };
    bench
        .store
        .configure(vec![change(true, Some(set("hunter2", HERE))), policy], noted(), bench.now())
        .await
        .unwrap();
    let stored = bench.store.settings().await.unwrap().remove(0);
    assert_eq!((stored.connection.as_str(), stored.system, stored.enabled), (CONNECTION, System::Jira, true));
    let secret = &stored.secrets[&SecretUse::TicketSystem];
    assert_eq!((stored.revision, secret.set_at), (1, SET_AT));
    assert_eq!((secret.kind, secret.origin.as_deref()), (SecretKind::ApiToken, Some(HERE)));
    assert_eq!(secret.value.expose_secret(), "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let policy = bench.store.policy().await.unwrap().unwrap();
    assert_eq!((policy.auto_push, policy.retry), (auto_push, json!({"max_attempts": 3})));
}

pub async fn toggle_keeps_the_secret(bench: Bench) {
    bench
        .store
        .configure(vec![change(true, Some(set("hunter2", HERE)))], noted(), bench.now())
        .await
        .unwrap();
    bench.clock.advance(Duration::from_secs(5));
    bench.store.configure(vec![change(false, None)], noted(), bench.now()).await.unwrap();
    let stored = bench.store.settings().await.unwrap().remove(0);
    assert_eq!((stored.enabled, stored.revision, stored.updated_at), (false, 2, bench.now()));
    let kept = &stored.secrets[&SecretUse::TicketSystem];
    assert_eq!((kept.set_at, kept.value.expose_secret()), (SET_AT, "hunter2"));
}

pub async fn keeps_replaced_connection_while_needed(bench: Bench) {
    bench.store.configure(vec![change(true, Some(set("old", HERE)))], noted(), bench.now()).await.unwrap();
    bench
        .store
        .configure(vec![change(true, Some(set("rotated", HERE)))], noted(), bench.now())
        .await
        .unwrap();
    assert!(bench.store.retired_connections(CONNECTION).await.unwrap().is_empty());
    let delivery = bench.intended("INC-1").await;
    bench.store.configure(vec![change(true, Some(set("new", THERE)))], noted(), bench.now()).await.unwrap();
    let later = bench.now() + Duration::from_secs(1);
    assert_eq!(bench.store.prune_retired(later).await.unwrap(), 0);
    let retired = bench.store.retired_connections(CONNECTION).await.unwrap().remove(0);
    let secret = &retired.secrets[&SecretUse::TicketSystem];
    assert_eq!((secret.origin.as_deref(), secret.value.expose_secret()), (Some(HERE), "rotated"));
    bench.settle(&delivery, created("1")).await.unwrap();
    assert_eq!(bench.store.prune_retired(later).await.unwrap(), 1);
    assert!(bench.store.retired_connections(CONNECTION).await.unwrap().is_empty());
}

pub async fn proxy_password_is_removed_with_connection(bench: Bench) {
    let proxy =
        |word: &str| (SecretUse::Proxy, set_kind(SecretKind::ProxyPassword, word, "http://proxy:3128"));
    let with = |change: SettingsChange, more: (SecretUse, Option<Secret>)| match change {
        SettingsChange::Connection { connection, system, enabled, draft, base_url, mut secrets } => {
            secrets.extend([more]);
            SettingsChange::Connection { connection, system, enabled, draft, base_url, secrets }
        }
        other @ (SettingsChange::Remove { .. } | SettingsChange::Policy { .. }) => other,
    };
    let configure = async |change| bench.store.configure(vec![change], noted(), bench.now()).await.unwrap();
    let kept = async || {
        let secrets = bench.store.settings().await.unwrap().remove(0).secrets;
        let summary = |(used_for, kept): (&SecretUse, &Secret)| {
            format!("{} {}", used_for.as_str(), kept.value.expose_secret())
        };
        secrets.iter().map(summary).collect::<Vec<_>>()
    };
    configure(with(change(true, Some(set("token", HERE))), proxy("one"))).await;
    configure(change(false, None)).await;
    assert_eq!(kept().await, ["ticket_system token", "proxy one"]);
    configure(with(change(true, None), proxy("two"))).await;
    assert_eq!(kept().await, ["ticket_system token", "proxy two"]);
    // It goes along with what may still have to be looked up, and another one takes its place.
    bench.intended("INC-1").await;
    configure(with(change(true, Some(set("new", THERE))), proxy("three"))).await;
    assert_eq!(kept().await, ["ticket_system new", "proxy three"]);
    let retired = bench.store.retired_connections(CONNECTION).await.unwrap().remove(0).secrets;
    assert_eq!(retired[&SecretUse::Proxy].value.expose_secret(), "two");
    configure(with(change(true, Some(set("back", HERE))), (SecretUse::Proxy, None))).await;
    assert_eq!(kept().await, ["ticket_system back"]);
    let retired = bench.store.retired_connections(CONNECTION).await.unwrap();
    assert_eq!((retired.len(), retired[0].secrets.len()), (1, 1), "what was removed is kept nowhere");
}

pub async fn removed_secret_is_not_kept(bench: Bench) {
    bench
        .store
        .configure(vec![change(true, Some(set("hunter2", HERE)))], noted(), bench.now())
        .await
        .unwrap();
    bench.intended("INC-1").await;
    bench.store.configure(vec![change(false, Some(None))], noted(), bench.now()).await.unwrap();
    assert!(bench.store.settings().await.unwrap().remove(0).secrets.is_empty());
    assert!(bench.store.retired_connections(CONNECTION).await.unwrap().is_empty());
}

pub async fn removed_connection_leaves_deliveries_and_no_secret(bench: Bench) {
    let remove = || SettingsChange::Remove { connection: CONNECTION.to_owned(), system: System::Jira };
    let configure = async |change| bench.store.configure(vec![change], noted(), bench.now()).await;
    configure(change(true, Some(set("old", HERE)))).await.unwrap();
    let delivery = bench.intended("INC-1").await;
    let in_use = configure(remove()).await.unwrap_err();
    assert!(matches!(in_use, ConfigureError::ConnectionInUse { deliveries: 1, .. }), "{in_use:?}");
    configure(change(true, Some(set("new", THERE)))).await.unwrap();
    bench.settle(&delivery, created("1")).await.unwrap();
    configure(remove()).await.unwrap();
    assert!(bench.store.settings().await.unwrap().is_empty());
    assert!(bench.store.retired_connections(CONNECTION).await.unwrap().is_empty());
    let removed = bench.store.removed_connections().await.unwrap().remove(0);
    assert_eq!((removed.connection.as_str(), removed.system), (CONNECTION, System::Jira));
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap().unwrap().state, State::Delivered);
}

pub async fn removed_connection_ends_failed_deliveries_and_scans(bench: Bench) {
    let claimed = bench.claimed("INC-1").await;
    let failed = fail_for_good(&bench, &claimed, FaultKind::Rejected).await;
    assert_eq!(failed.state, State::Failed);
    assert_eq!(bench.store.connection_removed(CONNECTION, bench.now()).await.unwrap(), 1);
    let ended = bench.store.delivery(&failed.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.due_at), (State::Cancelled, None));
    assert_eq!(bench.store.connection_removed(CONNECTION, bench.now()).await.unwrap(), 0);
}

pub async fn every_change_of_settings_has_a_revision(bench: Bench) {
    let policy = || SettingsChange::Policy { auto_push: AutoPush::default(), retry: json!({}) };
    let configure = async |changes| bench.store.configure(changes, noted(), bench.now()).await.unwrap();
    let first = configure(vec![change(true, None), policy()]).await;
    assert_eq!((first.all, first.connections[CONNECTION]), (Some(1), 1));
    assert_eq!(configure(vec![policy()]).await, Revisions { all: Some(2), ..Revisions::default() });
    assert_eq!(configure(vec![change(false, None), policy()]).await.connections[CONNECTION], 2);
    assert_eq!(bench.store.policy().await.unwrap().unwrap().revision, 3);
}

pub async fn keeps_last_connection_test(bench: Bench) {
    assert_eq!(bench.summary().await.last_test, None);
    for checks in [vec![], vec![Check::passed("authentication", "as jdoe", Duration::from_millis(12))]] {
        let test = StoredTest { at: bench.now(), checks };
        bench.store.save_test(CONNECTION, test.clone()).await.unwrap();
        assert_eq!(bench.summary().await.last_test, Some(test));
    }
}

pub(super) fn change(enabled: bool, secret: Option<Option<Secret>>) -> SettingsChange {
    let draft = json!({"url": "https://jira.example/site", "project": "SEC"});
    let base_url = match &secret {
        Some(Some(secret)) => Some(format!("{}/site", secret.origin.as_deref().unwrap_or_default())),
        None => Some(format!("{HERE}/site")),
        Some(None) => None,
    };
    let secrets = secret.map(|change| (SecretUse::TicketSystem, change)).into_iter().collect();
    SettingsChange::Connection {
        connection: CONNECTION.to_owned(),
        system: System::Jira,
        enabled,
        draft,
        base_url,
        secrets,
    }
}

fn set(value: &str, origin: &str) -> Option<Secret> {
    set_kind(SecretKind::ApiToken, value, origin)
}

fn set_kind(kind: SecretKind, value: &str, origin: &str) -> Option<Secret> {
    Some(Secret { origin: Some(origin.to_owned()), set_at: SET_AT, ..Secret::new(kind, value) })
}
