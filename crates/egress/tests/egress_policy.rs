//! The client calls only addresses that the policy allows, whatever a name resolves to.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Certainty, Fault, FaultKind, Scope};
use ticketing_core::violation::Violations;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_egress::{
    Authorization, CachingResolver, EgressPolicy, HttpClient, ProxyLogins, Reply, Request, ResolveFuture,
    Resolver, Route, RouteDraft,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// An attacker's DNS server: each query gets the next answer, and the last one repeats.
#[derive(Debug, Default)]
struct ScriptedResolver {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Resolver for ScriptedResolver {
    fn resolve(&self, name: &str) -> ResolveFuture {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { next.ok_or_else(|| io::Error::other("no such name")) })
    }
}

impl ScriptedResolver {
    fn new(answers: &[&str]) -> Arc<Self> {
        let read = |text: &&str| text.split(' ').map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(read).collect()), ..Self::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// An internal service that must not be called; it answers every connection.
struct InternalService {
    port: u16,
    calls: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl InternalService {
    async fn start(greeting: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let heard = Arc::new(Mutex::new(vec![]));
        tokio::spawn({
            let calls = calls.clone();
            let heard = heard.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    calls.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(greet(stream, greeting, heard.clone()));
                }
            }
        });
        Self { port, calls, heard }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

/// Reads once, answers, and goes on reading.
async fn greet(mut stream: TcpStream, greeting: &'static str, heard: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4_096];
    let mut greeting = Some(greeting);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        heard.lock().unwrap().extend_from_slice(&buffer[..read]);
        if let Some(greeting) = greeting.take() {
            let _ = stream.write_all(greeting.as_bytes()).await;
        }
    }
}

/// Of a request.
const MAX_TIMEOUT: Duration = Duration::from_secs(10);
const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nbanner";

fn egress_policy(permitted: &str, resolver: &Arc<ScriptedResolver>) -> EgressPolicy {
    let permissions = permitted.split_whitespace().map(|text| text.parse().unwrap()).collect();
    EgressPolicy { resolver: resolver.clone(), ..AddressPolicy::permitting(permissions).into() }
}

async fn get(client: &HttpClient, url: &str) -> Result<Reply, Fault> {
    let login = Authorization::bearer(&SecretString::from("canary"));
    client.send(Request::get(url.parse().unwrap(), Some(login), Duration::from_secs(5))).await
}

fn client(permitted: &str, resolver: &Arc<ScriptedResolver>) -> HttpClient {
    HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, egress_policy(permitted, resolver)).unwrap()
}

#[track_caller]
fn assert_refused(result: &Result<Reply, Fault>) {
    let fault = result.as_ref().unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotPermitted, "{fault}");
    assert!(!format!("{fault:?}").contains("banner"), "{fault:?}");
    assert!(!fault.hint.is_empty());
}

