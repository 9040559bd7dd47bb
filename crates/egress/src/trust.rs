//! Verifies server certificates, and explains why one is not trusted.
//!
//! webpki verifies, by the configured authorities or those of this machine. This module adds details to its errors:
//! the issuer, the names, and what the server sent. It also accepts a server certificate that the settings contain
//! itself, even if it is an authority's or its issuer is unknown, as long as it is valid for the host and in date:
//! pasting a server's own certificate pins it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use ticketing_core::text::{shorten, single_line};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name, X509Version};

use crate::route::Authorities;

/// Of a name in a certificate, in characters.
const MAX_NAME: usize = 100;
/// TLS sessions that are kept for resumption, of all hosts of a client: its ticket system and its proxy.
const MAX_SESSIONS: usize = 64;
const HTTP_1_1: &[u8] = b"http/1.1";

/// Whether a server requested a client certificate.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientCertificateRequested(Arc<AtomicBool>);

/// Why a TLS client could not be created.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct TlsSetupError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// An untrusted certificate, with its details.
#[derive(Debug)]
pub(crate) struct Untrusted {
    /// From webpki.
    pub(crate) error: Error,
    /// `None` if it cannot be parsed.
    pub(crate) presented: Option<Presented>,
    /// Whether the settings contain the trusted authorities.
    pub(crate) has_custom_authorities: bool,
}

/// What a server presented. Every text is one short line.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) is_self_signed: bool,
    pub(crate) is_authority: bool,
    pub(crate) is_version_3: bool,
    /// Its subject alternative names: hosts and addresses.
    pub(crate) names: Vec<String>,
    /// How many certificates came after the server's own.
    pub(crate) intermediates: usize,
    /// The issuer of the last certificate of the chain.
    pub(crate) last_issuer: String,
}

#[derive(Debug)]
struct ExplainingVerifier {
    inner: Arc<dyn ServerCertVerifier>,
    /// From the settings.
    trusted: Vec<CertificateDer<'static>>,
}

/// A TLS client that trusts `authorities`, or else those of this machine.
pub(crate) fn client_config(
    authorities: Option<&Authorities>,
    asked: &ClientCertificateRequested,
) -> Result<ClientConfig, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusted = authorities.map(|authorities| authorities.certificates.clone()).unwrap_or_default();
    let inner: Arc<dyn ServerCertVerifier> = if authorities.is_some() {
        let mut roots = RootCertStore::empty();
        for certificate in &trusted {
            roots.add(certificate.clone()).map_err(|error| TlsSetupError(error.into()))?;
        }
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .map_err(|error| TlsSetupError(error.into()))?
    } else {
        let verifier = rustls_platform_verifier::Verifier::new(provider.clone());
        Arc::new(verifier.map_err(|error| TlsSetupError(error.into()))?)
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetupError(error.into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ExplainingVerifier { inner, trusted }))
        .with_client_cert_resolver(Arc::new(asked.clone()));
    // Sessions are never shared with another configuration, which may trust others.
    config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

// === impl ClientCertificateRequested ===

impl ClientCertificateRequested {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Presents no client certificate, but records the request: some servers only close the connection afterwards.
impl ResolvesClientCert for ClientCertificateRequested {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

// === impl ExplainingVerifier ===

impl ServerCertVerifier for ExplainingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(error) = verdict else { return verdict };
        let verdict = if is_about_issuer(&error) && self.trusted.iter().any(|known| known == end_entity) {
            verify_pinned(end_entity, server_name, now)
        } else {
            Err(error)
        };
        verdict.map_err(|error| {
            let untrusted = Untrusted {
                error,
                presented: Presented::read(end_entity, intermediates),
                has_custom_authorities: !self.trusted.is_empty(),
            };
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(untrusted))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whether verification failed only because of the issuer, or because the certificate is an authority's; other
/// failures stay failures.
fn is_about_issuer(error: &Error) -> bool {
    let Error::InvalidCertificate(error) = error else { return false };
    match error {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(OtherError(other)) => other.to_string().contains("CaUsedAsEndEntity"),
        _ => false,
    }
}

/// Checks host and dates of a pinned certificate.
fn verify_pinned(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let seconds = |time: &x509_parser::time::ASN1Time| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(time.timestamp().try_into().unwrap_or(0)))
    };
    let (not_before, not_after) =
        (seconds(&parsed.validity().not_before), seconds(&parsed.validity().not_after));
    if now.as_secs() > not_after.as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::ExpiredContext { time: now, not_after }));
    }
    if now.as_secs() < not_before.as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
            time: now,
            not_before,
        }));
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
    Ok(ServerCertVerified::assertion())
}

// === impl Presented ===

impl Presented {
    fn read(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, own) = X509Certificate::from_der(end_entity).ok()?;
        let last = intermediates.last().and_then(|der| Some(X509Certificate::from_der(der).ok()?.1));
        Some(Self {
            subject: name(own.subject()),
            issuer: name(own.issuer()),
            is_self_signed: own.subject().as_raw() == own.issuer().as_raw(),
            is_authority: own.is_ca(),
            is_version_3: own.version() == X509Version::V3,
            names: alternative_names(&own),
            intermediates: intermediates.len(),
            last_issuer: name(last.as_ref().unwrap_or(&own).issuer()),
        })
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map(|extension| extension.value.general_names.iter()).into_iter().flatten();
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            _ => Some(IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
        },
        _ => None,
    };
    names.filter_map(text).map(|name| shorten(&single_line(&name), MAX_NAME)).collect()
}

/// The common name, with the organization where there is one.
fn name(name: &X509Name<'_>) -> String {
    let first = |value: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        value.and_then(|value| value.as_str().ok()).map(str::to_owned)
    };
    let parts = [first(name.iter_common_name().next()), first(name.iter_organization().next())];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.dedup();
    let text = if parts.is_empty() { name.to_string() } else { parts.join(", ") };
    shorten(&single_line(&text), MAX_NAME)
}

// === impl Untrusted ===

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate is not trusted")
    }
}

impl std::error::Error for Untrusted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
