//! How the client handles misbehaving servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_egress::{Authorization, HttpClient, MAX_BODY, Reply, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// How long a request may take.
const MAX_TIMEOUT: Duration = Duration::from_millis(500);

/// Handles every connection with `answer`, after reading a request.
async fn server<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            answer(stream).await;
        }
    });
    address
}

async fn replying(reply: &'static str) -> SocketAddr {
    server(move |mut stream| async move {
        let _ = stream.write_all(reply.as_bytes()).await;
    })
    .await
}

fn client() -> HttpClient {
    client_with_timeout(MAX_TIMEOUT)
}

fn client_with_timeout(max_timeout: Duration) -> HttpClient {
    let loopback = AddressPolicy::permitting(vec!["127.0.0.1".parse().unwrap()]);
    HttpClient::new(Arc::new(Epoch), max_timeout, loopback.into()).unwrap()
}

async fn get(url: &str) -> Result<Reply, Fault> {
    client().send(Request::get(url.parse().unwrap(), None, MAX_TIMEOUT)).await
}

async fn kind(url: &str) -> FaultKind {
    get(url).await.unwrap_err().kind
}

#[tokio::test]
async fn returns_reply_with_retry_after() {
    let address = replying("HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}").await;
    let reply = get(&format!("http://{address}")).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (429, "{}"));
    assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn unreachable_server_is_definite_failure() {
    assert_eq!(kind("https://no-such-host.invalid").await, FaultKind::Dns);
    assert_eq!(kind("http://127.0.0.1:1").await, FaultKind::Connect);
    let plain = replying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(kind(&format!("https://{plain}")).await, FaultKind::Tls);
}

#[tokio::test]
async fn connect_timeout_is_definite_failure() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Its backlog takes one connection; further ones wait.
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _first = TcpStream::connect(address).await.unwrap();
    assert_eq!(kind(&format!("http://{address}")).await, FaultKind::Connect);
}

#[tokio::test]
async fn missing_reply_is_unknown_outcome() {
    let gone = server(|stream| async move { drop(stream) }).await;
    assert_eq!(kind(&format!("http://{gone}")).await, FaultKind::ConnectionLost);
    let silent = server(|stream| async move {
        tokio::spawn(async move {
            let _open = stream;
            std::future::pending::<()>().await;
        });
    })
    .await;
    assert_eq!(kind(&format!("http://{silent}")).await, FaultKind::TimedOut);
    let half = replying("HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"id\"").await;
    assert_eq!(kind(&format!("http://{half}")).await, FaultKind::ConnectionLost);
}

#[tokio::test]
async fn does_not_follow_redirect() {
    let elsewhere = "HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let address = replying(elsewhere).await;
    assert_eq!(get(&format!("http://{address}")).await.unwrap().status, 307);
}

#[tokio::test]
async fn stops_reading_endless_reply() {
    let address = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let chunk = vec![b'x'; 64 * 1_024];
        for _ in 0..=MAX_BODY / chunk.len() {
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
    })
    .await;
    let client = client_with_timeout(Duration::from_secs(10));
    let url = format!("http://{address}").parse().unwrap();
    let fault = client.send(Request::get(url, None, Duration::from_secs(10))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnreadableReply);
}

#[tokio::test]
async fn incomplete_body_keeps_refusal_definite() {
    let cut = replying("HTTP/1.1 401 no\r\ncontent-length: 100\r\n\r\n{\"errorMessages\"").await;
    let hanging = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 403 no\r\ncontent-length: 100\r\n\r\n").await;
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let endless = answering(429, "retry-after: 7\r\n", vec![b'x'; MAX_BODY + 1]).await;
    for (address, status) in [(cut, 401), (hanging, 403), (endless, 429)] {
        assert_eq!(get(&format!("http://{address}")).await.unwrap().status, status);
    }
}

/// Answers with this status, header and body.
async fn answering(status: u16, header: &'static str, body: Vec<u8>) -> SocketAddr {
    server(move |mut stream| {
        let body = body.clone();
        async move {
            let head = format!("HTTP/1.1 {status} x\r\n{header}content-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    })
    .await
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn decodes_unrequested_compression_and_bom() {
    for (header, body) in [
        ("content-encoding: gzip\r\n", gzip(b"{}")),
        ("", gzip("\u{FEFF}{}".as_bytes())),
        ("", "\u{FEFF}{}".into()),
    ] {
        let address = answering(201, header, body).await;
        assert_eq!(get(&format!("http://{address}")).await.unwrap().body, "{}", "{header}");
    }
}

#[tokio::test]
async fn limits_decompressed_size() {
    let address = answering(200, "content-encoding: gzip\r\n", gzip(&vec![b' '; MAX_BODY + 1])).await;
    let client = client_with_timeout(Duration::from_secs(20));
    let url = format!("http://{address}").parse().unwrap();
    let fault = client.send(Request::get(url, None, Duration::from_secs(20))).await.unwrap_err();
    assert_eq!((fault.kind, fault.status), (FaultKind::UnreadableReply, Some(200)));
}

#[tokio::test]
async fn unknown_encoding_keeps_refusal_definite() {
    let refused = answering(401, "content-encoding: br\r\n", vec![0x0B, 2, 0x80]).await;
    assert_eq!(get(&format!("http://{refused}")).await.unwrap().status, 401);
    let created = answering(201, "content-encoding: br\r\n", vec![0x0B, 2, 0x80]).await;
    let fault = get(&format!("http://{created}")).await.unwrap_err();
    assert!(fault.is_ambiguous() && fault.message.contains("\"br\""), "{fault}");
}

#[test]
fn debug_output_omits_authorization() {
    let secret = SecretString::from("canary");
    for login in [Authorization::basic("user", &secret), Authorization::bearer(&secret)] {
        let printed = format!("{login:?}");
        assert!(!printed.contains("canary") && !printed.contains("dXNlcjpjYW5hcnk"), "{printed}");
    }
}
