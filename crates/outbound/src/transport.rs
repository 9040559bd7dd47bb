//! What a failure on the way to a server or back means: whether something may have been sent.

use std::error::Error;
use std::io;

use ticketing_core::fault::{Fault, FaultKind};

/// The fault of a request that got no reply.
pub(crate) fn fault(error: &reqwest::Error, host: &str) -> Fault {
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
    if chain(error).any(is_tls) {
        return Fault::new(FaultKind::Tls, format!("no trusted connection to {host}: {cause}")).with_hint(
            "the server's certificate must be valid for this host and issued by a known authority",
        );
    }
    if chain(error).any(|cause| cause.to_string().contains("dns error")) {
        return Fault::new(FaultKind::Dns, format!("{host} does not resolve: {cause}"))
            .with_hint("check the spelling of the address and this machine's DNS");
    }
    Fault::new(FaultKind::Connect, format!("no connection to {host}: {cause}"))
        .with_hint("check the address and port, and that a firewall lets this machine through")
}

/// rustls hands its errors over inside an `io::Error`, which may be inside another.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner))
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The innermost cause: the outer ones repeat the address with its query.
fn root_cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "unknown cause".to_owned(), ToString::to_string)
}
