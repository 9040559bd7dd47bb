//! Changes of settings. Only violations of the change itself are reported here; the vendors validate the merged
//! settings.

use ticketing_contract::v1;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_engine::app::Change;
use ticketing_engine::settings::Rules;
use ticketing_vendor::{ConnectionChange, Vendors};

use super::destination::{self, Rejection};
use super::rules;

/// A Configure request, given the current rules.
pub fn change(
    mut request: v1::ConfigureRequest,
    vendors: &Vendors,
    current: &Rules,
    violations: &mut Violations,
) -> Change {
    let connections =
        vendors.iter().filter_map(|vendor| vendor.take_change(&mut request, violations)).collect();
    let auto_push = match request.auto_push {
        Some(change) => rules::auto_push(change, &current.auto_push, violations),
        None => current.auto_push.clone(),
    };
    let retry = match request.retry {
        Some(change) => rules::retry(change, &current.retry, violations),
        None => current.retry.clone(),
    };
    Change { connections, rules: Rules { auto_push, retry } }
}

/// Which connection to test, with which unsaved settings. The violations are those of the change; validating the
/// merged settings may find others.
///
/// # Errors
/// Every violation of the destination, or that there is no such connection.
pub fn tested_connection(
    request: v1::TestConnectionRequest,
    vendors: &Vendors,
) -> Result<(System, Option<ConnectionChange>, Violations), Rejection> {
    let mut wrong = Violations::default();
    let mut unsaved = Violations::default();
    let system = destination::system(request.destination.map(Into::into), &mut wrong);
    let change = request
        .unsaved
        .as_ref()
        .and_then(|settings| vendors.iter().find_map(|vendor| vendor.unsaved(settings, &mut unsaved)));
    if let (Ok(system), Some(change)) = (&system, &change) {
        let given = change.draft.system();
        let description =
            format!("are settings of {}, but the test is for {}", given.title(), system.title());
        wrong.require(given == *system, given.as_str(), &description);
    }
    match system {
        Ok(system) if wrong.is_empty() => Ok((system, change, unsaved)),
        system => Err(Rejection::of(system.err(), wrong)),
    }
}

#[cfg(test)]
mod tests {
    use ticketing_contract::v1::test_connection_request::Unsaved;

    use super::*;
    use crate::vendors::VendorFlags;

    #[test]
    fn reports_violations_of_all_parts() {
        let request = v1::ConfigureRequest {
            jira: Some(v1::JiraSettings { flavour: Some(0), ..Default::default() }),
            retry: Some(v1::RetrySettings { jitter: Some(2.0), ..Default::default() }),
            ..Default::default()
        };
        let mut violations = Violations::default();
        let vendors = VendorFlags::default().vendors();
        let change = change(request, &vendors, &Rules::default(), &mut violations);
        assert_eq!(change.connections.len(), 1);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["jira.flavour", "retry.jitter"]);
    }

    #[test]
    fn keeps_rules_that_are_absent() {
        let vendors = VendorFlags::default().vendors();
        let mut violations = Violations::default();
        let rules = Rules::default();
        let change = change(v1::ConfigureRequest::default(), &vendors, &rules, &mut violations);
        assert_eq!((change.rules, change.connections.len(), violations.is_empty()), (rules, 0, true));
    }

    #[test]
    fn refuses_test_with_settings_of_other_system() {
        let vendors = VendorFlags::default().vendors();
        let request = v1::TestConnectionRequest {
            destination: Some(v1::TicketSystem::Jira.into()),
            unsaved: Some(Unsaved::Servicenow(v1::ServiceNowSettings::default())),
        };
        let Err(Rejection::Invalid(wrong)) = tested_connection(request, &vendors) else {
            panic!("not invalid")
        };
        assert_eq!(
            wrong.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(),
            ["servicenow"]
        );
        assert!(tested_connection(v1::TestConnectionRequest::default(), &vendors).is_err());
    }
}
