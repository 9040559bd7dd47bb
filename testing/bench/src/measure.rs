//! What a run measures, and how rounds take turns.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use crate::statistics::{Summary, number};
use crate::workbench::Workbench;

/// A row of the table: the server's values beside those of a limit or peer, one of each in a round.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Vec<f64>,
    pub(crate) beside: Option<Beside>,
}

#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<f64>,
}

/// Values over named points of an axis.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// The name of its file.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    /// What the values are, and over what.
    pub(crate) axes: [&'static str; 2],
    pub(crate) points: Vec<String>,
    pub(crate) series: Vec<(&'static str, Vec<f64>)>,
}

/// What a row found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) lines: Vec<Line>,
    pub(crate) plots: Vec<Plot>,
}

/// The work that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// SubmitIncident until it is durable, 32 callers.
    Accept,
    /// SubmitIncident until its ticket is recorded, and CPU time for each.
    Delivery,
    /// CreateTicket, 32 callers.
    Create,
    /// A burst of 1,000 incidents, and a CreateTicket in its middle.
    Burst,
    /// The burst at a Jira that allows 10 creates a second.
    Throttled,
    /// Tickets per second over Jira's latency: the first plot.
    Latency,
    /// CreateTicket, one at a time.
    OneAtATime,
    /// All events to 32 subscribers.
    Replay,
    /// 1,200 events a second to 32 subscribers.
    Live,
    /// GetStatus, 8 callers.
    Status,
    /// GetStatus, ListDeliveries and the start over the size of the database: the second plot.
    Growth,
    /// Memory, binary and disk.
    Footprint,
}

/// The size of a run.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) is_quick: bool,
    pub(crate) rounds: usize,
    /// The largest database of `growth`.
    pub(crate) largest: u64,
}

/// What every row has.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) program: PathBuf,
    pub(crate) scale: Scale,
    pub(crate) workbench: Workbench,
}

// === impl Bench ===

impl Bench {
    /// The first in a full run, the second in a quick one.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.scale.is_quick { quick } else { full }
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

// === impl Plot ===

impl Plot {
    /// One line for each series.
    pub(crate) fn as_text(&self) -> String {
        let mut text = format!("{}, over {}: {}\n", self.title, self.axes[0], self.points.join(", "));
        for (name, values) in &self.series {
            let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
            text.push_str(&format!("  {name} ({}): {}\n", self.axes[1], values.join("; ")));
        }
        text
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn new(work: impl Into<String>, unit: &'static str) -> Self {
        Self { work: work.into(), unit, ours: Vec::new(), beside: None }
    }

    pub(crate) fn alone(work: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        Self { ours, ..Self::new(work, unit) }
    }

    pub(crate) fn against(self, name: &'static str, values: Vec<f64>) -> Self {
        Self { beside: Some(Beside { name, values }), ..self }
    }

    /// The ratios of the server to its limit, round by round.
    pub(crate) fn ratio(&self) -> Option<Summary> {
        let beside = self.beside.as_ref()?;
        let ratios = self.ours.iter().zip(&beside.values).map(|(ours, beside)| ours / beside);
        Summary::of(&ratios.collect::<Vec<_>>())
    }
}

/// Measures `ours` and `beside` in turns, and begins with another of them in each round.
pub(crate) async fn in_turns<A, B>(rounds: usize, mut ours: A, mut beside: B) -> Result<[Vec<f64>; 2]>
where
    A: AsyncFnMut() -> Result<f64>,
    B: AsyncFnMut() -> Result<f64>,
{
    let [mut first, mut second] = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        if round % 2 == 0 {
            first.push(ours().await?);
            second.push(beside().await?);
        } else {
            second.push(beside().await?);
            first.push(ours().await?);
        }
    }
    Ok([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_taken_within_a_round() {
        let line = Line::alone("work", "1/s", vec![1.0, 4.0]).against("limit", vec![2.0, 4.0]);
        assert_eq!(line.ratio(), Some(Summary { median: 0.75, min: 0.5, max: 1.0 }));
    }
}
