//! Changes of settings. Only violations of the change itself are reported here; the vendors validate the merged
//! settings.

use ticketing_contract::v1;
use ticketing_core::connection;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_engine::app::Change;
use ticketing_engine::settings::Rules;
use ticketing_vendor::{ConnectionChange, Vendors, contract};

use super::destination::{self, Rejection};
use super::rules;

/// Maximum number of connections that one request changes, and that it removes.
const MAX_CHANGES: usize = 100;
const MAX_ETAG: usize = 64;

/// A Configure request, given the current rules.
pub fn change(
    mut request: v1::ConfigureRequest,
    vendors: &Vendors,
    current: &Rules,
    violations: &mut Violations,
) -> Change {
    let mut connections: Vec<_> =
        vendors.iter().filter_map(|vendor| vendor.take_change(&mut request, violations)).collect();
    violations.limit_list("connections", &request.connections, MAX_CHANGES);
    for (index, settings) in request.connections.into_iter().take(MAX_CHANGES).enumerate() {
        let path = format!("connections[{index}]");
        let mut found = Violations::default();
        let change = named_change(settings, vendors, &mut found);
        if change.as_ref().is_some_and(|change| is_listed(&change.connection, &connections)) {
            found.add("name", "is in the request twice; put all changes of a connection in one place");
        }
        violations.extend(found.within(&path));
        connections.extend(change.map(|change| ConnectionChange { path, ..change }));
    }
    let remove = request.remove_connections;
    violations.limit_list("remove_connections", &remove, MAX_CHANGES);
    for (index, name) in remove.iter().take(MAX_CHANGES).enumerate() {
        let path = format!("remove_connections[{index}]");
        violations.require(connection::is_name(name), &path, connection::NAME_RULE);
        let is_repeated = is_listed(name, &connections) || remove[..index].contains(name);
        violations.require(!is_repeated, &path, "is in the request twice");
    }
    violations.limit_text("etag", &request.etag, MAX_ETAG);
    let auto_push = match request.auto_push {
        Some(change) => rules::auto_push(change, &current.auto_push, violations),
        None => current.auto_push.clone(),
    };
    let retry = match request.retry {
        Some(change) => rules::retry(change, &current.retry, violations),
        None => current.retry.clone(),
    };
    let rules = Rules { auto_push, retry };
    Change { connections, remove, etag: request.etag, validate_only: request.validate_only, rules }
}

/// The change of a connection by name. Adds violations below its message.
fn named_change(
    settings: v1::ConnectionSettings,
    vendors: &Vendors,
    violations: &mut Violations,
) -> Option<ConnectionChange> {
    let name = settings.name;
    violations.require(connection::is_name(&name), "name", connection::NAME_RULE);
    let named_after = System::parse(&name);
    let content = settings.content;
    let Some(settings) = settings.settings else {
        violations.add("settings", "is required: the settings for the ticket system of the connection");
        return None;
    };
    let mut change = vendors.iter().find_map(|vendor| vendor.change(&settings, violations))?;
    if let Some(content) = content {
        change.draft.content = contract::content_settings(content, violations);
    }
    let system = change.draft.system();
    if let Some(expected) = named_after.filter(|expected| *expected != system) {
        let description = format!("is the name of a connection to {}", expected.title());
        violations.add("name", description);
    }
    Some(ConnectionChange { connection: name, ..change })
}

fn is_listed(name: &str, changes: &[ConnectionChange]) -> bool {
    changes.iter().any(|change| change.connection == name)
}

/// Which connection to test, by name, with which unsaved settings: then it may be a new one. The violations are those of
/// the change; validating the merged settings may find others.
///
/// # Errors
/// Every violation of the destination, or that there is no such connection.
pub fn tested_connection(
    request: v1::TestConnectionRequest,
    vendors: &Vendors,
    known: &[String],
) -> Result<(String, Option<ConnectionChange>, Violations), Rejection> {
    let mut wrong = Violations::default();
    let mut unsaved = Violations::default();
    let destination = request.destination.map(Into::into);
    let change = request
        .unsaved
        .as_ref()
        .and_then(|settings| vendors.iter().find_map(|vendor| vendor.unsaved(settings, &mut unsaved)));
    let Some(change) = change else {
        let name = destination::connection(destination, known, &mut wrong);
        return match name {
            Ok(name) if wrong.is_empty() => Ok((name, None, unsaved)),
            name => Err(Rejection::of(name.err(), wrong)),
        };
    };
    let given = change.draft.system();
    let Some(name) = destination::name(destination, &mut wrong) else {
        return Err(Rejection::Invalid(wrong));
    };
    if let Some(expected) = System::parse(&name).filter(|expected| *expected != given) {
        let description =
            format!("are settings of {}, but the test is for {}", given.title(), expected.title());
        wrong.add(given.as_str(), description);
    }
    wrong.require(connection::is_name(&name), "connection", connection::NAME_RULE);
    match wrong.is_empty() {
        true => Ok((name.clone(), Some(ConnectionChange { connection: name, ..change }), unsaved)),
        false => Err(Rejection::Invalid(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use ticketing_contract::v1::connection_settings::Settings;
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
        let Err(Rejection::Invalid(wrong)) = tested_connection(request, &vendors, &[]) else {
            panic!("not invalid")
        };
        assert_eq!(
            wrong.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(),
            ["servicenow"]
        );
        assert!(tested_connection(v1::TestConnectionRequest::default(), &vendors, &[]).is_err());
    }

    #[test]
    fn reports_what_is_wrong_with_named_connections() {
        let named =
            |name: &str, settings| v1::ConnectionSettings { name: name.to_owned(), settings, content: None };
        let jira = |flavour| Settings::Jira(v1::JiraSettings { flavour, ..Default::default() });
        let request = v1::ConfigureRequest {
            jira: Some(v1::JiraSettings::default()),
            connections: vec![
                named("jira-eu", Some(jira(Some(0)))),
                named("Jira", Some(jira(None))),
                named("jira-us", None),
                named("jira", Some(jira(None))),
                named("servicenow", Some(jira(None))),
            ],
            remove_connections: ["jira-eu", "old", "old"].map(str::to_owned).into(),
            etag: "x".repeat(65),
            ..Default::default()
        };
        let mut violations = Violations::default();
        change(request, &VendorFlags::default().vendors(), &Rules::default(), &mut violations);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        let expected = [
            "connections[0].jira.flavour",
            "connections[1].name",
            "connections[2].settings",
            "connections[3].name",
            "connections[4].name",
            "remove_connections[0]",
            "remove_connections[2]",
            "etag",
        ];
        assert_eq!(fields, expected);
    }
}
