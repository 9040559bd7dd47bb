//! A proxy between the server and the ticket systems, which may require a login and echoes what it received.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Larger than any request head of ours.
const MAX_HEAD_BYTES: usize = 65_536;

/// Connects to any requested target, and records the requests.
#[derive(Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    request_heads: Arc<Mutex<Vec<String>>>,
    /// The required header; `None` if it requires no login.
    required_login: Arc<Mutex<Option<String>>>,
}

// === impl Proxy ===

impl Proxy {
    /// One that requires no login.
    ///
    /// # Panics
    /// If this machine has no port left.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a socket that listens has an address");
        let proxy = Self { address, request_heads: Arc::default(), required_login: Arc::default() };
        let request_heads = proxy.request_heads.clone();
        let required_login = proxy.required_login.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, request_heads.clone(), required_login.clone()));
            }
        });
        proxy
    }

    /// Requires this login from now on, and echoes other credentials in its refusal.
    pub fn require_login(&self, user: &str, password: &str) {
        let header = format!("basic {}", STANDARD.encode(format!("{user}:{password}")));
        *self.required_login.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests.
    #[must_use]
    pub fn request_heads(&self) -> Vec<String> {
        self.request_heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every request had this login, and there was one.
    #[must_use]
    pub fn received_only_login(&self, user: &str, password: &str) -> bool {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let request_heads = self.request_heads();
        !request_heads.is_empty() && request_heads.iter().all(|head| head.contains(&login))
    }
}

async fn forward(
    mut client: TcpStream,
    request_heads: Arc<Mutex<Vec<String>>>,
    required_login: Arc<Mutex<Option<String>>>,
) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let host = head.split(' ').nth(1).unwrap_or_default().to_owned();
    request_heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let required_login = required_login.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let login = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    let is_good =
        |required_login: &String| login.as_ref().is_some_and(|login| same_login(login, required_login));
    if required_login.as_ref().is_some_and(|required_login| !is_good(required_login)) {
        let _ = client.write_all(refusal(&login.unwrap_or_default()).as_bytes()).await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(host).await else { return };
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

/// The scheme is case-insensitive, the rest is not.
fn same_login(one: &str, other: &str) -> bool {
    let credentials = |login: &str| login.split_once(' ').map(|(_, credentials)| credentials.to_owned());
    credentials(one) == credentials(other)
}

/// Everything that was received, verbatim, in every possible place.
fn refusal(login: &str) -> String {
    let encoded = login.split_once(' ').map_or("", |(_, credentials)| credentials);
    let clear = String::from_utf8_lossy(&STANDARD.decode(encoded).unwrap_or_default()).into_owned();
    let page = format!("<html><title>{clear}</title><body>you sent {login}, that is {clear}</body></html>");
    format!(
        "HTTP/1.1 407 {clear}\r\nproxy-authenticate: Basic realm=\"{clear}\"\r\nx-debug: {login} {clear}\r\nlocation: {clear}\r\n\
         content-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    )
}