#[tokio::test]
async fn refuses_name_that_resolves_to_internal_address() {
    let inner = InternalService::start(OK).await;
    let within =
        ["127.0.0.1", "::ffff:127.0.0.1", "1.1.1.1 127.0.0.1", "127.0.0.1 1.1.1.1", "169.254.169.254"];
    for answer in within {
        let names = ScriptedResolver::new(&[answer]);
        // The port is permitted: only the resolved address is forbidden.
        let evil = format!("evil.example:{}", inner.port);
        assert_refused(&get(&client(&evil, &names), &format!("https://{evil}")).await);
        assert_eq!(names.asked(), ["evil.example"]);
    }
    for answer in ["10.0.0.1", "fd00::1", "100.64.0.1", "64:ff9b::1.1.1.1", "198.18.0.1 1.1.1.1"] {
        assert_refused(&get(&client("", &ScriptedResolver::new(&[answer])), "https://evil.example").await);
    }
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn checks_each_connection_against_dns_rebinding() {
    let inner = InternalService::start(OK).await;
    // 127.0.0.1 takes the part of a public address, 127.0.0.2 of an internal one.
    let names = ScriptedResolver::new(&["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"]);
    let client = client("rebinding.example 127.0.0.1", &names);
    let url = format!("http://rebinding.example:{}", inner.port);
    assert_eq!(get(&client, &url).await.unwrap().status, 200);
    assert_refused(&get(&client, &url).await);
    assert_eq!(get(&client, &url).await.unwrap().status, 200);
    assert_refused(&get(&client, &url).await);
    assert_eq!(names.asked().len(), 4, "asked once for each connection, before it");
    assert_eq!(inner.calls(), 2);
}

#[tokio::test]
async fn checks_cached_answer_again() {
    let names = ScriptedResolver::new(&["127.0.0.2", "127.0.0.1"]);
    let resolver = Arc::new(CachingResolver::new(names.clone()));
    let policy = EgressPolicy { resolver, ..egress_policy("evil.example:1 127.0.0.1", &names) };
    let client = HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, policy).unwrap();
    for _ in 0..3 {
        assert_refused(&get(&client, "https://evil.example:1").await);
    }
    assert_eq!(names.asked().len(), 1);
}

#[tokio::test]
async fn resolves_again_after_failure_to_connect() {
    let inner = InternalService::start(OK).await;
    let names = ScriptedResolver::new(&["127.0.0.3", "127.0.0.1"]);
    let resolver = Arc::new(CachingResolver::new(names.clone()));
    let policy = EgressPolicy { resolver, ..egress_policy("moved.example 127.0.0.0/8", &names) };
    let client = HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, policy).unwrap();
    let url = format!("http://moved.example:{}", inner.port);
    assert_eq!(get(&client, &url).await.unwrap_err().kind, FaultKind::Connect);
    assert_eq!(get(&client, &url).await.unwrap().status, 200);
}

#[tokio::test]
async fn checks_literal_address_without_resolving() {
    let inner = InternalService::start(OK).await;
    let names = ScriptedResolver::new(&["127.0.0.1"]);
    let client = client("", &names);
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0x7f.1", "2130706433", "localhost", "0.0.0.0"] {
        for scheme in ["http", "https"] {
            assert_refused(&get(&client, &format!("{scheme}://{host}:{}", inner.port)).await);
        }
    }
    assert_eq!((inner.calls(), names.asked().len()), (0, 0));
}

#[tokio::test]
async fn refusal_does_not_reveal_whether_host_exists() {
    let inner = InternalService::start(OK).await;
    let client = client("", &ScriptedResolver::new(&["127.0.0.1"]));
    let message = async |port: u16| {
        let fault = get(&client, &format!("https://127.0.0.1:{port}")).await.unwrap_err();
        format!("{fault:?}").replace(&format!(":{port}"), ":PORT")
    };
    assert_eq!(message(inner.port).await, message(1).await);
    let name = async |port: u16| get(&client, &format!("https://within.example:{port}")).await.unwrap_err();
    assert_eq!(name(443).await, name(8443).await);
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn keeps_name_for_host_header_and_tls() {
    let inner = InternalService::start(OK).await;
    let names = ScriptedResolver::new(&["127.0.0.1"]);
    let client = client("jira.corp 127.0.0.1", &names);
    assert_eq!(get(&client, &format!("http://jira.corp:{}", inner.port)).await.unwrap().status, 200);
    assert!(inner.heard().contains(&format!("host: jira.corp:{}", inner.port)), "{}", inner.heard());
    let hello = InternalService::start("no TLS").await;
    let fault = get(&client, &format!("https://jira.corp:{}", hello.port)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Tls, "{fault}");
    assert!(hello.heard().contains("jira.corp") && !hello.heard().contains("canary"));
}

#[tokio::test]
async fn reports_closed_and_filtered_port_alike() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = client("127.0.0.1", &ScriptedResolver::new(&["127.0.0.1"]));
    let refused = get(&client, &format!("https://{silent}")).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Connect);
    assert_eq!(refused.message, format!("no connection to {silent}"));
    assert!(!refused.to_string().contains("refused"), "{refused}");
}

