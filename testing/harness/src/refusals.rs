//! Reads refusals of calls.

use std::collections::HashMap;
use std::fmt::Debug;

use rhythmx_ticketing::ERROR_DOMAIN;
use rhythmx_ticketing::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A refusal, read from its `google.rpc` details.
#[derive(Debug)]
pub struct Refused {
    pub code: Code,
    pub message: String,
    /// Without the prefix of the enum.
    pub reason: String,
    pub metadata: HashMap<String, String>,
    /// The paths of `BadRequest`, in order.
    pub fields: Vec<String>,
    /// Type and subject of `PreconditionFailure`.
    pub preconditions: Vec<(String, String)>,
    /// Whether `RetryInfo` has a delay.
    pub has_retry_delay: bool,
}

/// The refusal of a call that must fail, with a documented reason in our domain.
pub fn refusal<T: Debug>(answer: Result<T, Status>) -> Refused {
    let status = answer.expect_err("the call is refused");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("a refusal has its reason: {status:?}"));
    assert_eq!(info.domain, ERROR_DOMAIN);
    let known = ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason));
    assert!(known.is_some(), "{} is not documented", info.reason);
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    assert!(violations.iter().all(|violation| !violation.description.is_empty()), "{violations:?}");
    let failures = details.precondition_failure().map(|failure| failure.violations.clone());
    Refused {
        code: status.code(),
        message: status.message().to_owned(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone(),
        fields: violations.into_iter().map(|violation| violation.field).collect(),
        preconditions: failures
            .unwrap_or_default()
            .into_iter()
            .map(|failure| (failure.r#type, failure.subject))
            .collect(),
        has_retry_delay: details.retry_info().is_some_and(|info| info.retry_delay.is_some()),
    }
}

// === impl Refused ===

impl Refused {
    /// Code, reason and field paths.
    #[track_caller]
    pub fn is(&self, code: Code, reason: &str, fields: &[&str]) {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self:#?}");
        assert_eq!(self.fields, fields, "{self:#?}");
    }

    /// INVALID_ARGUMENT for this reason and these fields.
    #[track_caller]
    pub fn is_invalid(&self, reason: &str, fields: &[&str]) {
        self.is(Code::InvalidArgument, reason, fields);
    }

    /// FAILED_PRECONDITION for this reason, about this subject.
    #[track_caller]
    pub fn is_precondition(&self, reason: &str, subject: &str) {
        self.is(Code::FailedPrecondition, reason, &[]);
        assert_eq!(self.preconditions, [(reason.to_owned(), subject.to_owned())], "{self:#?}");
    }
}
