//! The parts of Jira's replies that are read. All but the essential ones may be missing.

use serde::Deserialize;
use serde_json::Value;

use crate::settings::Flavour;

/// The reply to a create.
#[derive(Debug, Deserialize)]
pub(crate) struct CreatedIssue {
    pub(crate) id: String,
    pub(crate) key: String,
}

/// The flavor and version of Jira. Every Jira reports its version: a reply without one is not from Jira.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerInfo {
    /// Old servers omit it.
    #[serde(default)]
    pub(crate) deployment_type: String,
    pub(crate) version: String,
    /// The URL for people, as configured by the administrator.
    #[serde(default)]
    pub(crate) base_url: Option<String>,
}

/// The account; one of the names is present.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Myself {
    pub(crate) account_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) display_name: Option<String>,
}

// === impl ServerInfo ===

impl ServerInfo {
    pub(crate) fn flavour(&self) -> Flavour {
        if self.deployment_type == "Cloud" { Flavour::Cloud } else { Flavour::DataCenter }
    }
}

// === impl Myself ===

impl Myself {
    /// Only Cloud identifies people by an account ID.
    pub(crate) fn flavour(&self) -> Flavour {
        if self.account_id.is_some() { Flavour::Cloud } else { Flavour::DataCenter }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) archived: bool,
    #[serde(default, rename = "issueTypes")]
    pub(crate) issue_types: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Permissions {
    pub(crate) permissions: std::collections::HashMap<String, Permission>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Permission {
    #[serde(default)]
    pub(crate) have_permission: bool,
}

/// A page of create metadata: Cloud names its rows by their kind, Data Center `values`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaPage<T> {
    pub(crate) issue_types: Option<Vec<T>>,
    pub(crate) fields: Option<Vec<T>>,
    pub(crate) values: Option<Vec<T>>,
    pub(crate) total: Option<usize>,
    pub(crate) is_last: Option<bool>,
    pub(crate) max_results: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    pub(crate) id: String,
    /// In the language of the account.
    #[serde(default)]
    pub(crate) name: String,
    /// The original name; Cloud only.
    #[serde(default)]
    pub(crate) untranslated_name: Option<String>,
    /// The icon, whose file has the same name in every language.
    #[serde(default)]
    pub(crate) icon_url: Option<String>,
    #[serde(default)]
    pub(crate) subtask: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateField {
    pub(crate) field_id: Option<String>,
    pub(crate) key: Option<String>,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) has_default_value: bool,
    pub(crate) allowed_values: Option<Vec<Value>>,
    #[serde(default)]
    pub(crate) schema: Schema,
    /// What can be done with the field; an empty list means that it is shown only.
    pub(crate) operations: Option<Vec<Value>>,
}

/// The type of a field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Schema {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The type of a list's items.
    pub(crate) items: String,
    /// The name of a system field.
    pub(crate) system: String,
    /// The kind of a custom field.
    pub(crate) custom: String,
}

/// A person, as searches return them; Cloud has account IDs, Data Center names.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FoundUser {
    pub(crate) account_id: Option<String>,
    pub(crate) name: Option<String>,
    /// Hidden by the person's privacy settings on Cloud.
    pub(crate) email_address: Option<String>,
    pub(crate) active: Option<bool>,
}

/// A page of search results, of Cloud or Data Center.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchPage {
    pub(crate) issues: Vec<FoundIssue>,
    #[serde(default)]
    pub(crate) next_page_token: Option<String>,
    #[serde(default)]
    pub(crate) is_last: Option<bool>,
    #[serde(default)]
    pub(crate) total: Option<u64>,
    /// What was wrong with the search, besides the results.
    #[serde(default)]
    pub(crate) error_messages: Option<Vec<Value>>,
    #[serde(default)]
    pub(crate) warning_messages: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FoundIssue {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) fields: FoundFields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FoundFields {
    pub(crate) labels: Option<Vec<String>>,
    /// A text, or an ADF document.
    pub(crate) description: Value,
    pub(crate) created: Option<String>,
    /// Only if requested.
    pub(crate) project: Value,
}

/// Jira's message about a refusal; any member may be missing or of another type.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ErrorCollection {
    pub(crate) error_messages: Value,
    pub(crate) errors: Value,
    pub(crate) message: Value,
    pub(crate) error_message: Value,
    /// The member of gateways.
    pub(crate) error: Value,
    #[serde(rename = "error_description")]
    pub(crate) error_description: Value,
    pub(crate) detail: Value,
}
