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
    heard: Arc<Mutex<Vec<String>>>,
    /// The required header; `None` if it requires no login.
    wanted: Arc<Mutex<Option<String>>>,
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
        let proxy = Self { address, heard: Arc::default(), wanted: Arc::default() };
        let (heard, wanted) = (proxy.heard.clone(), proxy.wanted.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, heard.clone(), wanted.clone()));
            }
        });
        proxy
    }

    /// Requires this login from now on, and echoes other credentials in its refusal.
    pub fn wants(&self, user: &str, password: &str) {
        let header = format!("basic {}", STANDARD.encode(format!("{user}:{password}")));
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every request had this login, and there was one.
    #[must_use]
    pub fn heard_only(&self, user: &str, password: &str) -> bool {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let heard = self.heard();
        !heard.is_empty() && heard.iter().all(|head| head.contains(&login))
    }
}

async fn pass_on(mut client: TcpStream, heard: Arc<Mutex<Vec<String>>>, wanted: Arc<Mutex<Option<String>>>) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let host = head.split(' ').nth(1).unwrap_or_default().to_owned();
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let login = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    let is_good = |wanted: &String| login.as_ref().is_some_and(|login| same_login(login, wanted));
    if wanted.as_ref().is_some_and(|wanted| !is_good(wanted)) {
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
