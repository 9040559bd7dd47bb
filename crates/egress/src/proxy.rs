//! Finds out why a proxy did not open a tunnel.
//!
//! The HTTP client only reports that it did not. So this module sends CONNECT again on its own connection and reads
//! the status and the accepted authentication schemes, nothing else. It does not resend a login that was refused: a
//! second failure could lock the account.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::address_policy::AddressPolicy;
use crate::resolve::Resolver;
use crate::route::ProxyLogin;
use crate::text::base64;

/// Maximum size of a reply head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The reply of a proxy to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectReply {
    /// An HTTP status, and the schemes of `Proxy-Authenticate` in lower case.
    Status(u16, Vec<String>),
    /// Not HTTP.
    NotHttp,
    /// Closed without a reply.
    Closed,
}

/// A CONNECT request to a proxy.
#[derive(Debug)]
pub(crate) struct ConnectRequest<'a> {
    pub(crate) proxy: &'a Url,
    pub(crate) target: &'a Url,
    pub(crate) login: Option<&'a ProxyLogin>,
    pub(crate) addresses: &'a AddressPolicy,
    pub(crate) resolver: &'a dyn Resolver,
    pub(crate) tls: Arc<ClientConfig>,
}

/// Explains a proxy's refusal, as message and hint. The message follows the name of the proxy.
pub(crate) fn explain(answer: &ConnectReply, target: &str, has_login: bool) -> (String, String) {
    let words = |words: &str, hint: &str| (words.to_owned(), hint.to_owned());
    match answer {
        ConnectReply::Status(407, kinds) => login(kinds, has_login),
        ConnectReply::Status(403, _) => (
            format!("refused to connect to {target} (HTTP 403)"),
            format!("ask the administrators of the proxy to permit {target} to this machine"),
        ),
        ConnectReply::Status(status @ (502..=504 | 500), _) => (
            format!("could not connect to {target} (HTTP {status})"),
            "check the spelling of the address; the proxy could not resolve or reach it, and its log says why".to_owned(),
        ),
        ConnectReply::Status(status @ (300..=399 | 511), _) => (
            format!("answered with a page instead of a connection (HTTP {status})"),
            "the proxy wants people to sign in on a page first: have this machine exempted".to_owned(),
        ),
        ConnectReply::Status(429, _) => words("has had too many requests (HTTP 429)", "ask the administrators of the proxy about its limits"),
        ConnectReply::Status(status @ (400 | 404 | 405 | 501), _) => (
            format!("does not open connections (HTTP {status})"),
            "check proxy_url: it must be the address and port of a proxy that takes CONNECT, not of a web server".to_owned(),
        ),
        ConnectReply::Status(status, _) if (200..300).contains(status) => words(
            "answered differently when it was asked again",
            "try again; a balancer may stand before several proxies of different settings",
        ),
        ConnectReply::Status(status, _) => (
            format!("refused the connection to {target} (HTTP {status})"),
            "the proxy's log says why".to_owned(),
        ),
        ConnectReply::NotHttp => words(
            "does not speak HTTP",
            "check proxy_url: its port may be of another protocol, such as SOCKS; a proxy with TLS needs https://",
        ),
        ConnectReply::Closed => words(
            "closed the connection without an answer",
            "check proxy_url and its port, and that the proxy permits this machine; its log may say why",
        ),
    }
}

fn login(kinds: &[String], has_login: bool) -> (String, String) {
    let basic = kinds.is_empty() || kinds.iter().any(|kind| kind == "basic");
    if !basic {
        let named: Vec<&str> = kinds.iter().map(|kind| proper(kind)).collect();
        return (
            format!("accepts only {} logins, which are not supported: only Basic is", named.join(" or ")),
            "no user name or password will help: use a proxy, or a port of it, that takes Basic or no login, have this machine \
             exempted from the login, or set proxy_url to a relay that signs in for it (such as cntlm or px)"
                .to_owned(),
        );
    }
    if has_login {
        return (
            "refused the login".to_owned(),
            "check proxy_username and proxy_password, or the line of this proxy in the file of --proxy-logins; a user of a \
             Windows domain may have to be written DOMAIN\\user"
                .to_owned(),
        );
    }
    (
        "asks for a login".to_owned(),
        "give proxy_username and proxy_password with the settings, or have the server's operator give --proxy-logins"
            .to_owned(),
    )
}

/// The usual spelling of a scheme; an unknown one is not repeated.
fn proper(kind: &str) -> &'static str {
    match kind {
        "ntlm" => "NTLM",
        "negotiate" => "Negotiate (Kerberos or NTLM)",
        "kerberos" => "Kerberos",
        "digest" => "Digest",
        "bearer" => "Bearer",
        _ => "other",
    }
}

// === impl ConnectRequest ===

