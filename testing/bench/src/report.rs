//! The table of a run, as Markdown.

use std::fs;
use std::path::Path;

use crate::measure::{Line, Scale};
use crate::statistics::{Summary, number};

/// The machine, and how busy it was when the run began.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) model: String,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) load: String,
}

// === impl Machine ===

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let gigabytes = memory.trim_end_matches(" kB").parse().map_or(0.0, |kb: f64| kb * 1_024.0 / 1e9);
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            model: value(&read("/proc/cpuinfo"), "model name"),
            memory: format!("{gigabytes:.0} GB"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    fn describe(&self) -> String {
        let Self { cores, model, memory, kernel, load } = self;
        format!(
            "{cores} cores ({model}), {memory} of memory, Linux {kernel}; load average {load} at the start"
        )
    }
}

/// The description of the run and its table.
pub(crate) fn markdown(lines: &[Line], machine: &Machine, scale: &Scale, folder: &Path) -> String {
    let rounds = scale.rounds;
    let disk = file_system(folder);
    let mut text = format!("Machine: {}; database on {disk}. Rounds: {rounds}.\n\n", machine.describe());
    text.push_str(
        "| work | unit | RhythmX Ticketing | beside | value | ratio |\n|---|---|---|---|---|---|\n",
    );
    for line in lines {
        text.push_str(&row(line));
    }
    text
}

fn row(line: &Line) -> String {
    let ours = spread(Summary::of(&line.ours));
    let (beside, values, ratio) = match &line.beside {
        Some(beside) => (beside.name, spread(Summary::of(&beside.values)), spread(line.ratio())),
        None => ("", String::new(), String::new()),
    };
    format!("| {} | {} | {ours} | {beside} | {values} | {ratio} |\n", line.work, line.unit)
}

/// A median, with smallest and largest value if they differ.
fn spread(summary: Option<Summary>) -> String {
    let Some(Summary { median, min, max }) = summary else { return String::new() };
    let [median, min, max] = [median, min, max].map(number);
    if min == max { median } else { format!("{median} ({min} to {max})") }
}

/// The type of the file system of a folder, by the longest mount point above it.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(place, _)| folder.starts_with(place));
    above.max_by_key(|(place, _)| place.len()).map_or("unknown", |(_, kind)| kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_has_median_spread_and_ratio() {
        let line = Line::alone("work", "1/s", vec![1.0, 2.0, 3.0]).against("limit", vec![2.0, 2.0, 2.0]);
        assert_eq!(row(&line), "| work | 1/s | 2.00 (1.00 to 3.00) | limit | 2.00 | 1.00 (0.50 to 1.50) |\n");
    }
}
