//! Pushes and previews.

use ticketing_contract::v1;
use ticketing_engine::app::{Preview, Pushed, Submission};

use super::{connection, delivery, field, message, ticket};

pub(crate) fn preview(preview: Preview, max_retry_attempts: u32) -> v1::PreviewTicketResponse {
    let Preview { system, connection: name, marker, rendered, severity, verdict, existing } = preview;
    v1::PreviewTicketResponse {
        ticket: Some(ticket::rendered(system, &marker, rendered)),
        auto_push: Some(connection::decision((system, name), &verdict, severity)),
        existing: existing.map(|existing| delivery::delivery(existing, max_retry_attempts)),
    }
}

pub(crate) fn pushed(pushed: Pushed, max_retry_attempts: u32) -> v1::CreateTicketResponse {
    let message = message::push_message(&pushed.delivery, pushed.already_existed);
    v1::CreateTicketResponse {
        delivery: Some(delivery::delivery(pushed.delivery, max_retry_attempts)),
        already_existed: pushed.already_existed,
        message,
    }
}

pub(crate) fn submission(submission: Submission, max_retry_attempts: u32) -> v1::SubmitIncidentResponse {
    let Submission { severity, auto_push, decisions } = submission;
    let results = decisions.into_iter().map(|decision| {
        let destination = (decision.system, decision.connection);
        let presented = connection::decision(destination, &decision.verdict, severity);
        let already_existed = decision.pushed.as_ref().is_some_and(|(_, existed)| *existed);
        let delivery = decision.pushed.map(|(pushed, _)| delivery::delivery(pushed, max_retry_attempts));
        v1::AutoPushResult { decision: Some(presented), delivery, already_existed }
    });
    v1::SubmitIncidentResponse {
        results: results.collect(),
        severity: field::severity(severity).into(),
        minimum_severity: field::severity(auto_push.minimum_severity).into(),
    }
}
