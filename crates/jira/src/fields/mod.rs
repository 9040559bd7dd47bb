//! Fields of the create screen: their types, and the values that an operator maps to them.
//!
//! `convert` turns a text or JSON into what the API takes for the type of a field, `users` finds people by email, and
//! `apply` does it for a whole mapping.

mod apply;
mod convert;
mod users;

use serde_json::Value;
use ticketing_core::content_settings::{Mapping, setting_of};
use ticketing_core::nearest::nearest;
use ticketing_core::violation::Violations;

pub(crate) use apply::{Applied, Place, apply, apply_online};
pub(crate) use users::Users;

use crate::wire::{CreateField, Schema};

/// Maximum number of suggestions.
pub(crate) const MAX_NEAREST: usize = 5;

/// How this code treats a field of every ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnField {
    pub(crate) id: &'static str,
    /// Whether a ticket is created without it if Jira refuses it.
    pub(crate) is_optional: bool,
    /// What to set instead of mapping it; `None` if it can be mapped.
    pub(crate) instead: Option<&'static str>,
}

/// The fields that are sent or that Jira fills in, so that they need no mapping.
pub(crate) const OWN_FIELDS: [OwnField; 7] = [
    OwnField { id: "project", is_optional: false, instead: Some("set jira.project_key") },
    OwnField { id: "issuetype", is_optional: false, instead: Some("set jira.issue_type") },
    OwnField { id: "summary", is_optional: false, instead: Some("set summary_template") },
    OwnField { id: "description", is_optional: true, instead: Some("set introduction_template") },
    OwnField { id: "priority", is_optional: true, instead: None },
    OwnField { id: "labels", is_optional: true, instead: None },
    OwnField { id: "reporter", is_optional: false, instead: None },
];

/// A field of the create screen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: FieldKind,
    /// Whether it takes a list.
    pub(crate) is_list: bool,
    /// Whether every ticket must have it, and Jira has no default.
    pub(crate) is_required: bool,
    pub(crate) is_settable: bool,
    /// `None` if Jira does not list them.
    pub(crate) allowed: Option<Vec<Allowed>>,
}

/// The type of a value, or of a list's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// One line.
    Text,
    /// Several lines: ADF on Cloud, wiki markup on Data Center.
    RichText,
    Url,
    Number,
    Date,
    DateTime,
    /// A choice with a value.
    Option,
    /// A choice, and a choice below it.
    Cascading,
    /// A choice with a name: a component, a version, a priority, a security level.
    Named,
    User,
    Group,
    Label,
    Sprint,
    EpicLink,
    /// Another issue: a parent.
    Issue,
    Team,
    /// Defined by an app: JSON as it is.
    Any,
}

/// A value that Jira offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) is_disabled: bool,
    /// Of a cascading choice.
    pub(crate) children: Vec<Allowed>,
}

// === impl Field ===

impl Field {
    /// `None` for a field without an ID.
    pub(crate) fn of(field: CreateField) -> Option<Self> {
        let id = field.field_id.or(field.key)?;
        let (kind, is_list) = kind_of(&field.schema);
        let allowed = field.allowed_values.map(|values| values.iter().filter_map(Allowed::of).collect());
        Some(Self {
            is_required: field.required && !field.has_default_value,
            is_settable: field.operations.is_none_or(|operations| !operations.is_empty()),
            name: field.name,
            id,
            kind,
            is_list,
            allowed,
        })
    }

    /// What is known of a field by its ID alone.
    pub(crate) fn assumed(id: &str) -> Self {
        let (kind, is_list) = match id {
            "components" | "versions" | "fixVersions" => (FieldKind::Named, true),
            "security" | "priority" | "resolution" => (FieldKind::Named, false),
            "labels" => (FieldKind::Label, true),
            "environment" => (FieldKind::RichText, false),
            "duedate" => (FieldKind::Date, false),
            "parent" => (FieldKind::Issue, false),
            "assignee" | "reporter" => (FieldKind::User, false),
            _ => (FieldKind::Any, false),
        };
        Self {
            id: id.to_owned(),
            name: id.to_owned(),
            kind,
            is_list,
            is_required: false,
            is_settable: true,
            allowed: None,
        }
    }

