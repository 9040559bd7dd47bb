//! The corpus: every input keeps its promise, and every target has one.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ticketing_fuzz::{TARGETS, corpus, driver};

#[test]
fn every_corpus_input_passes() {
    for target in TARGETS {
        for input in target.inputs().unwrap() {
            let broken = driver::try_once(target, &input).map(|broken| broken.why);
            assert_eq!(broken, None, "{} with {:?}", target.name, String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn each_target_has_corpus_inputs_and_a_libfuzzer_binary() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    let kept: BTreeSet<String> = fs::read_dir(corpus())
        .unwrap()
        .map(|folder| folder.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(kept, names.iter().map(|name| (*name).to_owned()).collect());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let binaries: BTreeSet<&str> = manifest
        .split("[[bin]]")
        .skip(1)
        .filter_map(|bin| bin.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')))
        .collect();
    assert_eq!(binaries, names);
}
