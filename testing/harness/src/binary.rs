//! The real binary.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use super::WAIT_TIMEOUT;

/// The output of the binary.
#[derive(Debug)]
pub struct ProgramOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The `ticketing` binary built with this program: in the same folder, or one above that of a test.
#[must_use]
pub fn binary() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folders = program.ancestors().skip(1).take(2);
    let beside = folders.map(|folder| folder.join("ticketing")).find(|path| path.is_file());
    beside.unwrap_or_else(|| {
        panic!("there is no `ticketing` beside {}: build the workspace", program.display())
    })
}

/// Runs the binary with these arguments and variables until it exits by itself.
pub async fn run_program(arguments: &[String], variables: &[(&str, &str)]) -> ProgramOutput {
    let child = Command::new(binary())
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(WAIT_TIMEOUT, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("ticketing {arguments:?} runs on")).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    ProgramOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
