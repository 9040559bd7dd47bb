//! The content of a ticket: first what an on-call analyst needs, then the evidence.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use crate::clean::clean;
use crate::document::{Block, Document, Fact, Inline, Section, Table, Tone, Topic};
use crate::incident::{FiringRule, Incident, IncidentFields, MitreEntry, Sla, SlaStatus};
use crate::risk::Severity;
use crate::system::Adjustment;
use crate::text::{Limit, single_line};

/// Maximum number of firing rules in a ticket.
pub const TOP_FIRING_RULES: usize = 10;

/// The content of an incident's ticket, as cleaned text: see [`clean`].
#[derive(Debug, Clone)]
pub struct Content {
    incident: IncidentFields,
    cleaning: Cleaning,
}

/// What cleaning an incident changed: number of characters, by field.
#[derive(Debug, Clone, Default)]
struct Cleaning {
    removed: Changes,
    shown: Changes,
}

#[derive(Debug, Clone, Default)]
struct Changes {
    characters: usize,
    fields: Vec<String>,
}

// === impl Content ===

impl Content {
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let mut incident = (**incident).clone();
        let mut cleaning = Cleaning::default();
        incident.change_texts(|field, text| {
            if let Some(cleaned) = cleaning.clean(field, text) {
                *text = cleaned;
            }
        });
        Self { incident, cleaning }
    }

    /// The summary: severity, actor, reason, score; within `limit`, on one line.
    #[must_use]
    pub fn summary(&self, limit: Limit) -> String {
        let incident = &self.incident;
        let severity = incident.severity().as_str();
        let actor = &incident.actor;
        let what = match incident.activity.primary_rule.trim() {
            "" => "suspicious activity",
            rule => rule,
        };
        let score = number(incident.risk.score);
        let kind = actor.kind.as_str();
        let name = actor.name.as_str();
        let id = incident.id.as_str();
        let tail = format!(" (risk {score}, {id})");
        let head = single_line(&format!("[{severity}] {kind} {name}: {what}"));
        limit.shorten(&format!("{}{tail}", limit.beside(&tail).shorten(&head)))
    }

    /// The whole description, before any limit is applied.
    #[must_use]
    pub fn document(&self) -> Document {
        let incident = &self.incident;
        let sections = [
            Some(headline(incident)),
            Some(risk(incident)),
            Some(activity(incident)),
            Some(timeline(incident)),
            incident.sla.as_ref().map(sla),
            firing_rules(&incident.firing_rules),
            mitre(incident),
            notes(incident),
        ];
        Document { sections: sections.into_iter().flatten().collect() }
    }

    /// The whole description, after the text of an introduction.
    #[must_use]
    pub fn introduced(&self, introduction: Option<&str>) -> Document {
        let mut document = self.document();
        if let Some(text) = introduction {
            let blocks = vec![Block::Prose(clean(text).text.into_owned())];
            document.sections.insert(0, Section { topic: Topic::Introduction, blocks });
        }
        document
    }

    /// Text in the ticket that says where the rest of a cut text is.
    #[must_use]
    pub fn elsewhere(&self) -> String {
        match self.incident.url {
            Some(_) => "the incident in RhythmX has it all".to_owned(),
            None => format!("incident {} in RhythmX has it all", self.incident.id),
        }
    }

    /// What cleaning changed, as an adjustment of the ticket's field `field`; `None` if it changed nothing.
    #[must_use]
    pub fn cleaned(&self, field: &str) -> Option<Adjustment> {
        let Cleaning { removed, shown } = &self.cleaning;
        let parts = [
            removed.describe("invisible character", "removed from"),
            shown.describe("bidirectional control", "shown as [U+…] in"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| Adjustment::new(field, parts.join("; ")))
    }
}

// === impl Cleaning ===

