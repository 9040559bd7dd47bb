//! Testing a connection, step by step.

use std::collections::BTreeSet;

use ticketing_core::system::{Check, CheckOutcome};

use crate::steps::{WRONG_SECRET, check_nothing_written};
use crate::test_system::{Calls, Failure, SECRET, TestSystem};

pub async fn test_of_working_connection_passes(remote: &dyn TestSystem) {
    let checks = remote.connect(SECRET).test().await;
    let is_good = |check: &Check| matches!(check.outcome, CheckOutcome::Passed | CheckOutcome::Unproven);
    assert!(checks.iter().all(is_good), "{checks:?}");
    assert!(checks.iter().any(|check| check.outcome == CheckOutcome::Passed), "{checks:?}");
}

pub async fn test_never_writes(remote: &dyn TestSystem) {
    remote.connect(SECRET).test().await;
    failed_tests(remote).await;
    check_nothing_written(remote);
}

pub async fn test_reports_the_same_checks_in_every_state(remote: &dyn TestSystem) {
    let names = |checks: &[Check]| checks.iter().map(|check| check.name.clone()).collect::<Vec<_>>();
    let expected = names(&remote.connect(SECRET).test().await);
    let distinct: BTreeSet<_> = expected.iter().collect();
    assert_eq!(distinct.len(), expected.len(), "each check is reported once: {expected:?}");
    for (state, checks) in failed_tests(remote).await {
        assert_eq!(names(&checks), expected, "{state}");
    }
}

pub async fn checks_after_a_failed_one_are_skipped(remote: &dyn TestSystem) {
    for (state, checks) in failed_tests(remote).await {
        let failed = checks.iter().position(Check::has_failed);
        let failed = failed.unwrap_or_else(|| panic!("no check fails: {state}"));
        let is_skipped = |check: &Check| check.outcome == CheckOutcome::Skipped;
        assert!(!checks[..failed].iter().any(is_skipped), "{state}: skipped too early: {checks:?}");
        assert!(checks[failed + 1..].iter().all(is_skipped), "{state}: not skipped: {checks:?}");
        assert!(checks[failed].fault_kind.is_some(), "{state}: a failed check has its fault: {checks:?}");
        assert!(checks.iter().all(|check| !check.detail.is_empty()), "{state}: no finding: {checks:?}");
    }
}

pub async fn test_reports_refused_login(remote: &dyn TestSystem) {
    let checks = remote.connect(WRONG_SECRET).test().await;
    assert!(checks.iter().any(|check| check.refused_login().is_some()), "{checks:?}");
    let checks = remote.connect(SECRET).test().await;
    assert!(checks.iter().all(|check| check.refused_login().is_none()), "{checks:?}");
}

/// The test in every state in which it fails. Leaves the place removed.
async fn failed_tests(remote: &dyn TestSystem) -> Vec<(&'static str, Vec<Check>)> {
    let mut tests = vec![("the login is refused", remote.connect(WRONG_SECRET).test().await)];
    remote.fail(Calls::Any, Failure::ServerError { applied: false });
    tests.push(("the server fails", remote.connect(SECRET).test().await));
    remote.recover();
    remote.withdraw_access();
    tests.push(("the account has no access", remote.connect(SECRET).test().await));
    remote.remove_place();
    tests.push(("the place is gone", remote.connect(SECRET).test().await));
    tests
}
