//! Which addresses may be called: the SSRF protection.
//!
//! One set of rules for configured URLs, stored settings and resolved addresses: https on the usual ports of the
//! public Internet, plus the operator's allow list. This module does no I/O.

mod address;
mod network;
mod permission;
mod refused;

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

pub use address::{AddressKind, Form, embedded};
pub use network::{InvalidNetwork, Network};
pub use permission::{InvalidPermission, Permission};
pub use refused::{AddressRefused, FLAG, Rule};

/// Ports that need no permission: https, and the usual port of a Jira Data Center without a reverse proxy.
const USUAL_PORTS: [u16; 2] = [443, 8443];

/// The rules and the operator's allow list, which is empty by default. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy(Arc<Vec<Permission>>);

// === impl AddressPolicy ===

impl AddressPolicy {
    #[must_use]
    pub fn permitting(permissions: Vec<Permission>) -> Self {
        Self(Arc::new(permissions))
    }

    /// Checks a URL as it was entered, before it is parsed: a URL parser would silently turn `0x7f.1` into 127.0.0.1
    /// and drop a line break in a host. A URL without a scheme is read as https.
    ///
    /// # Errors
    /// The first violated rule.
    pub fn check_typed(&self, typed: &str) -> Result<(), AddressRefused> {
        let typed = typed.trim();
        if typed.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(AddressRefused::never(Rule::Characters));
        }
        let full = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
        let url = Url::parse(&full).map_err(|_| AddressRefused::never(Rule::Unreadable))?;
        let after =
            full.split_once("://").map(|(_, after)| after.trim_start_matches('/')).unwrap_or_default();
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(AddressRefused::never(Rule::UserInfo));
        }
        if authority.contains('%') {
            return Err(AddressRefused::never(Rule::Percent));
        }
        if let Some(Host::Ipv4(address)) = url.host()
            && host_of(authority) != address.to_string()
        {
            return Err(AddressRefused::never(Rule::Disguise));
        }
        self.check(&url)
    }

    /// Checks a URL, except for the addresses that its host name resolves to.
    ///
    /// # Errors
    /// The first violated rule.
    pub fn check(&self, url: &Url) -> Result<(), AddressRefused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressRefused::never(Rule::Unreadable));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressRefused::never(Rule::UserInfo));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let permitted = match url.host() {
            None => return Err(AddressRefused::never(Rule::Unreadable)),
            Some(Host::Domain(name)) => self.check_name(name, port)?,
            Some(Host::Ipv4(address)) => self.check_literal(address.into(), port)?,
            Some(Host::Ipv6(address)) => self.check_literal(address.into(), port)?,
        };
        if permitted {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        let with_port = || format!("{host}:{port}");
        if url.scheme() != "https" {
            return Err(AddressRefused::unless(Rule::PlainHttp, with_port()));
        }
        if !USUAL_PORTS.contains(&port) {
            return Err(AddressRefused::unless(Rule::Port(port), with_port()));
        }
        Ok(())
    }

    /// Checks the addresses that a name resolves to. One forbidden address rejects all of them: mixed answers are a
    /// sign of DNS rebinding.
    ///
    /// # Errors
    /// The rule that an address violates.
    pub fn check_answers(&self, name: &str, answers: &[IpAddr]) -> Result<(), AddressRefused> {
        answers.iter().try_for_each(|answer| self.check_answer(&name.to_ascii_lowercase(), *answer))
    }

    /// Whether the operator permitted this name, which waives the other rules.
    fn check_name(&self, name: &str, port: u16) -> Result<bool, AddressRefused> {
        if name.ends_with('.') {
            return Err(AddressRefused::never(Rule::TrailingDot));
        }
        if permission::METADATA_NAMES.contains(&name) {
            return Err(AddressRefused::never(Rule::MetadataName));
        }
        let named = self.0.iter().any(|permission| permission.names(name, Some(port)));
        if is_localhost(name) && !named {
            return Err(AddressRefused::unless(Rule::Localhost, format!("{name}:{port}")));
        }
        // A permission with a port covers that port alone.
        if !named && self.0.iter().any(|permission| permission.names_at_all(name)) {
            return Err(AddressRefused::unless(Rule::Port(port), format!("{name}:{port}")));
        }
        Ok(named)
    }

    fn check_literal(&self, address: IpAddr, port: u16) -> Result<bool, AddressRefused> {
        let kind = AddressKind::of(address);
        let covered = self.covers(address, Some(port));
        match kind {
            AddressKind::Public => Ok(covered),
            kind if !kind.can_be_permitted() => Err(AddressRefused::never(Rule::Address(kind))),
            _ if covered => Ok(true),
            kind => Err(AddressRefused::unless(Rule::Address(kind), of(address, port))),
        }
    }

    fn check_answer(&self, name: &str, answer: IpAddr) -> Result<(), AddressRefused> {
        let kind = AddressKind::of(answer);
        let named = || self.0.iter().any(|permission| permission.names_at_all(name));
        match kind {
            AddressKind::Public => Ok(()),
            kind if !kind.can_be_permitted() => Err(AddressRefused::never(Rule::Answer(kind))),
            _ if self.covers(answer, None) => Ok(()),
            // DNS must not be able to direct calls to this machine, nor to addresses that embed another one.
            AddressKind::Loopback | AddressKind::Embedding(_) if !is_localhost(name) => {
                Err(AddressRefused::unless(Rule::Answer(kind), answer.to_string()))
            }
            _ if named() => Ok(()),
            kind => Err(AddressRefused::unless(Rule::Answer(kind), name)),
        }
    }

    /// Whether the operator permitted this address and every address embedded in it.
    fn covers(&self, address: IpAddr, port: Option<u16>) -> bool {
        let covers = |address| self.0.iter().any(|permission| permission.covers(address, port));
        let may_lead_to = |held: IpAddr| AddressKind::of(held) == AddressKind::Public || covers(held);
        covers(address) && embedded(address).into_iter().all(|held| may_lead_to(held.into()))
    }
}

/// The host of an authority.
fn host_of(authority: &str) -> &str {
    authority.split(':').next().unwrap_or_default()
}

fn of(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

fn is_localhost(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"];
    NAMES.contains(&name) || name.ends_with(".localhost")
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