impl Cleaning {
    /// The cleaned text, if it differs.
    fn clean(&mut self, field: &str, text: &str) -> Option<String> {
        let cleaned = clean(text);
        self.removed.add(field, cleaned.removed);
        self.shown.add(field, cleaned.shown);
        match cleaned.text {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        }
    }
}

// === impl Changes ===

impl Changes {
    fn add(&mut self, field: &str, characters: usize) {
        self.characters += characters;
        if characters > 0 && !self.fields.iter().any(|known| known == field) {
            self.fields.push(field.to_owned());
        }
    }

    /// For example "2 invisible characters removed from actor.name".
    fn describe(&self, what: &str, done: &str) -> Option<String> {
        let Self { characters, fields } = self;
        (*characters > 0).then(|| format!("{} {done} {}", count_of(*characters, what), fields.join(", ")))
    }
}

/// Actor, severity, reasons, time, and the link to RhythmX.
fn headline(incident: &IncidentFields) -> Section {
    let lines = [
        Some(lead(incident)),
        reasons(incident).map(|text| vec![Inline::text(text)]),
        Some(vec![Inline::text(story(incident))]),
        incident.url.as_ref().map(|url| {
            let text = "Open the incident in RhythmX".to_owned();
            vec![Inline::Link { text, url: url.clone() }, Inline::text(format!("({})", incident.id)).padded()]
        }),
    ];
    Section { topic: Topic::Headline, blocks: lines.into_iter().flatten().map(Block::Paragraph).collect() }
}

fn lead(incident: &IncidentFields) -> Vec<Inline> {
    let severity = incident.severity();
    let actor = &incident.actor;
    let mut lead = vec![
        Inline::Badge { text: severity.as_str().to_owned(), tone: tone(severity) },
        Inline::text(actor.kind.as_str()).padded(),
        Inline::strong(&actor.name),
    ];
    if !actor.entity.trim().is_empty() {
        lead.push(Inline::text(format!("({})", actor.entity)).padded());
    }
    let what = incident.activity.primary_rule.trim();
    if !what.is_empty() {
        lead.push(Inline::text("—").padded());
        lead.push(Inline::strong(what));
    }
    lead
}

/// The factors with the highest weight.
fn reasons(incident: &IncidentFields) -> Option<String> {
    let mut factors: Vec<_> = incident.risk.factors.iter().collect();
    factors.sort_by(|a, b| b.score.total_cmp(&a.score));
    let top: Vec<_> = factors.iter().take(3).map(|f| format!("{} {}", f.name, number(f.score))).collect();
    (!top.is_empty()).then(|| format!("Risk {} of 100: {}.", number(incident.risk.score), top.join(", ")))
}

fn story(incident: &IncidentFields) -> String {
    let activity = &incident.activity;
    let timeline = &incident.timeline;
    let cases = match activity.threat_case_count {
        0 => String::new(),
        cases => format!(" and {}", count(cases, "threat case")),
    };
    let sla = incident.sla.as_ref().map(|sla| {
        let status = sla.status.as_str().to_lowercase();
        let consumed = number(sla.percent_consumed);
        format!(" SLA {status}: {consumed} % of {} consumed.", duration(sla.target))
    });
    format!(
        "{}{cases} since {}, last seen {}, active for {}.{}",
        count(activity.alarm_count, "alarm"),
        moment(timeline.first_alert),
        moment(timeline.last_alert),
        duration(timeline.active()),
        sla.unwrap_or_default(),
    )
}

fn risk(incident: &IncidentFields) -> Section {
    let severity = incident.severity();
    let facts = vec![
        Fact::new("Score", format!("{} of 100", number(incident.risk.score))),
        Fact::new("Level", incident.risk_level().as_str()),
        Fact::new("Severity", severity.as_str()),
    ];
    let mut blocks = vec![Block::Facts(facts)];
    if !incident.risk.factors.is_empty() {
        let cells = |texts: [&str; 3]| texts.map(|text| vec![Inline::text(text)]).to_vec();
        let rows = incident.risk.factors.iter();
        let rows = rows.map(|factor| cells([&factor.name, &number(factor.score), &factor.detail])).collect();
        blocks.push(table(["Factor", "Score", "Why"], rows));
    }
    Section { topic: Topic::Risk, blocks }
}

