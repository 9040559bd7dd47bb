//! What we read of Jira's replies. Everything but what we cannot do without may be missing.

use serde::Deserialize;
use serde_json::Value;

use crate::settings::Flavour;

/// The reply to a create.
#[derive(Debug, Deserialize)]
pub(crate) struct CreatedIssue {
    pub(crate) id: String,
    pub(crate) key: String,
}

/// Which Jira it is. Every Jira says its version: an answer without one is not of a Jira, and tells nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerInfo {
    /// Old servers do not know the word.
    #[serde(default)]
    pub(crate) deployment_type: String,
    pub(crate) version: String,
    /// Where people see it, as its administrator has set it.
    #[serde(default)]
    pub(crate) base_url: Option<String>,
}

/// Who we are; one of the names is there.
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
    /// Only Cloud knows people by an account ID.
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

/// A page of createmeta: Cloud calls its rows by their kind, Data Center `values`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaPage<T> {
    pub(crate) issue_types: Option<Vec<T>>,
    pub(crate) fields: Option<Vec<T>>,
    pub(crate) values: Option<Vec<T>>,
    pub(crate) total: Option<usize>,
    pub(crate) is_last: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    pub(crate) id: String,
    /// In the language of the account.
    #[serde(default)]
    pub(crate) name: String,
    /// As it was called when it was made; Cloud alone says it.
    #[serde(default)]
    pub(crate) untranslated_name: Option<String>,
    /// Its picture, whose file has the same name in every language.
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
    /// What was wrong with the search, beside whatever it found.
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
    /// Only where it was asked for.
    pub(crate) project: Value,
}

/// What Jira says about a refusal, in members of which any may be missing or of another shape.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ErrorCollection {
    pub(crate) error_messages: Value,
    pub(crate) errors: Value,
    pub(crate) message: Value,
    pub(crate) error_message: Value,
    /// What gateways say instead.
    pub(crate) error: Value,
    #[serde(rename = "error_description")]
    pub(crate) error_description: Value,
    pub(crate) detail: Value,
}
