//! Packaging: the systemd unit, and the container file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ticketing_harness::{Plan, free_address};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ticketing");

fn packaged(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn ticketing(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// The settings of the unit: of a repeated one, all values.
fn settings(unit: &str) -> BTreeMap<String, Vec<String>> {
    let mut settings = BTreeMap::<String, Vec<String>>::new();
    let lines = unit.lines().filter(|line| !line.starts_with(['#', '[']));
    for (name, value) in lines.filter_map(|line| line.split_once('=')) {
        settings.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    settings
}

#[test]
fn unit_drops_privileges_that_are_not_needed() {
    let unit = settings(&packaged("packaging/ticketing.service"));
    let expected = [
        ("User", "ticketing"),
        ("UMask", "0077"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("MemoryDenyWriteExecute", "yes"),
        ("LimitCORE", "0"),
        ("StateDirectory", "ticketing"),
        ("StateDirectoryMode", "0700"),
    ];
    for (name, value) in expected {
        assert_eq!(unit.get(name), Some(&vec![value.to_owned()]), "{name}");
    }
    assert_eq!(unit["SystemCallFilter"], ["@system-service", "~@privileged @resources"]);
    assert!(!unit.contains_key("LoadCredential"), "a copy that is made at the start is never read again");
    assert_eq!(unit["ExecReload"], ["/bin/kill -HUP $MAINPID"]);
    let users = packaged("packaging/ticketing.sysusers.conf");
    assert!(users.lines().any(|line| line.starts_with("u ticketing ")), "{users}");
}

#[test]
fn unit_uses_existing_flags_and_a_sufficient_stop_timeout() {
    let unit = settings(&packaged("packaging/ticketing.service"));
    let help = String::from_utf8(ticketing(&["serve", "--help"]).stdout).unwrap();
    let (program, flags) = unit["ExecStart"][0].split_once(" serve ").unwrap();
    assert_eq!(program, "/usr/bin/ticketing");
    for flag in flags.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} <")), "{flag}");
    }
    let grace = help.split("--shutdown-grace").nth(1).unwrap().split("[default: ").nth(1).unwrap();
    let seconds = |text: &str| text.split('s').next().unwrap().parse::<u32>().unwrap();
    assert!(seconds(&unit["TimeoutStopSec"][0]) >= seconds(grace) + 10);
}

#[test]
fn commands_in_the_unit_use_existing_flags() {
    let unit = packaged("packaging/ticketing.service").replace("\\\n#", "");
    let command = unit.split("runuser -u ticketing -- ticketing ").nth(1).unwrap().lines().next().unwrap();
    let help = String::from_utf8(ticketing(&["token", "create", "--help"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let words = command.replace("/var/lib/ticketing", &folder.path().display().to_string());
    let words: Vec<_> = words.split_whitespace().collect();
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} <")), "{flag}");
    }
    let output = String::from_utf8(ticketing(&words).stderr).unwrap();
    assert!(output.contains("there is no database"), "{output}");
}

#[test]
fn systemd_verifies_the_unit_and_rates_it_safe() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("ticketing.service");
    // The program is not installed here, and systemd checks for it.
    fs::write(&unit, packaged("packaging/ticketing.service").replace("/usr/bin/ticketing", PROGRAM)).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output().ok()?;
        Some((
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        ))
    };
    let Some((sound, output)) = analyze(&["verify"]) else {
        println!("systemd-analyze is not installed: the unit was only read");
        return;
    };
    assert!(sound && !output.contains("ticketing.service"), "{output}");
    // From 0.0, which is safest, to 10.0; the threshold is in tenths.
    let (safe, output) = analyze(&["security", "--offline=true", "--threshold=15"]).unwrap();
    assert!(safe, "{output}");
}

#[test]
fn container_is_unprivileged_and_has_a_health_check() {
    let file = packaged("packaging/Containerfile");
    let last = file.rsplit("\nFROM ").next().unwrap();
    assert!(last.starts_with("gcr.io/distroless/cc-debian12:nonroot\n"), "{last}");
    assert!(last.contains("\nUSER 65532:65532\n"));
    assert!(!last.contains("\nRUN "), "there is no shell to run anything");
    assert!(last.contains("CMD [\"/usr/bin/ticketing\", \"health\"]"));
    let pinned = packaged("rust-toolchain.toml");
    let version =
        pinned.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"')).unwrap();
    assert!(file.contains(&format!("FROM docker.io/library/rust:{version}-slim-bookworm AS build\n")));
    let help = String::from_utf8(ticketing(&["serve", "--help"]).stdout).unwrap();
    for variable in file.split_whitespace().filter_map(|word| word.strip_prefix("TICKETING_")) {
        let name = variable.split('=').next().unwrap();
        assert!(help.contains(&format!("[env: TICKETING_{name}=")), "{name}");
    }
}

#[test]
fn container_build_context_is_complete_and_has_no_data() {
    let sent: Vec<String> = packaged(".dockerignore")
        .lines()
        .filter_map(|line| line.strip_prefix('!').map(str::to_owned))
        .collect();
    let members = [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "rust-toolchain.toml",
        "proto",
        "src",
        "crates",
        "testing",
        "xtask",
        "tests",
        "examples",
    ];
    assert_eq!(sent, members);
    for name in sent {
        assert!(root().join(&name).exists(), "{name}");
    }
}

#[tokio::test]
async fn health_command_reports_by_its_exit_code() {
    let address = free_address();
    let world = Plan::new().with_flag(&format!("--health-listen={address}")).start().await;
    let asked =
        tokio::process::Command::new(PROGRAM).args(["health", "--health-listen", &address]).output().await;
    let asked = asked.unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    world.finish().await;
    let asked = ticketing(&["health", "--health-listen", &address]);
    assert!(!asked.status.success() && String::from_utf8_lossy(&asked.stderr).contains("no server answers"));
}
