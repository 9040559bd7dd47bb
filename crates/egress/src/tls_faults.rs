//! Explains TLS failures: what is wrong with the certificate or handshake, and how to fix it.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use crate::trust::{Presented, Untrusted};

/// Maximum number of certificate names in a message.
const MAX_NAMES: usize = 5;
/// Words in an issuer's name that identify products which inspect TLS.
const INSPECTORS: [&str; 27] = [
    "zscaler",
    "netskope",
    "blue coat",
    "bluecoat",
    "proxysg",
    "palo alto",
    "fortinet",
    "fortigate",
    "cisco umbrella",
    "cisco secure",
    "sophos",
    "mcafee",
    "skyhigh",
    "forcepoint",
    "websense",
    "check point",
    "barracuda",
    "watchguard",
    "kaspersky",
    "eset ssl",
    "mitmproxy",
    "charles proxy",
    "fiddler",
    "squid",
    "portswigger",
    "burp",
    "ssl inspection",
];
/// Domains of the vendors' cloud sites, which always have certificates of public authorities.
const PUBLIC_SITES: [&str; 4] =
    [".atlassian.net", ".atlassian.com", ".service-now.com", ".servicenowservices.com"];

/// Why a TLS handshake failed, and how to fix it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TlsExplanation {
    /// Follows "no trusted connection to HOST:".
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Explains a TLS failure with `host`. `asked` says whether the server requested a client certificate.
pub(crate) fn explain(error: &Error, host: &str, asked: bool) -> TlsExplanation {
    let host = without_port(host);
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            match other.downcast_ref::<Untrusted>() {
                Some(untrusted) => certificate(untrusted, host),
                None => unnamed(error),
            }
        }
        Error::InvalidMessage(_) => TlsExplanation::new(
            "it does not speak TLS on this port",
            "check the port, and whether the address is meant to be http; a proxy or firewall may also have answered in its place",
        ),
        Error::AlertReceived(alert) => refused(*alert, host, asked),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => no_common_version(),
        Error::PeerIncompatible(_) => no_common_cipher(),
        _ => unnamed(error),
    }
}

/// Certificates name hosts without ports.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The connection was closed during the handshake without an alert.
pub(crate) fn cut_off(asked: bool) -> TlsExplanation {
    if asked {
        return wants_certificate();
    }
    TlsExplanation::new(
        "the connection was cut off during the TLS handshake",
        "a firewall or proxy on the way may block this host or the inspection of TLS may fail, or the server accepts neither TLS 1.2 \
         nor 1.3; check that the address and port are those of the server",
    )
}

/// Whether the alert means that the server wants a client certificate, which it checks before it reads a request.
pub(crate) fn is_about_client_certificate(alert: AlertDescription, asked: bool) -> bool {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => true,
        Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::HandshakeFailure => asked,
        _ => false,
    }
}

fn refused(alert: AlertDescription, host: &str, asked: bool) -> TlsExplanation {
    use AlertDescription as Alert;
    if is_about_client_certificate(alert, asked) {
        return wants_certificate();
    }
    match alert {
        Alert::HandshakeFailure | Alert::InsufficientSecurity => no_common_cipher(),
        Alert::ProtocolVersion => no_common_version(),
        Alert::UnrecognisedName => TlsExplanation::new(
            format!("it does not serve a host called {host}"),
            "check the spelling of the address: the server, or the balancer before it, knows other names",
        ),
        alert => TlsExplanation::new(
            format!("it ended the TLS handshake with the alert {alert:?}"),
            "the server's log may say why; check that the address and port are those of the server",
        ),
    }
}

