//! Why an address is forbidden, and how to permit it.

use super::address::AddressKind;

/// The flag by which an operator permits an address.
pub const FLAG: &str = "--allow-target";

/// A forbidden address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct AddressRefused {
    pub rule: Rule,
    /// What the operator can permit; `None` if it can never be permitted.
    pub permit: Option<String>,
}

/// The violated rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    #[error("must be an address that begins with https://")]
    Unreadable,
    #[error("must begin with https://: plain http would show the login to the network")]
    PlainHttp,
    #[error("must begin with https://: nothing else goes through the proxy")]
    PlainHttpByProxy,
    #[error("must not carry a user name or password")]
    UserInfo,
    #[error("must not carry a zone id or percent signs in its host")]
    Percent,
    #[error("must not have backslashes, white space or control characters in it")]
    Characters,
    #[error("must not have a dot at the end of its host")]
    TrailingDot,
    #[error("must write an IPv4 address as four decimal numbers, like 192.0.2.1")]
    Disguise,
    #[error("must not lead to this machine (localhost)")]
    Localhost,
    #[error("must not lead to a cloud's metadata service")]
    MetadataName,
    #[error("must use port 443 or 8443, and not {0}")]
    Port(u16),
    #[error("must not lead to {0}")]
    Address(AddressKind),
    #[error("must not lead to {0}, and the name resolves to one")]
    Answer(AddressKind),
}

// === impl AddressRefused ===

impl AddressRefused {
    pub(super) fn never(rule: Rule) -> Self {
        Self { rule, permit: None }
    }

    pub(super) fn unless(rule: Rule, permitted: impl Into<String>) -> Self {
        Self { rule, permit: Some(permitted.into()) }
    }

    /// How to fix it.
    #[must_use]
    pub fn hint(&self) -> String {
        match (&self.permit, &self.rule) {
            (Some(target), _) => {
                format!("if intended, the server's operator permits it with {FLAG}={target}")
            }
            (None, Rule::Address(_) | Rule::Answer(_) | Rule::MetadataName) => {
                "no setting and no flag permits it".to_owned()
            }
            (None, _) => "give the plain address of the site".to_owned(),
        }
    }

    /// Rule and hint in one sentence.
    #[must_use]
    pub fn explain(&self) -> String {
        format!("{self}; {}", self.hint())
    }
}
