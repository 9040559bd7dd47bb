//! The limits of an incident: values at a limit pass, values over it are refused, and all violations are reported at
//! once.

use rhythmx_ticketing::v1::{self, TicketSystem};

use ticketing_harness::{Plan, incident, refusal};

/// A change that brings one field to its limit, or one more over it, and its field path.
type Limit = (&'static str, fn(&mut v1::Incident, usize));

const LIMITS: [Limit; 17] = [
    ("incident.id", |it, more| it.id = "I".repeat(128 + more)),
    ("incident.url", |it, more| it.url = format!("https://x.example/{}", "u".repeat(2_048 - 18 + more))),
    ("incident.actor.name", |it, more| actor(it).name = "é".repeat(256 + more)),
    ("incident.actor.entity", |it, more| actor(it).entity = "é".repeat(256 + more)),
    ("incident.risk.factors", |it, more| risk(it).factors = vec![factor(); 7 + more]),
    ("incident.risk.factors[0].name", |it, more| risk(it).factors[0].name = "n".repeat(100 + more)),
    ("incident.risk.factors[0].detail", |it, more| risk(it).factors[0].detail = "d".repeat(500 + more)),
    ("incident.activity.primary_rule", |it, more| {
        it.activity.as_mut().unwrap().primary_rule = "p".repeat(256 + more);
    }),
    ("incident.tactics", |it, more| it.tactics = vec![tactic("TA0001"); 50 + more]),
    ("incident.tactics[0].id", |it, more| it.tactics = vec![tactic(&format!("TA{}", "1".repeat(14 + more)))]),
    ("incident.tactics[0].name", |it, more| it.tactics[0].name = "t".repeat(256 + more)),
    ("incident.techniques", |it, more| it.techniques = vec![technique("T1110.001"); 200 + more]),
    ("incident.techniques[0].id", |it, more| {
        it.techniques = vec![technique(&format!("T{}", "1".repeat(15 + more)))];
    }),
    ("incident.techniques[0].name", |it, more| it.techniques[0].name = "t".repeat(256 + more)),
    ("incident.firing_rules", |it, more| it.firing_rules = vec![rule(); 1_000 + more]),
    ("incident.firing_rules[0].name", |it, more| it.firing_rules[0].name = "r".repeat(256 + more)),
    ("incident.investigation_notes", |it, more| it.investigation_notes = "🦊".repeat(65_536 + more)),
];

#[tokio::test]
async fn every_text_and_list_has_its_exact_limit() {
    let mut world = Plan::new().start().await;
    for (path, bring_to) in LIMITS {
        let mut exact = incident("INC-1");
        bring_to(&mut exact, 0);
        world.preview(exact, TicketSystem::Jira).await;
        let mut over = incident("INC-1");
        bring_to(&mut over, 1);
        refusal(world.try_push(over, TicketSystem::Jira).await).is_invalid("INCIDENT_INVALID", &[path]);
    }
    assert!(world.deliveries().await.is_empty());
    assert!(world.jira.tickets().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn incident_at_all_limits_becomes_a_ticket_in_both_systems() {
    let mut world = Plan::new().start().await;
    let mut large = incident("INC-1");
    for (_, bring_to) in LIMITS {
        bring_to(&mut large, 0);
    }
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let answer = world.try_push(large.clone(), system).await.unwrap();
        assert_eq!(answer.delivery.unwrap().state(), v1::DeliveryState::Delivered, "{}", answer.message);
    }
    world.finish().await;
}

#[tokio::test]
async fn reports_all_violations_of_an_incident_at_once() {
    let mut world = Plan::new().start().await;
    let mut bad = incident("two words");
    bad.url = "ftp://x.example".to_owned();
    *actor(&mut bad) = v1::Actor { name: " ".to_owned(), r#type: 0, entity: String::new() };
    *risk(&mut bad) = v1::Risk { score: 100.5, level: 9, factors: vec![v1::RiskFactor::default()] };
    let timeline = bad.timeline.as_mut().unwrap();
    timeline.last_alert = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    timeline.active_duration = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    bad.sla = Some(v1::Sla { target: None, status: 0, percent_consumed: -1.0 });
    bad.tactics = vec![tactic("0001")];
    bad.techniques = vec![technique("T")];
    bad.firing_rules = vec![v1::FiringRule { name: String::new(), count: 0, severity: 9 }];
    let mut refused = refusal(world.try_push(bad, v1::create_ticket_request::Destination::System(0)).await);
    refused.fields.sort();
    refused.is_invalid(
        "INCIDENT_INVALID",
        &[
            "incident.actor.name",
            "incident.actor.type",
            "incident.firing_rules[0].count",
            "incident.firing_rules[0].name",
            "incident.firing_rules[0].severity",
            "incident.id",
            "incident.risk.factors[0].name",
            "incident.risk.level",
            "incident.risk.score",
            "incident.sla.percent_consumed",
            "incident.sla.status",
            "incident.sla.target",
            "incident.tactics[0].id",
            "incident.techniques[0].id",
            "incident.timeline.active_duration",
            "incident.timeline.last_alert",
            "incident.url",
            "system",
        ],
    );
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn empty_incident_names_all_required_fields() {
    let mut world = Plan::new().start().await;
    let refused = refusal(world.client.submit_incident(v1::Incident::default()).await);
    for field in ["incident.id", "incident.actor", "incident.risk", "incident.timeline"] {
        assert!(refused.fields.iter().any(|path| path == field), "{field} is not in {:?}", refused.fields);
    }
    world.finish().await;
}

#[tokio::test]
async fn refuses_invalid_numbers_and_timestamps() {
    let mut world = Plan::new().start().await;
    let mut bad = incident("INC-1");
    risk(&mut bad).score = f64::NAN;
    risk(&mut bad).factors[0].score = f64::INFINITY;
    bad.sla.as_mut().unwrap().percent_consumed = f64::NAN;
    let timeline = bad.timeline.as_mut().unwrap();
    timeline.first_alert = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    timeline.last_alert = Some(prost_types::Timestamp { seconds: 0, nanos: -1 });
    let mut refused = refusal(world.try_push(bad, TicketSystem::Jira).await);
    refused.fields.sort();
    refused.is_invalid(
        "INCIDENT_INVALID",
        &[
            "incident.risk.factors[0].score",
            "incident.risk.score",
            "incident.sla.percent_consumed",
            "incident.timeline.first_alert",
            "incident.timeline.last_alert",
        ],
    );
    world.finish().await;
}

#[tokio::test]
async fn thousands_of_violations_still_fit_into_an_answer() {
    let mut world = Plan::new().start().await;
    let mut bad = incident("INC-1");
    bad.firing_rules = vec![v1::FiringRule::default(); 1_000];
    let refused = refusal(world.try_push(bad, TicketSystem::Jira).await);
    assert_eq!(refused.reason, "INCIDENT_INVALID");
    assert!(refused.fields.len() > 20, "{:?}", refused.fields);
    world.finish().await;
}

fn actor(incident: &mut v1::Incident) -> &mut v1::Actor {
    incident.actor.as_mut().unwrap()
}

fn risk(incident: &mut v1::Incident) -> &mut v1::Risk {
    incident.risk.as_mut().unwrap()
}

fn factor() -> v1::RiskFactor {
    v1::RiskFactor { name: "Factor".to_owned(), score: 50.0, detail: String::new() }
}

fn tactic(id: &str) -> v1::Tactic {
    v1::Tactic { id: id.to_owned(), name: "Tactic".to_owned() }
}

fn technique(id: &str) -> v1::Technique {
    v1::Technique { id: id.to_owned(), name: "Technique".to_owned() }
}

fn rule() -> v1::FiringRule {
    v1::FiringRule { name: "Rule".to_owned(), count: 1, severity: 0 }
}
