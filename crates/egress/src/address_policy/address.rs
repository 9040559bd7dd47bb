//! Classifies IP addresses.
//!
//! An address is public if no other kind matches; of IPv6, only 2000::/3 can be. An IPv6 address that embeds an IPv4
//! address is a kind of its own, because a gateway may translate it; if the embedded address can never be permitted,
//! neither can the whole.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::Network;

/// Metadata services of AWS, Google, Azure, Oracle, Alibaba, Tencent and Scaleway, which hand out credentials.
/// 169.254.0.0/16, where most of them are, is refused as a whole.
const METADATA: [&str; 12] = [
    "169.254.169.254/32",
    "169.254.169.253/32",
    "169.254.170.2/32",
    "169.254.170.23/32",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "192.0.0.192/32",
    "169.254.0.23/32",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
    "fd00:42::42/128",
    "fd00:c1::a9fe:a9fe/128",
];

/// The first match decides.
const KINDS: [(&str, AddressKind); 36] = [
    ("0.0.0.0/8", AddressKind::Unspecified),
    ("127.0.0.0/8", AddressKind::Loopback),
    ("10.0.0.0/8", AddressKind::Private),
    ("172.16.0.0/12", AddressKind::Private),
    ("192.168.0.0/16", AddressKind::Private),
    ("100.64.0.0/10", AddressKind::Shared),
    ("169.254.0.0/16", AddressKind::LinkLocal),
    ("192.0.2.0/24", AddressKind::Documentation),
    ("198.51.100.0/24", AddressKind::Documentation),
    ("203.0.113.0/24", AddressKind::Documentation),
    ("198.18.0.0/15", AddressKind::Benchmarking),
    ("192.0.0.0/24", AddressKind::Reserved),
    ("192.88.99.0/24", AddressKind::Reserved),
    ("224.0.0.0/4", AddressKind::Multicast),
    ("255.255.255.255/32", AddressKind::Broadcast),
    ("240.0.0.0/4", AddressKind::Reserved),
    ("::/128", AddressKind::Unspecified),
    ("::1/128", AddressKind::Loopback),
    ("::/96", AddressKind::Embedding(Form::Compatible)),
    ("::ffff:0:0/96", AddressKind::Embedding(Form::Mapped)),
    ("::ffff:0:0:0/96", AddressKind::Embedding(Form::Translated)),
    ("64:ff9b::/96", AddressKind::Embedding(Form::Nat64)),
    ("64:ff9b:1::/48", AddressKind::Embedding(Form::Nat64)),
    ("2002::/16", AddressKind::Embedding(Form::SixToFour)),
    ("2001::/32", AddressKind::Embedding(Form::Teredo)),
    ("2001:db8::/32", AddressKind::Documentation),
    ("3fff::/20", AddressKind::Documentation),
    ("2001:2::/48", AddressKind::Benchmarking),
    ("2001::/23", AddressKind::Reserved),
    ("fc00::/7", AddressKind::Private),
    ("fe80::/10", AddressKind::LinkLocal),
    ("fec0::/10", AddressKind::SiteLocal),
    ("ff00::/8", AddressKind::Multicast),
    ("2000::/3", AddressKind::Public),
    ("::/0", AddressKind::Reserved),
    ("0.0.0.0/0", AddressKind::Public),
];

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// On the public Internet.
    Public,
    /// A cloud's metadata service, which hands out credentials.
    Metadata,
    /// The unspecified address; some systems treat it as loopback.
    Unspecified,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, and unique local addresses of IPv6.
    Private,
    /// Behind a carrier's NAT: 100.64.0.0/10.
    Shared,
    /// The local link.
    LinkLocal,
    /// The deprecated private networks of IPv6: fec0::/10.
    SiteLocal,
    Multicast,
    Broadcast,
    /// For documentation.
    Documentation,
    /// For benchmarks; sometimes used as a private network.
    Benchmarking,
    /// Reserved or for protocol use.
    Reserved,
    /// An IPv6 address that embeds an IPv4 address.
    Embedding(Form),
}

/// How an IPv6 address embeds an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    Compatible,
    Mapped,
    Translated,
    Nat64,
    SixToFour,
    Teredo,
    Isatap,
}

