//! IP networks in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses with the same prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The bits after the prefix are zero.
    first: IpAddr,
    /// Prefix length in bits.
    prefix: u32,
}

/// A text that is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a network: write it like 10.2.0.0/16, with no bits set after the prefix")]
pub struct InvalidNetwork;

// === impl Network ===

impl Network {
    /// A network from a constant table.
    pub(super) fn known(text: &'static str) -> Self {
        text.parse().expect("the networks in the tables are well written")
    }

    /// A single address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self { first: address, prefix: bits(address) }
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        is_v4(self.first) == is_v4(address) && masked(address, self.prefix) == self.first
    }

    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() | !mask(self.prefix, 32) as u32).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() | !mask(self.prefix, 128)).into(),
        }
    }

    /// Prefix length in bits.
    #[must_use]
    pub fn prefix(&self) -> u32 {
        self.prefix
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let longest = bits(first);
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let prefix = match prefix {
            Some(text) => {
                Some(text).filter(digits).and_then(|text| text.parse().ok()).ok_or(InvalidNetwork)?
            }
            None => longest,
        };
        let sound = prefix <= longest && masked(first, prefix) == first;
        if sound { Ok(Self { first, prefix }) } else { Err(InvalidNetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.prefix < bits(self.first) { write!(f, "/{}", self.prefix) } else { Ok(()) }
    }
}

fn is_v4(address: IpAddr) -> bool {
    address.is_ipv4()
}

fn bits(address: IpAddr) -> u32 {
    if is_v4(address) { 32 } else { 128 }
}

/// The mask of a prefix.
fn mask(prefix: u32, bits: u32) -> u128 {
    let all = u128::MAX >> (128 - bits);
    all & !all.checked_shr(prefix).unwrap_or(0)
}

fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask(prefix, 32) as u32).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask(prefix, 128)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_contains_addresses_with_its_prefix() {
        let table = [
            ("10.2.0.0/16", "10.2.255.255", true),
            ("10.2.0.0/16", "10.3.0.0", false),
            ("10.2.0.0/16", "::ffff:10.2.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::/0", "ffff::", true),
            ("::/0", "1.2.3.4", false),
        ];
        for (network, address, held) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), held, "{address} in {network}");
            assert_eq!(network.to_string().parse(), Ok(network));
            assert!(network.contains(network.first()) && network.contains(network.last()));
        }
        let network: Network = "10.2.0.0/16".parse().unwrap();
        assert_eq!(network.last().to_string(), "10.2.255.255");
    }

    #[test]
    fn refuses_invalid_network() {
        for text in
            ["", "10.2.0.1/16", "10.2.0.0/33", "10.2/16", "::1/129", "10.0.0.0/", "10.0.0.0/+8", "host/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