fn certificate(untrusted: &Untrusted, host: &str) -> TlsExplanation {
    use CertificateError as Certificate;
    let Error::InvalidCertificate(error) = &untrusted.error else { return unnamed(&untrusted.error) };
    let presented = untrusted.presented.as_ref();
    match error {
        Certificate::Expired => expired(None, None),
        Certificate::ExpiredContext { time, not_after } => expired(Some(*time), Some(*not_after)),
        Certificate::NotValidYet => not_yet_valid(None, None),
        Certificate::NotValidYetContext { time, not_before } => not_yet_valid(Some(*time), Some(*not_before)),
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            other_names(presented, host)
        }
        Certificate::UnknownIssuer => unknown_issuer(presented, untrusted.has_custom_authorities, host),
        Certificate::Revoked => {
            TlsExplanation::new("its certificate has been revoked", "the server needs a new certificate")
        }
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => wrong_purpose(),
        Certificate::BadEncoding => TlsExplanation::new(
            "its certificate cannot be read",
            "the server needs a new certificate: this one does not follow X.509",
        ),
        Certificate::BadSignature
        | Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => TlsExplanation::new(
            "its certificate is signed in a way that is not accepted",
            "the server needs a certificate with RSA of 2,048 bits or more, or ECDSA, and SHA-256 or \
             better; SHA-1 is not accepted",
        ),
        _ => match presented {
            Some(presented) if !presented.is_version_3 => TlsExplanation::new(
                "its certificate is of the outdated X.509 version 1",
                format!("the server needs one of version 3 with {host} as subject alternative name"),
            ),
            Some(presented) if presented.is_authority => TlsExplanation::new(
                format!(
                    "its certificate ({}) is an authority's own (CA:TRUE) and cannot be a server's",
                    presented.subject
                ),
                "add this certificate, in PEM, to ca_certificates, which trusts it as it is; or let the server show one with \
                 CA:FALSE, issued by it",
            ),
            _ if error_text(error).contains("EKU") => wrong_purpose(),
            _ => unnamed(&untrusted.error),
        },
    }
}

fn expired(now: Option<UnixTime>, until: Option<UnixTime>) -> TlsExplanation {
    let words = until.map_or_else(
        || "its certificate has expired".to_owned(),
        |until| format!("its certificate expired on {}", date(until)),
    );
    let clock = now.map(|now| format!(", which says {}", date(now))).unwrap_or_default();
    TlsExplanation::new(
        words,
        format!("renew the certificate of the server; check this machine's clock{clock}, too"),
    )
}

fn not_yet_valid(now: Option<UnixTime>, from: Option<UnixTime>) -> TlsExplanation {
    let words = from.map_or_else(
        || "its certificate is not valid yet".to_owned(),
        |from| format!("its certificate is not valid before {}", date(from)),
    );
    let clock = now.map(|now| format!(", which says {}", date(now))).unwrap_or_default();
    TlsExplanation::new(
        words,
        format!("check this machine's clock{clock}; if it is right, replace the certificate of the server"),
    )
}

fn other_names(presented: Option<&Presented>, host: &str) -> TlsExplanation {
    let Some(presented) = presented else {
        return TlsExplanation::new(
            "its certificate is for another host",
            "check the spelling of the address; it must be one that the certificate names",
        );
    };
    if presented.names.is_empty() {
        return TlsExplanation::new(
            format!(
                "its certificate names no host as subject alternative name, only a common name ({}), which is not \
                 read any more",
                presented.subject
            ),
            format!("the server needs a certificate with {host} as subject alternative name (SAN)"),
        );
    }
    let mut names = presented.names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if presented.names.len() > MAX_NAMES {
        names.push_str(&format!(" and {} more", presented.names.len() - MAX_NAMES));
    }
    TlsExplanation::new(
        format!("its certificate is for {names}, not for {host}"),
        "use an address with a name that the certificate has, or have this one added to the certificate",
    )
}

