//! What a failure on the way to a server or back means: whether something may have been sent.

use std::error::Error;
use std::io;

use rustls::CertificateError;
use ticketing_core::fault::{Fault, FaultKind};

use crate::guard::Refused;
use crate::resolve::RefusedAnswer;

/// The fault of a request that was not begun, since `host` may not be called.
pub(crate) fn refused(host: &str, refused: &Refused) -> Fault {
    let message = format!("{host} may not be called: the address {refused}");
    Fault::new(FaultKind::NotPermitted, message).with_hint(refused.hint())
}

/// The fault of a request that got no reply.
pub(crate) fn fault(error: &reqwest::Error, host: &str) -> Fault {
    if let Some(RefusedAnswer { name, refused: rule }) = chain(error).find_map(|cause| cause.downcast_ref()) {
        return refused(name, rule);
    }
    let cause = root_cause(error);
    if error.is_connect() {
        return never_connected(error, host, &cause);
    }
    if error.is_builder() {
        return Fault::new(FaultKind::Misconfigured, format!("no request can be made to {host}: {cause}"));
    }
    if error.is_timeout() {
        return Fault::new(FaultKind::TimedOut, format!("{host} did not answer in time"));
    }
    Fault::new(FaultKind::ConnectionLost, format!("the connection to {host} broke: {cause}"))
}

/// The fault of a reply that broke off.
pub(crate) fn fault_of_reply(error: &reqwest::Error, host: &str) -> Fault {
    if error.is_timeout() {
        return Fault::new(FaultKind::TimedOut, format!("the reply of {host} did not end in time"));
    }
    let cause = root_cause(error);
    Fault::new(FaultKind::ConnectionLost, format!("the reply of {host} broke off: {cause}"))
}

fn never_connected(error: &reqwest::Error, host: &str, cause: &str) -> Fault {
    if let Some(error) = chain(error).find_map(tls_error) {
        let (words, hint) = distrust(error);
        return Fault::new(FaultKind::Tls, format!("no trusted connection to {host}: {words}"))
            .with_hint(hint);
    }
    if chain(error).any(|cause| cause.to_string().contains("dns error")) {
        return Fault::new(FaultKind::Dns, format!("{host} does not resolve: {cause}"))
            .with_hint("check the spelling of the address and this machine's DNS");
    }
    if chain(error).any(|cause| cause.to_string().contains("proxy authorization required")) {
        return Fault::new(FaultKind::Connect, format!("the proxy on the way to {host} asks for a login"))
            .with_hint("give proxy_username and proxy_password with the settings, or have the server's operator give --proxy-logins");
    }
    // A closed port and a filtered one are told in the same words: nobody shall map a network through us.
    tracing::info!(host, cause, "no connection");
    Fault::new(FaultKind::Connect, format!("no connection to {host}"))
        .with_hint("check the address and port, and that a firewall lets this machine through; the server's log has the cause")
}

/// rustls hands its errors over inside an `io::Error`, which may be inside another.
fn tls_error<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let wrapped = || cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.downcast_ref().or_else(|| tls_error(wrapped()?))
}

/// Why a server is not trusted, and what to do about it.
fn distrust(error: &rustls::Error) -> (String, &'static str) {
    use CertificateError as Certificate;
    let (words, hint) = match error {
        rustls::Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => (
            "its certificate has expired",
            "who runs the server must renew the certificate; check this machine's clock, too",
        ),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. },
        ) => ("its certificate is not valid yet", "check this machine's clock"),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => (
            "its certificate is for another host",
            "check the spelling of the address; it must be one that the certificate names",
        ),
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => (
            "its certificate was issued by an authority that this machine does not trust",
            "add the issuing authority to ca_certificates of the settings, to those that this machine trusts, or to the file \
             that SSL_CERT_FILE names",
        ),
        rustls::Error::InvalidMessage(_) => (
            "it does not speak TLS on this port",
            "check the port, and whether the address is meant to be http",
        ),
        _ => {
            let hint = "the server's certificate must be valid for this host and issued by a known authority";
            return (error.to_string(), hint);
        }
    };
    (words.to_owned(), hint)
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The innermost cause: the outer ones repeat the address with its query.
fn root_cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "unknown cause".to_owned(), ToString::to_string)
}