    /// For people: the name and the ID.
    pub(crate) fn describe(&self) -> String {
        format!("\"{}\" ({})", self.name, self.id)
    }

    /// The labels of the values that can be chosen, nearest to `wanted` first.
    pub(crate) fn nearest(&self, wanted: &str, max: usize) -> Vec<String> {
        let offered = self.allowed.iter().flatten().filter(|allowed| !allowed.is_disabled);
        nearest(wanted, offered.map(|allowed| allowed.label.as_str()), max)
    }
}

// === impl FieldKind ===

impl FieldKind {
    /// For people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::RichText => "long text",
            Self::Url => "URL",
            Self::Number => "number",
            Self::Date => "date",
            Self::DateTime => "date and time",
            Self::Option | Self::Named => "choice",
            Self::Cascading => "cascading choice",
            Self::User => "user",
            Self::Group => "group",
            Self::Label => "label",
            Self::Sprint => "sprint",
            Self::EpicLink | Self::Issue => "issue",
            Self::Team => "team",
            Self::Any => "app-defined value",
        }
    }
}

// === impl Allowed ===

impl Allowed {
    fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| match value.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let id = text("id")?;
        let label =
            text("value").or_else(|| text("name")).or_else(|| text("key")).unwrap_or_else(|| id.clone());
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
        let children = value.get("children").and_then(Value::as_array).into_iter().flatten();
        let is_disabled = flag("disabled") || flag("archived");
        Some(Self { id, label, is_disabled, children: children.filter_map(Self::of).collect() })
    }
}

/// How this code treats the field `id`, if it does.
pub(crate) fn own(id: &str) -> Option<&'static OwnField> {
    OWN_FIELDS.iter().find(|own| own.id == id)
}

/// Refuses fields that other settings fill; `None` if there are any.
pub(crate) fn check_names(mapping: &Mapping, violations: &mut Violations) -> Option<()> {
    let mut is_valid = true;
    for name in mapping.field_names() {
        if let Some(instead) = own(name).and_then(|own| own.instead) {
            violations.add(format!("content.{}", setting_of(name)), format!("cannot be mapped: {instead}"));
            is_valid = false;
        }
    }
    is_valid.then_some(())
}

/// Whether a text is the ID of a field rather than a name: `customfield_10010`, `duedate`, `fixVersions`.
pub(crate) fn is_id(text: &str) -> bool {
    const SYSTEM: [&str; 15] = [
        "assignee",
        "components",
        "duedate",
        "environment",
        "fixVersions",
        "issuelinks",
        "labels",
        "parent",
        "priority",
        "reporter",
        "resolution",
        "security",
        "timetracking",
        "versions",
        "attachment",
    ];
    let custom = text.strip_prefix("customfield_");
    SYSTEM.contains(&text)
        || custom.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The field with this ID, else those with this name, ignoring case.
pub(crate) fn find<'f>(fields: &'f [Field], wanted: &str) -> Vec<&'f Field> {
    let wanted = wanted.trim();
    if let Some(found) = fields.iter().find(|field| field.id == wanted) {
        return vec![found];
    }
    let lower = wanted.to_lowercase();
    fields.iter().filter(|field| field.name.trim().to_lowercase() == lower).collect()
}

fn kind_of(schema: &Schema) -> (FieldKind, bool) {
    let custom = schema.custom.rsplit(':').next().unwrap_or_default();
    let kind = match (schema.system.as_str(), custom) {
        ("description" | "environment", _) | (_, "textarea") => Some(FieldKind::RichText),
        (_, "url") => Some(FieldKind::Url),
        (_, "gh-sprint") => return (FieldKind::Sprint, false),
        (_, "gh-epic-link") => Some(FieldKind::EpicLink),
        (_, "atlassian-team" | "rm-teams-custom-field-team") => Some(FieldKind::Team),
        ("parent", _) => Some(FieldKind::Issue),
        _ => None,
    };
    if let Some(kind) = kind {
        return (kind, false);
    }
    match schema.kind.as_str() {
        "array" if schema.items == "string" => (FieldKind::Label, true),
        "array" => match simple_kind(&schema.items) {
            // A list of unknown things is as its app defines it.
            FieldKind::Any => (FieldKind::Any, false),
            kind => (kind, true),
        },
        kind => (simple_kind(kind), false),
    }
}

