//! Classifies transport failures: definite failure or unknown outcome, with a hint.

use std::error::Error;
use std::io;

use rustls::Error as TlsError;
use ticketing_core::fault::{Fault, FaultKind};

use crate::address_policy::AddressRefused;
use crate::connection::SendError;
use crate::decode::DecodeError;
use crate::dial::{DialError, DialFailure};
use crate::proxy;
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

/// The fault of a request that was not sent because `host` is forbidden.
pub(crate) fn refused(host: &str, refused: &AddressRefused) -> Fault {
    let message = format!("{host} may not be called: the address {refused}");
    Fault::new(FaultKind::NotPermitted, message).with_hint(refused.hint())
}

/// The fault of a request without a reply. If not one byte of it was written, the failure is definite.
pub(crate) fn fault(error: &SendError, route: &RequestRoute<'_>) -> Fault {
    let host = route.host;
    if let Some(TlsError::AlertReceived(alert)) = error.chain().find_map(tls_error)
        && tls_faults::is_about_client_certificate(*alert, route.is_certificate_requested)
    {
        // In TLS 1.3 this alert arrives after the handshake, when the request may have been sent. The server does not
        // read it then.
        let error = TlsError::AlertReceived(*alert);
        return untrusted(host, tls_faults::explain(&error, host, route.is_certificate_requested));
    }
    let kind = if error.is_unsent { FaultKind::Connect } else { FaultKind::ConnectionLost };
    if error.chain().any(is_not_http) {
        let hint = if route.is_https {
            "check the port: another service may listen there"
        } else {
            "the server may expect https: check the address, and the port"
        };
        return Fault::new(kind, format!("{host} did not answer in HTTP")).with_hint(hint);
    }
    let cause = root_cause(error.chain());
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

/// The fault of a request that the URL or its parts do not permit.
pub(crate) fn no_request(host: &str, error: &http::Error) -> Fault {
    Fault::new(FaultKind::Misconfigured, format!("no request can be made to {host}: {error}"))
}

/// The fault of a request without a reply in time.
pub(crate) fn no_reply_in_time(host: &str) -> Fault {
    Fault::new(FaultKind::TimedOut, format!("{host} did not answer in time"))
}

/// The fault of a reply that did not end in time.
pub(crate) fn no_end_in_time(host: &str) -> Fault {
    Fault::new(FaultKind::TimedOut, format!("the reply of {host} did not end in time"))
}

/// The fault of a reply that was cut off.
pub(crate) fn fault_of_reply(error: &hyper::Error, host: &str) -> Fault {
    let cause = root_cause(causes(error));
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

/// The fault of a request for which no connection could be opened.
pub(crate) fn not_connected(error: &DialError, route: &RequestRoute<'_>) -> Fault {
    let host = route.host;
    let proxy = route.proxy.as_deref().filter(|_| error.is_of_proxy);
    let peer = proxy.unwrap_or(host);
    match &error.cause {
        DialFailure::Refused(AnswerRefused { name, refused: rule }) => refused(name, rule),
        DialFailure::Tunnel { reply, has_login } => {
            let proxy = route.proxy.as_deref().unwrap_or("the proxy");
            let (words, hint) = proxy::explain(reply, host, *has_login);
            let message = format!("no connection to {host}: {proxy} {words}");
            Fault::new(FaultKind::Connect, message).with_hint(hint)
        }
        DialFailure::Dns(cause) => {
            let hint = match proxy {
                Some(_) => "check the spelling of proxy_url and this machine's DNS",
                None => "check the spelling of the address and this machine's DNS",
            };
            let message = format!("{peer} does not resolve: {}", root_cause(causes(cause)));
            Fault::new(FaultKind::Dns, message).with_hint(with_ignored(route, hint))
        }
        DialFailure::Tls(cause) => match causes(cause).find_map(tls_error) {
            Some(error) => untrusted(peer, tls_faults::explain(error, peer, route.is_certificate_requested)),
            None if causes(cause).any(is_cut_off) => cut_off(peer, route),
            None => no_connection(peer, route, &root_cause(causes(cause))),
        },
        // The connection was accepted, and reset at once.
        DialFailure::Tcp(cause) if route.is_https && causes(cause.as_ref()).any(is_cut_off) => {
            cut_off(peer, route)
        }
        DialFailure::Tcp(cause) => no_connection(peer, route, &root_cause(causes(cause.as_ref()))),
        DialFailure::TimedOut => no_connection(peer, route, "timed out"),
    }
}

/// A closed port and a filtered one get the same message: callers must not be able to scan a network.
fn no_connection(peer: &str, route: &RequestRoute<'_>, cause: &str) -> Fault {
    tracing::info!(host = route.host, cause, "no connection");
    let hint = if peer == route.host {
        "check the address and port, and that a firewall lets this machine through; the server's log has the cause"
    } else {
        "check proxy_url and its port, and that a firewall lets this machine through to the proxy; the server's log has the cause"
    };
    Fault::new(FaultKind::Connect, format!("no connection to {peer}")).with_hint(with_ignored(route, hint))
}

fn cut_off(peer: &str, route: &RequestRoute<'_>) -> Fault {
    let TlsExplanation { message, hint } = tls_faults::cut_off(route.is_certificate_requested);
    untrusted(peer, TlsExplanation { message, hint: with_ignored(route, &hint) })
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
fn is_not_http(cause: &(dyn Error + 'static)) -> bool {
    cause.to_string().contains("invalid HTTP")
}

/// rustls errors are wrapped in an `io::Error`, which may be nested.
fn tls_error<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    let wrapped = || cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.downcast_ref().or_else(|| tls_error(wrapped()?))
}

/// `error` and its causes.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// The innermost cause.
fn root_cause<'e>(causes: impl Iterator<Item = &'e (dyn Error + 'static)>) -> String {
    causes.last().map_or_else(|| "unknown cause".to_owned(), ToString::to_string)
}
