//! JQL, as much of it as a look-up needs, parsed honestly: what is not understood is refused.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::adf;
use crate::state::Ticket;

/// A parsed query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    condition: Option<Condition>,
    order: Vec<(Field, bool)>,
    nothing: bool,
}

#[derive(Debug, Clone)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Is(Field, Operator, Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Project,
    Labels,
    Text,
    Summary,
    Description,
    Created,
    IssueType,
    Priority,
    Status,
    Key,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    Differs,
    Contains,
    Lacks,
    AtLeast,
    AtMost,
    Above,
    Below,
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

impl Query {
    /// The query that matches no issue.
    pub(super) fn nothing() -> Self {
        Self { condition: None, order: Vec::new(), nothing: true }
    }

    /// Whether it restricts anything.
    pub(super) fn is_bounded(&self) -> bool {
        self.condition.is_some()
    }

    /// The project names in it that are not known.
    pub(super) fn unknown_projects(&self, known: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(condition) = &self.condition {
            condition.project_names(&mut names);
        }
        names.retain(|name| !known(name));
        names
    }

    pub(super) fn select(&self, mut tickets: Vec<Ticket>, now: Timestamp) -> Vec<Ticket> {
        tickets
            .retain(|ticket| !self.nothing && self.condition.as_ref().is_none_or(|it| it.holds(ticket, now)));
        // Newest first when nothing else is said, as Jira does; the sort is stable.
        tickets.reverse();
        tickets.sort_by(|a, b| {
            let differ = |(field, descending): &(Field, bool)| {
                let order = compare(*field, a, b);
                if *descending { order.reverse() } else { order }
            };
            self.order.iter().map(differ).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        tickets
    }
}

/// Whether a query is only words: Jira Cloud takes it for a text search.
pub(super) fn is_bare_words(text: &str) -> bool {
    let words = tokens(text).unwrap_or_default();
    !words.is_empty()
        && words.iter().all(|token| match token {
            Token::Word(word) => !matches!(word.to_lowercase().as_str(), "order" | "is" | "in" | "not"),
            Token::Text(_) | Token::Sign(_) => false,
        })
}

/// Parses a query. The error is a message in Jira's manner.
pub(super) fn parse(text: &str) -> Result<Query, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let starts_with_order = parser.at_end() || parser.peek_word("order");
    let condition = if starts_with_order { None } else { Some(parser.any()?) };
    let order = if parser.take_word("order") { parser.order()? } else { Vec::new() };
    if !parser.at_end() {
        return Err(parser.error("Expecting either 'OR' or 'AND'"));
    }
    Ok(Query { condition, order, nothing: false })
}

impl Condition {
    fn holds(&self, ticket: &Ticket, now: Timestamp) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(ticket, now)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(ticket, now)),
            Self::Not(part) => !part.holds(ticket, now),
            Self::Is(field, operator, values) => operator.holds(*field, values, ticket, now),
        }
    }

    fn project_names(&self, names: &mut Vec<String>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.project_names(names)),
            Self::Not(part) => part.project_names(names),
            Self::Is(Field::Project, _, values) => names.extend(values.iter().cloned()),
            Self::Is(..) => {}
        }
    }
}

