//! Renders hostile and plain incidents for Atlassian's own parsers: `tests/vendor_parsers/parse.mjs` reads the
//! file written here.
//!
//! The file has one JSON object per line: `name`, the `adf` document, the `wiki` markup of the same incident,
//! and `whole`, whether neither omits anything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use ticketing_core::clock::Clock;
use ticketing_core::incident::{Incident, IncidentFields};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::secret::{Secret, SecretKind};
use ticketing_core::system::{Rendered, TicketDraft, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::{EgressPolicy, HttpClient};
use ticketing_jira::{Flags, Flavour, Jira, Settings, SettingsDraft};

#[path = "support/incidents.rs"]
mod incidents;

const HOSTILE: [&str; 44] = [
    "{code}",
    "{code:json}{noformat}",
    "{noformat}",
    "{NoFormat} after",
    "{panel:title=x|bgColor=red}",
    "{quote}x{quote}",
    "{color:red}x{color}",
    "{adf}{\"type\":\"doc\"}{adf}",
    "{anchor:x}",
    "{loremipsum}",
    "{{mono}}",
    "{*}bold{*}",
    "[~admin]",
    "[~accountid:5b10]",
    "[click|http://evil.example]",
    "[http://evil.example]",
    "[^secrets.txt]",
    "[#top]",
    "!https://evil.example/x.png!",
    "!secrets.png|thumbnail!",
    "http://evil.example/a_b?c=d",
    "mailto:a@evil.example",
    "ftp://evil.example www.evil.example",
    "file:///etc/passwd irc://x",
    "*bold* _it_ -del- +ins+ ^sup^ ~sub~ ??cite??",
    "h1. heading",
    "bq. quote",
    "# item",
    "* item",
    "- item",
    "|a|b|",
    "||a||b||",
    "---- a -- b --- c",
    "\\\\ line \\\\",
    "\\\\server\\share\\{guid}",
    "C:\\Windows\\System32\\_x",
    "ends with \\",
    "\\*escaped\\* \\[x\\] \\\\\\three",
    "(!) (x) (/) (?) (on) (*r) (flag) :) :( :P :D ;) :-) (y)",
    "SEC-1 and INC-42",
    "<script>alert(1)</script> &lt;b&gt; &#124;",
    "javascript:alert(1) [x|javascript:alert(1)]",
    "\u{202e}gpj.exe \u{200b}\u{2060}zero \u{fffe}non",
    "👩‍👩‍👧 é \u{7f}\u{85}del | ¦",
];

#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn jira(flavour: Flavour) -> Jira {
    let draft = SettingsDraft {
        url: Some("https://jira.example.com".to_owned()),
        project_key: Some("SEC".to_owned()),
        flavour: Some(flavour),
        ..SettingsDraft::default()
    };
    let secret = Secret::new(SecretKind::PersonalAccessToken, "token");
    let settings = Settings::parse(&draft, Some(&secret), "jira", &mut Violations::default()).unwrap();
    Jira::new(
        settings,
        HttpClient::new(Arc::new(Epoch), Duration::from_secs(10), EgressPolicy::default()).unwrap(),
        Flags::default(),
    )
}

fn ticket_draft(fields: IncidentFields) -> TicketDraft {
    let marker = Marker::derive(&InstallationKey::new([7; 32]), &fields.id, "jira");
    TicketDraft { incident: Incident::try_new(fields, "incident").unwrap(), marker }
}

fn cases() -> Vec<(String, TicketDraft)> {
    let mut cases = vec![
        ("plain".to_owned(), ticket_draft(incidents::full())),
        ("least".to_owned(), ticket_draft(incidents::least())),
        ("longest".to_owned(), ticket_draft(incidents::longest())),
    ];
    for (index, text) in HOSTILE.into_iter().enumerate() {
        cases.push((format!("hostile {index}: {text}"), ticket_draft(incidents::saying(text))));
        let next = HOSTILE[(index + 1) % HOSTILE.len()];
        let both = format!("{text}{next}");
        cases.push((format!("hostile pair {index}: {both}"), ticket_draft(incidents::saying(&both))));
        let spaced = format!("x {text} {next} y");
        cases.push((format!("hostile words {index}: {spaced}"), ticket_draft(incidents::saying(&spaced))));
    }
    for character in ' '..='\u{17f}' {
        let text = format!("a{character}b {character}{character} {character}c d{character} {character}");
        cases.push((format!("character {character:?}"), ticket_draft(incidents::saying(&text))));
    }
    cases
}

