//! The door calls nobody whom the guard refuses, whatever a name turns out to stand for.

#![allow(clippy::unwrap_used, reason = "a test that can not go on fails")]

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
use ticketing_outbound::guard::Guard;
use ticketing_outbound::{
    Answers, Authorization, Door, Names, ProxyLogins, Reach, Reply, Request, Route, RouteDraft,
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

/// A DNS server in the hands of an attacker: each question has the next answer, the last one for ever.
#[derive(Debug, Default)]
struct Told {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names for Told {
    fn addresses(&self, name: &str) -> Answers {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { next.ok_or_else(|| io::Error::other("no such name")) })
    }
}

impl Told {
    fn new(answers: &[&str]) -> Arc<Self> {
        let read = |text: &&str| text.split(' ').map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(read).collect()), ..Self::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Something within, that must not be called: it greets whoever comes.
struct Inner {
    port: u16,
    calls: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Inner {
    async fn start(greeting: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (calls, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
        tokio::spawn({
            let (calls, heard) = (calls.clone(), heard.clone());
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
const LONGEST: Duration = Duration::from_secs(10);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nbanner";

fn reach(permitted: &str, names: &Arc<Told>) -> Reach {
    let permissions = permitted.split_whitespace().map(|text| text.parse().unwrap()).collect();
    Reach { names: names.clone(), ..Guard::permitting(permissions).into() }
}

async fn get(door: &Door, url: &str) -> Result<Reply, Fault> {
    let login = Authorization::bearer(&SecretString::from("canary"));
    door.send(Request::get(url.parse().unwrap(), Some(login), Duration::from_secs(5))).await
}

fn door(permitted: &str, names: &Arc<Told>) -> Door {
    Door::new(Arc::new(Epoch), LONGEST, reach(permitted, names)).unwrap()
}

#[track_caller]
fn is_refused(result: &Result<Reply, Fault>) {
    let fault = result.as_ref().unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotPermitted, "{fault}");
    assert!(!format!("{fault:?}").contains("banner"), "{fault:?}");
    assert!(!fault.hint.is_empty());
}

#[tokio::test]
async fn a_name_that_stands_for_something_within_is_not_called() {
    let inner = Inner::start(OK).await;
    let within =
        ["127.0.0.1", "::ffff:127.0.0.1", "1.1.1.1 127.0.0.1", "127.0.0.1 1.1.1.1", "169.254.169.254"];
    for answer in within {
        let names = Told::new(&[answer]);
        // The port is permitted: only what the name stands for is in the way.
        let evil = format!("evil.example:{}", inner.port);
        is_refused(&get(&door(&evil, &names), &format!("https://{evil}")).await);
        assert_eq!(names.asked(), ["evil.example"]);
    }
    for answer in ["10.0.0.1", "fd00::1", "100.64.0.1", "64:ff9b::1.1.1.1", "198.18.0.1 1.1.1.1"] {
        is_refused(&get(&door("", &Told::new(&[answer])), "https://evil.example").await);
    }
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_anew_and_never_called_unjudged() {
    let inner = Inner::start(OK).await;
    // 127.0.0.1 is in the place of a public address here, 127.0.0.2 of one within.
    let names = Told::new(&["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"]);
    let door = door("rebinding.example 127.0.0.1", &names);
    let url = format!("http://rebinding.example:{}", inner.port);
    assert_eq!(get(&door, &url).await.unwrap().status, 200);
    is_refused(&get(&door, &url).await);
    assert_eq!(get(&door, &url).await.unwrap().status, 200);
    is_refused(&get(&door, &url).await);
    assert_eq!(names.asked().len(), 4, "asked once for each request, before it");
    assert_eq!(inner.calls(), 2);
}

#[tokio::test]
async fn an_address_that_is_written_out_is_judged_although_nobody_is_asked_for_it() {
    let inner = Inner::start(OK).await;
    let names = Told::new(&["127.0.0.1"]);
    let door = door("", &names);
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0x7f.1", "2130706433", "localhost", "0.0.0.0"] {
        for scheme in ["http", "https"] {
            is_refused(&get(&door, &format!("{scheme}://{host}:{}", inner.port)).await);
        }
    }
    assert_eq!((inner.calls(), names.asked().len()), (0, 0));
}

#[tokio::test]
async fn what_is_refused_is_told_alike_whether_somebody_is_there_or_not() {
    let inner = Inner::start(OK).await;
    let door = door("", &Told::new(&["127.0.0.1"]));
    let told = async |port: u16| {
        let fault = get(&door, &format!("https://127.0.0.1:{port}")).await.unwrap_err();
        format!("{fault:?}").replace(&format!(":{port}"), ":PORT")
    };
    assert_eq!(told(inner.port).await, told(1).await);
    let name = async |port: u16| get(&door, &format!("https://within.example:{port}")).await.unwrap_err();
    assert_eq!(name(443).await, name(8443).await);
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn the_name_is_kept_for_the_server_and_for_tls() {
    let inner = Inner::start(OK).await;
    let names = Told::new(&["127.0.0.1"]);
    let door = door("jira.corp 127.0.0.1", &names);
    assert_eq!(get(&door, &format!("http://jira.corp:{}", inner.port)).await.unwrap().status, 200);
    assert!(inner.heard().contains(&format!("host: jira.corp:{}", inner.port)), "{}", inner.heard());
    let hello = Inner::start("no TLS").await;
    let fault = get(&door, &format!("https://jira.corp:{}", hello.port)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Tls, "{fault}");
    assert!(hello.heard().contains("jira.corp") && !hello.heard().contains("canary"));
}

#[tokio::test]
async fn a_closed_port_and_a_silent_one_are_told_in_the_same_words() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let door = door("127.0.0.1", &Told::new(&["127.0.0.1"]));
    let refused = get(&door, &format!("https://{silent}")).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Connect);
    assert_eq!(refused.message, format!("no connection to {silent}"));
    assert!(!refused.to_string().contains("refused"), "{refused}");
}

#[test]
fn a_refusal_is_definite_and_of_the_whole_target() {
    let kind = FaultKind::NotPermitted;
    assert_eq!((kind.certainty(), kind.scope()), (Certainty::Definite, Scope::Target));
}

fn by_proxy(door: &Door, url: &str) -> Door {
    let draft = RouteDraft { proxy_url: Some(url.to_owned()), ..RouteDraft::default() };
    let mut violations = Violations::default();
    let route = Route::parse(&draft, None, "jira", &mut violations).unwrap_or_else(|| panic!("{violations}"));
    door.by(&route).unwrap()
}

#[tokio::test]
async fn a_proxy_is_asked_to_connect_with_its_login_and_nobody_else_is_asked_for_the_name() {
    let proxy = Inner::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let names = Told::new(&["127.0.0.1"]);
    let authority = format!("proxy.corp:{}", proxy.port);
    let logins = ProxyLogins::parse(&format!("{authority} bot:secret\n")).unwrap();
    let reach = Reach { logins, ..reach(&format!("{authority} 127.0.0.1"), &names) };
    let door = by_proxy(&Door::new(Arc::new(Epoch), LONGEST, reach).unwrap(), &format!("http://{authority}"));
    let url = "https://jira.example".parse().unwrap();
    let login = Authorization::bearer(&SecretString::from("canary"));
    let fault = door.send(Request::get(url, Some(login), Duration::from_millis(500))).await.unwrap_err();
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
async fn a_proxy_without_a_login_says_so_and_one_that_refuses_shows_nothing() {
    let names = Told::new(&["127.0.0.1"]);
    let asks = Inner::start("HTTP/1.1 407 x\r\ncontent-length: 6\r\n\r\nbanner").await;
    let refuses = Inner::start("HTTP/1.1 403 banner\r\ncontent-length: 6\r\n\r\nbanner").await;
    for (proxy, words) in [(asks, "asks for a login"), (refuses, "refused to connect to jira.example")] {
        let door = by_proxy(&door("127.0.0.1", &names), &format!("http://127.0.0.1:{}", proxy.port));
        let fault = get(&door, "https://jira.example").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Connect, "{fault}");
        assert!(fault.message.contains(words) && !format!("{fault:?}").contains("banner"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_judged_and_so_is_whom_it_is_asked_for() {
    let proxy = Inner::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let names = Told::new(&["127.0.0.1"]);
    let authority = format!("127.0.0.1:{}", proxy.port);
    is_refused(
        &get(&by_proxy(&door("", &names), &format!("http://{authority}")), "https://jira.example").await,
    );
    is_refused(&get(&by_proxy(&door("", &names), "https://proxy.corp"), "https://jira.example").await);
    let through = by_proxy(&door(&authority, &names), &format!("http://{authority}"));
    for url in [
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://localhost",
        "https://metadata.google.internal",
    ] {
        is_refused(&get(&through, url).await);
    }
    let with_http =
        by_proxy(&door(&format!("{authority} jira.corp"), &names), &format!("http://{authority}"));
    is_refused(&get(&with_http, "http://jira.corp").await);
    assert_eq!(proxy.calls(), 0);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_left_out_where_it_says_so() {
    let (proxy, inner) = (Inner::start("HTTP/1.1 403 x\r\n\r\n").await, Inner::start(OK).await);
    let names = Told::new(&["127.0.0.1"]);
    let url = format!("http://bot:secret@127.0.0.1:{}", proxy.port);
    let route = Route::of_environment(&url, Some("within.corp".to_owned())).unwrap();
    let reach = Reach { route, ..reach("127.0.0.1 within.corp outside.example", &names) };
    let door = Door::new(Arc::new(Epoch), LONGEST, reach).unwrap();
    let fault = get(&door, &format!("https://outside.example:{}", inner.port)).await.unwrap_err();
    assert_eq!((fault.kind, inner.calls()), (FaultKind::Connect, 0));
    assert!(!fault.message.contains("127.0.0.1"), "the operator's proxy is not named: {fault}");
    let asked = proxy.calls();
    let fault = get(&door, &format!("https://within.corp:{}", inner.port)).await.unwrap_err();
    assert_eq!((fault.kind, proxy.calls(), inner.calls()), (FaultKind::Tls, asked, 1));
}

/// What is told of a proxy that gives this answer, and how often the login was sent.
async fn told(answer: &'static str, has_login: bool) -> (Fault, usize) {
    let proxy = Inner::start(answer).await;
    let authority = format!("127.0.0.1:{}", proxy.port);
    let logins = if has_login { format!("{authority} bot:canary") } else { String::new() };
    let logins = ProxyLogins::parse(&logins).unwrap();
    let reach = Reach { logins, ..reach("127.0.0.1", &Told::new(&["127.0.0.1"])) };
    let door = by_proxy(&Door::new(Arc::new(Epoch), LONGEST, reach).unwrap(), &format!("http://{authority}"));
    let fault = get(&door, "https://jira.example").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Connect, "{fault}");
    assert!(fault.message.contains(&authority), "{fault}");
    let sent = proxy.heard().to_lowercase().matches("proxy-authorization").count();
    (fault, sent)
}

#[tokio::test]
async fn tells_proxy_that_takes_only_windows_logins() {
    let answer = "HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\ncontent-length: 0\r\n\r\n";
    for has_login in [false, true] {
        let (fault, _) = told(answer, has_login).await;
        assert!(
            fault.message.contains("NTLM") && fault.hint.contains("no user name or password will help"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn sends_refused_proxy_login_only_once() {
    let (fault, sent) = told("HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", true).await;
    assert!(fault.message.contains("refused the login") && fault.hint.contains("proxy_password"), "{fault}");
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn tells_what_a_proxy_answers_instead_of_a_tunnel() {
    let table = [
        ("HTTP/1.1 403 x\r\n\r\n", "HTTP 403", "permit jira.example"),
        ("HTTP/1.1 502 x\r\n\r\n", "could not connect to jira.example (HTTP 502)", "spelling"),
        ("HTTP/1.1 503 x\r\n\r\n", "could not connect to jira.example (HTTP 503)", "spelling"),
        ("HTTP/1.1 302 x\r\nlocation: /\r\n\r\n<html>", "a page instead of a connection", "exempted"),
        ("HTTP/1.1 405 x\r\n\r\n", "does not open connections", "CONNECT"),
        ("\u{5}\u{2}", "does not speak HTTP", "SOCKS"),
    ];
    for (answer, words, hint) in table {
        let (fault, _) = told(answer, false).await;
        assert!(fault.message.contains(words) && fault.hint.contains(hint), "{fault}");
    }
}

#[tokio::test]
async fn tells_proxy_that_cannot_be_reached_from_the_site() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let door = by_proxy(&door("127.0.0.1", &Told::new(&["127.0.0.1"])), &format!("http://{closed}"));
    let fault = get(&door, "https://jira.example").await.unwrap_err();
    assert_eq!(fault.message, format!("no connection to the proxy {closed}"));
    assert!(fault.hint.contains("proxy_url"), "{fault}");
}
