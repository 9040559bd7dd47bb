//! Which addresses may be called at all.
//!
//! The rules stand here once, for what people type, for what stored settings say, and for what names turn out to stand
//! for: https on the usual ports of the public Internet, and beyond that only what the operator permitted. Nothing here
//! asks anybody anything.

mod address;
mod network;
mod permission;
mod refused;

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

pub use address::{AddressKind, Form, embedded};
pub use network::{Network, NotANetwork};
pub use permission::{NotAPermission, Permission};
pub use refused::{FLAG, Refused, Rule};

/// The ports that need no permission: https, and where Jira Data Center has it when nothing stands before it.
const USUAL_PORTS: [u16; 2] = [443, 8443];

/// The rules, and what the operator permitted beyond them. By default nothing; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Guard(Arc<Vec<Permission>>);

// === impl Guard ===

impl Guard {
    #[must_use]
    pub fn permitting(permissions: Vec<Permission>) -> Self {
        Self(Arc::new(permissions))
    }

    /// Judges an address as somebody typed it, before anything is made of it: a URL parser would silently turn `0x7f.1`
    /// into 127.0.0.1, and drop the line break in a host. An address without a scheme is read as https.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge_typed(&self, typed: &str) -> Result<(), Refused> {
        let typed = typed.trim();
        if typed.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(Refused::never(Rule::Characters));
        }
        let full = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
        let url = Url::parse(&full).map_err(|_| Refused::never(Rule::Unreadable))?;
        let after =
            full.split_once("://").map(|(_, after)| after.trim_start_matches('/')).unwrap_or_default();
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Refused::never(Rule::UserInfo));
        }
        if authority.contains('%') {
            return Err(Refused::never(Rule::Percent));
        }
        if let Some(Host::Ipv4(address)) = url.host()
            && host_of(authority) != address.to_string()
        {
            return Err(Refused::never(Rule::Disguise));
        }
        self.judge(&url)
    }

    /// Judges all of an address but what its name stands for.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::never(Rule::Unreadable));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::never(Rule::UserInfo));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let permitted = match url.host() {
            None => return Err(Refused::never(Rule::Unreadable)),
            Some(Host::Domain(name)) => self.judge_name(name, port)?,
            Some(Host::Ipv4(address)) => self.judge_literal(address.into(), port)?,
            Some(Host::Ipv6(address)) => self.judge_literal(address.into(), port)?,
        };
        if permitted {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        let with_port = || format!("{host}:{port}");
        if url.scheme() != "https" {
            return Err(Refused::unless(Rule::PlainHttp, with_port()));
        }
        if !USUAL_PORTS.contains(&port) {
            return Err(Refused::unless(Rule::Port(port), with_port()));
        }
        Ok(())
    }

    /// Judges what a name stands for. One answer that is refused refuses them all: whoever mixes them means to have the
    /// one that passes judged and the other one called.
    ///
    /// # Errors
    /// The rule that one of the answers breaks.
    pub fn judge_answers(&self, name: &str, answers: &[IpAddr]) -> Result<(), Refused> {
        answers.iter().try_for_each(|answer| self.judge_answer(&name.to_ascii_lowercase(), *answer))
    }

    /// Whether the operator named it, under which what else is asked of it does not count.
    fn judge_name(&self, name: &str, port: u16) -> Result<bool, Refused> {
        if name.ends_with('.') {
            return Err(Refused::never(Rule::TrailingDot));
        }
        if permission::METADATA_NAMES.contains(&name) {
            return Err(Refused::never(Rule::MetadataName));
        }
        let named = self.0.iter().any(|permission| permission.names(name, Some(port)));
        if is_localhost(name) && !named {
            return Err(Refused::unless(Rule::Localhost, format!("{name}:{port}")));
        }
        // With a port it is permitted on that one alone, whatever it stands for.
        if !named && self.0.iter().any(|permission| permission.names_at_all(name)) {
            return Err(Refused::unless(Rule::Port(port), format!("{name}:{port}")));
        }
        Ok(named)
    }

    fn judge_literal(&self, address: IpAddr, port: u16) -> Result<bool, Refused> {
        let kind = AddressKind::of(address);
        let covered = self.covers(address, Some(port));
        match kind {
            AddressKind::Public => Ok(covered),
            kind if !kind.can_be_permitted() => Err(Refused::never(Rule::Address(kind))),
            _ if covered => Ok(true),
            kind => Err(Refused::unless(Rule::Address(kind), of(address, port))),
        }
    }

    fn judge_answer(&self, name: &str, answer: IpAddr) -> Result<(), Refused> {
        let kind = AddressKind::of(answer);
        let named = || self.0.iter().any(|permission| permission.names_at_all(name));
        match kind {
            AddressKind::Public => Ok(()),
            kind if !kind.can_be_permitted() => Err(Refused::never(Rule::Answer(kind))),
            _ if self.covers(answer, None) => Ok(()),
            // Whoever can change what a name stands for shall not reach this machine by it, nor by what leads anywhere.
            AddressKind::Loopback | AddressKind::Embedding(_) if !is_localhost(name) => {
                Err(Refused::unless(Rule::Answer(kind), answer.to_string()))
            }
            _ if named() => Ok(()),
            kind => Err(Refused::unless(Rule::Answer(kind), name)),
        }
    }

    /// Whether the operator permitted this address, and what it may lead to as well.
    fn covers(&self, address: IpAddr, port: Option<u16>) -> bool {
        let covers = |address| self.0.iter().any(|permission| permission.covers(address, port));
        let may_lead_to = |held: IpAddr| AddressKind::of(held) == AddressKind::Public || covers(held);
        covers(address) && embedded(address).into_iter().all(|held| may_lead_to(held.into()))
    }
}

/// The host of what stands between the slashes.
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
#[path = "guard_tests.rs"]
mod tests;