impl Operator {
    fn holds(self, field: Field, values: &[String], ticket: &Ticket, now: Timestamp) -> bool {
        let held = field.values(ticket);
        let equal = || values.iter().any(|value| held.iter().any(|have| have.eq_ignore_ascii_case(value)));
        let first = values.first().map_or("", String::as_str);
        let created = || field_time(ticket).cmp(&time(first, now).unwrap_or(Timestamp::MIN));
        match self {
            Self::Equals | Self::In => equal(),
            Self::Differs | Self::NotIn => !equal() && !held.is_empty(),
            Self::Contains => matches_text(&held, first),
            Self::Lacks => !matches_text(&held, first),
            Self::AtLeast => created().is_ge(),
            Self::AtMost => created().is_le(),
            Self::Above => created().is_gt(),
            Self::Below => created().is_lt(),
            Self::IsEmpty => held.iter().all(String::is_empty),
            Self::IsNotEmpty => held.iter().any(|value| !value.is_empty()),
        }
    }
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "project" => Self::Project,
            "labels" => Self::Labels,
            "text" => Self::Text,
            "summary" => Self::Summary,
            "description" => Self::Description,
            "created" | "createddate" => Self::Created,
            "issuetype" | "type" => Self::IssueType,
            "priority" => Self::Priority,
            "status" => Self::Status,
            "key" | "issue" | "issuekey" | "id" => Self::Key,
            _ => return None,
        })
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Summary | Self::Description)
    }

    fn values(self, ticket: &Ticket) -> Vec<String> {
        let choice = |field: &str| {
            let members =
                ["id", "key", "name"].iter().filter_map(move |member| ticket.fields.get(field)?.get(member));
            members.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let description = || ticket.fields.get("description").map(adf::plain_text).unwrap_or_default();
        match self {
            Self::Project => {
                let mut names: Vec<String> = choice("project");
                names.push(ticket.container.clone());
                names
            }
            Self::Labels => ticket.labels(),
            Self::Summary => vec![ticket.text("summary").to_owned()],
            Self::Description => vec![description()],
            Self::Text => vec![ticket.text("summary").to_owned(), description()],
            Self::IssueType => choice("issuetype"),
            Self::Priority => choice("priority"),
            Self::Status => choice("status"),
            Self::Key => {
                let names = [ticket.id.clone(), ticket.key.clone()];
                names.into_iter().chain(ticket.previous_keys.iter().cloned()).collect()
            }
            Self::Created => vec![ticket.created_at.to_string()],
        }
    }

    fn allows(self, operator: Operator) -> bool {
        use Operator::{Above, AtLeast, AtMost, Below, Contains, IsEmpty, IsNotEmpty, Lacks};
        match operator {
            Contains | Lacks => self.is_text(),
            AtLeast | AtMost | Above | Below => self == Self::Created,
            IsEmpty | IsNotEmpty => !matches!(self, Self::Text),
            _ => !self.is_text() && self != Self::Created,
        }
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") || self.take_sign("||") {
            parts.push(self.all()?);
        }
        Ok(Condition::Any(parts))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") || self.take_sign("&&") {
            parts.push(self.one()?);
        }
        Ok(Condition::All(parts))
    }

    fn one(&mut self) -> Result<Condition, String> {
        if self.take_word("not") || self.take_sign("!") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.take_sign("(") {
            let inner = self.any()?;
            return if self.take_sign(")") { Ok(inner) } else { Err(self.error("Expecting ')'")) };
        }
        let name = self.value()?;
        let Some(field) = Field::named(&name) else {
            return Err(format!("Field '{name}' does not exist or you do not have permission to view it."));
        };
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.list()?,
            Operator::IsEmpty | Operator::IsNotEmpty => Vec::new(),
            _ => vec![self.value()?],
        };
        checked(field, &name, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let signs = [
            ("=", Operator::Equals),
            ("!=", Operator::Differs),
            ("~", Operator::Contains),
            ("!~", Operator::Lacks),
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            (">", Operator::Above),
            ("<", Operator::Below),
        ];
        if let Some((_, operator)) = signs.into_iter().find(|(sign, _)| self.take_sign(sign)) {
            return Ok(operator);
        }
        if self.take_word("in") {
            return Ok(Operator::In);
        }
        if self.take_word("not") && self.take_word("in") {
            return Ok(Operator::NotIn);
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            if self.take_word("empty") || self.take_word("null") {
                return Ok(if negated { Operator::IsNotEmpty } else { Operator::IsEmpty });
            }
        }
        Err(self.error("Expecting operator"))
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        if !self.take_sign("(") {
            return Err(self.error("Expecting '('"));
        }
        let mut values = vec![self.value()?];
        while self.take_sign(",") {
            values.push(self.value()?);
        }
        if self.take_sign(")") { Ok(values) } else { Err(self.error("Expecting ')' or ','")) }
    }

    fn order(&mut self) -> Result<Vec<(Field, bool)>, String> {
        if !self.take_word("by") {
            return Err(self.error("Expecting 'by'"));
        }
        let mut order = Vec::new();
        loop {
            let name = self.value()?;
            let field =
                Field::named(&name).ok_or_else(|| format!("Not able to sort using field '{name}'."))?;
            let descending = self.take_word("desc");
            let _ascending = !descending && self.take_word("asc");
            order.push((field, descending));
            if !self.take_sign(",") {
                return Ok(order);
            }
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.tokens.get(self.at) {
            Some(Token::Word(text)) if is_reserved(text) => Err(format!(
                "Error in the JQL Query: '{text}' is a reserved JQL word. You must surround it in quotation marks to use it in a query."
            )),
            Some(Token::Word(text) | Token::Text(text)) => {
                self.at += 1;
                Ok(text.clone())
            }
            Some(Token::Sign(_)) | None => Err(self.error("Expecting a value")),
        }
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Word(text)) if text.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.peek_word(word);
        self.at += usize::from(there);
        there
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.tokens.get(self.at), Some(Token::Sign(text)) if *text == sign);
        self.at += usize::from(there);
        there
    }

    fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn error(&self, expected: &str) -> String {
        let got = match self.tokens.get(self.at) {
            Some(Token::Word(text) | Token::Text(text)) => format!("got '{text}'"),
            Some(Token::Sign(sign)) => format!("got '{sign}'"),
            None => "got the end of the query".to_owned(),
        };
        format!("Error in the JQL Query: {expected} but {got}. (line 1, token {})", self.at + 1)
    }
}

