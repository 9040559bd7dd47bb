//! What an operator decides about the content of a connection's tickets: the summary, an introduction, and the values of
//! further fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::incident::IncidentFields;
use crate::pasted;
use crate::template::{Context, MAX_OUTPUT, Template, TemplateError};
use crate::violation::Violations;

/// Maximum number of mapped fields.
pub const MAX_FIELDS: usize = 100;
/// Maximum length of a field's name, in characters.
pub const MAX_FIELD_NAME: usize = 255;
/// Maximum length of a JSON value, in bytes.
pub const MAX_JSON: usize = 32_768;
/// Maximum depth of a JSON value.
const MAX_DEPTH: usize = 20;

/// The stored settings: any of them may be missing or invalid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentSettings {
    /// Instead of the standard summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_template: Option<String>,
    /// Before the standard description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introduction_template: Option<String>,
    /// The values of fields, by their ID or name in the ticket system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeMap<String, FieldValue>>,
}

/// The configured value of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldValue {
    pub value: FieldSource,
    /// Left out, with an adjustment, where the ticket system does not take it; otherwise the push fails.
    #[serde(default)]
    pub droppable: bool,
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldSource {
    /// Rendered for each incident, then converted to the type of the field. An empty text leaves the field out.
    Template(String),
    /// As the ticket system's API takes it.
    Json(Value),
}

/// Valid settings of one connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping {
    connection: String,
    summary: Option<Template>,
    introduction: Option<Template>,
    fields: Vec<MappedField>,
}

/// A field with its valid value.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedField {
    /// ID or name in the ticket system.
    pub name: String,
    source: MappedSource,
    pub droppable: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum MappedSource {
    Template(Template),
    Json(Value),
}

/// The settings applied to one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedContent {
    /// `None` for the standard summary.
    pub summary: Option<Result<String, TemplateError>>,
    /// `None` if there is none.
    pub introduction: Option<Result<String, TemplateError>>,
    /// Fields with a value.
    pub fields: Vec<FieldContent>,
}

/// The value of a field for one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldContent {
    /// ID or name in the ticket system.
    pub name: String,
    pub value: Result<GivenValue, TemplateError>,
    pub droppable: bool,
}

/// A value before its conversion to the type of the field.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenValue {
    Text(String),
    Json(Value),
}

// === impl ContentSettings ===

