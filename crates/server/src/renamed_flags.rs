//! Refuses flags and variables under their former names, and says what they are called now.

use std::ffi::OsStr;

/// The former and the present name of each flag.
const RENAMED: &[(&str, &str)] = &[
    ("connections", "max-connections"),
    ("connections-per-peer", "max-connections-per-peer"),
    ("longest-call", "max-call-duration"),
    ("slow-subscriber", "subscriber-timeout"),
    ("stranger-burst", "unauthenticated-burst"),
    ("stranger-rate", "unauthenticated-rate"),
    ("sweeps", "duplicate-scan-delays"),
];

/// Checks the arguments of the program and, for `serve`, which alone reads them, its environment variables.
///
/// # Errors
/// The first former name, with its successor.
pub fn check(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    has_variable: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let mut is_serve = false;
    for (index, argument) in arguments.into_iter().enumerate() {
        if index == 1 {
            is_serve = argument.as_ref() == "serve";
            let is_demo = argument.as_ref() == "demo";
            anyhow::ensure!(!is_demo, "the demo is a program of its own: cargo run --bin ticketing-demo");
        }
        let Some(flag) = argument.as_ref().to_str().and_then(|text| text.strip_prefix("--")) else {
            continue;
        };
        let name = flag.split_once('=').map_or(flag, |(name, _)| name);
        if let Some((_, now)) = RENAMED.iter().find(|(former, _)| *former == name) {
            anyhow::bail!("--{name} is now called --{now}");
        }
    }
    for (former, now) in
        RENAMED.iter().filter(|_| is_serve).map(|(former, now)| (variable(former), variable(now)))
    {
        anyhow::ensure!(!has_variable(&former), "the environment variable {former} is now called {now}");
    }
    Ok(())
}

fn variable(flag: &str) -> String {
    format!("TICKETING_{}", flag.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str], variable: &str) -> String {
        check(std::iter::once(&"ticketing").chain(arguments), |name| name == variable)
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn refuses_former_names_with_their_successors() {
        assert_eq!(
            refusal(&["serve", "--sweeps=1s,2s,3s"], ""),
            "--sweeps is now called --duplicate-scan-delays"
        );
        assert_eq!(
            refusal(&["serve", "--connections", "4"], ""),
            "--connections is now called --max-connections"
        );
        let message =
            "the environment variable TICKETING_LONGEST_CALL is now called TICKETING_MAX_CALL_DURATION";
        assert_eq!(refusal(&["serve"], "TICKETING_LONGEST_CALL"), message);
    }

    #[test]
    fn other_commands_ignore_variables_of_serve() {
        assert_eq!(refusal(&["health"], "TICKETING_LONGEST_CALL"), "");
    }

    #[test]
    fn names_the_program_of_the_demo() {
        assert!(refusal(&["demo"], "").contains("ticketing-demo"));
    }

    #[test]
    fn takes_present_names() {
        assert_eq!(
            refusal(&["serve", "--max-connections=4", "connections"], "TICKETING_MAX_CONNECTIONS"),
            ""
        );
    }
}
