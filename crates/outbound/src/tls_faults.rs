//! Failures of TLS in plain words: what is wrong with which certificate or handshake, and the way out.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use crate::trust::{Presented, Untrusted};

/// How many names of a certificate are told.
const MAX_NAMES: usize = 5;
/// Words in the issuer's name by which products are known that answer in the place of a server to read what is sent.
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
/// Where the vendors serve their sites, always with certificates of public authorities.
const PUBLIC_SITES: [&str; 4] =
    [".atlassian.net", ".atlassian.com", ".service-now.com", ".servicenowservices.com"];

/// Why there is no TLS session, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explained {
    /// They follow "no trusted connection to HOST:".
    pub(crate) words: String,
    pub(crate) hint: String,
}

/// Explains a failure of TLS with `host`. `asked` says whether a server has asked for a certificate of ours.
pub(crate) fn explain(error: &Error, host: &str, asked: bool) -> Explained {
    let host = without_port(host);
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            match other.downcast_ref::<Untrusted>() {
                Some(untrusted) => certificate(untrusted, host),
                None => unnamed(error),
            }
        }
        Error::InvalidMessage(_) => Explained::new(
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

/// A certificate names hosts, and no ports.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The connection ended during the handshake, without a word.
pub(crate) fn cut_off(asked: bool) -> Explained {
    if asked {
        return wants_certificate();
    }
    Explained::new(
        "the connection was cut off during the TLS handshake",
        "a firewall or proxy on the way may block this host or the inspection of TLS may fail, or the server accepts neither TLS 1.2 \
         nor 1.3; check that the address and port are those of the server",
    )
}

/// Whether the alert says that a server turned us away for want of a certificate, which it does before it looks at a request.
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

fn refused(alert: AlertDescription, host: &str, asked: bool) -> Explained {
    use AlertDescription as Alert;
    if is_about_client_certificate(alert, asked) {
        return wants_certificate();
    }
    match alert {
        Alert::HandshakeFailure | Alert::InsufficientSecurity => no_common_cipher(),
        Alert::ProtocolVersion => no_common_version(),
        Alert::UnrecognisedName => Explained::new(
            format!("it does not serve a host called {host}"),
            "check the spelling of the address: the server, or the balancer before it, knows other names",
        ),
        alert => Explained::new(
            format!("it ended the TLS handshake with the alert {alert:?}"),
            "the server's log may say why; check that the address and port are those of the server",
        ),
    }
}

fn certificate(untrusted: &Untrusted, host: &str) -> Explained {
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
        Certificate::UnknownIssuer => unknown_issuer(presented, untrusted.has_own_authorities, host),
        Certificate::Revoked => Explained::new(
            "its certificate has been revoked",
            "whoever runs the server must have a new certificate issued",
        ),
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => wrong_purpose(),
        Certificate::BadEncoding => Explained::new(
            "its certificate cannot be read",
            "whoever runs the server must have a new certificate issued: this one does not follow X.509",
        ),
        Certificate::BadSignature
        | Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Explained::new(
            "its certificate is signed in a way that is not accepted",
            "whoever runs the server must have a certificate issued with RSA of 2,048 bits or more, or ECDSA, and SHA-256 or \
             better; SHA-1 is not accepted",
        ),
        _ => match presented {
            Some(presented) if !presented.is_version_3 => Explained::new(
                "its certificate is of the outdated X.509 version 1",
                format!(
                    "whoever runs the server must have one of version 3 issued, with {host} as subject alternative name"
                ),
            ),
            Some(presented) if presented.is_authority => Explained::new(
                format!(
                    "its certificate ({}) is an authority's own (CA:TRUE) and cannot be a server's",
                    presented.subject
                ),
                "put this very certificate, in PEM, into ca_certificates, which trusts it as it is; or let the server show one with \
                 CA:FALSE, issued by it",
            ),
            _ if error_text(error).contains("EKU") => wrong_purpose(),
            _ => unnamed(&untrusted.error),
        },
    }
}

fn expired(now: Option<UnixTime>, until: Option<UnixTime>) -> Explained {
    let words = until.map_or_else(
        || "its certificate has expired".to_owned(),
        |until| format!("its certificate expired on {}", date(until)),
    );
    let clock = now.map(|now| format!(", which says {}", date(now))).unwrap_or_default();
    Explained::new(
        words,
        format!("whoever runs the server must renew the certificate; check this machine's clock{clock}, too"),
    )
}

fn not_yet_valid(now: Option<UnixTime>, from: Option<UnixTime>) -> Explained {
    let words = from.map_or_else(
        || "its certificate is not valid yet".to_owned(),
        |from| format!("its certificate is not valid before {}", date(from)),
    );
    let clock = now.map(|now| format!(", which says {}", date(now))).unwrap_or_default();
    Explained::new(
        words,
        format!(
            "check this machine's clock{clock}; if it is right, whoever runs the server must replace the certificate"
        ),
    )
}