impl ContentSettings {
    /// Applies what `patch` sets: an empty template clears it, and `fields` replaces all fields.
    pub fn merge(&mut self, patch: Self) {
        let text = |field: &mut Option<String>, patch: Option<String>| {
            if let Some(value) = patch {
                *field = Some(value).filter(|value| !value.trim().is_empty());
            }
        };
        text(&mut self.summary_template, patch.summary_template);
        text(&mut self.introduction_template, patch.introduction_template);
        if let Some(fields) = patch.fields {
            self.fields = Some(fields).filter(|fields| !fields.is_empty());
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Mapping ===

impl Mapping {
    /// Parses the settings of `connection`; `path` is their field path in the contract. Adds every violation to
    /// `violations`, and returns `None` if there are any.
    pub fn parse(
        settings: &ContentSettings,
        connection: &str,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let mut found = Violations::default();
        let mut template = |field: &str, source: &Option<String>| {
            source.as_ref().and_then(|source| compiled(source, &format!("{path}.{field}"), &mut found))
        };
        let summary = template("summary_template", &settings.summary_template);
        let introduction = template("introduction_template", &settings.introduction_template);
        let given = settings.fields.iter().flatten();
        let count = given.clone().count();
        if count > MAX_FIELDS {
            found.add(
                format!("{path}.fields"),
                format!("has {count} entries; at most {MAX_FIELDS} are allowed"),
            );
        }
        let mut fields = Vec::new();
        for (name, value) in given.take(MAX_FIELDS) {
            fields.extend(mapped_field(name, value, path, &mut found));
        }
        let is_valid = found.is_empty();
        violations.extend(found);
        is_valid.then(|| Self { connection: connection.to_owned(), summary, introduction, fields })
    }

    /// Renders everything for one incident.
    #[must_use]
    pub fn apply(&self, incident: &IncidentFields) -> MappedContent {
        if self.is_empty() {
            return MappedContent { summary: None, introduction: None, fields: vec![] };
        }
        let context = Context::of(incident, &self.connection);
        let text = |template: &Option<Template>| {
            let rendered = template.as_ref()?.render(&context, MAX_OUTPUT);
            Some(rendered.map(|text| text.trim().to_owned())).filter(|text| text != &Ok(String::new()))
        };
        MappedContent {
            summary: text(&self.summary),
            introduction: text(&self.introduction),
            fields: self.fields.iter().filter_map(|field| field.apply(&context)).collect(),
        }
    }

    /// The fields, rendered for a sample incident that has everything.
    #[must_use]
    pub fn sample(&self) -> MappedContent {
        self.apply(&Context::sample_incident())
    }

    /// The names of all mapped fields.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.summary.is_none() && self.introduction.is_none() && self.fields.is_empty()
    }
}

// === impl MappedField ===

impl MappedField {
    fn apply(&self, context: &Context) -> Option<FieldContent> {
        let value = match &self.source {
            MappedSource::Json(value) => Ok(GivenValue::Json(value.clone())),
            MappedSource::Template(template) => match template.render(context, MAX_OUTPUT) {
                Ok(text) if text.trim().is_empty() => return None,
                rendered => rendered.map(|text| GivenValue::Text(text.trim().to_owned())),
            },
        };
        Some(FieldContent { name: self.name.clone(), value, droppable: self.droppable })
    }
}

/// The path of a field's setting, for example `fields["Severity"]`.
#[must_use]
pub fn setting_of(name: &str) -> String {
    format!("fields[{name:?}]")
}

fn compiled(source: &str, path: &str, violations: &mut Violations) -> Option<Template> {
    match Template::new(source) {
        Ok(template) => Some(template),
        Err(error) => {
            violations.add(path, error.to_string());
            None
        }
    }
}

fn mapped_field(
    name: &str,
    value: &FieldValue,
    path: &str,
    violations: &mut Violations,
) -> Option<MappedField> {
    let at = format!("{path}.{}", setting_of(name));
    let mut found = Violations::default();
    found.require_text(&at, name, MAX_FIELD_NAME);
    if let Err(wrong) = pasted::name(name) {
        found.add(&at, format!("the name {wrong}"));
    }
    let source = match &value.value {
        FieldSource::Template(source) => compiled(source, &at, &mut found).map(MappedSource::Template),
        FieldSource::Json(json) => {
            check_json(json, &at, &mut found);
            Some(MappedSource::Json(json.clone()))
        }
    };
    let is_valid = found.is_empty();
    violations.extend(found);
    let field = MappedField { name: name.to_owned(), source: source?, droppable: value.droppable };
    is_valid.then_some(field)
}

fn check_json(json: &Value, path: &str, violations: &mut Violations) {
    if depth(json, MAX_DEPTH) > MAX_DEPTH {
        violations.add(path, format!("is nested deeper than {MAX_DEPTH} levels"));
        return;
    }
    let length = json.to_string().len();
    if length > MAX_JSON {
        violations.add(path, format!("has {length} bytes of JSON; at most {MAX_JSON} are allowed"));
    }
}

/// The depth of a value; stops counting beyond `max`.
fn depth(json: &Value, max: usize) -> usize {
    let below = |inner: Option<usize>| 1 + inner.unwrap_or_default();
    match json {
        _ if max == 0 => 1,
        Value::Array(values) => below(values.iter().map(|value| depth(value, max - 1)).max()),
        Value::Object(members) => below(members.values().map(|value| depth(value, max - 1)).max()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(source: &str) -> FieldValue {
        FieldValue { value: FieldSource::Template(source.to_owned()), droppable: false }
    }

    fn settings(fields: Vec<(&str, FieldValue)>) -> ContentSettings {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        ContentSettings { fields: Some(fields), ..ContentSettings::default() }
    }

    fn parse(settings: &ContentSettings) -> Result<Mapping, Vec<String>> {
        let mut violations = Violations::default();
        let mapping = Mapping::parse(settings, "jira", "content", &mut violations);
        mapping.ok_or_else(|| {
            violations.iter().map(|found| format!("{}: {}", found.field, found.description)).collect()
        })
    }

    #[test]
    fn renders_every_template_for_an_incident() {
        let mut settings = settings(vec![
            ("Severity", template("{{ severity | title }}")),
            ("customfield_1", FieldValue { value: FieldSource::Json(json!({ "id": "7" })), droppable: true }),
            ("Empty", template("{% if severity == 'LOW' %}low{% endif %}")),
        ]);
        settings.summary_template = Some(" {{ id }} on {{ connection }} ".to_owned());
        let content = parse(&settings).unwrap().sample();
        assert_eq!(content.summary, Some(Ok("INC-2031 on jira".to_owned())));
        assert_eq!(content.introduction, None);
        let fields: Vec<_> =
            content.fields.iter().map(|field| (field.name.as_str(), field.droppable)).collect();
        assert_eq!(fields, [("Severity", false), ("customfield_1", true)]);
        assert_eq!(content.fields[0].value, Ok(GivenValue::Text("Critical".to_owned())));
    }

    #[test]
    fn reports_every_violation_with_its_path() {
        let mut settings = settings(vec![
            ("Typo", template("\n{{ sevrity }}")),
            (" ", template("x")),
            ("Big", FieldValue { value: FieldSource::Json(json!("x".repeat(MAX_JSON))), droppable: false }),
        ]);
        settings.introduction_template = Some("{% if %}".to_owned());
        let violations = parse(&settings).unwrap_err();
        assert_eq!(violations.len(), 4, "{violations:?}");
        assert!(violations[0].starts_with("content.introduction_template: line 1: syntax error"));
        assert!(violations[1].starts_with("content.fields[\" \"]: must not be empty"));
        assert!(violations[2].starts_with("content.fields[\"Big\"]: has 32770 bytes"));
        assert!(violations[3].starts_with("content.fields[\"Typo\"]: line 2: \"sevrity\" is undefined"));
    }

    #[test]
    fn limits_number_of_fields_and_depth_of_json() {
        let names: Vec<String> = (0..101).map(|number| format!("field {number}")).collect();
        let many = settings(names.iter().map(|name| (name.as_str(), template("x"))).collect());
        assert_eq!(parse(&many).unwrap_err(), ["content.fields: has 101 entries; at most 100 are allowed"]);
        let nested = (0..30).fold(json!(1), |inner, _| json!([inner]));
        let deep = FieldValue { value: FieldSource::Json(nested), droppable: false };
        assert!(parse(&settings(vec![("Deep", deep)])).unwrap_err()[0].contains("deeper than 20 levels"));
    }

    #[test]
    fn patch_replaces_all_fields_and_clears_templates() {
        let mut stored = settings(vec![("A", template("a"))]);
        stored.summary_template = Some("x".to_owned());
        let mut patch = settings(vec![("B", template("b"))]);
        stored.merge(patch.clone());
        assert_eq!(stored.summary_template.as_deref(), Some("x"));
        assert_eq!(stored.fields, patch.fields);
        patch = settings(vec![]);
        patch.summary_template = Some(String::new());
        stored.merge(patch);
        assert!(stored.is_empty());
    }

    #[test]
    fn survives_storage() {
        let mut stored = settings(vec![
            ("A", template("{{ id }}")),
            ("B", FieldValue { value: FieldSource::Json(json!([1, null])), droppable: true }),
        ]);
        stored.introduction_template = Some("Hello".to_owned());
        let json = serde_json::to_value(&stored).unwrap();
        assert_eq!(serde_json::from_value::<ContentSettings>(json).unwrap(), stored);
        assert_eq!(serde_json::to_string(&ContentSettings::default()).unwrap(), "{}");
    }
}