fn simple_kind(kind: &str) -> FieldKind {
    match kind {
        "string" => FieldKind::Text,
        "number" => FieldKind::Number,
        "date" => FieldKind::Date,
        "datetime" => FieldKind::DateTime,
        "option" => FieldKind::Option,
        "option-with-child" => FieldKind::Cascading,
        "user" => FieldKind::User,
        "group" => FieldKind::Group,
        "version" | "component" | "priority" | "issuetype" | "securitylevel" | "resolution" => {
            FieldKind::Named
        }
        "issuelink" => FieldKind::Issue,
        "team" => FieldKind::Team,
        _ => FieldKind::Any,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(schema: &Value) -> Field {
        let field = json!({ "fieldId": "customfield_1", "name": "F", "required": false, "schema": schema });
        Field::of(serde_json::from_value(field).unwrap()).unwrap()
    }

    #[test]
    fn reads_type_from_schema() {
        let custom = |kind: &str| format!("com.atlassian.jira.plugin.system.customfieldtypes:{kind}");
        let table = [
            (json!({ "type": "string", "custom": custom("textfield") }), FieldKind::Text, false),
            (json!({ "type": "string", "custom": custom("textarea") }), FieldKind::RichText, false),
            (json!({ "type": "string", "system": "environment" }), FieldKind::RichText, false),
            (json!({ "type": "string", "custom": custom("url") }), FieldKind::Url, false),
            (json!({ "type": "number", "custom": custom("float") }), FieldKind::Number, false),
            (json!({ "type": "date", "system": "duedate" }), FieldKind::Date, false),
            (json!({ "type": "datetime" }), FieldKind::DateTime, false),
            (json!({ "type": "option", "custom": custom("select") }), FieldKind::Option, false),
            (json!({ "type": "array", "items": "option" }), FieldKind::Option, true),
            (json!({ "type": "option-with-child" }), FieldKind::Cascading, false),
            (json!({ "type": "user", "system": "assignee" }), FieldKind::User, false),
            (json!({ "type": "array", "items": "user" }), FieldKind::User, true),
            (
                json!({ "type": "array", "items": "component", "system": "components" }),
                FieldKind::Named,
                true,
            ),
            (json!({ "type": "securitylevel", "system": "security" }), FieldKind::Named, false),
            (json!({ "type": "array", "items": "string" }), FieldKind::Label, true),
            (
                json!({ "type": "array", "items": "json", "custom": "com.pyxis.greenhopper.jira:gh-sprint" }),
                FieldKind::Sprint,
                false,
            ),
            (
                json!({ "type": "any", "custom": "com.pyxis.greenhopper.jira:gh-epic-link" }),
                FieldKind::EpicLink,
                false,
            ),
            (json!({ "type": "issuelink", "system": "parent" }), FieldKind::Issue, false),
            (
                json!({ "type": "any", "custom": "com.atlassian.teams:rm-teams-custom-field-team" }),
                FieldKind::Team,
                false,
            ),
            (json!({ "type": "any", "custom": "com.example:asset" }), FieldKind::Any, false),
            (json!({ "type": "array", "items": "json" }), FieldKind::Any, false),
            (json!({}), FieldKind::Any, false),
        ];
        for (schema, kind, is_list) in table {
            let field = field(&schema);
            assert_eq!((field.kind, field.is_list), (kind, is_list), "{schema}");
        }
    }

    #[test]
    fn finds_field_by_id_or_by_name() {
        let fields = [Field { name: "Severity".to_owned(), ..Field::assumed("customfield_1") }];
        assert_eq!(find(&fields, "customfield_1").len(), 1);
        assert_eq!(find(&fields, " severity").len(), 1);
        assert!(find(&fields, "customfield_2").is_empty());
        assert!(is_id("customfield_10") && is_id("duedate"));
        assert!(!is_id("customfield_x") && !is_id("Due date"));
    }
}