#[test]
fn address_refusal_is_definite_failure() {
    let kind = FaultKind::NotPermitted;
    assert_eq!((kind.certainty(), kind.scope()), (Certainty::Definite, Scope::Connection));
}

fn by_proxy(client: &HttpClient, url: &str) -> HttpClient {
    let draft = RouteDraft { proxy_url: Some(url.to_owned()), ..RouteDraft::default() };
    let mut violations = Violations::default();
    let route = Route::parse(&draft, None, "jira", &mut violations).unwrap_or_else(|| panic!("{violations}"));
    client.with_route(&route).unwrap()
}

#[tokio::test]
async fn connects_through_proxy_without_resolving_target() {
    let proxy = InternalService::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let names = ScriptedResolver::new(&["127.0.0.1"]);
    let authority = format!("proxy.corp:{}", proxy.port);
    let logins = ProxyLogins::parse(&format!("{authority} bot:secret\n")).unwrap();
    let egress_policy = EgressPolicy { logins, ..egress_policy(&format!("{authority} 127.0.0.1"), &names) };
    let client = by_proxy(
        &HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, egress_policy).unwrap(),
        &format!("http://{authority}"),
    );
    let url = "https://jira.example".parse().unwrap();
    let login = Authorization::bearer(&SecretString::from("canary"));
    let fault = client.send(Request::get(url, Some(login), Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(
        fault.kind.certainty(),
        if fault.kind == FaultKind::TimedOut { Certainty::Ambiguous } else { Certainty::Definite }
    );
    let heard = proxy.heard();
    assert!(heard.starts_with("CONNECT jira.example:443 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_lowercase().contains("proxy-authorization: basic ym90onnly3jlda=="), "{heard}");
    assert!(!heard.contains("canary"), "the login goes through TLS alone");
    assert_eq!(names.asked(), ["proxy.corp"]);
}

#[tokio::test]
async fn reports_missing_proxy_login_and_hides_proxy_page() {
    let names = ScriptedResolver::new(&["127.0.0.1"]);
    let asks = InternalService::start("HTTP/1.1 407 x\r\ncontent-length: 6\r\n\r\nbanner").await;
    let refuses = InternalService::start("HTTP/1.1 403 banner\r\ncontent-length: 6\r\n\r\nbanner").await;
    for (proxy, words) in [(asks, "asks for a login"), (refuses, "refused to connect to jira.example")] {
        let client = by_proxy(&client("127.0.0.1", &names), &format!("http://127.0.0.1:{}", proxy.port));
        let fault = get(&client, "https://jira.example").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Connect, "{fault}");
        assert!(fault.message.contains(words) && !format!("{fault:?}").contains("banner"), "{fault:?}");
    }
}

#[tokio::test]
async fn checks_addresses_of_proxy_and_target() {
    let proxy = InternalService::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let names = ScriptedResolver::new(&["127.0.0.1"]);
    let authority = format!("127.0.0.1:{}", proxy.port);
    assert_refused(
        &get(&by_proxy(&client("", &names), &format!("http://{authority}")), "https://jira.example").await,
    );
    assert_refused(&get(&by_proxy(&client("", &names), "https://proxy.corp"), "https://jira.example").await);
    let through = by_proxy(&client(&authority, &names), &format!("http://{authority}"));
    for url in [
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://localhost",
        "https://metadata.google.internal",
    ] {
        assert_refused(&get(&through, url).await);
    }
    let with_http =
        by_proxy(&client(&format!("{authority} jira.corp"), &names), &format!("http://{authority}"));
    assert_refused(&get(&with_http, "http://jira.corp").await);
    assert_eq!(proxy.calls(), 0);
}

#[tokio::test]
async fn honors_no_proxy() {
    let (proxy, inner) =
        (InternalService::start("HTTP/1.1 403 x\r\n\r\n").await, InternalService::start(OK).await);
    let names = ScriptedResolver::new(&["127.0.0.1"]);
    let url = format!("http://bot:secret@127.0.0.1:{}", proxy.port);
    let route = Route::from_environment(&url, Some("within.corp".to_owned())).unwrap();
    let egress_policy =
        EgressPolicy { route, ..egress_policy("127.0.0.1 within.corp outside.example", &names) };
    let client = HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, egress_policy).unwrap();
    let fault = get(&client, &format!("https://outside.example:{}", inner.port)).await.unwrap_err();
    assert_eq!((fault.kind, inner.calls()), (FaultKind::Connect, 0));
    assert!(!fault.message.contains("127.0.0.1"), "the operator's proxy is not named: {fault}");
    let asked = proxy.calls();
    let fault = get(&client, &format!("https://within.corp:{}", inner.port)).await.unwrap_err();
    assert_eq!((fault.kind, proxy.calls(), inner.calls()), (FaultKind::Tls, asked, 1));
}

/// What is explained of a proxy that gives this answer, and how often the login was sent.
async fn fault_of_proxy(answer: &'static str, has_login: bool) -> (Fault, usize) {
    let proxy = InternalService::start(answer).await;
    let authority = format!("127.0.0.1:{}", proxy.port);
    let logins = if has_login { format!("{authority} bot:canary") } else { String::new() };
    let logins = ProxyLogins::parse(&logins).unwrap();
    let egress_policy =
        EgressPolicy { logins, ..egress_policy("127.0.0.1", &ScriptedResolver::new(&["127.0.0.1"])) };
    let client = by_proxy(
        &HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, egress_policy).unwrap(),
        &format!("http://{authority}"),
    );
    let fault = get(&client, "https://jira.example").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Connect, "{fault}");
    assert!(fault.message.contains(&authority), "{fault}");
    let sent = proxy.heard().to_lowercase().matches("proxy-authorization").count();
    (fault, sent)
}