fn checked(field: Field, name: &str, operator: Operator, values: Vec<String>) -> Result<Condition, String> {
    if !field.allows(operator) {
        return Err(format!("The operator used is not supported by the '{name}' field."));
    }
    if field == Field::Created
        && let Some(bad) = values.iter().find(|value| time(value, Timestamp::UNIX_EPOCH).is_none())
    {
        return Err(format!(
            "Date value '{bad}' for field '{name}' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', \
             'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'."
        ));
    }
    if operator == Operator::Contains && values.iter().any(|value| value.starts_with(['*', '?'])) {
        return Err(format!("The text query for field '{name}' is not allowed to start with '*' or '?'."));
    }
    Ok(Condition::Is(field, operator, values))
}

fn is_reserved(word: &str) -> bool {
    matches!(
        word.to_lowercase().as_str(),
        "and"
            | "or"
            | "not"
            | "in"
            | "is"
            | "order"
            | "by"
            | "empty"
            | "null"
            | "was"
            | "changed"
            | "select"
            | "from"
    )
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [&str; 14] = ["!=", "!~", ">=", "<=", "||", "&&", "=", "~", ">", "<", "(", ")", ",", "!"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '"' || first == '\'' {
            let (value, after) = quoted(rest, first)?;
            tokens.push(Token::Text(value));
            rest = after;
        } else {
            let end =
                rest.find(|c: char| c.is_whitespace() || "=!<>~(),|&\"'".contains(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            if end == 0
                || word.contains(['[', ']', '{', '}', '*', '?', '+', ':', ';', '@', '#', '%', '^', '$', '/'])
            {
                return Err(format!(
                    "Error in the JQL Query: The character '{first}' is a reserved JQL character. You must enclose \
                     it in a string or use the escape '\\u{:04x}' instead.",
                    u32::from(first)
                ));
            }
            tokens.push(Token::Word(word.to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// Reads a quoted string; returns what it says and what follows it.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped @ ('"' | '\'' | '\\' | ' '))) => value.push(escaped),
                _ => return Err("Error in the JQL Query: invalid escape in a quoted string.".to_owned()),
            },
            _ if character == quote => return Ok((value, &text[at + character.len_utf8()..])),
            _ => value.push(character),
        }
    }
    Err("Error in the JQL Query: The quoted string has not been completed.".to_owned())
}

/// Reads a JQL time in UTC: a date, a date with a time, or a period before or after `now`.
fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(period) = period(text) {
        return now.checked_add(period).ok();
    }
    let dashed = text.replace('/', "-");
    let at: DateTime = match dashed.split_once(' ') {
        Some(_) => DateTime::strptime("%Y-%m-%d %H:%M", &dashed).ok()?,
        None => Date::strptime("%Y-%m-%d", &dashed).ok()?.at(0, 0, 0, 0),
    };
    at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn period(text: &str) -> Option<SignedDuration> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let minutes = match digits.char_indices().last()? {
        (end, 'm') => digits[..end].parse::<i64>().ok()?,
        (end, 'h') => digits[..end].parse::<i64>().ok()?.checked_mul(60)?,
        (end, 'd') => digits[..end].parse::<i64>().ok()?.checked_mul(1_440)?,
        (end, 'w') => digits[..end].parse::<i64>().ok()?.checked_mul(10_080)?,
        _ => return None,
    };
    Some(SignedDuration::from_secs(minutes.checked_mul(60 * sign)?))
}

/// JQL sees times by the minute.
fn field_time(ticket: &Ticket) -> Timestamp {
    let second = ticket.created_at.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(ticket.created_at)
}

fn compare(field: Field, a: &Ticket, b: &Ticket) -> Ordering {
    match field {
        Field::Created => a.created_at.cmp(&b.created_at),
        _ => field.values(a).cmp(&field.values(b)),
    }
}

/// Text search as the index does it: by words, a phrase where the value itself is in quotes.
fn matches_text(held: &[String], sought: &str) -> bool {
    let phrase = sought.len() > 1 && sought.starts_with('"') && sought.ends_with('"');
    let wanted = words(sought);
    held.iter().any(|text| {
        let have = words(text);
        let contiguous = || have.windows(wanted.len()).any(|window| window == wanted);
        !wanted.is_empty()
            && if phrase { contiguous() } else { wanted.iter().all(|word| have.contains(word)) }
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
