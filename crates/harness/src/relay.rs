//! A relay before a server, for the ways in which a connection fails that no server can play.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Every frame of HTTP/2 begins with so many bytes: 3 of its payload's length, its kind, its flags, 4 of its stream.
const HEAD: usize = 9;
/// Of a frame.
const DATA: u8 = 0;
/// What a client begins with, before its SETTINGS.
const PREFACE: usize = 24;
/// Of SETTINGS: how many bytes the server may send on a stream before it is told that they were read.
const INITIAL_WINDOW_SIZE: u16 = 4;
/// A few events.
const NARROW: u32 = 8_192;

/// Passes connections to a server on, until it is told otherwise. It reads HTTP/2, and so does not relay TLS.
#[derive(Debug)]
pub struct Relay {
    /// Where to call the server through it.
    pub address: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    ways: Mutex<Vec<Arc<Way>>>,
    is_narrow: AtomicBool,
}

/// Of a connection: what becomes of its bytes. At first they pass.
#[derive(Debug, Default)]
struct Way(AtomicU8);

const MUTE: u8 = 1;
const SWALLOWS: u8 = 2;

// === impl Relay ===

impl Relay {
    /// Before the server at `server`, which may be away.
    pub async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::<Shared>::default();
        let accepting = tokio::spawn(accept(listener, server.to_owned(), shared.clone()));
        Self { address, shared, accepting }
    }

    /// From now on no byte of the connections that there are arrives anywhere, and none of them is closed: a machine between
    /// has forgotten them. New ones pass.
    pub fn swallow(&self) {
        self.set(SWALLOWS);
    }

    /// From now on the answers of the connections that there are bear no message, though pings are answered. New ones pass.
    pub fn mute(&self) {
        self.set(MUTE);
    }

    /// Whether from now on the server takes each new connection for one whose client reads a few events of a stream and no
    /// more: it ends the stream for slowness.
    pub fn narrow(&self, is_narrow: bool) {
        self.shared.is_narrow.store(is_narrow, Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.ways.lock().unwrap().len()
    }

    fn set(&self, way: u8) {
        self.shared.ways.lock().unwrap().iter().for_each(|one| one.0.store(way, Ordering::SeqCst));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl Way ===

impl Way {
    fn is(&self, way: u8) -> bool {
        self.0.load(Ordering::SeqCst) == way
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let way = Arc::<Way>::default();
        shared.ways.lock().unwrap().push(way.clone());
        let (server, is_narrow) = (server.clone(), shared.is_narrow.load(Ordering::SeqCst));
        tokio::spawn(async move { relay(client, &server, &way, is_narrow).await });
    }
}

// Both sides stay open until both directions have ended.
async fn relay(mut client: TcpStream, server: &str, way: &Way, is_narrow: bool) {
    // A server that is away refuses, and so does the relay: by closing.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::join!(requests(from_client, to_server, way, is_narrow), answers(from_server, to_client, way));
}

async fn requests(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: &Way, is_narrow: bool) {
    let _ = pass_requests(&mut from, &mut to, way, is_narrow).await;
    if !way.is(SWALLOWS) {
        let _ = to.shutdown().await;
    }
}

async fn answers(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: &Way) {
    let _ = pass_answers(&mut from, &mut to, way).await;
    if !way.is(SWALLOWS) {
        let _ = to.shutdown().await;
    }
}

async fn pass_requests(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    way: &Way,
    is_narrow: bool,
) -> io::Result<()> {
    if is_narrow {
        let mut preface = [0; PREFACE];
        from.read_exact(&mut preface).await?;
        let (head, settings) = frame(from).await?;
        to.write_all(&preface).await?;
        to.write_all(&narrowed(head, settings)).await?;
    }
    let mut bytes = [0; 16_384];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        if !way.is(SWALLOWS) {
            to.write_all(&bytes[..count]).await?;
        }
    }
}

async fn pass_answers(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, way: &Way) -> io::Result<()> {
    loop {
        let (head, payload) = frame(from).await?;
        if way.is(SWALLOWS) || way.is(MUTE) && head[3] == DATA {
            continue;
        }
        to.write_all(&head).await?;
        to.write_all(&payload).await?;
    }
}

async fn frame(from: &mut ReadHalf<'_>) -> io::Result<([u8; HEAD], Vec<u8>)> {
    let mut head = [0; HEAD];
    from.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    from.read_exact(&mut payload).await?;
    Ok((head, payload))
}

// The client's own SETTINGS with a window that the client knows nothing of. So it never says that it has read what fills it.
fn narrowed(mut head: [u8; HEAD], settings: Vec<u8>) -> Vec<u8> {
    let id = INITIAL_WINDOW_SIZE.to_be_bytes();
    let mut payload: Vec<u8> =
        settings.chunks(6).filter(|one| !one.starts_with(&id)).flatten().copied().collect();
    payload.extend(id);
    payload.extend(NARROW.to_be_bytes());
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    head[..3].copy_from_slice(&length[1..]);
    [&head[..], &payload].concat()
}
