use std::net::{IpAddr, Ipv6Addr};

/// A parsed address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The target of the channel: a host and a port, or `unix:/PATH`.
    pub target: String,
    pub scheme: Scheme,
    /// Whether the server is on this machine: loopback, or a Unix socket.
    pub is_local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    None,
    Http,
    Https,
    Unix,
}

// === impl Address ===

impl Address {
    /// `None` if the address is invalid.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.strip_prefix("unix:/").is_some_and(|path| !path.is_empty()) {
            return Some(Self { target: text.to_owned(), scheme: Scheme::Unix, is_local: true });
        }
        let (scheme, target) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return None,
            None => (Scheme::None, text),
        };
        let (host, port) = target.rsplit_once(':')?;
        let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        if !is_port || !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return None;
        }
        let is_local = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.is_loopback(),
            None if is_host_name(host) => is_loopback_host(host),
            None => return None,
        };
        Some(Self { target: target.to_owned(), scheme, is_local })
    }
}

fn is_host_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_loopback_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_local_addresses() {
        for address in ["localhost:1", "127.0.0.1:1", "http://127.3.2.1:1", "[::1]:1", "unix:/a b"] {
            assert!(Address::parse(address).unwrap().is_local, "{address}");
        }
        for address in ["10.0.0.1:1", "localhost.example:1", "[::2]:1", "https://a-b.example:443"] {
            assert!(!Address::parse(address).unwrap().is_local, "{address}");
        }
    }

    #[test]
    fn refuses_invalid_addresses() {
        for invalid in [
            "",
            "ticketing",
            "ticketing:",
            ":50051",
            "ticketing:0",
            "ticketing:65536",
            "ticketing:1/path",
            "dns:///a:1",
            "ftp://a:1",
            "::1:50051",
            "[a]:1",
            "unix:",
            "unix:relative",
            "http://a",
            "https://http://a:1",
            "a b:1",
            "a@b:1",
            "a:+1",
        ] {
            assert_eq!(Address::parse(invalid), None, "{invalid}");
        }
    }
}
