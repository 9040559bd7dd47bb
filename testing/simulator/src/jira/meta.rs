//! Metadata of the site, and the account and its permissions.

use serde_json::{Map, Value, json};

use super::{Flavour, Visit, account_id, auth, fields, jira_time};
use crate::message::Answer;
use crate::profile::{Named, Project, SITE_PRIORITIES};

/// The permissions that the simulator knows.
const PERMISSIONS: [&str; 6] =
    ["BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "LINK_ISSUES", "ADMINISTER"];

pub(super) fn server_info(visit: &Visit<'_, '_>) -> Answer {
    let (version, numbers, deployment, build) = match visit.flavour {
        Flavour::Cloud => ("1001.0.0-SNAPSHOT", [1001, 0, 0], "Cloud", 100_287),
        Flavour::DataCenter => ("10.3.24", [10, 3, 24], "Server", 10_030_024),
    };
    let site = match visit.flavour {
        Flavour::Cloud => visit.turn.origin,
        Flavour::DataCenter => visit.turn.state.profile.base_url.as_ref().unwrap_or(&visit.base),
    };
    Answer::json(
        200,
        &json!({
            "baseUrl": site, "version": version, "versionNumbers": numbers, "deploymentType": deployment,
            "buildNumber": build, "serverTime": jira_time(visit.turn.now), "serverTitle": "Jira",
        }),
    )
}

pub(super) fn myself(visit: &Visit<'_, '_>) -> Answer {
    let Some(name) = visit.caller.name() else {
        return auth::needs_login(visit.turn.request, &visit.caller);
    };
    let body = match visit.flavour {
        Flavour::Cloud => json!({
            "self": visit.api(&format!("user?accountId={}", account_id(name))), "accountId": account_id(name),
            "accountType": "atlassian", "emailAddress": name, "displayName": "An Analyst", "active": true,
            "timeZone": "Etc/UTC", "locale": "en_US",
        }),
        Flavour::DataCenter => json!({
            "self": visit.api(&format!("user?username={name}")), "key": "JIRAUSER10100", "name": name,
            "emailAddress": "analyst@example.com", "displayName": "An Analyst", "active": true,
            "timeZone": "Etc/UTC", "locale": "en_US",
        }),
    };
    Answer::json(200, &body)
}

pub(super) fn my_permissions(visit: &Visit<'_, '_>) -> Answer {
    let request = visit.turn.request;
    let asked = match visit.flavour {
        Flavour::Cloud => match request.query("permissions").filter(|keys| !keys.is_empty()) {
            Some(keys) => keys.split(',').map(|key| key.trim().to_owned()).collect(),
            None => return Answer::jira_messages(400, &["The 'permissions' query parameter is required."]),
        },
        Flavour::DataCenter if !visit.logged_in() => return auth::not_authenticated(&visit.caller),
        Flavour::DataCenter => PERMISSIONS.map(str::to_owned).to_vec(),
    };
    if let Some(unknown) = asked.iter().find(|key| !PERMISSIONS.contains(&key.as_str())) {
        return Answer::jira_messages(400, &[&format!("Unrecognized permission: {unknown}")]);
    }
    if let Some(key) = request.query("projectKey")
        && visible_project(visit, &key).is_none()
    {
        return Answer::jira_messages(404, &[&format!("No project could be found with key '{key}'.")]);
    }
    let permissions: Map<String, Value> = asked
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let name = key.replace('_', " ").to_lowercase();
            let have = *key != "ADMINISTER" && visit.may(key);
            let entry = json!({
                "id": (index + 10).to_string(), "key": key, "name": name, "type": "PROJECT",
                "description": "", "havePermission": have,
            });
            (key.clone(), entry)
        })
        .collect();
    Answer::json(200, &json!({ "permissions": permissions }))
}

pub(super) fn priorities(visit: &Visit<'_, '_>) -> Answer {
    if !visit.logged_in() {
        return auth::not_authenticated(&visit.caller);
    }
    let all: Vec<Value> = SITE_PRIORITIES.iter().map(|(id, name)| priority(visit, id, name)).collect();
    Answer::json(200, &Value::from(all))
}

pub(super) fn project(visit: &Visit<'_, '_>, id_or_key: &str) -> Answer {
    let Some(project) = visible_project(visit, id_or_key) else {
        return Answer::jira_messages(404, &[&format!("No project could be found with key '{id_or_key}'.")]);
    };
    let mut body = json!({
        "self": visit.api(&format!("project/{}", project.id)), "id": project.id, "key": project.key,
        "name": project.name, "projectTypeKey": "software", "archived": false,
        "issueTypes": project.issue_types.iter().map(|kind| issue_type(visit, kind)).collect::<Vec<_>>(),
    });
    if visit.flavour == Flavour::Cloud {
        body["style"] = "classic".into();
        body["simplified"] = false.into();
        body["isPrivate"] = false.into();
    }
    Answer::json(200, &body)
}