fn activity(incident: &IncidentFields) -> Section {
    let activity = &incident.activity;
    let mut facts = vec![
        Fact::new("Alarms", activity.alarm_count.to_string()),
        Fact::new("Threat cases", activity.threat_case_count.to_string()),
        Fact::new("Unique rules", activity.unique_rule_count.to_string()),
    ];
    if !activity.primary_rule.trim().is_empty() {
        facts.push(Fact::new("Primary rule", &activity.primary_rule));
    }
    Section { topic: Topic::Activity, blocks: vec![Block::Facts(facts)] }
}

fn timeline(incident: &IncidentFields) -> Section {
    let timeline = &incident.timeline;
    let facts = vec![
        Fact::new("First alert", moment(timeline.first_alert)),
        Fact::new("Last alert", moment(timeline.last_alert)),
        Fact::new("Active for", duration(timeline.active())),
    ];
    Section { topic: Topic::Timeline, blocks: vec![Block::Facts(facts)] }
}

fn sla(sla: &Sla) -> Section {
    let tone = match sla.status {
        SlaStatus::OnTrack => Tone::Calm,
        SlaStatus::AtRisk => Tone::Warning,
        SlaStatus::Breached => Tone::Alarming,
    };
    let status = vec![Inline::Badge { text: sla.status.as_str().to_owned(), tone }];
    let facts = vec![
        Fact { name: "Status".to_owned(), value: status },
        Fact::new("Target", duration(sla.target)),
        Fact::new("Consumed", format!("{} %", number(sla.percent_consumed))),
    ];
    Section { topic: Topic::Sla, blocks: vec![Block::Facts(facts)] }
}

fn firing_rules(rules: &[FiringRule]) -> Option<Section> {
    let mut top: Vec<&FiringRule> = rules.iter().collect();
    top.sort_by_key(|rule| std::cmp::Reverse(rule.count));
    let more = top.len().saturating_sub(TOP_FIRING_RULES);
    top.truncate(TOP_FIRING_RULES);
    let row = |rule: &&FiringRule| {
        let severity = rule.severity.map_or_else(Vec::new, |severity| {
            vec![Inline::Badge { text: severity.as_str().to_owned(), tone: tone(severity) }]
        });
        vec![vec![Inline::text(&rule.name)], vec![Inline::text(rule.count.to_string())], severity]
    };
    let mut blocks = vec![table(["Rule", "Count", "Severity"], top.iter().map(row).collect())];
    if more > 0 {
        blocks.push(Block::Paragraph(vec![Inline::text(format!("and {}", count_of(more, "more rule")))]));
    }
    (!rules.is_empty()).then_some(Section { topic: Topic::FiringRules, blocks })
}

fn mitre(incident: &IncidentFields) -> Option<Section> {
    let line = |entry: &MitreEntry| Inline::text(format!("{} {}", entry.id, entry.name));
    let list = |name: &str, entries: &[MitreEntry]| {
        let items: Vec<_> = entries.iter().map(|entry| vec![line(entry)]).collect();
        let title = Block::Paragraph(vec![Inline::strong(name)]);
        if items.is_empty() { vec![] } else { vec![title, Block::List(items)] }
    };
    let blocks = [list("Tactics", &incident.tactics), list("Techniques", &incident.techniques)].concat();
    (!blocks.is_empty()).then_some(Section { topic: Topic::Mitre, blocks })
}

fn notes(incident: &IncidentFields) -> Option<Section> {
    let notes = incident.investigation_notes.trim();
    let blocks = vec![Block::Prose(notes.to_owned())];
    (!notes.is_empty()).then_some(Section { topic: Topic::InvestigationNotes, blocks })
}