fn is_whole(rendered: &Rendered) -> bool {
    rendered.adjustments.iter().all(|adjustment| !adjustment.reason.starts_with("left out"))
}

#[test]
fn renderings_fit_limits_and_are_exported() {
    let cloud = jira(Flavour::Cloud);
    let data_center = jira(Flavour::DataCenter);
    let mut lines = String::new();
    for (name, ticket_draft) in cases() {
        let adf = cloud.render_offline(&ticket_draft);
        let wiki = data_center.render_offline(&ticket_draft);
        for rendered in [&adf, &wiki] {
            assert!(rendered.description.encode_utf16().count() <= 32_767, "{name}");
            assert!(
                rendered.summary.encode_utf16().count() <= 255 && !rendered.summary.contains('\n'),
                "{name}"
            );
        }
        assert_copies_alike(&name, &wiki.description);
        let document: Value = serde_json::from_str(&adf.description).unwrap();
        let whole = is_whole(&adf) && is_whole(&wiki);
        let line = json!({ "name": name, "adf": document, "wiki": wiki.description, "whole": whole });
        lines.push_str(&format!("{line}\n"));
    }
    let default = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("jira-rendered.jsonl");
    let path = std::env::var_os("RENDERED_OUT").map_or_else(default, PathBuf::from);
    fs::write(path, lines).unwrap();
}

/// Nothing stands in for a character, or between two. Text that could end every verbatim macro needs a joiner.
fn assert_copies_alike(name: &str, wiki: &str) {
    let lower = name.to_lowercase();
    let ends_both = lower.contains("{noformat") && lower.contains("{code");
    assert!(ends_both || !wiki.contains('\u{2060}'), "{name}: {wiki}");
    assert!(name.contains(['¦']) || !wiki.contains('¦'), "{name}: {wiki}");
}

#[test]
fn indicator_survives_copying_on_data_center() {
    let indicators = ["10.0.0.1:443|tcp", "https://evil.example/a_b?c=d|e#f", "\\\\srv", "h1.example"];
    for indicator in indicators {
        let wiki =
            jira(Flavour::DataCenter).render_offline(&ticket_draft(incidents::saying(indicator))).description;
        let copies = wiki.matches(&format!("{{noformat}}{indicator}{{noformat}}")).count();
        assert!(copies >= 4, "{copies} copies of {indicator} in {wiki}");
    }
}

#[test]
fn code_block_keeps_most_short_lines() {
    for (line, kept_on_cloud) in [(1, 17_000), (5, 22_000), (20, 24_000), (80, 25_000)] {
        let mut fields = incidents::full();
        fields.investigation_notes = format!("{}\n", "x".repeat(line)).repeat(64_000 / (line + 1));
        let ticket_draft = ticket_draft(fields);
        for (flavour, least) in [(Flavour::Cloud, kept_on_cloud), (Flavour::DataCenter, 30_000)] {
            let rendered = jira(flavour).render_offline(&ticket_draft);
            let kept = rendered.plain_text.split_once("INVESTIGATION NOTES\n").unwrap().1;
            let kept = kept.split_once('…').unwrap().0.chars().count();
            assert!(kept >= least, "{flavour:?}: {kept} characters kept in lines of {line}");
        }
    }
}

#[test]
fn long_lines_stay_in_paragraphs() {
    let mut fields = incidents::full();
    fields.investigation_notes = "word ".repeat(8_000);
    let rendered = jira(Flavour::Cloud).render_offline(&ticket_draft(fields));
    assert!(!rendered.description.contains("codeBlock"));
    assert!(rendered.plain_text.len() > 25_000);
}
