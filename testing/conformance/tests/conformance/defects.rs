//! The suite can fail: it finds each defect of the toy adapter.

use crate::toy::{Defect, Toy};

/// A test that a behavior fails with this text on a toy with this defect.
macro_rules! finds {
    ($($test:ident: $defect:ident by $behavior:ident, $text:literal;)*) => {
        $(
            #[tokio::test]
            #[should_panic(expected = $text)]
            async fn $test() {
                ticketing_conformance::$behavior(&Toy::with(Some(Defect::$defect))).await;
            }
        )*
    };
}

finds! {
    finds_repeated_create: RepeatsLostCreate by lost_reply_is_an_unknown_outcome, "one request creates";
    finds_lost_reply_taken_for_refusal:
        TakesLostReplyForRefusal by lost_reply_is_an_unknown_outcome, "Disconnect { applied: false }";
    finds_late_request: IgnoresDeadline by sends_nothing_after_the_deadline, "the deadline has passed";
    finds_forgotten_delay: ForgetsDelay by throttled_call_has_the_requested_delay, "retry_after: None";
    finds_changed_body: ChangesBody by create_sends_exactly_the_rendered_body, "left == right";
    finds_trust_in_anonymous_search:
        TrustsAnonymousSearch by empty_result_needs_a_working_login, "needs a working login";
    finds_trust_in_hidden_place: TrustsHiddenPlace by empty_result_needs_access_to_the_place, "needs access";
    finds_trust_in_rows:
        TrustsRows by never_returns_ticket_of_another_marker, "the search ignored the marker";
    finds_repeated_rows:
        KeepsRepeatedRows by lists_each_ticket_of_one_marker_oldest_first, "is repeated is one ticket";
    finds_call_to_another_address: SearchesAnyAddress by never_sends_login_to_another_address, "another address";
    finds_fault_read_as_none: ReadsFaultAsNone by read_needs_a_working_login, "absence needs a working login";
    finds_shown_secret: ShowsSecret by shows_no_secret, "a secret is shown";
    finds_repeated_echo: RepeatsEcho by redacts_echoed_secret, "a secret is shown";
    finds_kept_controls: KeepsControls by hostile_text_is_rendered_within_limits, "hidden characters";
    finds_changing_rendering: NumbersRenderings by rendering_is_deterministic, "offline";
    finds_writing_test: WritesInTest by test_never_writes, "a request writes";
    finds_omitted_checks: OmitsSkippedChecks by test_reports_the_same_checks_in_every_state, "left == right";
}
