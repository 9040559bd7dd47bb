//! Classifies transport failures: definite failure or unknown outcome, with a hint.

use std::error::Error;
use std::io;

use rustls::Error as TlsError;
use ticketing_core::fault::{Fault, FaultKind};

use crate::address_policy::AddressRefused;
use crate::decode::DecodeError;
use crate::resolve::AnswerRefused;
use crate::tls_faults::{self, TlsExplanation};

/// Context of a failed request.
#[derive(Debug)]
pub(crate) struct RequestRoute<'a> {
    /// The called host, with its port unless it is the default.
    pub(crate) host: &'a str,
    pub(crate) is_https: bool,
    /// Display name of the proxy, if there may be one.
    pub(crate) proxy: Option<String>,
    /// An environment variable that names a proxy which is not used.
    pub(crate) ignored_proxy: Option<&'static str>,
    /// Whether the server requested a client certificate.
    pub(crate) is_certificate_requested: bool,
}

/// Why a request has no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    Failed(reqwest::Error),
    /// There was no connection in its time, so it was not sent.
    NotConnected,
}

/// A proxy that was reached but opened no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TunnelRefusal {
    /// It requires a login, or rejected the given one.
    Login,
    Other,
}

/// The fault of a request that was not sent because `host` is forbidden.
pub(crate) fn refused(host: &str, refused: &AddressRefused) -> Fault {
    let message = format!("{host} may not be called: the address {refused}");
    Fault::new(FaultKind::NotPermitted, message).with_hint(refused.hint())
}

/// Whether a proxy opened no tunnel. The client has no error type for it, only a message.
pub(crate) fn tunnel_refusal(error: &reqwest::Error) -> Option<TunnelRefusal> {
    let words = chain(error).map(ToString::to_string).find(|words| words.starts_with("tunnel error: "))?;
    match words.trim_start_matches("tunnel error: ") {
        "proxy authorization required" => Some(TunnelRefusal::Login),
        "failed to create underlying connection" => None,
        _ => Some(TunnelRefusal::Other),
    }
}

/// The fault of a request without a reply.
pub(crate) fn fault(error: &reqwest::Error, route: &RequestRoute<'_>) -> Fault {
    if let Some(AnswerRefused { name, refused: rule }) = chain(error).find_map(|cause| cause.downcast_ref()) {
        return refused(name, rule);
    }
    if error.is_connect() {
        return never_connected(error, route);
    }
    let host = route.host;
    let cause = root_cause(error);
    if error.is_builder() {
        return Fault::new(FaultKind::Misconfigured, format!("no request can be made to {host}: {cause}"));
    }
    if let Some(TlsError::AlertReceived(alert)) = chain(error).find_map(tls_error)
        && tls_faults::is_about_client_certificate(*alert, route.is_certificate_requested)
    {
        // In TLS 1.3 this alert arrives after the handshake, when the request may have been sent. The server does not
        // read it then.
        let error = TlsError::AlertReceived(*alert);
        return untrusted(host, tls_faults::explain(&error, host, route.is_certificate_requested));
    }
    if error.is_timeout() {
        return Fault::new(FaultKind::TimedOut, format!("{host} did not answer in time"));
    }
    if is_not_http(error) {
        let hint = if route.is_https {
            "check the port: another service may listen there"
        } else {
            "the server may expect https: check the address, and the port"
        };
        return Fault::new(FaultKind::ConnectionLost, format!("{host} did not answer in HTTP"))
            .with_hint(hint);
    }
    let kind = if is_unsent(error) { FaultKind::Connect } else { FaultKind::ConnectionLost };
    let fault = Fault::new(kind, format!("the connection to {host} broke: {cause}"));
    match (route.is_certificate_requested, route.is_https) {
        (true, _) => fault.with_hint(
            "the server requested a client certificate, which is not supported: it may have ended the connection for \
             want of one",
        ),
        (false, false) => {
            fault.with_hint("if this goes on, check the port, and whether the address is meant to be https")
        }
        (false, true) => fault,
    }
}

/// Whether not one byte of the request was written, because its connection had ended before.
pub(crate) fn is_unsent(error: &reqwest::Error) -> bool {
    chain(error).filter_map(<dyn Error>::downcast_ref).any(hyper::Error::is_canceled)
}

/// Whether no address of the host, or of the proxy, could be connected to.
pub(crate) fn is_unreachable(error: &reqwest::Error) -> bool {
    error.is_connect() && !chain(error).any(<dyn Error>::is::<AnswerRefused>)
}

/// Whether the connection ended before a reply, in contrast to a reply that is late or no HTTP.
pub(crate) fn has_ended(error: &reqwest::Error) -> bool {
    !error.is_connect() && !error.is_builder() && !error.is_timeout() && !is_not_http(error)
}

/// The fault of a request that was not sent because there was no connection in its time.
pub(crate) fn not_connected_in_time(host: &str) -> Fault {
    Fault::new(FaultKind::Connect, format!("no connection to {host} in time"))
        .with_hint("check the address and port, and that a firewall lets this machine through")
}