// === impl AddressKind ===

impl AddressKind {
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let plain = plain_kind(address);
        let mut held = embedded(address).into_iter().map(|held| plain_kind(held.into()));
        let worse = held.find(|kind| !kind.can_be_permitted() && plain.can_be_permitted());
        worse.unwrap_or(plain)
    }

    /// The kind of a whole network; `None` if it contains several.
    pub(super) fn of_all(network: Network) -> Option<Self> {
        let first = network.first();
        let last = network.last();
        if first == last {
            return Some(Self::of(first));
        }
        let all = |known: &Network| known.contains(first) && known.contains(last);
        let metadata = METADATA.into_iter().map(Network::known).find(all);
        let known = KINDS.iter().find(|(known, _)| Network::known(known).contains(first));
        let kind = known.filter(|(known, _)| all(&Network::known(known))).map(|(_, kind)| *kind);
        metadata.map(|_| Self::Metadata).or(kind)
    }

    /// Whether an operator can permit it.
    #[must_use]
    pub fn can_be_permitted(self) -> bool {
        match self {
            Self::Public
            | Self::Loopback
            | Self::Private
            | Self::Shared
            | Self::SiteLocal
            | Self::Documentation
            | Self::Benchmarking
            | Self::Embedding(_) => true,
            Self::Metadata
            | Self::Unspecified
            | Self::LinkLocal
            | Self::Multicast
            | Self::Broadcast
            | Self::Reserved => false,
        }
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Metadata => "a cloud's metadata service",
            Self::Unspecified => "the unspecified address",
            Self::Loopback => "an address of this machine (loopback)",
            Self::Private => "an address of a private network",
            Self::Shared => "an address behind a carrier's NAT",
            Self::LinkLocal => "a link-local address",
            Self::SiteLocal => "a site-local address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Reserved => "a reserved address",
            Self::Embedding(form) => {
                return write!(f, "an IPv6 address that embeds an IPv4 address ({form})");
            }
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compatible => "IPv4-compatible",
            Self::Mapped => "IPv4-mapped",
            Self::Translated => "IPv4-translated",
            Self::Nat64 => "NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::Isatap => "ISATAP",
        })
    }
}

/// The IPv4 addresses embedded in an IPv6 address.
#[must_use]
pub fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return vec![] };
    let [.., a, b, c, d] = address.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    let octets = address.octets();
    match plain_kind(address.into()) {
        AddressKind::Embedding(form) => match form {
            Form::Compatible | Form::Mapped | Form::Translated | Form::Isatap => vec![last],
            // RFC 6052: in a /48 prefix, bits 64 to 71 are unused, and a network may use a longer prefix of that
            // range.
            Form::Nat64 if address.segments()[2] == 1 => {
                let behind_48 = Ipv4Addr::new(octets[6], octets[7], octets[9], octets[10]);
                [behind_48, last].into_iter().filter(|held| !held.is_unspecified()).collect()
            }
            Form::Nat64 => vec![last],
            Form::SixToFour => vec![Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])],
            // Teredo: the server, and the client, whose address is inverted.
            Form::Teredo => {
                vec![Ipv4Addr::new(octets[4], octets[5], octets[6], octets[7]), Ipv4Addr::new(!a, !b, !c, !d)]
            }
        },
        _ => vec![],
    }
}

fn plain_kind(address: IpAddr) -> AddressKind {
    if METADATA.into_iter().any(|network| Network::known(network).contains(address)) {
        return AddressKind::Metadata;
    }
    if let IpAddr::V6(address) = address
        && is_isatap(address)
    {
        return AddressKind::Embedding(Form::Isatap);
    }
    let kind = KINDS.iter().find(|(network, _)| Network::known(network).contains(address));
    kind.map_or(AddressKind::Reserved, |(_, kind)| *kind)
}

/// ISATAP: a public prefix with an interface identifier that marks an IPv4 tunnel.
fn is_isatap(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    Network::known("2000::/3").contains(address.into()) && segments[4] & !0x0200 == 0 && segments[5] == 0x5efe
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
