//! How an instance stored the text that was sent.

use ticketing_core::system::{Adjustment, TicketDraft, TicketSystem};
use ticketing_simulator::{Call, Profile, Reply};

use crate::support::{Site, fields, ticket_draft, ticket_draft_of};

/// An incident whose notes are sent as work notes.
fn long() -> TicketDraft {
    let mut fields = fields("INC-1");
    fields.investigation_notes = "checked host fin-lt for the hash\n".repeat(200);
    ticket_draft_of(fields)
}

async fn pushed(ticket_draft: &TicketDraft, change: impl FnOnce(&mut Profile)) -> (Site, Vec<Adjustment>) {
    let site = Site::of(change).await;
    let adjustments = site.push(ticket_draft).await.expect("the ticket is made").adjustments;
    (site, adjustments)
}

fn reasons(adjustments: &[Adjustment]) -> Vec<(&str, &str)> {
    adjustments.iter().map(|adjustment| (adjustment.field.as_str(), adjustment.reason.as_str())).collect()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[tokio::test]
async fn reads_nothing_back_when_all_text_was_stored() {
    let (site, adjustments) = pushed(&ticket_draft("INC-1"), |_| {}).await;
    assert_eq!((reasons(&adjustments), site.simulator.requests().len()), (vec![], 1));
}

#[tokio::test]
async fn adds_cut_description_to_work_notes() {
    let (site, adjustments) =
        pushed(&ticket_draft("INC-1"), |profile| profile.description_limit = Some(101)).await;
    let [("description", reason)] = reasons(&adjustments)[..] else { panic!("{adjustments:?}") };
    assert!(reason.starts_with("was cut by ServiceNow: 101 of "), "{reason}");
    assert!(reason.ends_with("; the rest was added to the work notes"), "{reason}");
    let ticket = site.only_ticket();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let notes = text(&ticket.fields["work_notes"][0]);
    let rest = notes.strip_prefix("DESCRIPTION, CONTINUED\n").expect("a continuation");
    let sent = site.system.prepare(&ticket_draft("INC-1")).await.expect("a rendering").description;
    assert_eq!(squeezed(&(text(&ticket.fields["description"]) + rest)), squeezed(&sent));
}

#[tokio::test]
async fn adds_the_rest_only_in_the_creating_call() {
    let (site, _) = pushed(&ticket_draft("INC-1"), |profile| profile.description_limit = Some(101)).await;
    let again = site.push(&ticket_draft("INC-1")).await.expect("the ticket is found").adjustments;
    let [("description", reason)] = reasons(&again)[..] else { panic!("{again:?}") };
    assert!(reason.starts_with("was cut by ServiceNow: 101 of "), "{reason}");
    assert_eq!(site.only_ticket().fields["work_notes"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn reports_dropped_or_unreadable_work_notes() {
    for hidden in [true, false] {
        let (_, adjustments) = pushed(&long(), |profile| {
            profile.drops_work_notes = !hidden;
            profile.hides_journals = hidden;
        })
        .await;
        let [("work_notes", reason)] = reasons(&adjustments)[..] else { panic!("{adjustments:?}") };
        assert!(reason.contains("were not stored, or may not be read"), "{reason}");
        assert!(reason.ends_with("PreviewTicket shows the whole text"), "{reason}");
    }
}

#[tokio::test]
async fn reports_missing_rest_of_description() {
    let ticket_draft = ticket_draft("INC-1");
    let dropped = pushed(&ticket_draft, |profile| {
        profile.description_limit = Some(0);
        profile.drops_work_notes = true;
    });
    let refused = pushed(&ticket_draft, |profile| {
        profile.description_limit = Some(101);
        profile.withdraw("write");
    });
    let table = [
        (dropped.await.1, "was dropped by ServiceNow", "which could not be confirmed"),
        (refused.await.1, "was cut by ServiceNow", "could not be added to the work notes"),
    ];
    for (adjustments, what, rest) in table {
        let [("description", reason)] = reasons(&adjustments)[..] else { panic!("{adjustments:?}") };
        assert!(reason.starts_with(what) && reason.contains(rest), "{reason}");
    }
}

#[tokio::test]
async fn falls_back_to_the_journal_table() {
    let site = Site::of(|_| {}).await;
    site.answer(Call::Search, Reply::html(503, "busy"));
    assert_eq!(site.push(&long()).await.expect("the ticket is made").adjustments, []);
}

#[tokio::test]
async fn failed_read_back_does_not_fail_the_create() {
    let site = Site::of(|_| {}).await;
    site.answer(Call::Search, Reply::html(503, "busy"));
    site.answer(Call::Read, Reply::html(503, "busy"));
    let created = site.push(&long()).await.expect("the ticket is made");
    assert_eq!(created.ticket.key, site.only_ticket().key);
    let [("work_notes", reason)] = reasons(&created.adjustments)[..] else { panic!("{created:?}") };
    assert!(reason.contains("could not be confirmed: HTTP 503"), "{reason}");
}
