//! Long and hostile incidents: each vendor accepts the ticket, its limits hold, and text stays text.

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use serde_json::Value;
use ticketing_simulator::{Profile, Ticket, Vendor};

use ticketing_harness::{Plan, incident};

/// Text with a meaning in markup, scripts, queries or terminals.
const HOSTILE: &str = "{code}rm -rf /{code} | a | b | *bold* _it_ [link|javascript:alert(1)] [~admin] @admin \
    {macro:x=1} {color:red}red{color} h1. head !img.png! ---- \\\\ <script>alert('x')</script> &lt; [code]<b>x</b>[/code] \
    ${jndi:ldap://x} javascript:gs.print(1) ^ORDERBYDESCx \u{202e}drowssap\u{202c} \u{200f}שלום مرحبا \
    👩‍👩‍👧‍👦🏴‍☠️ e\u{301} \u{0}\u{7}\u{1b}[31m\u{85}\u{2028}\u{feff}";

const JIRA_SUMMARY: usize = 255;
const JIRA_TEXT: usize = 32_767;
const SERVICENOW_SUMMARY: usize = 160;
const SERVICENOW_TEXT: usize = 4_000;

#[tokio::test]
async fn hostile_incident_becomes_a_ticket_on_every_vendor() {
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        pushed_within_limits(vendor, hostile()).await;
    }
}

#[tokio::test]
async fn notes_of_65536_characters_become_a_ticket_on_every_vendor() {
    for filler in ["x", "word ", "🦊", "é\n", "\n", "{code}", "<b>|"] {
        let mut long = incident("INC-1");
        long.investigation_notes = filler.chars().cycle().take(65_536).collect();
        for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
            pushed_within_limits(vendor, long.clone()).await;
        }
    }
}

#[tokio::test]
async fn overflow_of_servicenow_description_goes_to_work_notes() {
    let mut world = Plan::new().start().await;
    let mut long = incident("INC-1");
    long.investigation_notes = format!("{} the-very-end", "word ".repeat(2_000));
    world.try_push(long, TicketSystem::Servicenow).await.unwrap();
    let ticket = world.servicenow.tickets().remove(0);
    let notes = ticket.fields["work_notes"].as_array().expect("there are work notes").clone();
    let notes: String = notes.iter().filter_map(Value::as_str).collect();
    assert!(notes.contains("the-very-end"), "{notes}");
    assert!(!text(&ticket, "description").contains("the-very-end"));
    world.finish().await;
}

#[tokio::test]
async fn text_cannot_open_or_close_code_tags_in_servicenow() {
    let mut world = Plan::new().start().await;
    let mut long = hostile();
    long.investigation_notes = "[code]<script>alert(1)</script>[/code] ".repeat(200);
    world.try_push(long, TicketSystem::Servicenow).await.unwrap();
    let ticket = world.servicenow.tickets().remove(0);
    let notes = ticket.fields["work_notes"].to_string();
    assert!(notes.len() > 100 && !notes.contains("[code]"), "{notes}");
    world.finish().await;
}

#[tokio::test]
async fn no_text_becomes_a_link_a_mention_or_a_macro_in_jira_cloud() {
    let mut world = Plan::new().start().await;
    world.try_push(hostile(), TicketSystem::Jira).await.unwrap();
    let ticket = world.jira.tickets().remove(0);
    let mut links = vec![];
    let mut types = vec![];
    walk(&ticket.fields["description"], &mut |node| {
        types.extend(node.get("type").and_then(Value::as_str).map(str::to_owned));
        links.extend(node.pointer("/attrs/href").and_then(Value::as_str).map(str::to_owned));
    });
    assert!(links.iter().all(|link| link.starts_with("https://rhythmx.example/")), "{links:?}");
    for forbidden in ["mention", "extension", "inlineCard", "media"] {
        assert!(!types.iter().any(|kind| kind == forbidden), "{forbidden} in {types:?}");
    }
    world.finish().await;
}

async fn pushed_within_limits(vendor: Vendor, incident: v1::Incident) {
    let mut world = Plan::new().with_long_deadlines().with_jira(vendor, Profile::of(vendor)).start().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let preview = world.preview(incident.clone(), system).await.ticket.unwrap();
        let answer = world.try_push(incident.clone(), system).await.unwrap();
        let delivery = answer.delivery.unwrap();
        assert_eq!(delivery.state(), DeliveryState::Delivered, "{vendor:?} {system:?}: {}", answer.message);
        assert_eq!(preview.body, String::from_utf8(world.created_body(system)).unwrap());
        let ticket = world.simulator(system).tickets().remove(0);
        let (summary, description, most) = match system {
            TicketSystem::Jira => ("summary", "description", (JIRA_SUMMARY, JIRA_TEXT)),
            _ => ("short_description", "description", (SERVICENOW_SUMMARY, SERVICENOW_TEXT)),
        };
        let summary = text(&ticket, summary);
        assert!((1..=most.0).contains(&summary.chars().count()) && !summary.contains('\n'), "{summary:?}");
        let length = text(&ticket, description).chars().count();
        assert!((1..=most.1).contains(&length), "{length}");
        assert!(preview.summary == summary, "{summary:?}");
    }
    world.finish().await;
}

fn hostile() -> v1::Incident {
    let mut hostile = incident("INC-1");
    let short: String = HOSTILE.chars().take(256).collect();
    let actor = hostile.actor.as_mut().unwrap();
    actor.name.clone_from(&short);
    actor.entity.clone_from(&short);
    for factor in &mut hostile.risk.as_mut().unwrap().factors {
        factor.name = HOSTILE.chars().take(100).collect();
        factor.detail = HOSTILE.to_owned();
    }
    hostile.activity.as_mut().unwrap().primary_rule.clone_from(&short);
    hostile.tactics.iter_mut().for_each(|tactic| tactic.name.clone_from(&short));
    hostile.techniques.iter_mut().for_each(|technique| technique.name.clone_from(&short));
    hostile.firing_rules.iter_mut().for_each(|rule| rule.name.clone_from(&short));
    hostile.investigation_notes = format!("{HOSTILE}\n").repeat(20);
    hostile
}

/// A field as text: an ADF document as JSON, whose length Jira limits.
fn text(ticket: &Ticket, field: &str) -> String {
    match &ticket.fields[field] {
        Value::String(text) => text.clone(),
        document => plain(document),
    }
}

fn plain(document: &Value) -> String {
    let mut text = String::new();
    walk(document, &mut |node| text.push_str(node.get("text").and_then(Value::as_str).unwrap_or_default()));
    text
}

fn walk(node: &Value, visit: &mut dyn FnMut(&Value)) {
    visit(node);
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|node| walk(node, visit)),
        Value::Object(fields) => fields.values().for_each(|node| walk(node, visit)),
        _ => {}
    }
}
