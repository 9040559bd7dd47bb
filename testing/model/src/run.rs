//! Runs the whole model, and prints the results.

use std::fmt;
use std::io::{self, Write};

use crate::explore::{Report, check};
use crate::guard_cases::{GuardTrial, Verdict, broken_assumptions, guards, hidden_tickets};
use crate::setup::{Canaries, Fleet, Setup, Tickets};

/// The extent of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Explorations with more states are aborted, which counts as unexpected.
    pub max_states: usize,
    /// Whether to explore the large configurations too: a minute, instead of seconds.
    pub large: bool,
}

/// The result of the model; its display is the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub configurations: usize,
    /// Of the configurations, not of the trials without a guard.
    pub states: usize,
    pub violations: usize,
    pub guards: usize,
    /// Guards whose removal led to two tickets.
    pub caught: usize,
    /// Guards whose removal another one covers, as expected.
    pub covered: usize,
    /// Assumptions whose violation had the expected effect.
    pub assumptions: usize,
    /// Unexpected results: violations, and redundant guards.
    pub unexpected: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the report cannot be written")]
    Write(#[from] io::Error),
    #[error("the model is not as expected in {} places", .0.unexpected)]
    Unexpected(Summary),
}

/// The configurations in which every promise must hold.
#[must_use]
pub fn configurations(large: bool) -> Vec<Setup> {
    let alone = Fleet::Alone { workers: 2 };
    let two = Fleet::Shared { servers: 2 };
    let three = Fleet::Shared { servers: 3 };
    let small = [
        Setup::indexed("one server that is started again, an index that lags", alone),
        Setup::indexed("two servers, an index that lags", two),
        Setup::immediate("two servers, a search that shows at once", two),
        Setup { duplicate_scans: true, ..Setup::indexed("two servers, duplicate scans", two) },
        Setup {
            tickets: Tickets::ShownLater,
            ..Setup::indexed("two servers, a search that is not known to show tickets", two)
        },
        Setup {
            interferences: 2,
            ..Setup::immediate("one server that is started again, operators", Fleet::Alone { workers: 1 })
        },
    ];
    if !large {
        return small.to_vec();
    }
    let canaries = Canaries::Perhaps;
    vec![
        Setup {
            tickets: Tickets::ShownLater,
            ..Setup::indexed("two servers, a search that is not known to show tickets", two)
        },
        Setup { interferences: 2, ..Setup::indexed("one server that is started again, operators", alone) },
        Setup { retries: 2, ..Setup::indexed("two servers, two retries, an index that lags", two) },
        Setup { interferences: 1, canaries, ..Setup::indexed("two servers, canaries, operators", two) },
        Setup {
            interferences: 2,
            failed_searches: 1,
            ..Setup::immediate("two servers, a search that fails or shows at once, operators", two)
        },
        Setup { duplicate_scans: true, ..Setup::indexed("two servers, duplicate scans", two) },
        Setup::indexed("three servers, an index that lags", three),
        Setup {
            interferences: 1,
            ..Setup::immediate("three servers, a search that shows at once, operators", three)
        },
    ]
}

/// Explores every configuration, then everything without each guard. Writes a line for each, and a trace for
/// each violation.
///
/// # Errors
/// If `out` cannot be written to, or a result is unexpected.
pub fn run(out: &mut impl Write, limits: Limits) -> Result<Summary, RunError> {
    let mut summary = Summary::default();
    for setup in configurations(limits.large) {
        let report = check(&setup, limits.max_states);
        summary.configurations += 1;
        summary.states += report.states;
        summary.violations += usize::from(report.violation.is_some());
        write_report(out, setup.name, &report)?;
        let trial = GuardTrial { setup, expected: None };
        summary.unexpected += usize::from(!is_as_expected(&trial, &report));
    }
    run_guards(out, limits, &mut summary)?;
    writeln!(out, "where no search shows tickets of ours: one ticket at most")?;
    for trial in hidden_tickets() {
        let is_met = run_trial(out, limits, &trial)?;
        summary.unexpected += usize::from(!is_met);
    }
    writeln!(out, "assumption: the transport sends nothing after the deadline that it was given")?;
    for trial in broken_assumptions() {
        let is_met = run_trial(out, limits, &trial)?;
        summary.assumptions += usize::from(is_met);
        summary.unexpected += usize::from(!is_met);
    }
    writeln!(out, "{summary}")?;
    match summary.unexpected {
        0 => Ok(summary),
        _ => Err(RunError::Unexpected(summary)),
    }
}

fn run_guards(out: &mut impl Write, limits: Limits, summary: &mut Summary) -> Result<(), RunError> {
    for case in guards() {
        summary.guards += 1;
        match case.verdict {
            Verdict::Caught => writeln!(out, "without {}: two tickets", case.guard)?,
            Verdict::Covered(why) => writeln!(out, "without {}: covered {why}", case.guard)?,
        }
        let mut is_met = true;
        for trial in &case.trials {
            is_met &= run_trial(out, limits, trial)?;
        }
        match (is_met, case.verdict) {
            (false, _) => summary.unexpected += 1,
            (true, Verdict::Caught) => summary.caught += 1,
            (true, Verdict::Covered(_)) => summary.covered += 1,
        }
    }
    Ok(())
}

/// Whether the trial ended as expected.
fn run_trial(out: &mut impl Write, limits: Limits, trial: &GuardTrial) -> Result<bool, RunError> {
    let report = check(&trial.setup, limits.max_states);
    let removed: Vec<_> = trial.setup.removed.iter().map(ToString::to_string).collect();
    let name = match removed.is_empty() {
        true => trial.setup.name.to_owned(),
        false => format!("{}, without {}", trial.setup.name, removed.join(" and ")),
    };
    write!(out, "  ")?;
    write_report(out, &name, &report)?;
    Ok(is_as_expected(trial, &report))
}

fn is_as_expected(trial: &GuardTrial, report: &Report) -> bool {
    let found = report.violation.as_ref().map(|trace| trace.violation);
    found == trial.expected && !report.is_cut_short
}

fn write_report(out: &mut impl Write, name: &str, report: &Report) -> Result<(), RunError> {
    let Report { states, depth, longest_recovery, is_cut_short, violation } = report;
    let cut = if *is_cut_short { ", CUT SHORT" } else { "" };
    let verdict = match violation {
        Some(trace) => trace.violation.to_string(),
        None => "holds".to_owned(),
    };
    let recovery = match longest_recovery {
        0 => String::new(),
        ticks => format!(", at its end within {ticks} ticks of a run without faults"),
    };
    writeln!(out, "{name}: {verdict} ({states} states, {depth} steps deep{recovery}{cut})")?;
    if let Some(trace) = violation {
        for line in trace.to_string().lines() {
            writeln!(out, "      {line}")?;
        }
    }
    Ok(())
}

// === impl Summary ===

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { configurations, states, violations, guards, caught, covered, unexpected, .. } = self;
        write!(
            f,
            "model: {configurations} configurations, {states} states, {violations} violations; \
             {caught} of {guards} guards caught, {covered} covered; {unexpected} unexpected"
        )
    }
}
