//! Tickets and faults of ticket systems.

use ticketing_contract::v1;
use ticketing_core::delivery::LastError;
use ticketing_core::fault::FaultKind;
use ticketing_core::limits::{self, MAX_NAME, MAX_REASON};
use ticketing_core::marker::Marker;
use ticketing_core::system::{
    Adjustment, Check, CheckOutcome, Rendered, System, TicketRef, bounded_adjustments,
};

use super::field;

/// Maximum length of a fault's message in characters.
const MAX_FAULT: usize = 500;
/// Maximum number of steps of a connection test.
const MAX_CHECKS: usize = 50;

/// A ticket within its limits, which rows of former versions may exceed.
pub(crate) fn ticket(ticket: TicketRef) -> v1::TicketReference {
    let ticket = ticket.bounded();
    v1::TicketReference { id: ticket.id, key: ticket.key, url: ticket.url }
}

/// Adjustments within their limits, as above.
pub(crate) fn adjustments(all: Vec<Adjustment>) -> Vec<v1::Adjustment> {
    let presented =
        |adjustment: Adjustment| v1::Adjustment { field: adjustment.field, reason: adjustment.reason };
    bounded_adjustments(all).into_iter().map(presented).collect()
}

/// A fault of a delivery or attempt; whether it is ambiguous depends on whether anything was sent.
pub(crate) fn last_error(error: LastError) -> v1::Fault {
    let LastError { fault, ambiguous, at } = error;
    v1::Fault {
        kind: fault_kind(fault.kind).into(),
        message: limits::cut(&fault.message, MAX_FAULT),
        hint: limits::cut(&fault.hint, MAX_REASON),
        http_status: fault.status.map_or(0, u32::from),
        ambiguous,
        time: Some(field::timestamp(at)),
    }
}

pub(crate) fn rendered(system: System, marker: &Marker, rendered: Rendered) -> v1::RenderedTicket {
    v1::RenderedTicket {
        system: field::system(system).into(),
        summary: rendered.summary,
        priority: limits::cut(&rendered.priority.unwrap_or_default(), MAX_NAME),
        labels: rendered.labels,
        marker: marker.to_string(),
        description: rendered.description,
        plain_text: rendered.plain_text,
        adjustments: adjustments(rendered.adjustments),
        body: rendered.body,
    }
}

/// The steps of a connection test, within their limits.
pub(crate) fn checks(checks: Vec<Check>) -> Vec<v1::ConnectionCheck> {
    checks.into_iter().take(MAX_CHECKS).map(check).collect()
}

fn check(check: Check) -> v1::ConnectionCheck {
    v1::ConnectionCheck {
        name: check.name,
        outcome: check_outcome(check.outcome).into(),
        detail: limits::cut(&check.detail, MAX_REASON),
        hint: limits::cut(&check.hint, MAX_REASON),
        duration: Some(field::duration(check.duration)),
    }
}

fn check_outcome(outcome: CheckOutcome) -> v1::CheckOutcome {
    match outcome {
        CheckOutcome::Passed => v1::CheckOutcome::Passed,
        CheckOutcome::Failed => v1::CheckOutcome::Failed,
        CheckOutcome::Unproven => v1::CheckOutcome::Unproven,
        CheckOutcome::Skipped => v1::CheckOutcome::Skipped,
    }
}

fn fault_kind(kind: FaultKind) -> v1::FaultKind {
    match kind {
        FaultKind::NotPermitted => v1::FaultKind::NotPermitted,
        FaultKind::Dns => v1::FaultKind::Dns,
        FaultKind::Connect => v1::FaultKind::Connect,
        FaultKind::Tls => v1::FaultKind::Tls,
        FaultKind::Misconfigured => v1::FaultKind::Misconfigured,
        FaultKind::TooLate => v1::FaultKind::TooLate,
        FaultKind::Rejected => v1::FaultKind::Rejected,
        FaultKind::Unauthorized => v1::FaultKind::Unauthorized,
        FaultKind::Forbidden => v1::FaultKind::Forbidden,
        FaultKind::LockedOut => v1::FaultKind::LockedOut,
        FaultKind::NotFound => v1::FaultKind::NotFound,
        FaultKind::TooLarge => v1::FaultKind::TooLarge,
        FaultKind::RateLimited => v1::FaultKind::RateLimited,
        FaultKind::TimedOut => v1::FaultKind::TimedOut,
        FaultKind::ConnectionLost => v1::FaultKind::ConnectionLost,
        FaultKind::Redirected => v1::FaultKind::Redirected,
        FaultKind::Conflict => v1::FaultKind::Conflict,
        FaultKind::ServerError => v1::FaultKind::ServerError,
        FaultKind::UnreadableReply => v1::FaultKind::UnreadableReply,
        FaultKind::Dormant => v1::FaultKind::Dormant,
        FaultKind::Dropped => v1::FaultKind::Dropped,
        FaultKind::Restored => v1::FaultKind::Restored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presents_stored_checks_of_earlier_versions() {
        let presented = |field: &str, value: serde_json::Value| {
            let duration = serde_json::json!({ "secs": 0, "nanos": 0 });
            let row = serde_json::json!({ "name": "reach", field: value, "detail": "", "hint": "", "duration": duration });
            check(serde_json::from_value(row).unwrap()).outcome()
        };
        assert_eq!(presented("passed", true.into()), v1::CheckOutcome::Passed);
        assert_eq!(presented("passed", false.into()), v1::CheckOutcome::Failed);
        assert_eq!(presented("outcome", "UNPROVEN".into()), v1::CheckOutcome::Unproven);
    }

    #[test]
    fn fault_kinds_match_domain() {
        for kind in FaultKind::ALL {
            assert_eq!(fault_kind(kind).as_str_name(), format!("FAULT_KIND_{}", kind.as_str()));
        }
    }
}
