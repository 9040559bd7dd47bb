//! When the client opens connections, reuses them, and replaces them.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::fault::FaultKind;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_egress::{HttpClient, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(10);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\n{}";

#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Answers a number of requests on each connection, reads one more, and closes it.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, connections: Arc::default(), requests: Arc::default() };
        let this = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                this.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(this.clone().serve(stream, answers));
            }
        });
        server
    }

    async fn serve(self, mut stream: TcpStream, answers: usize) {
        let mut request = [0; 4_096];
        let mut answered = 0;
        while let Ok(1..) = stream.read(&mut request).await {
            self.requests.fetch_add(1, Ordering::SeqCst);
            if answered == answers {
                return;
            }
            answered += 1;
            let _ = stream.write_all(OK).await;
        }
    }

    fn url(&self) -> Url {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Connections and requests so far.
    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

fn client() -> HttpClient {
    let loopback = AddressPolicy::permitting(vec!["127.0.0.1".parse().unwrap()]);
    HttpClient::new(Arc::new(Epoch), TIMEOUT, loopback.into()).unwrap()
}

fn read(url: Url) -> Request {
    Request::get(url, None, TIMEOUT)
}

/// Small enough to be read at once.
fn write(url: Url) -> Request {
    Request { is_read: false, ..read(url) }
}

#[tokio::test]
async fn reads_share_a_connection() {
    let server = Server::start(usize::MAX).await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(client.send(read(server.url())).await.unwrap().status, 200);
    }
    assert_eq!(server.counts(), (1, 3));
}

#[tokio::test]
async fn write_never_uses_a_kept_connection() {
    let server = Server::start(usize::MAX).await;
    let client = client();
    client.send(read(server.url())).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.send(write(server.url())).await.unwrap().status, 200);
    }
    assert_eq!(server.counts(), (4, 4));
}

#[tokio::test]
async fn repeats_read_if_its_kept_connection_ends() {
    let server = Server::start(1).await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(client.send(read(server.url())).await.unwrap().status, 200);
    }
    assert_eq!(server.counts(), (2, 3));
}

#[tokio::test]
async fn repeats_no_read_on_a_new_connection() {
    let server = Server::start(0).await;
    let fault = client().send(read(server.url())).await.unwrap_err();
    assert_eq!((fault.kind, server.counts()), (FaultKind::ConnectionLost, (1, 1)));
}

#[tokio::test]
async fn never_repeats_a_write_that_was_read() {
    let server = Server::start(0).await;
    let client = client();
    let fault = client.send_over(client.dial(&server.url()), write(server.url())).await.unwrap_err();
    assert_eq!((fault.kind, server.counts()), (FaultKind::ConnectionLost, (1, 1)));
}

#[tokio::test]
async fn sends_over_the_connection_opened_ahead() {
    let server = Server::start(usize::MAX).await;
    let client = client();
    let dialing = client.dial(&server.url());
    while server.counts() != (1, 0) {
        tokio::task::yield_now().await;
    }
    client.send_over(dialing, write(server.url())).await.unwrap();
    assert_eq!(server.counts(), (1, 1));
}

/// Hands over every connection.
async fn reporting() -> (Url, mpsc::UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (accepted, connections) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let _ = accepted.send(listener.accept().await.unwrap().0);
        }
    });
    (url, connections)
}

#[tokio::test]
async fn replaces_connection_that_died_before_the_request() {
    let (url, mut connections) = reporting().await;
    let client = client();
    let dialing = client.dial(&url);
    drop(connections.recv().await.unwrap());
    // While this is answered, the client sees the end of the other connection.
    let other = Server::start(1).await;
    client.send(read(other.url())).await.unwrap();
    tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        let _ = stream.write_all(OK).await;
        let _ = stream.read(&mut [0]).await;
    });
    assert_eq!(client.send_over(dialing, write(url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn closes_connection_that_is_not_used() {
    let (url, mut connections) = reporting().await;
    let dialing = client().dial(&url);
    let mut stream = connections.recv().await.unwrap();
    drop(dialing);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "nothing was sent");
}

#[tokio::test]
async fn failure_to_open_ahead_is_definite() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url: Url = format!("http://{closed}").parse().unwrap();
    let client = client();
    let fault = client.send_over(client.dial(&url), write(url)).await.unwrap_err();
    assert_eq!((fault.kind, fault.message), (FaultKind::Connect, format!("no connection to {closed}")));
    let forbidden: Url = "http://127.0.0.2:1".parse().unwrap();
    let fault = client.send_over(client.dial(&forbidden), write(forbidden)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotPermitted);
}

#[tokio::test]
async fn time_that_ends_before_the_connection_is_open_is_definite() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // It accepts, and never answers the TLS handshake.
    let url: Url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let client = client();
    let briefly = Request { timeout: Duration::from_millis(100), ..write(url.clone()) };
    let fault = client.send_over(client.dial(&url), briefly).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Connect, "{fault}");
}

#[tokio::test]
async fn keeps_no_cookies() {
    let (url, mut connections) = reporting().await;
    let client = client();
    let heard = tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        let mut heard = vec![];
        for _ in 0..2 {
            let mut request = [0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            heard.extend_from_slice(&request[..length]);
            stream.write_all(OK).await.unwrap();
        }
        String::from_utf8(heard).unwrap().to_lowercase()
    });
    for _ in 0..2 {
        client.send(read(url.clone())).await.unwrap();
    }
    assert!(!heard.await.unwrap().contains("cookie"));
}