fn unknown_issuer(presented: Option<&Presented>, has_own: bool, host: &str) -> TlsExplanation {
    let Some(presented) = presented else {
        return TlsExplanation::new(
            "its certificate was issued by an authority that is not trusted",
            private_authority("it"),
        );
    };
    let own = "ca_certificates take the place of the public authorities: remove them if the site has a public certificate";
    if is_inspected(presented, host) {
        let authority = &presented.last_issuer;
        return TlsExplanation::new(
            format!(
                "its certificate was issued by \"{authority}\", as by a proxy or firewall that inspects TLS"
            ),
            format!(
                "add the certificate of \"{authority}\", in PEM, to ca_certificates, or have {host} exempted from \
                 the inspection"
            ),
        );
    }
    if presented.is_self_signed {
        let words = format!("its certificate ({}) is self-signed and not known here", presented.subject);
        let hint = "add this certificate, in PEM, to ca_certificates, or use one of a trusted authority";
        return TlsExplanation::new(words, hint);
    }
    let issuer = &presented.issuer;
    match (presented.intermediates, has_own) {
        (0, true) => TlsExplanation::new(
            format!(
                "its certificate was issued by \"{issuer}\", which is not among ca_certificates, and the server sent no \
                 intermediate certificates"
            ),
            format!(
                "let the server send its intermediate certificates, or add the certificate of \"{issuer}\", in PEM, to \
                 ca_certificates; {own}"
            ),
        ),
        (0, false) => TlsExplanation::new(
            format!(
                "its certificate was issued by \"{issuer}\", an authority that is not trusted, and the server sent no \
                 intermediate certificates"
            ),
            format!(
                "{}; if it is a public authority, let the server send its intermediate certificates",
                private_authority(&format!("\"{issuer}\""))
            ),
        ),
        (_, true) => TlsExplanation::new(
            format!(
                "its certificate was issued under \"{}\", which is not among ca_certificates",
                presented.last_issuer
            ),
            format!(
                "add the certificate of \"{}\", in PEM, to ca_certificates; {own}",
                presented.last_issuer
            ),
        ),
        (_, false) => TlsExplanation::new(
            format!(
                "its certificate was issued under \"{}\", an authority that is not trusted",
                presented.last_issuer
            ),
            private_authority(&format!("\"{}\"", presented.last_issuer)),
        ),
    }
}

fn private_authority(name: &str) -> String {
    format!(
        "if {name} is a private authority, add its certificate, in PEM, to ca_certificates, or add it to those that the server's \
         machine trusts (SSL_CERT_FILE can name a file)"
    )
}

/// Whether an intermediary inspects TLS with its own certificate.
fn is_inspected(presented: &Presented, host: &str) -> bool {
    let issuers = format!("{} {}", presented.issuer, presented.last_issuer).to_lowercase();
    let name = host.split(':').next().unwrap_or_default();
    INSPECTORS.iter().any(|inspector| issuers.contains(inspector))
        || PUBLIC_SITES.iter().any(|domain| name.ends_with(domain))
}

fn wrong_purpose() -> TlsExplanation {
    TlsExplanation::new(
        "its certificate is not made for servers",
        "the server needs one with the extended key usage serverAuth",
    )
}

fn wants_certificate() -> TlsExplanation {
    TlsExplanation::new(
        "it demands a client certificate",
        "client certificates are not supported: use an address that does not demand one, or have this machine exempted",
    )
}

fn no_common_cipher() -> TlsExplanation {
    TlsExplanation::new(
        "it accepts none of the cipher suites that are offered",
        "the server must offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305; some servers also end the \
         handshake like this when they demand a client certificate or do not serve this host",
    )
}

fn no_common_version() -> TlsExplanation {
    TlsExplanation::new(
        "it accepts neither TLS 1.2 nor TLS 1.3",
        "enable TLS 1.2 or 1.3 on the server: older versions are not supported",
    )
}

fn unnamed(error: &Error) -> TlsExplanation {
    TlsExplanation::new(
        format!("the TLS handshake failed: {error}"),
        "the server's certificate must be valid for this host and issued by an authority that is trusted",
    )
}

fn error_text(error: &CertificateError) -> String {
    match error {
        CertificateError::Other(OtherError(other)) => format!("{other:?}").to_uppercase(),
        _ => String::new(),
    }
}

fn date(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown day".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

// === impl TlsExplanation ===

impl TlsExplanation {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}