pub(super) fn issue_types(visit: &Visit<'_, '_>, id_or_key: &str) -> Answer {
    let Some(project) = visible_project(visit, id_or_key) else { return no_create_meta(visit, id_or_key) };
    let all: Vec<Value> = project.issue_types.iter().map(|kind| issue_type(visit, kind)).collect();
    page(visit, "issueTypes", &all)
}

pub(super) fn create_fields(visit: &Visit<'_, '_>, id_or_key: &str, issue_type_id: &str) -> Answer {
    let Some(project) = visible_project(visit, id_or_key) else { return no_create_meta(visit, id_or_key) };
    if !project.issue_types.iter().any(|kind| kind.id == issue_type_id) {
        let status = if visit.flavour == Flavour::Cloud { 404 } else { 400 };
        return Answer::jira_messages(status, &["The issue type selected is invalid."]);
    }
    let usual = project.screen.iter().map(|field| create_field(visit, project, field));
    let all: Vec<Value> = usual.chain(project.fields.iter().map(fields::describe)).collect();
    page(visit, "fields", &all)
}

fn visible_project<'t>(visit: &'t Visit<'_, '_>, id_or_key: &str) -> Option<&'t Project> {
    visit.turn.state.profile.project(id_or_key).filter(|_| visit.may("BROWSE_PROJECTS"))
}

fn no_create_meta(visit: &Visit<'_, '_>, id_or_key: &str) -> Answer {
    match visit.flavour {
        Flavour::Cloud => {
            Answer::jira_messages(404, &[&format!("No project could be found with key '{id_or_key}'.")])
        }
        Flavour::DataCenter => {
            Answer::jira_messages(400, &[&format!("Project with '{id_or_key}' doesn't exist.")])
        }
    }
}

/// Returns one page: under the resource's own member on Cloud, under `values` with `isLast` on Data Center.
fn page(visit: &Visit<'_, '_>, member: &str, all: &[Value]) -> Answer {
    let number = |name: &str, default: usize| match visit.turn.request.query(name) {
        Some(text) => text.parse::<usize>().ok(),
        None => Some(default),
    };
    let (Some(start), Some(max)) = (number("startAt", 0), number("maxResults", 50)) else {
        return Answer::jira_status(visit.turn.request, 404, "null for uri");
    };
    if max > 200 {
        return Answer::jira_messages(400, &["Parameter 'maxResults' must not exceed the limit '200'"]);
    }
    let rows: Vec<&Value> = all.iter().skip(start).take(max).collect();
    let last = start + rows.len() >= all.len();
    let mut body = json!({ "startAt": start, "maxResults": max, "total": all.len() });
    match visit.flavour {
        Flavour::Cloud => body[member] = json!(rows),
        Flavour::DataCenter => {
            body["isLast"] = last.into();
            body["values"] = json!(rows);
        }
    }
    Answer::json(200, &body)
}

fn issue_type(visit: &Visit<'_, '_>, kind: &Named) -> Value {
    let mut body = json!({
        "self": visit.api(&format!("issuetype/{}", kind.id)), "id": kind.id, "name": kind.name,
        "description": "", "subtask": false, "iconUrl": format!("{}/images/{}.png", visit.base, kind.id),
    });
    if visit.flavour == Flavour::Cloud {
        let untranslated = visit.turn.state.profile.untranslated.get(&kind.id).unwrap_or(&kind.name);
        body["untranslatedName"] = untranslated.as_str().into();
    }
    body
}

fn priority(visit: &Visit<'_, '_>, id: &str, name: &str) -> Value {
    let icon = format!("{}/images/icons/priorities/{}.svg", visit.base, name.to_lowercase());
    json!({ "self": visit.api(&format!("priority/{id}")), "id": id, "name": name, "iconUrl": icon })
}

fn create_field(visit: &Visit<'_, '_>, project: &Project, field: &str) -> Value {
    let always = matches!(field, "project" | "issuetype" | "summary");
    let mut body = json!({
        "fieldId": field, "key": field, "name": field_name(field),
        "required": always || project.required.contains(field),
        "hasDefaultValue": field == "priority", "operations": operations(field), "schema": schema(field),
    });
    if field == "priority" {
        let allowed = project.priorities.iter().map(|choice| priority(visit, &choice.id, &choice.name));
        body["allowedValues"] = allowed.collect();
    }
    if field == "issuetype" {
        body["allowedValues"] = project.issue_types.iter().map(|kind| issue_type(visit, kind)).collect();
    }
    body
}

fn field_name(field: &str) -> String {
    match field {
        "issuetype" => "Issue Type".to_owned(),
        _ => field[..1].to_uppercase() + &field[1..],
    }
}

fn operations(field: &str) -> Value {
    match field {
        "labels" => json!(["add", "set", "remove"]),
        _ => json!(["set"]),
    }
}

fn schema(field: &str) -> Value {
    match field {
        "labels" => json!({ "type": "array", "items": "string", "system": "labels" }),
        "project" | "issuetype" | "priority" => json!({ "type": field, "system": field }),
        "reporter" => json!({ "type": "user", "system": field }),
        _ => json!({ "type": "string", "system": field }),
    }
}
