//! The driver of the gate: proptest on the stable compiler, in bounded time, with the same inputs for the same seed.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::{Target, strategies};

/// An input that takes longer blocks a thread of the server for as long.
const SLOW: Duration = Duration::from_secs(5);
/// An input that takes this long counts as endless.
const ENDLESS: Duration = Duration::from_secs(60);
/// Maximum number of inputs that are tried to make a broken one smaller.
const MAX_SHRINKS: u32 = 2_000;
/// How long they are tried, in milliseconds.
const MAX_SHRINK_TIME: u32 = 30_000;

/// Duration, and start.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub time: Duration,
    /// Maximum number of inputs, so that a run is the same on every fast enough machine.
    pub inputs: u64,
    pub seed: u64,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    pub inputs: u64,
    pub broken: Option<Broken>,
}

/// An input that breaks a promise.
#[derive(Debug)]
pub struct Broken {
    pub input: Vec<u8>,
    pub why: String,
}

/// The current input, for the watchdog.
type Trying = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Tries the inputs of a target, and then generated ones, until one breaks its promise or the time is over. A
/// generated input that breaks it is made smaller.
///
/// # Errors
/// If the corpus cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "a run is bounded by real time; its inputs are by the seed alone"
)]
pub fn run(target: &Target, plan: Plan) -> Result<Outcome> {
    let end = Instant::now() + plan.time;
    let trying = Trying::default();
    watch(target.name, &trying);
    let seeds = target.inputs()?;
    let mut outcome = Outcome { inputs: 0, broken: None };
    for input in &seeds {
        outcome.inputs += 1;
        outcome.broken = try_input(target, input, &trying);
        if outcome.broken.is_some() {
            return Ok(outcome);
        }
    }
    let strategy = strategies::inputs(target.shape, &seeds);
    let mut runner = runner(plan.seed ^ hash(target.name.as_bytes()));
    while outcome.broken.is_none() && outcome.inputs < plan.inputs && Instant::now() < end {
        outcome.inputs += 1;
        let input = strategy.new_tree(&mut runner).map_err(|why| anyhow!("no input: {why}"))?;
        let tried = runner.run_one(input, |input| match try_input(target, &input, &trying) {
            Some(broken) => Err(TestCaseError::fail(broken.why)),
            None => Ok(()),
        });
        match tried {
            Ok(_) => {}
            Err(TestError::Fail(why, input)) => {
                outcome.broken = Some(Broken { input, why: why.message().to_owned() });
            }
            Err(TestError::Abort(why)) => return Err(anyhow!("no input: {why}")),
        }
    }
    *trying.lock().unwrap_or_else(PoisonError::into_inner) = None;
    Ok(outcome)
}

fn runner(seed: u64) -> TestRunner {
    // Never all zero, which XorShift would not leave.
    let bytes = [seed.to_le_bytes(), (!seed).to_le_bytes()].concat();
    // Without optimization ChaCha takes longer than most targets, and nothing here needs it.
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: MAX_SHRINKS,
        max_shrink_time: MAX_SHRINK_TIME,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, rng)
}

/// Tries one input.
#[must_use]
pub fn try_once(target: &Target, input: &[u8]) -> Option<Broken> {
    try_input(target, input, &Trying::default())
}

/// Saves an input that broke a promise, and prints its path.
///
/// # Errors
/// If it cannot be written.
pub fn keep(target: &Target, input: &[u8], folder: &Path) -> Result<PathBuf> {
    save(target.name, input, folder)
}

#[expect(clippy::disallowed_methods, reason = "how long an input takes is a promise of its own")]
fn try_input(target: &Target, input: &[u8], trying: &Trying) -> Option<Broken> {
    let began = Instant::now();
    *trying.lock().unwrap_or_else(PoisonError::into_inner) = Some((began, input.to_vec()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = began.elapsed();
    let why = match outcome {
        Err(panic) => words(panic.as_ref()),
        Ok(()) if took > SLOW => format!("it took {took:.1?}"),
        Ok(()) => return None,
    };
    Some(Broken { input: input.to_vec(), why })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// Ends the process if an input does not end: no other thread can be stopped.
#[allow(clippy::print_stderr, reason = "the process ends here")]
fn watch(name: &'static str, trying: &Trying) {
    let trying = Arc::downgrade(trying);
    thread::spawn(move || {
        while let Some(trying) = trying.upgrade() {
            let current = trying.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((began, input)) = current.filter(|(began, _)| began.elapsed() > ENDLESS) {
                let kept = save(name, &input, &default_folder());
                eprintln!("{name}: an input did not end in {:?}: {kept:?}", began.elapsed());
                std::process::exit(1);
            }
            drop(trying);
            thread::sleep(Duration::from_millis(200));
        }
    });
}

/// Where broken promises are kept.
#[must_use]
pub fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz")
}

fn save(name: &str, input: &[u8], folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{name}-{:016x}", hash(input)));
    fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// FNV-1a: only to distinguish names.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn planted(input: &[u8]) {
        let text = String::from_utf8_lossy(input);
        assert!(!text.contains("{noformat}") || text.len() < 20, "planted");
    }

    const PLANTED: Target = Target {
        name: "planted",
        promise: "",
        shape: Shape::Json,
        seeds: || vec![br#"{"fields":{"text":"plain"}}"#.to_vec()],
        run: planted,
    };

    #[test]
    fn same_seed_finds_the_broken_promise_again() {
        let plan = Plan { time: Duration::from_secs(30), inputs: u64::MAX, seed: 1 };
        let found = || run(&PLANTED, plan).unwrap();
        let first = found();
        let second = found();
        let first_broken = first.broken.unwrap();
        let second_broken = second.broken.unwrap();
        assert_eq!((first.inputs, &first_broken.input), (second.inputs, &second_broken.input));
        assert_eq!(first_broken.why, "planted");
        assert!(first_broken.input.len() < 100, "not made smaller: {} bytes", first_broken.input.len());
    }

    #[test]
    fn run_stops_after_number_of_inputs() {
        let plan = Plan { time: Duration::from_secs(30), inputs: 100, seed: 1 };
        assert_eq!(run(Target::find("retry-after").unwrap(), plan).unwrap().inputs, 100);
    }

    #[test]
    fn kept_promise_is_tried_until_the_time_limit() {
        let plan = Plan { time: Duration::from_millis(50), inputs: u64::MAX, seed: 1 };
        let outcome = run(Target::find("retry-after").unwrap(), plan).unwrap();
        assert!(outcome.broken.is_none() && outcome.inputs > 10, "{outcome:?}");
    }
}
