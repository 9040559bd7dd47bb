use proptest::prelude::*;
use ticketing_core::content_settings::Mapping;
use ticketing_core::incident::{
    Activity, Actor, ActorKind, FiringRule, Incident, IncidentFields, MitreEntry, Risk, RiskFactor, Timeline,
};
use ticketing_core::marker::Marker;

use super::*;

const GROUP: &str = "d625dccec0a8016700a222a0f7900d06";

fn fields() -> IncidentFields {
    IncidentFields {
        id: "INC-1".to_owned(),
        url: url::Url::parse("https://rhythmx.example/incidents/INC-1").ok(),
        actor: Actor { name: "jdoe".to_owned(), kind: ActorKind::User, entity: String::new() },
        risk: Risk { score: 92.0, level: None, factors: vec![] },
        activity: Activity {
            alarm_count: 14,
            threat_case_count: 2,
            unique_rule_count: 5,
            primary_rule: "Privilege escalation".to_owned(),
        },
        timeline: Timeline {
            first_alert: jiff::Timestamp::UNIX_EPOCH,
            last_alert: jiff::Timestamp::UNIX_EPOCH,
            active_duration: None,
        },
        sla: None,
        tactics: vec![],
        techniques: vec![],
        firing_rules: vec![],
        investigation_notes: String::new(),
    }
}

fn rendered(fields: IncidentFields) -> (Rendered, Body) {
    let marker = Marker::parse("rhythmx-0123456789abcdef0123456789abcdef").unwrap();
    let ticket_draft = TicketDraft { incident: Incident::try_new(fields, "incident").unwrap(), marker };
    let content = Mapping::default().sample();
    let mapped = Mapped { content: &content, applied: Applied::default() };
    let rendered = render(&ticket_draft, ImpactUrgency::new(1, 1), GROUP, mapped);
    let body = serde_json::from_str(&rendered.body).unwrap();
    (rendered, body)
}

#[test]
fn body_has_marker_twice_and_impact_with_urgency() {
    let (rendered, body) = rendered(fields());
    assert_eq!(body.sys_id, "0123456789abcdef0123456789abcdef");
    assert_eq!(body.correlation_id, "rhythmx-0123456789abcdef0123456789abcdef");
    assert_eq!((body.impact.as_str(), body.urgency.as_str()), ("1", "1"));
    assert_eq!(body.assignment_group, GROUP);
    assert_eq!(rendered.priority.as_deref(), Some("1 - Critical"));
    assert!(!rendered.body.contains("\"priority\""));
    assert!(!rendered.body.contains("work_notes"));
    assert_eq!(rendered.adjustments, []);
}

#[test]
fn moves_overflowing_sections_to_work_notes() {
    let mut long = fields();
    long.investigation_notes = "observed. ".repeat(500);
    let (rendered, body) = rendered(long);
    assert!(body.description.contains("Left out for length: Investigation notes; see the work notes."));
    assert!(!body.description.contains("observed."));
    assert!(body.work_notes.starts_with("INVESTIGATION NOTES\nobserved."));
    assert_eq!(body.work_notes.matches("observed.").count(), 500);
    assert!(rendered.plain_text.contains("WORK NOTES\nINVESTIGATION NOTES"));
    let fields: Vec<_> = rendered.adjustments.iter().map(|adjustment| adjustment.field.as_str()).collect();
    assert_eq!(fields, ["description"]);
}

#[test]
fn cuts_long_work_notes_and_reports_it() {
    let mut long = fields();
    long.investigation_notes = "n".repeat(60_000);
    let (rendered, body) = rendered(long);
    assert!(limits::WORK_NOTES.allows(&body.work_notes));
    assert!(body.work_notes.contains("of 60000 characters are shown"));
    let fields: Vec<_> = rendered.adjustments.iter().map(|adjustment| adjustment.field.as_str()).collect();
    assert_eq!(fields, ["description", "work_notes"]);
}

#[test]
fn cuts_long_summary_and_reports_it() {
    let mut long = fields();
    long.activity.primary_rule = "rule ".repeat(50);
    let (rendered, body) = rendered(long);
    assert!(
        limits::SHORT_DESCRIPTION.allows(&body.short_description) && body.short_description.contains("INC-1")
    );
    assert_eq!(rendered.adjustments[0].field, "short_description");
}

#[test]
fn ticket_reports_cleaned_text() {
    let mut hostile = fields();
    hostile.actor.name = "invoice\u{202e}fdp.exe\u{200b}".to_owned();
    hostile.investigation_notes = "a\u{fffe}b\0\r\nc".to_owned();
    let (rendered, body) = rendered(hostile);
    assert!(body.short_description.contains("invoice[U+202E]fdp.exe:"));
    assert!(body.description.ends_with("INVESTIGATION NOTES\nab\nc"));
    assert!(rendered.adjustments[0].reason.starts_with("3 invisible characters removed from actor.name"));
}

fn any_incident() -> impl Strategy<Value = IncidentFields> {
    let text = |max: usize| {
        prop::collection::vec("\\[/?code\\]|\n|😀|\\PC", 1..max).prop_map(|parts| parts.concat())
    };
    let short = |text: String, max| -> String {
        let kept: String = text.chars().take(max).collect();
        if kept.trim().is_empty() { "x".to_owned() } else { kept }
    };
    (text(256), text(256), text(2_000), 0_usize..7, 0_usize..200, 0_usize..40).prop_map(
        move |(name, detail, notes, factors, techniques, repeats)| IncidentFields {
            actor: Actor {
                name: short(name.clone(), 256),
                kind: ActorKind::Host,
                entity: short(name.clone(), 256),
            },
            risk: Risk {
                score: 50.0,
                level: None,
                factors: (0..factors)
                    .map(|_| RiskFactor {
                        name: short(name.clone(), 100),
                        score: 1.0,
                        detail: short(detail.clone(), 500),
                    })
                    .collect(),
            },
            techniques: (0..techniques)
                .map(|_| MitreEntry { id: "T1110.003".to_owned(), name: short(detail.clone(), 256) })
                .collect(),
            firing_rules: vec![FiringRule { name: short(name, 256), count: 3, severity: None }],
            investigation_notes: notes.repeat(repeats).chars().take(65_536).collect(),
            ..fields()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_incident_keeps_limits_and_stays_text(fields in any_incident()) {
        let (rendered, body) = rendered(fields);
        prop_assert!(limits::SHORT_DESCRIPTION.allows(&body.short_description));
        prop_assert!(!body.short_description.contains(['\n', '\r']));
        prop_assert!(limits::DESCRIPTION.allows(&body.description));
        prop_assert!(limits::WORK_NOTES.allows(&body.work_notes));
        for text in [&body.short_description, &body.description, &body.work_notes] {
            let lower = text.to_lowercase();
            prop_assert!(!lower.contains("[code") && !lower.contains("[/code"));
        }
        prop_assert_eq!(body.description.contains("see the work notes"), !body.work_notes.is_empty());
        prop_assert_eq!(rendered.description, body.description);
    }
}
