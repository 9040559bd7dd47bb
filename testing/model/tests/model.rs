//! The small configurations, every guard taken away, and every trace walked again.

use ticketing_core::delivery::State;
use ticketing_model::{
    Fleet, Guard, Limits, Promise, Setup, Step, Verdict, Violation, broken_assumptions, check,
    configurations, guards, hidden_tickets, replay, run,
};

const LIMITS: Limits = Limits { max_states: 1_000_000, large: false };

#[test]
fn every_promise_holds_in_the_small_configurations() {
    for setup in configurations(false) {
        let report = check(&setup, LIMITS.max_states);
        assert!(!report.is_cut_short, "{}: {} states", setup.name, report.states);
        assert!(report.violation.is_none(), "{}:\n{}", setup.name, report.violation.unwrap());
        assert!((1..=setup.max_ticks()).contains(&report.longest_recovery), "{}", setup.name);
    }
}

#[test]
fn removing_a_guard_fails_unless_another_covers_it() {
    for case in guards() {
        let mut broke = 0;
        for trial in &case.trials {
            let report = check(&trial.setup, LIMITS.max_states);
            let found = report.violation.as_ref().map(|trace| trace.violation);
            assert_eq!(found, trial.expected, "without {}: {}", case.guard, trial.setup.name);
            broke += usize::from(found.is_some());
        }
        assert!(broke > 0, "nothing shows what {} is there for", case.guard);
        let holds_somewhere = broke < case.trials.len();
        assert_eq!(holds_somewhere, matches!(case.verdict, Verdict::Covered(_)), "{}", case.guard);
    }
}

#[test]
fn makes_one_ticket_where_no_search_shows_any() {
    for trial in hidden_tickets() {
        let report = check(&trial.setup, LIMITS.max_states);
        assert!(!report.is_cut_short && report.violation.is_none(), "{}: {report:?}", trial.setup.name);
    }
}

#[test]
fn every_trace_can_be_replayed() {
    let trials = guards().into_iter().flat_map(|case| case.trials).chain(broken_assumptions());
    for trial in trials.filter(|trial| trial.expected == Some(Violation::SecondTicket)) {
        let trace = check(&trial.setup, LIMITS.max_states).violation.unwrap();
        let replayed = replay(&trial.setup, &trace.steps).unwrap();
        assert_eq!((replayed.violation, replayed.tickets), (trial.expected, 2), "{trace}");
    }
}

#[test]
fn traces_are_deterministic() {
    let setup = Setup::indexed("two servers", Fleet::Shared { servers: 2 }).without(Guard::IndexBound);
    let find = || check(&setup, LIMITS.max_states).violation.unwrap();
    assert_eq!(find(), find());
}

#[test]
fn duplicate_of_a_paused_worker_is_reported() {
    let paused = Setup {
        paused_writer: true,
        duplicate_scans: true,
        promise: Promise::EveryTicketIsKnown,
        ..Setup::immediate("paused", Fleet::Shared { servers: 2 })
    };
    let tick = |ticks| std::iter::repeat_n(Step::Tick, ticks);
    let up_to_the_pause = [Step::Claim(0), Step::Intend(0), Step::Check(0)].into_iter().chain(tick(4));
    let search = Step::Search { worker: 1, behind: 0, canary: ticketing_model::CanaryView::Unknown };
    let looks = [Step::ExpireLease, Step::Tick, Step::Claim(1), search, Step::Record(1)];
    let sends = [Step::Claim(1), Step::Intend(1), Step::Check(1), Step::Write(1)];
    let records = [Step::Apply(1), Step::Reply(1), Step::Record(1)];
    let wakes = [Step::Write(0), Step::Apply(0)];
    let trace: Vec<Step> = up_to_the_pause.chain(looks).chain(sends).chain(records).chain(wakes).collect();
    let after = |further: &[Step]| replay(&paused, &[&trace, further].concat()).unwrap();

    let twice = after(&[]);
    assert_eq!((twice.tickets, twice.state, twice.duplicates), (2, State::Delivered, 0));
    assert_eq!(after(&[Step::Reply(0), Step::Record(0)]).duplicates, 1);
    let scanned = [Step::Crash(0), Step::Tick, Step::Tick, Step::ScanForDuplicates { behind: 0 }];
    assert_eq!(after(&scanned).duplicates, 1);
}

#[test]
fn broken_assumptions_have_the_documented_effect() {
    for trial in broken_assumptions() {
        let report = check(&trial.setup, LIMITS.max_states);
        let found = report.violation.as_ref().map(|trace| trace.violation);
        assert_eq!(found, trial.expected, "{}", trial.setup.name);
    }
}

#[test]
fn does_not_replay_an_impossible_step() {
    let setup = Setup::indexed("two servers", Fleet::Shared { servers: 2 });
    assert_eq!(replay(&setup, &[Step::Claim(0), Step::Write(0)]), None);
}

#[test]
fn redundant_guard_and_truncated_exploration_are_errors() {
    let mut out = vec![];
    let limits = Limits { max_states: 1_000, large: false };
    assert!(run(&mut out, limits).is_err());
    let last = String::from_utf8(out).unwrap().lines().last().unwrap().to_owned();
    assert!(last.starts_with("model: 6 configurations, "), "{last}");
}

#[test]
fn last_line_has_the_counts() {
    let mut out = vec![];
    let summary = run(&mut out, LIMITS).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.lines().last().unwrap(), summary.to_string());
    assert_eq!((summary.violations, summary.unexpected), (0, 0));
    assert_eq!((summary.guards, summary.caught + summary.covered), (14, 14));
    assert!(summary.to_string().ends_with("0 violations; 9 of 14 guards caught, 5 covered; 0 unexpected"));
}
