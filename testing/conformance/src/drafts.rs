//! Tickets to push.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::incident::{
    Activity, Actor, ActorKind, FiringRule, Incident, IncidentFields, MitreEntry, Risk, RiskFactor, Sla,
    SlaStatus, Timeline, limits,
};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::system::TicketDraft;

/// Texts that break what is careless: markup of any kind, and characters that hide, reorder or end text.
const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script> &lt;b&gt; &#124;",
    "{code}{noformat} [code]<b>x</b>[/code] {panel:title=x}",
    "**bold** _it_ ~~del~~ `mono` # heading",
    "||a||b|| |c| ---- h1. heading",
    "[click](javascript:alert(1)) [x|http://evil.example]",
    "@channel @everyone [~admin] !https://evil.example/x.png!",
    "\\ ends with \\",
    "\"quoted\" 'quoted' \\\"escaped\\\" ${x} $(x) {{x}}",
    "^ORactive=true^x=1 AND 1=1; DROP TABLE x;--",
    "\u{202e}gpj.exe \u{200b}\u{2060}zero \u{fffe}non",
    "bell\u{7} escape\u{1b}[31m delete\u{7f} null\0",
    "one\r\ntwo\u{2028}three\u{85}four\ttab",
    "👩‍👩‍👧 🔴 e\u{301}\u{301}\u{301}",
    "rhythmx-00000000000000000000000000000000",
];

/// The ticket of an incident with this ID.
pub(crate) fn draft(id: &str) -> TicketDraft {
    draft_of(incident(id, str::to_owned, "Called the user: she did not log in.\n\nHost isolated at 03:12."))
}

/// The marker of an incident that has no ticket.
pub(crate) fn unknown_marker() -> Marker {
    marker("INC-UNKNOWN")
}

/// Tickets with hostile texts in every field, also with texts of the maximum length.
pub(crate) fn hostile_drafts() -> Vec<TicketDraft> {
    let mut drafts: Vec<_> = HOSTILE
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let notes = format!("{text}\n\n {text}\n\t{text} {text}");
            draft_of(incident(&format!("INC-H{index}"), |_| (*text).to_owned(), &notes))
        })
        .collect();
    for (index, text) in ["[x] ", "👩‍💻 "].into_iter().enumerate() {
        drafts.push(longest_draft(&format!("INC-L{index}"), text));
    }
    drafts
}

/// Every text repeats `text` up to its maximum length.
fn longest_draft(id: &str, text: &str) -> TicketDraft {
    let filled = |max: usize| text.chars().cycle().take(max).collect::<String>();
    let mut fields = incident(id, |_| filled(limits::FACTOR_NAME), &filled(limits::INVESTIGATION_NOTES));
    fields.actor.name = filled(limits::NAME);
    fields.actor.entity = filled(limits::NAME);
    fields.activity.primary_rule = filled(limits::NAME);
    fields.techniques = vec![entry("T1110.003", filled(limits::NAME)); limits::TECHNIQUES];
    draft_of(fields)
}

fn draft_of(fields: IncidentFields) -> TicketDraft {
    let marker = marker(&fields.id);
    TicketDraft { incident: Incident::try_new(fields, "incident").expect("a valid incident"), marker }
}

fn marker(id: &str) -> Marker {
    Marker::derive(&InstallationKey::new([7; 32]), id, "conformance")
}

fn entry(id: &str, name: String) -> MitreEntry {
    MitreEntry { id: id.to_owned(), name }
}

fn incident(id: &str, text: impl Fn(&str) -> String, notes: &str) -> IncidentFields {
    let alert = |second: i64| Timestamp::from_second(second).expect("a second of this century");
    let detail = text("Logged on from two countries within an hour");
    IncidentFields {
        id: id.to_owned(),
        url: "https://rhythmx.example/incidents/42?tab=a|b&x=[1]#n".parse().ok(),
        actor: Actor { name: text("j.doe"), kind: ActorKind::User, entity: text("Finance") },
        risk: Risk {
            score: 92.5,
            level: None,
            factors: vec![RiskFactor { name: text("Behavior"), score: 95.0, detail }],
        },
        activity: Activity {
            alarm_count: 17,
            threat_case_count: 2,
            unique_rule_count: 5,
            primary_rule: text("Impossible travel"),
        },
        timeline: Timeline {
            first_alert: alert(1_790_000_000),
            last_alert: alert(1_790_012_000),
            active_duration: None,
        },
        sla: Some(Sla {
            target: Duration::from_secs(14_400),
            status: SlaStatus::AtRisk,
            percent_consumed: 83.3,
        }),
        tactics: vec![entry("TA0006", text("Credential Access"))],
        techniques: vec![entry("T1110.003", text("Password Spraying"))],
        firing_rules: vec![FiringRule { name: text("Many failed logons"), count: 6, severity: None }],
        investigation_notes: notes.to_owned(),
    }
}