impl ConnectRequest<'_> {
    /// Sends the request; `None` if the proxy could not be reached.
    pub(crate) async fn send(&self, within: Duration) -> Option<ConnectReply> {
        tokio::time::timeout(TIMEOUT.min(within), self.exchange()).await.ok()?.ok()
    }

    async fn exchange(&self) -> io::Result<ConnectReply> {
        let stream = self.connect().await?;
        if self.proxy.scheme() != "https" {
            return self.request_tunnel(stream).await;
        }
        let name = self.proxy.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        self.request_tunnel(TlsConnector::from(self.tls.clone()).connect(name, stream).await?).await
    }

    /// Connects to a checked address.
    async fn connect(&self) -> io::Result<TcpStream> {
        let port = self.proxy.port_or_known_default().unwrap_or_default();
        let addresses: Vec<IpAddr> = match self.proxy.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => {
                let answers = self.resolver.resolve(name).await?;
                self.addresses.check_answers(name, &answers).map_err(|_| io::ErrorKind::PermissionDenied)?;
                answers
            }
            None => vec![],
        };
        let addresses: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        TcpStream::connect(addresses.as_slice()).await
    }

    async fn request_tunnel(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<ConnectReply> {
        let host = self.target.host_str().unwrap_or_default();
        let port = self.target.port_or_known_default().unwrap_or_default();
        let login = self.login.map(ProxyLogin::header).unwrap_or_default();
        let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while head.len() < MAX_HEAD && !ends(&head) && may_be_http(&head) {
            let mut part = [0; 2_048];
            match stream.read(&mut part).await? {
                0 => break,
                length => head.extend_from_slice(&part[..length]),
            }
        }
        Ok(read(&head))
    }
}

// === impl ProxyLogin ===

impl ProxyLogin {
    /// The header line, with its line end.
    fn header(&self) -> String {
        use secrecy::ExposeSecret;
        let login = base64(&format!("{}:{}", self.user, self.password.expose_secret()));
        format!("Proxy-Authorization: Basic {login}\r\n")
    }
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|window| window == b"\r\n\r\n")
}

/// Stops reading when the reply is not HTTP.
fn may_be_http(head: &[u8]) -> bool {
    head.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

fn read(head: &[u8]) -> ConnectReply {
    if head.is_empty() {
        return ConnectReply::Closed;
    }
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut status = lines.next().unwrap_or_default().split(' ');
    let is_http = status.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let Some(status) = status.next().and_then(|status| status.parse().ok()).filter(|_| is_http) else {
        return ConnectReply::NotHttp;
    };
    let mut kinds: Vec<String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("proxy-authenticate"))
        .flat_map(|(_, value)| kinds_of(value))
        .collect();
    kinds.dedup();
    ConnectReply::Status(status, kinds)
}

/// The first words of a list of challenges; what has an equals sign is a parameter of the one before.
fn kinds_of(value: &str) -> Vec<String> {
    let words = value.split(',').filter_map(|part| part.split_whitespace().next());
    words.filter(|word| !word.contains('=')).map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_kinds_of_login() {
        let head = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM abc=\r\n\
                     Proxy-Authenticate: Digest realm=\"a\", nonce=b, Basic realm=\"c\"\r\n\r\nProxy-Authenticate: X";
        let kinds = ["negotiate", "ntlm", "digest", "basic"].map(str::to_owned).to_vec();
        assert_eq!(read(head), ConnectReply::Status(407, kinds));
        assert_eq!(read(b"HTTP/1.0 503 gone"), ConnectReply::Status(503, vec![]));
        for answer in [&b"\x05\xFF"[..], b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n"] {
            assert_eq!(read(answer), ConnectReply::NotHttp);
        }
        assert_eq!(read(b""), ConnectReply::Closed);
    }

    #[test]
    fn explains_each_refusal_with_a_fix() {
        let explained = |status, kinds: &[&str], has_login| {
            let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            let (words, hint) = explain(&ConnectReply::Status(status, kinds), "jira.example:443", has_login);
            format!("{words}. {hint}")
        };
        assert!(explained(407, &["ntlm", "negotiate"], true).contains("accepts only NTLM or Negotiate"));
        assert!(explained(407, &["evil\u{202E}"], false).contains("accepts only other"));
        assert!(explained(407, &["ntlm", "basic"], true).contains("refused the login"));
        assert!(explained(407, &["basic"], false).contains("proxy_username"));
        assert!(explained(407, &[], false).contains("asks for a login"));
        assert!(explained(403, &[], false).contains("permit jira.example:443"));
        assert!(explained(503, &[], false).contains("could not connect to jira.example:443"));
        assert!(explained(302, &[], false).contains("a page instead"));
        assert!(explained(405, &[], false).contains("not of a web server"));
    }
}
