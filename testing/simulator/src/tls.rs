//! TLS with certificates that are generated at runtime: valid and invalid ones.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;
use crate::profile::{Profile, Vendor};
use crate::simulator::Simulator;
use crate::transport::Security;

/// Subject alternative names of a [`Certificate`], unless it has a wrong name.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate authority that only configured clients trust.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    untrusted_issuer: Issuer<'static, KeyPair>,
    pem: PathBuf,
}

/// A kind of server certificate, by default for `localhost`, `127.0.0.1` and `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Valid from 2000 to 4095.
    Good,
    /// Valid until 2001.
    Expired,
    /// Valid from 4000.
    NotYetValid,
    /// For `elsewhere.example`.
    WrongName,
    /// Issued by an authority that clients do not trust.
    Untrusted,
    /// Self-signed.
    SelfSigned,
}

/// A server certificate with its key.
#[derive(Debug, Clone)]
pub struct Identity(Arc<ServerConfig>);

// === impl Authority ===

impl Authority {
    /// Creates an authority, and writes its certificate to `ca.pem` in `folder` for clients to trust.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let (issuer, pem) = authority("Simulated Authority")?;
        let (untrusted_issuer, _) = authority("Unknown Authority")?;
        let path = folder.join("ca.pem");
        std::fs::write(&path, pem)?;
        Ok(Self { issuer, untrusted_issuer, pem: path })
    }

    /// Path of the authority's certificate, for `SSL_CERT_FILE` of clients.
    pub fn pem_file(&self) -> &Path {
        &self.pem
    }

    /// Issues a server certificate.
    pub fn issue(&self, certificate: Certificate) -> io::Result<Identity> {
        let (issued, key) = self.make(certificate)?;
        Identity::new(issued.der().clone(), &key)
    }

    /// Issues a server certificate, and writes it and its key to these PEM files.
    pub fn issue_files(&self, certificate: Certificate, pem: &Path, key_file: &Path) -> io::Result<()> {
        let (issued, key) = self.make(certificate)?;
        std::fs::write(key_file, key.serialize_pem())?;
        std::fs::write(pem, issued.pem())
    }

    fn make(&self, certificate: Certificate) -> io::Result<(rcgen::Certificate, KeyPair)> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = leaf(certificate)?;
        let issued = match certificate {
            Certificate::SelfSigned => params.self_signed(&key),
            Certificate::Untrusted => params.signed_by(&key, &self.untrusted_issuer),
            _ => params.signed_by(&key, &self.issuer),
        };
        Ok((issued.map_err(io::Error::other)?, key))
    }
}

// === impl Identity ===

impl Identity {
    fn new(certificate: CertificateDer<'static>, key: &KeyPair) -> io::Result<Self> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(io::Error::other)?;
        Ok(Self(Arc::new(config)))
    }
}

impl Simulator {
    /// Starts a simulator with TLS on a free port of 127.0.0.1 with the system clock.
    pub async fn start_tls(vendor: Vendor, profile: Profile, identity: &Identity) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_tls_at(vendor, profile, address, Clock::real(), identity).await
    }

    /// Starts a simulator with TLS on this address with this clock.
    pub async fn start_tls_at(
        vendor: Vendor,
        profile: Profile,
        address: SocketAddr,
        clock: Clock,
        identity: &Identity,
    ) -> io::Result<Self> {
        Self::start_with(vendor, profile, address, clock, Security::tls(identity.0.clone())).await
    }

    /// Uses another certificate for new connections. Has no effect on a simulator without TLS.
    pub fn present(&self, identity: &Identity) {
        self.shared.security.replace(identity.0.clone());
    }
}

fn authority(name: &str) -> io::Result<(Issuer<'static, KeyPair>, String)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
    Ok((Issuer::new(params, key), pem))
}

fn leaf(certificate: Certificate) -> io::Result<CertificateParams> {
    let names = match certificate {
        Certificate::WrongName => vec!["elsewhere.example".to_owned()],
        _ => NAMES.map(str::to_owned).to_vec(),
    };
    let (from, until) = match certificate {
        Certificate::Expired => (2000, 2001),
        Certificate::NotYetValid => (4000, 4095),
        _ => (2000, 4095),
    };
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, "Simulated Ticket System");
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    Ok(params)
}
