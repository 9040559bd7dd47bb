//! Named tests of the workspace, run together.

use std::collections::BTreeMap;
use std::process::Output;

use anyhow::{Context, Result};
use tokio::process::Command;

/// The results of the tests.
#[derive(Debug, Default)]
pub(super) struct Suite {
    /// By function name.
    verdicts: BTreeMap<String, Passed>,
    /// The output of cargo.
    output: String,
}

/// Whether every test of that name passed.
type Passed = bool;

// === impl Suite ===

impl Suite {
    /// Runs them. Reuses what was built for this program, because it was built with the whole workspace.
    pub(super) async fn run(names: &[&str]) -> Result<Self> {
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--locked", "--workspace", "--all-targets", "--no-fail-fast", "--"]).args(names);
        // A missing disk for power cuts fails the tests here.
        cargo.env("TICKETING_DISK_REQUIRED", "1");
        let Output { stdout, stderr, .. } = cargo.output().await.context("cargo cannot be run")?;
        let output = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        Ok(Self::of(output))
    }

    /// Why the test has not passed; a missing test has not.
    pub(super) fn failure(&self, name: &str) -> Option<String> {
        match self.verdicts.get(name) {
            Some(true) => None,
            Some(false) => Some(self.output.clone()),
            None => Some(format!("no test that is run is called {name}\n{}", self.output)),
        }
    }

    fn of(output: String) -> Self {
        let mut verdicts = BTreeMap::new();
        for (path, verdict) in output.lines().filter_map(parse_result) {
            // An ignored test did not run.
            if verdict == "ok" || verdict == "FAILED" {
                let name = path.rsplit("::").next().unwrap_or(path).to_owned();
                *verdicts.entry(name).or_insert(true) &= verdict == "ok";
            }
        }
        Self { verdicts, output }
    }
}

/// Test and result of a line such as `test token::tests::it_works ... ok`.
fn parse_result(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 4 tests\n\
        test one::tests::it_holds ... ok\n\
        test it_breaks ... FAILED\n\
        test it_waits ... ignored\n\
        test elsewhere::it_breaks ... ok\n\
        test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s\n";

    #[test]
    fn failed_ignored_and_missing_tests_count_as_not_passed() {
        let suite = Suite::of(OUTPUT.to_owned());
        assert_eq!(suite.failure("it_holds"), None);
        for name in ["it_breaks", "it_waits", "it_is_nowhere"] {
            assert!(suite.failure(name).is_some(), "{name}");
        }
    }
}
