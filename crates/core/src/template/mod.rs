//! Templates of operators, in the Jinja syntax of MiniJinja, over an incident.
//!
//! A template is configured once and rendered for every ticket, so its errors must show when it is configured. Three
//! checks find them: the syntax; every name against the names that exist; and a rendering of two sample incidents, one
//! with everything and one without anything optional. What remains for a ticket is size, which fuel (work and memory)
//! and a limit of the output bound.

mod context;

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

pub use context::Context;

/// Maximum length of a template, in characters.
pub const MAX_TEMPLATE: usize = 10_000;
/// Maximum length of rendered text, in characters.
pub const MAX_OUTPUT: usize = 32_767;
/// Bounds the work of one rendering, and its memory: 64 bytes each.
const FUEL: u64 = 100_000;
/// Maximum depth of nested calls.
const MAX_RECURSION: usize = 50;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// A template without errors that can be found before there is an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
}

/// What is wrong with a template, or with its rendering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct TemplateError {
    /// From 1; `None` if the whole template is concerned.
    pub line: Option<usize>,
    pub message: String,
}

// === impl Template ===

impl Template {
    /// Parses a template, and checks its names and its rendering of sample incidents.
    ///
    /// # Errors
    /// The first error, with its line.
    pub fn new(source: &str) -> Result<Self, TemplateError> {
        let length = source.chars().count();
        if length > MAX_TEMPLATE {
            let message = format!("has {length} characters; at most {MAX_TEMPLATE} are allowed");
            return Err(TemplateError { line: None, message });
        }
        let template = Self { source: source.to_owned() };
        let [whole, least] = Context::samples();
        template.check_names(&whole)?;
        template.render(&whole, MAX_OUTPUT)?;
        template.render(&least, MAX_OUTPUT).map_err(TemplateError::without_optional_fields)?;
        Ok(template)
    }

    /// Renders the template: at most `max` characters.
    ///
    /// # Errors
    /// If it takes too much work or memory, the text is too long, or a name is undefined for this incident.
    pub fn render(&self, context: &Context, max: usize) -> Result<String, TemplateError> {
        let rendered = ENVIRONMENT.render_str(&self.source, context.value().clone());
        let text = rendered.map_err(|error| TemplateError::of(&error))?;
        let length = text.chars().count();
        if length > max {
            let message = format!("renders {length} characters; at most {max} are allowed");
            return Err(TemplateError { line: None, message });
        }
        Ok(text)
    }

    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every name must exist, also where the samples do not reach.
    fn check_names(&self, whole: &Context) -> Result<(), TemplateError> {
        let parsed = ENVIRONMENT.template_from_str(&self.source);
        let parsed = parsed.map_err(|error| TemplateError::of(&error))?;
        let is_global = |name: &str| ENVIRONMENT.globals().any(|(global, _)| global == name);
        let mut unknown: Vec<String> = parsed.undeclared_variables(true).into_iter().collect();
        unknown.retain(|path| !is_global(path) && !exists(whole.value(), path));
        unknown.sort_by_key(|path| (self.line_of(path), path.clone()));
        let Some(path) = unknown.first() else { return Ok(()) };
        let message = format!("\"{path}\" is undefined; defined are {}", Context::names().join(", "));
        Err(TemplateError { line: Some(self.line_of(path)), message })
    }

    /// The first line that names `path`; 1 if it is written in another way.
    fn line_of(&self, path: &str) -> usize {
        let at = self.source.lines().position(|line| line.contains(path));
        at.map_or(1, |index| index + 1)
    }
}

// === impl TemplateError ===

impl TemplateError {
    fn of(error: &minijinja::Error) -> Self {
        let detail = error.detail().unwrap_or_default();
        let message = match error.kind() {
            ErrorKind::OutOfFuel => "takes too much work or memory; loop over less".to_owned(),
            kind if detail.is_empty() => kind.to_string(),
            kind => format!("{kind}: {detail}"),
        };
        let named = error.range().and_then(|range| error.template_source()?.get(range).map(str::to_owned));
        let message = match named {
            Some(expression) if error.kind() == ErrorKind::UndefinedError => {
                format!("\"{}\" is undefined", expression.trim())
            }
            _ => message,
        };
        Self { line: error.line(), message }
    }

    fn without_optional_fields(mut self) -> Self {
        self.message.push_str(
            " for an incident without optional fields: test it first, for example {% if sla %}{{ sla.status }}{% endif %}",
        );
        self
    }

    fn place(&self) -> String {
        self.line.map_or_else(String::new, |line| format!("line {line}: "))
    }
}