/// The fault of a reply that was cut off.
pub(crate) fn fault_of_reply(error: &reqwest::Error, host: &str) -> Fault {
    if error.is_timeout() {
        return Fault::new(FaultKind::TimedOut, format!("the reply of {host} did not end in time"));
    }
    let cause = root_cause(error);
    Fault::new(FaultKind::ConnectionLost, format!("the reply of {host} broke off: {cause}"))
}

/// The fault of a reply that cannot be decoded.
pub(crate) fn decode_fault(error: &DecodeError, host: &str) -> Fault {
    let hint = match error {
        DecodeError::TooLarge(_) => "",
        DecodeError::Damaged(_) | DecodeError::Unknown(_) => {
            "a gateway before the ticket system compresses its replies without being asked: have that switched off"
        }
    };
    Fault::new(FaultKind::UnreadableReply, format!("the reply of {host} {error}")).with_hint(hint)
}

/// The fault of a proxy that opened no tunnel.
pub(crate) fn refused_by_proxy(
    route: &RequestRoute<'_>,
    refusal: TunnelRefusal,
    explained: Option<(String, String)>,
) -> Fault {
    let proxy = route.proxy.as_deref().unwrap_or("the proxy");
    let host = route.host;
    let (words, hint) = explained.unwrap_or_else(|| match refusal {
        TunnelRefusal::Login => {
            crate::proxy::explain(&crate::proxy::ConnectReply::Status(407, vec![]), host, false)
        }
        TunnelRefusal::Other => (format!("did not connect to {host}"), "the proxy's log says why".to_owned()),
    });
    Fault::new(FaultKind::Connect, format!("no connection to {host}: {proxy} {words}")).with_hint(hint)
}

fn never_connected(error: &reqwest::Error, route: &RequestRoute<'_>) -> Fault {
    let host = route.host;
    let cause = root_cause(error);
    let is_of_proxy =
        chain(error).any(|cause| cause.to_string() == "tunnel error: failed to create underlying connection");
    let proxy = route.proxy.as_deref().filter(|_| is_of_proxy);
    let peer = proxy.unwrap_or(host);
    if let Some(error) = chain(error).find_map(tls_error) {
        return untrusted(peer, tls_faults::explain(error, peer, route.is_certificate_requested));
    }
    if chain(error).any(|cause| cause.to_string().contains("dns error")) {
        return Fault::new(FaultKind::Dns, format!("{peer} does not resolve: {cause}")).with_hint(
            with_ignored(
                route,
                if proxy.is_some() {
                    "check the spelling of proxy_url and this machine's DNS"
                } else {
                    "check the spelling of the address and this machine's DNS"
                },
            ),
        );
    }
    if route.is_https && chain(error).any(is_cut_off) {
        let TlsExplanation { message, hint } = tls_faults::cut_off(route.is_certificate_requested);
        return untrusted(peer, TlsExplanation { message, hint: with_ignored(route, &hint) });
    }
    // A closed port and a filtered one get the same message: callers must not be able to scan a network.
    tracing::info!(host, cause, "no connection");
    let hint = if proxy.is_some() {
        "check proxy_url and its port, and that a firewall lets this machine through to the proxy; the server's log has the cause"
    } else {
        "check the address and port, and that a firewall lets this machine through; the server's log has the cause"
    };
    Fault::new(FaultKind::Connect, format!("no connection to {peer}")).with_hint(with_ignored(route, hint))
}

fn untrusted(peer: &str, TlsExplanation { message, hint }: TlsExplanation) -> Fault {
    Fault::new(FaultKind::Tls, format!("no trusted connection to {peer}: {message}")).with_hint(hint)
}

/// The hint, with a note about an ignored proxy.
fn with_ignored(route: &RequestRoute<'_>, hint: &str) -> String {
    match route.ignored_proxy.filter(|_| route.proxy.is_none()) {
        Some(variable) => format!(
            "{hint}; {variable} is set but not used: set proxy_url with the settings, or start the server with \
             --proxy-from-environment"
        ),
        None => hint.to_owned(),
    }
}

/// Whether an established connection was closed. The error may be nested.
fn is_cut_off(cause: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind as Kind;
    let Some(error) = cause.downcast_ref::<io::Error>() else { return false };
    matches!(
        error.kind(),
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted
    ) || error.get_ref().is_some_and(|inner| is_cut_off(inner))
}

/// Whether the reply is not HTTP. The client has no error type for it, only a message.
fn is_not_http(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| cause.to_string().contains("invalid HTTP"))
}

/// rustls errors are wrapped in an `io::Error`, which may be nested.
fn tls_error<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    let wrapped = || cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.downcast_ref().or_else(|| tls_error(wrapped()?))
}

/// The causes of an error.
pub(crate) fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The innermost cause: the outer ones repeat the URL with its query.
fn root_cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "unknown cause".to_owned(), ToString::to_string)
}
