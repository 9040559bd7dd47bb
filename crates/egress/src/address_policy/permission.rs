//! The operator's allow list.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::AddressKind;
use super::network::Network;

/// Minimum prefix length: all of 10.0.0.0/8, all of fc00::/7.
const MIN_PREFIX: (u32, u32) = (8, 7);

/// Host names of cloud metadata services.
pub(super) const METADATA_NAMES: [&str; 5] =
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// An allow list entry. Permits a host also by plain http, on any port or on the given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    target: Target,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// In lower case.
    Name(String),
    Network(Network),
}

/// Why an entry is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPermission {
    #[error(
        "write a host, an address or a network, for example jira.corp.example, 127.0.0.1:8080, [fd00::1]:8443 or \
         10.2.0.0/16"
    )]
    Unreadable,
    #[error("{0} is never permitted")]
    Never(AddressKind),
    #[error("the network is too wide: give the one that the ticket system is in")]
    TooWide,
}

// === impl Permission ===

impl Permission {
    /// Whether it permits this host name.
    pub(super) fn names(&self, host: &str, port: Option<u16>) -> bool {
        matches!(&self.target, Target::Name(name) if name == host) && self.on(port)
    }

    /// Whether it permits this address.
    pub(super) fn covers(&self, address: IpAddr, port: Option<u16>) -> bool {
        matches!(&self.target, Target::Network(network) if network.contains(address)) && self.on(port)
    }

    /// Whether it permits this host name on some port.
    pub(super) fn names_at_all(&self, host: &str) -> bool {
        self.names(host, self.port)
    }

    /// Without a port it covers all of them.
    fn on(&self, port: Option<u16>) -> bool {
        self.port.is_none() || self.port == port
    }
}

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        let text = text.trim();
        if let Ok(network) = text.parse::<Network>() {
            return Ok(Self { target: Target::Network(possible(network)?), port: None });
        }
        let (host, port) = split_port(text)?;
        let target = match host.parse::<IpAddr>() {
            Ok(address) => Target::Network(possible(Network::of(address))?),
            Err(_) => Target::Name(name(host)?),
        };
        Ok(Self { target, port })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.target, self.port) {
            (Target::Name(name), None) => f.write_str(name),
            (Target::Name(name), Some(port)) => write!(f, "{name}:{port}"),
            (Target::Network(network), None) => write!(f, "{network}"),
            (Target::Network(network), Some(port)) => match network.first() {
                IpAddr::V4(address) => write!(f, "{address}:{port}"),
                IpAddr::V6(address) => write!(f, "[{address}]:{port}"),
            },
        }
    }
}

fn possible(network: Network) -> Result<Network, InvalidPermission> {
    if let Some(kind) = AddressKind::of_all(network).filter(|kind| !kind.can_be_permitted()) {
        return Err(InvalidPermission::Never(kind));
    }
    let widest = if network.first().is_ipv4() { MIN_PREFIX.0 } else { MIN_PREFIX.1 };
    if network.prefix() < widest { Err(InvalidPermission::TooWide) } else { Ok(network) }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidPermission> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(InvalidPermission::Unreadable)?)),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    if is_v6 != bracketed.is_some() {
        return Err(InvalidPermission::Unreadable);
    }
    let read = |port: &str| port.parse().ok().filter(|port| *port > 0).ok_or(InvalidPermission::Unreadable);
    Ok((host, port.map(read).transpose()?))
}

/// A host name as it appears in a URL.
fn name(text: &str) -> Result<String, InvalidPermission> {
    let name = text.to_ascii_lowercase();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| !label.is_empty() && label.bytes().all(allowed);
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if numeric || !name.split('.').all(label) {
        return Err(InvalidPermission::Unreadable);
    }
    if METADATA_NAMES.contains(&name.as_str()) {
        return Err(InvalidPermission::Never(AddressKind::Metadata));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_hosts_addresses_and_networks() {
        for text in [
            "jira.corp.example",
            "localhost",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.2.0.0/16",
            "10.0.0.0/8",
            "::1",
            "[::1]:8080",
            "fc00::/7",
            "64:ff9b::/96",
        ] {
            assert_eq!(
                text.parse::<Permission>().map(|permission| permission.to_string()).as_deref(),
                Ok(text)
            );
        }
        assert_eq!(" JIRA.Corp ".parse::<Permission>().unwrap().to_string(), "jira.corp");
    }

    #[test]
    fn refuses_permission_for_forbidden_address() {
        for text in [
            "169.254.169.254",
            "169.254.169.254:80",
            "169.254.0.0/16",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd00:ec2::/32",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "0.0.0.0",
            "0.0.0.0/8",
            "::",
            "224.0.0.0/4",
            "fe80::/10",
            "255.255.255.255",
            "metadata.google.internal",
            "Metadata",
        ] {
            assert!(matches!(text.parse::<Permission>(), Err(InvalidPermission::Never(_))), "{text}");
        }
        for text in ["0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3"] {
            assert_eq!(text.parse::<Permission>(), Err(InvalidPermission::TooWide), "{text}");
        }
    }

    #[test]
    fn refuses_invalid_permission() {
        for text in [
            "",
            "*",
            "*.corp",
            "https://jira",
            "jira/",
            "a b",
            "jira:",
            "jira:0",
            "jira:70000",
            "10.2.0.0/16:8443",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "::1:8080:x",
            "[127.0.0.1]",
            "jira.",
            ".jira",
            "u@jira",
            "[fe80::1%eth0]",
        ] {
            assert!(text.parse::<Permission>().is_err(), "{text}");
        }
    }
}
