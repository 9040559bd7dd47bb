//! Ticket systems over TLS: the real binary trusts the authorities of this machine, and explains why it
//! trusts no other.

use rhythmx_ticketing::v1::{AttemptOutcome, DeliveryState, FaultKind, TicketSystem};
use ticketing_harness::{Plan, state};
use ticketing_simulator::{Authority, Call, Certificate, Effect, Rule, When};

#[tokio::test]
async fn untrusted_certificate_delays_ticket_and_names_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let good = authority.issue(Certificate::Good).unwrap();
    let mut world = Plan::new().under_tls(&good, authority.pem_file()).start().await;
    assert!(world.jira.base_url().starts_with("https://127.0.0.1:"));
    world.disable_automatic_retries().await;
    let cases = [
        (Certificate::Expired, "expired on 2001-01-01"),
        (Certificate::NotYetValid, "not valid before 4000-01-01"),
        (Certificate::WrongName, "is for elsewhere.example, not for 127.0.0.1"),
        (Certificate::Untrusted, "issued by \"Unknown Authority\""),
        (Certificate::SelfSigned, "is self-signed"),
    ];
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        for (certificate, words) in cases {
            world.simulator(system).present(&authority.issue(certificate).unwrap());
            let pushed = world.push(&format!("INC-{certificate:?}"), system).await;
            let delivery = world.delivery(&pushed.delivery.unwrap().id).await;
            let fault = delivery.attempts.last().unwrap().fault.clone().unwrap();
            assert_eq!((delivery.state(), fault.kind()), (DeliveryState::Waiting, FaultKind::Tls));
            assert!(fault.message.contains(words), "{certificate:?}: {fault:#?}");
        }
        assert_eq!(world.simulator(system).reached(Call::Any, ticketing_simulator::Point::HeadRead), 0);
        world.simulator(system).present(&good);
        assert_eq!(state(&world.push("INC-good", system).await), DeliveryState::Delivered);
    }
    world.finish().await;
}

#[tokio::test]
async fn failed_handshake_is_a_definite_failure() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let good = authority.issue(Certificate::Good).unwrap();
    let mut world = Plan::new().under_tls(&good, authority.pem_file()).start().await;
    world.disable_automatic_retries().await;
    let cases = [
        (Effect::plain_http(), FaultKind::Tls, "does not speak TLS"),
        (Effect::ResetBefore, FaultKind::Tls, "cut off during the TLS handshake"),
        (Effect::DropBefore, FaultKind::Tls, "cut off during the TLS handshake"),
        (Effect::NeverRead, FaultKind::Connect, "no connection"),
    ];
    for (number, (effect, kind, words)) in cases.into_iter().enumerate() {
        world.servicenow.faults().push(Rule::new(Call::Connection, When::Always, effect.clone()));
        let pushed = world.push(&format!("INC-{number}"), TicketSystem::Servicenow).await;
        let id = pushed.delivery.unwrap().id;
        let delivery = world.until(&id, DeliveryState::Waiting).await;
        let attempt = delivery.attempts.last().unwrap();
        let fault = attempt.fault.clone().unwrap();
        assert_eq!(
            (attempt.outcome(), fault.kind()),
            (AttemptOutcome::Failed, kind),
            "{effect:?}: {fault:#?}"
        );
        assert!(fault.message.contains(words), "{effect:?}: {fault:#?}");
        world.servicenow.faults().clear();
    }
    assert!(world.servicenow.tickets().is_empty());
    world.finish().await;
}