#[tokio::test]
async fn reports_proxy_without_basic_authentication() {
    let answer = "HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\ncontent-length: 0\r\n\r\n";
    for has_login in [false, true] {
        let (fault, _) = fault_of_proxy(answer, has_login).await;
        assert!(
            fault.message.contains("NTLM") && fault.hint.contains("no user name or password will help"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn sends_refused_proxy_login_only_once() {
    let (fault, sent) =
        fault_of_proxy("HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", true).await;
    assert!(fault.message.contains("refused the login") && fault.hint.contains("proxy_password"), "{fault}");
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn reports_refusals_of_proxy() {
    let table = [
        ("HTTP/1.1 403 x\r\n\r\n", "HTTP 403", "permit jira.example"),
        ("HTTP/1.1 502 x\r\n\r\n", "could not connect to jira.example (HTTP 502)", "spelling"),
        ("HTTP/1.1 503 x\r\n\r\n", "could not connect to jira.example (HTTP 503)", "spelling"),
        ("HTTP/1.1 302 x\r\nlocation: /\r\n\r\n<html>", "a page instead of a connection", "exempted"),
        ("HTTP/1.1 405 x\r\n\r\n", "does not open connections", "CONNECT"),
        ("\u{5}\u{2}", "does not speak HTTP", "SOCKS"),
    ];
    for (answer, words, hint) in table {
        let (fault, _) = fault_of_proxy(answer, false).await;
        assert!(fault.message.contains(words) && fault.hint.contains(hint), "{fault}");
    }
}

#[tokio::test]
async fn reports_unreachable_proxy() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client =
        by_proxy(&client("127.0.0.1", &ScriptedResolver::new(&["127.0.0.1"])), &format!("http://{closed}"));
    let fault = get(&client, "https://jira.example").await.unwrap_err();
    assert_eq!(fault.message, format!("no connection to the proxy {closed}"));
    assert!(fault.hint.contains("proxy_url"), "{fault}");
}