fn table<const N: usize>(header: [&str; N], rows: Vec<Vec<Vec<Inline>>>) -> Block {
    Block::Table(Table { header: header.map(str::to_owned).to_vec(), rows })
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical => Tone::Alarming,
        Severity::High => Tone::Warning,
        Severity::Medium => Tone::Notable,
        Severity::Low => Tone::Calm,
    }
}

/// At most two decimals, never rounded up: 84.999 must not read as 85.
fn number(value: f64) -> String {
    let text = format!("{:.2}", (value * 100.0).floor() / 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn count(n: u32, noun: &str) -> String {
    count_of(n as usize, noun)
}

fn count_of(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The two largest units, for example "3 h 20 min".
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let shown = units.iter().skip_while(|(n, _)| *n == 0).take(2).filter(|(n, _)| *n > 0);
    let text = shown.map(|(n, unit)| format!("{n} {unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "less than a second".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{Activity, Actor, ActorKind, Risk, Timeline};

    fn content(actor: &str, rule: &str, notes: &str) -> Content {
        let at = Timestamp::UNIX_EPOCH;
        let fields = IncidentFields {
            id: "INC-1".to_owned(),
            url: None,
            actor: Actor { name: actor.to_owned(), kind: ActorKind::User, entity: String::new() },
            risk: Risk { score: 92.0, level: None, factors: vec![] },
            activity: Activity {
                alarm_count: 1,
                threat_case_count: 0,
                unique_rule_count: 1,
                primary_rule: rule.to_owned(),
            },
            timeline: Timeline { first_alert: at, last_alert: at, active_duration: None },
            sla: None,
            tactics: vec![],
            techniques: vec![],
            firing_rules: vec![],
            investigation_notes: notes.to_owned(),
        };
        Content::of(&Incident::try_new(fields, "incident").unwrap())
    }

    #[test]
    fn summary_keeps_to_its_limit_in_its_unit() {
        for rule in
            ["🔴 ".repeat(128), "漢".repeat(256), "🇩🇪".repeat(128), format!("a{}", "\u{301}".repeat(255))]
        {
            let summary = content("jdoe", &rule, "").summary(Limit::utf16(255));
            let length = summary.encode_utf16().count();
            assert!((200..=255).contains(&length), "{length}: {summary}");
            assert!(summary.starts_with("[CRITICAL] user jdoe: ") && summary.ends_with("… (risk 92, INC-1)"));
        }
    }

    #[test]
    fn content_is_cleaned_and_reports_changes() {
        let content = content("invoice\u{202e}fdp.exe", "by \u{200b}alice\u{2066}", "a\u{fffe}\r\nb\0");
        assert_eq!(
            content.summary(Limit::NONE),
            "[CRITICAL] user invoice[U+202E]fdp.exe: by alice[U+2066] (risk 92, INC-1)"
        );
        let notes = content.document().sections.pop().map(|section| section.blocks);
        assert_eq!(notes, Some(vec![Block::Prose("a\nb".to_owned())]));
        let cleaned = content.cleaned("description").unwrap();
        assert_eq!(
            cleaned.reason,
            "3 invisible characters removed from activity.primary_rule, investigation_notes; \
             2 bidirectional controls shown as [U+…] in actor.name, activity.primary_rule"
        );
    }

    #[test]
    fn plain_content_is_not_adjusted() {
        assert_eq!(content("jdoe", "Rule", "a\r\nb 👨‍👩‍👧").cleaned("description"), None);
    }

    #[test]
    fn numbers_are_cut_to_two_decimals() {
        let table = [(92.0, "92"), (84.999, "84.99"), (0.5, "0.5"), (100.0, "100"), (0.0, "0")];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        let table = [
            (0, "less than a second"),
            (59, "59 s"),
            (12_000, "3 h 20 min"),
            (86_400, "1 d"),
            (90_061, "1 d 1 h"),
        ];
        for (seconds, text) in table {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
