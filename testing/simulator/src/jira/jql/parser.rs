//! Parser for the JQL grammar.

use jiff::Timestamp;

use super::lexer::{Token, is_reserved, tokens};
use super::time::time;
use super::{Condition, Field, Operator, Query};

/// Whether a query consists of words only, which Jira Cloud runs as a text search.
pub(in crate::jira) fn is_bare_words(text: &str) -> bool {
    let words = tokens(text).unwrap_or_default();
    !words.is_empty()
        && words.iter().all(|token| match token {
            Token::Word(word) => !matches!(word.to_lowercase().as_str(), "order" | "is" | "in" | "not"),
            Token::Text(_) | Token::Sign(_) => false,
        })
}

/// Parses a query. The error is a message in Jira's style.
pub(in crate::jira) fn parse(text: &str) -> Result<Query, String> {
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