/// Text is data, never markup: adapters escape it. What is absent is written as nothing.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    environment.set_debug(true);
    environment.set_formatter(|output, state, value| match value.is_none() {
        true => Ok(()),
        false => minijinja::escape_formatter(output, state, value),
    });
    environment
}

/// Whether the members of `path` exist; lists are left to the rendering.
fn exists(root: &Value, path: &str) -> bool {
    let mut value = root.clone();
    for member in path.split('.') {
        if value.kind() != minijinja::value::ValueKind::Map {
            return true;
        }
        match value.get_attr(member) {
            Ok(found) if !found.is_undefined() => value = found,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> String {
        Template::new(source).unwrap_err().to_string()
    }

    #[test]
    fn renders_incident() {
        let [whole, _] = Context::samples();
        let template = Template::new("{{ severity }}/{{ risk_level }} {{ actor.name }} by {{ connection }}");
        let text = template.unwrap().render(&whole, MAX_OUTPUT).unwrap();
        assert_eq!(text, "CRITICAL/Critical j.doe by connection");
        let rules =
            Template::new("{% for rule in firing_rules %}{{ rule.name }}:{{ rule.count }};{% endfor %}");
        assert_eq!(rules.unwrap().render(&whole, MAX_OUTPUT).unwrap(), "Impossible travel:9;");
    }

    #[test]
    fn syntax_error_names_its_line() {
        assert!(error("a\n{{ severity").starts_with("line 2: syntax error"), "{}", error("a\n{{ severity"));
        assert!(error("{% if severity %}").starts_with("line 1: syntax error"));
    }

    #[test]
    fn undefined_name_is_named_with_its_line() {
        assert!(
            error("{{ severity }}\n{{ sevrity }}").starts_with("line 2: \"sevrity\" is undefined; defined")
        );
        assert!(error("\n\n{{ actor.nmae }}").starts_with("line 3: \"actor.nmae\" is undefined"));
        let in_loop = error("{% for rule in firing_rules %}\n{{ rule.nmae }}{% endfor %}");
        assert!(in_loop.starts_with("line 2: \"rule.nmae\" is undefined"), "{in_loop}");
        let unreached = error("{% if severity == 'LOW' %}{{ oops }}{% endif %}");
        assert!(unreached.starts_with("line 1: \"oops\" is undefined"), "{unreached}");
    }

    #[test]
    fn optional_fields_must_be_tested_first() {
        let unguarded = error("{{ sla.status }}");
        assert!(unguarded.contains("without optional fields"), "{unguarded}");
        assert!(error("{{ firing_rules[0].name }}").contains("without optional fields"));
        assert!(Template::new("{% if sla %}{{ sla.status }}{% endif %}").is_ok());
        let [_, least] = Context::samples();
        assert_eq!(Template::new("<{{ url }}>").unwrap().render(&least, 9).unwrap(), "<>");
    }

    #[test]
    fn work_memory_and_output_are_bounded() {
        let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(error(loops).contains("too much work"), "{}", error(loops));
        for source in ["{{ 'x' * 99999999 }}", "{{ range(99999) | list | join('xxxxxxxxxxx') }}"] {
            assert!(Template::new(source).is_err(), "{source}");
        }
        assert!(error("{{ 'x' * 40000 }}").contains("at most 32767"), "{}", error("{{ 'x' * 40000 }}"));
        assert!(error(&"x".repeat(MAX_TEMPLATE + 1)).contains("at most 10000"));
        let [whole, _] = Context::samples();
        let short = Template::new("{{ actor.name }}").unwrap().render(&whole, 4);
        assert_eq!(short.unwrap_err().message, "renders 5 characters; at most 4 are allowed");
    }

    #[test]
    fn text_of_an_incident_is_neither_template_nor_markup() {
        let mut incident = Context::sample_incident();
        incident.actor.name = "{{ 7 * 7 }} <b>\u{202e}x".to_owned();
        let text = Template::new("{{ actor.name }}").unwrap();
        let text = text.render(&Context::of(&incident, "connection"), MAX_OUTPUT).unwrap();
        assert!(text.starts_with("{{ 7 * 7 }} <b>[U+202E]x"), "{text}");
    }

    #[test]
    fn nested_expressions_do_not_overflow_the_stack() {
        for source in
            [format!("{{{{ {}1{} }}}}", "(".repeat(4_000), ")".repeat(4_000)), "{%if a%}".repeat(1_000)]
        {
            assert!(Template::new(&source).is_err());
        }
    }
}