fn other_names(presented: Option<&Presented>, host: &str) -> Explained {
    let Some(presented) = presented else {
        return Explained::new(
            "its certificate is for another host",
            "check the spelling of the address; it must be one that the certificate names",
        );
    };
    if presented.names.is_empty() {
        return Explained::new(
            format!(
                "its certificate names no host as subject alternative name, only a common name ({}), which is not \
                 read any more",
                presented.subject
            ),
            format!(
                "whoever runs the server must have a certificate issued with {host} as subject alternative name (SAN)"
            ),
        );
    }
    let mut names = presented.names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if presented.names.len() > MAX_NAMES {
        names.push_str(&format!(" and {} more", presented.names.len() - MAX_NAMES));
    }
    Explained::new(
        format!("its certificate is for {names}, not for {host}"),
        "use an address with a name that the certificate has, or have this one added to the certificate",
    )
}

fn unknown_issuer(presented: Option<&Presented>, has_own: bool, host: &str) -> Explained {
    let Some(presented) = presented else {
        return Explained::new(
            "its certificate was issued by an authority that is not trusted",
            private_authority("it"),
        );
    };
    let own = "ca_certificates take the place of the public authorities: remove them if the site has a public certificate";
    if is_inspected(presented, host) {
        let authority = &presented.last_issuer;
        return Explained::new(
            format!(
                "its certificate was issued by \"{authority}\", as by a proxy or firewall that inspects TLS"
            ),
            format!(
                "put the certificate of \"{authority}\", in PEM, into ca_certificates, or have {host} exempted from \
                 the inspection"
            ),
        );
    }
    if presented.is_self_signed {
        let words = format!("its certificate ({}) is self-signed and not known here", presented.subject);
        let hint = "put this very certificate, in PEM, into ca_certificates, or have one issued by an authority that is trusted";
        return Explained::new(words, hint);
    }
    let issuer = &presented.issuer;
    match (presented.intermediates, has_own) {
        (0, true) => Explained::new(
            format!(
                "its certificate was issued by \"{issuer}\", which is not among ca_certificates, and the server sent no \
                 intermediate certificates"
            ),
            format!(
                "let the server send its intermediate certificates, or add the certificate of \"{issuer}\", in PEM, to \
                 ca_certificates; {own}"
            ),
        ),
        (0, false) => Explained::new(
            format!(
                "its certificate was issued by \"{issuer}\", an authority that is not trusted, and the server sent no \
                 intermediate certificates"
            ),
            format!(
                "{}; if it is a public authority, let the server send its intermediate certificates",
                private_authority(&format!("\"{issuer}\""))
            ),
        ),
        (_, true) => Explained::new(
            format!(
                "its certificate was issued under \"{}\", which is not among ca_certificates",
                presented.last_issuer
            ),
            format!(
                "add the certificate of \"{}\", in PEM, to ca_certificates; {own}",
                presented.last_issuer
            ),
        ),
        (_, false) => Explained::new(
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
        "if {name} is a private authority, put its certificate, in PEM, into ca_certificates, or add it to those that the server's \
         machine trusts (SSL_CERT_FILE can name a file)"
    )
}

/// Whether somebody on the way shows a certificate of their own.
fn is_inspected(presented: &Presented, host: &str) -> bool {
    let issuers = format!("{} {}", presented.issuer, presented.last_issuer).to_lowercase();
    let name = host.split(':').next().unwrap_or_default();
    INSPECTORS.iter().any(|inspector| issuers.contains(inspector))
        || PUBLIC_SITES.iter().any(|domain| name.ends_with(domain))
}

fn wrong_purpose() -> Explained {
    Explained::new(
        "its certificate is not made for servers",
        "whoever runs the server must have one issued with the extended key usage serverAuth",
    )
}

fn wants_certificate() -> Explained {
    Explained::new(
        "it demands a client certificate",
        "client certificates cannot be given: use an address that does not demand one, or have this machine exempted",
    )
}

fn no_common_cipher() -> Explained {
    Explained::new(
        "it accepts none of the cipher suites that are offered",
        "the server must offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305; some servers also end the \
         handshake like this when they demand a client certificate or do not serve this host",
    )
}

fn no_common_version() -> Explained {
    Explained::new(
        "it accepts neither TLS 1.2 nor TLS 1.3",
        "whoever runs the server must switch on TLS 1.2 or 1.3: older versions are not spoken",
    )
}

fn unnamed(error: &Error) -> Explained {
    Explained::new(
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

// === impl Explained ===

impl Explained {
    fn new(words: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { words: words.into(), hint: hint.into() }
    }
}
