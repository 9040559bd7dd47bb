//! Rendering tickets.

use ticketing_core::clean::clean;
use ticketing_core::limits::{MAX_NAME, MAX_REASON};
use ticketing_core::system::{Dialing, Rendered, TicketDraft};

use crate::drafts::{draft, hostile_drafts};
use crate::steps::{WITHIN, check_nothing_written, prepare};
use crate::test_system::{SECRET, TestSystem};

pub async fn prepare_only_reads(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    prepare(system.as_ref(), &draft("INC-1")).await;
    check_nothing_written(remote);
}

/// After the first time, what was prepared is known without a request.
pub async fn prepared_ticket_is_known_from_memory(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let prepared = prepare(system.as_ref(), &draft).await;
    let requests = remote.requests().len();
    assert_eq!(system.prepare_from_memory(&draft), Some(prepared));
    assert_eq!(remote.requests().len(), requests, "a request was made");
}

pub async fn offline_rendering_makes_no_request(remote: &dyn TestSystem) {
    remote.connect(SECRET).render_offline(&draft("INC-1"));
    assert_eq!(remote.requests(), []);
}

/// Only the body may differ, which may have an ID where a name is all that is known offline, and the adjustments, which
/// list what could not be checked. What kind of system it is counts as known, so the connection prepares first.
pub async fn offline_rendering_equals_prepared_one(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let prepared = prepare(system.as_ref(), &draft).await;
    let offline = system.render_offline(&draft);
    assert!(prepared.adjustments.iter().all(|adjustment| offline.adjustments.contains(adjustment)));
    let Rendered { body, adjustments, .. } = prepared.clone();
    assert_eq!(Rendered { body, adjustments, ..offline }, prepared);
}

pub async fn rendering_is_deterministic(remote: &dyn TestSystem) {
    let draft = draft("INC-1");
    let systems = [remote.connect(SECRET), remote.connect(SECRET)];
    let offline = systems[0].render_offline(&draft);
    for system in &systems {
        assert_eq!(system.render_offline(&draft), offline, "offline");
    }
    let prepared = prepare(systems[0].as_ref(), &draft).await;
    for system in &systems {
        assert_eq!(prepare(system.as_ref(), &draft).await, prepared, "prepared");
    }
}

pub async fn rendered_body_contains_the_marker(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    for rendered in [system.render_offline(&draft), prepare(system.as_ref(), &draft).await] {
        assert!(rendered.body.contains(draft.marker.as_str()), "no marker: {}", rendered.body);
    }
}

/// The system accepts every ticket, and changes nothing in it.
pub async fn hostile_text_is_rendered_within_limits(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    for (count, draft) in hostile_drafts().into_iter().enumerate() {
        check_text(&draft, &system.render_offline(&draft));
        let rendered = prepare(system.as_ref(), &draft).await;
        check_text(&draft, &rendered);
        let id = &draft.incident.id;
        let created = system.create(&draft, &rendered, Dialing::default(), WITHIN).await;
        let created = created.unwrap_or_else(|fault| panic!("{id} is not accepted: {fault:?}"));
        assert_eq!(created.adjustments, [], "{id} is not stored as it was sent");
        assert_eq!(remote.tickets().len(), count + 1);
    }
}

fn check_text(draft: &TicketDraft, rendered: &Rendered) {
    let id = &draft.incident.id;
    assert!(rendered.body.contains(draft.marker.as_str()), "{id}: no marker");
    assert!(!rendered.summary.contains(['\n', '\t']), "{id}: a summary is one line: {:?}", rendered.summary);
    let Rendered { summary, priority, labels, plain_text, .. } = rendered;
    for text in [summary, plain_text].into_iter().chain(priority).chain(labels) {
        assert!(!text.trim().is_empty(), "{id}: an empty text");
        assert_eq!(clean(text).text, *text, "{id}: a text with hidden characters");
    }
    for adjustment in &rendered.adjustments {
        let is_bounded =
            adjustment.field.chars().count() <= MAX_NAME && adjustment.reason.chars().count() <= MAX_REASON;
        assert!(is_bounded, "{id}: an adjustment of any length: {adjustment:?}");
    }
}
