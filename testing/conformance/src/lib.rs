//! The conformance suite of ticket systems: what every implementation of
//! [`TicketSystem`](ticketing_core::system::TicketSystem) must do, whatever the vendor.
//!
//! An adapter runs it with one line: `ticket_system_conformance!(start)`, where `start` starts an empty ticket system
//! that the suite controls as a [`TestSystem`]. Each behavior becomes a test of that name.
//!
//! What differs from vendor to vendor (the verdict of each status, markup, permissions, hints) is tested beside the
//! adapter.

#![allow(clippy::missing_panics_doc, reason = "a behavior that does not hold panics")]

mod creating;
mod describing;
mod drafts;
mod finding;
mod reading;
mod rendering;
mod steps;
mod test_system;
mod testing;

pub use creating::*;
pub use describing::*;
pub use finding::*;
pub use reading::*;
pub use rendering::*;
pub use test_system::{Calls, Failure, Request, RequestKind, SECRET, TestSystem, Ticket};
pub use testing::*;

/// Defines a test for each behavior in this suite. `$start` is an async function without arguments that returns a
/// [`TestSystem`].
#[macro_export]
macro_rules! ticket_system_conformance {
    ($start:path: $($behavior:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $behavior() {
                $crate::$behavior(&$start().await).await;
            }
        )*
    };
    ($start:path) => {
        $crate::ticket_system_conformance! { $start:
            created_ticket_is_found_by_its_marker,
            unknown_marker_is_an_empty_result,
            empty_result_needs_a_working_login,
            empty_result_needs_access_to_the_place,
            empty_result_needs_an_existing_place,
            failed_search_is_a_fault,
            never_returns_ticket_of_another_marker,
            sees_canary_that_the_search_shows,
            lists_each_ticket_of_one_marker_oldest_first,
            finds_moved_ticket_under_its_new_key,
            reads_ticket_by_id_and_by_key,
            reads_ticket_without_marker,
            reads_moved_ticket_by_its_id,
            deleted_ticket_reads_as_none,
            text_that_names_no_ticket_is_not_requested,
            read_needs_a_working_login,
            never_sends_login_to_another_address,
            prepare_only_reads,
            prepared_ticket_is_known_from_memory,
            offline_rendering_makes_no_request,
            offline_rendering_equals_prepared_one,
            rendering_is_deterministic,
            rendered_body_contains_the_marker,
            hostile_text_is_rendered_within_limits,
            create_sends_exactly_the_rendered_body,
            lost_reply_is_an_unknown_outcome,
            stops_waiting_at_the_deadline,
            sends_nothing_after_the_deadline,
            refused_ticket_is_a_definite_failure,
            refused_login_is_definite_and_not_repeated,
            throttled_call_has_the_requested_delay,
            removed_place_is_a_definite_failure_of_the_connection,
            destination_and_accounts_are_stable,
            ticket_url_leads_to_the_created_ticket,
            shows_no_secret,
            redacts_echoed_secret,
            test_of_working_connection_passes,
            test_never_writes,
            test_reports_the_same_checks_in_every_state,
            checks_after_a_failed_one_are_skipped,
            test_reports_refused_login,
        }
    };
}

#[cfg(test)]
mod tests {
    /// A behavior that the macro does not name would hold for no adapter.
    #[test]
    fn macro_names_every_behavior() {
        let sources = [
            include_str!("creating.rs"),
            include_str!("describing.rs"),
            include_str!("finding.rs"),
            include_str!("reading.rs"),
            include_str!("rendering.rs"),
            include_str!("testing.rs"),
        ];
        let suite = include_str!("lib.rs");
        let behaviors: Vec<_> =
            sources.iter().flat_map(|source| source.split("pub async fn ").skip(1)).collect();
        assert!(!behaviors.is_empty());
        for behavior in behaviors {
            let name = behavior.split('(').next().unwrap_or_default();
            assert!(suite.contains(&format!(" {name},\n")), "{name}");
        }
    }
}
