use std::net::{IpAddr, Ipv6Addr};

/// What an address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// For the channel: a host and a port, or `unix:/PATH`.
    pub target: String,
    pub scheme: Scheme,
    /// Whether what is sent there stays on this machine.
    pub is_here: bool,
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
    /// `None` if it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.strip_prefix("unix:/").is_some_and(|path| !path.is_empty()) {
            return Some(Self { target: text.to_owned(), scheme: Scheme::Unix, is_here: true });
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
        let is_here = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.is_loopback(),
            None if is_name(host) => stays(host),
            None => return None,
        };
        Some(Self { target: target.to_owned(), scheme, is_here })
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn stays(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_this_machine_stays_here_and_to_any_other_does_not() {
        for address in ["localhost:1", "127.0.0.1:1", "http://127.3.2.1:1", "[::1]:1", "unix:/a b"] {
            assert!(Address::read(address).unwrap().is_here, "{address}");
        }
        for address in ["10.0.0.1:1", "localhost.example:1", "[::2]:1", "https://a-b.example:443"] {
            assert!(!Address::read(address).unwrap().is_here, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_read() {
        for none in [
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
            assert_eq!(Address::read(none), None, "{none}");
        }
    }
}
