//! The remote end of a connection. Each request has its [`Peer`] as an extension.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The remote end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub address: PeerAddress,
    /// The verified client certificate, if any. It was issued by an authority of `--tls-client-ca` and valid at the
    /// handshake.
    pub certificate: Option<PeerCertificate>,
}

/// Address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    Tcp(SocketAddr),
    /// A local process.
    Unix {
        uid: u32,
        pid: Option<i32>,
    },
}

/// Key for per-peer limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerKey {
    /// An IPv4 address, or the /64 network of an IPv6 address, which usually belongs to one host.
    Network(IpAddr),
    User(u32),
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its URI subject alternative names, verbatim.
    pub uris: Vec<String>,
    /// SHA-256 of the DER certificate in lower-case hex.
    pub fingerprint: String,
    /// Expiry. A connection may stay open longer.
    pub not_after: Timestamp,
}

/// A certificate that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("the client certificate cannot be parsed")]
pub struct Unreadable;

// === impl PeerAddress ===

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { uid, pid: Some(pid) } => write!(f, "unix uid {uid} pid {pid}"),
            Self::Unix { uid, pid: None } => write!(f, "unix uid {uid}"),
        }
    }
}

// === impl PeerKey ===

impl PeerKey {
    pub fn of(peer: &PeerAddress) -> Self {
        match peer {
            PeerAddress::Unix { uid, .. } => Self::User(*uid),
            PeerAddress::Tcp(address) => Self::Network(match address.ip().to_canonical() {
                IpAddr::V4(ip) => ip.into(),
                IpAddr::V6(ip) => {
                    let [a, b, c, d, ..] = ip.segments();
                    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
                }
            }),
        }
    }
}

impl std::fmt::Display for PeerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(IpAddr::V4(address)) => address.fmt(f),
            Self::Network(IpAddr::V6(network)) => write!(f, "{network}/64"),
            Self::User(uid) => write!(f, "unix uid {uid}"),
        }
    }
}

// === impl PeerCertificate ===

impl PeerCertificate {
    /// Parses a certificate. Rejects duplicate and unreadable names.
    pub fn of_der(der: &[u8]) -> Result<Self, Unreadable> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Unreadable)?;
        let names = certificate.subject_alternative_name().map_err(|_| Unreadable)?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let uri = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        };
        let not_after = certificate.validity().not_after.timestamp();
        let not_after = Timestamp::from_second(not_after).map_err(|_| Unreadable)?;
        if !rest.is_empty() {
            return Err(Unreadable);
        }
        let fingerprint = Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { uris: names.iter().filter_map(uri).collect(), fingerprint, not_after })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;

    #[test]
    fn parses_client_certificate() {
        let mut params = CertificateParams::new(["client.example".to_owned()]).unwrap();
        for uri in ["spiffe://example.org/producer", "https://example.org/other"] {
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        }
        params.not_after = date_time_ymd(2040, 5, 6);
        let key = KeyPair::generate().unwrap();
        let issued = params.self_signed(&key).unwrap();
        let read = PeerCertificate::of_der(issued.der()).unwrap();
        assert_eq!(read.uris, ["spiffe://example.org/producer", "https://example.org/other"]);
        assert_eq!(read.not_after, "2040-05-06T00:00:00Z".parse().unwrap());
        assert_eq!(read.fingerprint.len(), 64);
    }

    #[test]
    fn refuses_invalid_certificate() {
        assert!(PeerCertificate::of_der(b"certificate").is_err());
    }
}
