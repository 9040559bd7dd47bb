//! A relay before a server, for connection failures that no server can cause.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep_until};

/// Length of an HTTP/2 frame header: 3 bytes length, kind, flags, 4 bytes stream.
const HEADER: usize = 9;
/// Kinds of frames.
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// A flag of SETTINGS: acknowledgement.
const ACK: u8 = 1;
/// The client connection preface, before SETTINGS.
const PREFACE: usize = 24;
/// A setting: the initial window of a stream.
const INITIAL_WINDOW_SIZE: u16 = 4;
/// A few events.
const SMALL_WINDOW: u32 = 8_192;
/// What a reader finally reads. Less in total than the default initial window, 65,535.
const REST: u32 = 49_152;

/// Forwards connections to a server until it is stopped. It reads HTTP/2, and so does not relay TLS.
#[derive(Debug)]
pub struct Relay {
    /// The address of the relay.
    pub address: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    links: Mutex<Vec<(Arc<LinkMode>, AbortHandle)>>,
    /// How long the reader of a new connection pauses.
    narrow: Mutex<Option<Duration>>,
}

/// What a connection does with its bytes. Initially they pass.
#[derive(Debug, Default)]
struct LinkMode(AtomicU8);

const MUTES: u8 = 1;
const SWALLOWS: u8 = 2;

// === impl Relay ===

impl Relay {
    /// In front of `server`, which may be away.
    pub async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::<Shared>::default();
        let accepting = tokio::spawn(accept(listener, server.to_owned(), shared.clone()));
        Self { address, shared, accepting }
    }

    /// From now on the existing connections drop every byte without being closed, as if a machine between had
    /// lost them. New ones pass.
    pub fn swallow(&self) {
        self.set(SWALLOWS);
    }

    /// From now on the existing connections carry no messages of the server, though pings are answered. New
    /// ones pass.
    pub fn mute(&self) {
        self.set(MUTES);
    }

    /// From now on each new connection has a slow reader, which reads a few events of a stream, and the next
    /// ones after this delay. A server with a shorter timeout ends the stream. With `None` new ones pass.
    pub fn narrow(&self, pause: Option<Duration>) {
        *self.shared.narrow.lock().unwrap() = pause;
    }

    /// Number of connections so far.
    pub fn connections(&self) -> usize {
        self.shared.links.lock().unwrap().len()
    }

    /// Closes the dropped connections, whose end would otherwise not reach a stopping server.
    pub fn close_swallowed(&self) {
        self.shared
            .links
            .lock()
            .unwrap()
            .iter()
            .filter(|(mode, _)| mode.is(SWALLOWS))
            .for_each(|(_, it)| it.abort());
    }

    fn set(&self, mode: u8) {
        self.shared.links.lock().unwrap().iter().for_each(|(one, _)| one.0.store(mode, Ordering::SeqCst));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.links.lock().unwrap().iter().for_each(|(_, it)| it.abort());
    }
}

// === impl LinkMode ===

impl LinkMode {
    fn is(&self, mode: u8) -> bool {
        self.0.load(Ordering::SeqCst) == mode
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let mode = Arc::<LinkMode>::default();
        let server = server.clone();
        let narrow = *shared.narrow.lock().unwrap();
        let link_mode = mode.clone();
        let relayed = tokio::spawn(async move { relay(client, &server, &link_mode, narrow).await });
        shared.links.lock().unwrap().push((mode, relayed.abort_handle()));
    }
}

// Both sides stay open until both directions have ended.
async fn relay(mut client: TcpStream, server: &str, mode: &LinkMode, narrow: Option<Duration>) {
    // If the server is away, the relay closes the connection.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, to_server)) = (client.split(), server.split());
    let to_server = AsyncMutex::new(to_server);
    let (full, filled) = mpsc::unbounded_channel();
    let requests = async {
        let _ = match narrow {
            Some(_) => forward_with_small_window(&mut from_client, &to_server, mode).await,
            None => forward_requests(&mut from_client, &to_server, mode).await,
        };
        if !mode.is(SWALLOWS) {
            let _ = to_server.lock().await.shutdown().await;
        }
    };
    let answers = async {
        let _ = forward_answers(&mut from_server, &mut to_client, mode, full).await;
        if !mode.is(SWALLOWS) {
            let _ = to_client.shutdown().await;
        }
    };
    tokio::join!(requests, answers, reopen_windows(filled, &to_server, narrow));
}

async fn forward_requests(
    from: &mut ReadHalf<'_>,
    to: &AsyncMutex<WriteHalf<'_>>,
    mode: &LinkMode,
) -> io::Result<()> {
    let mut bytes = [0; 16_384];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        if !mode.is(SWALLOWS) {
            to.lock().await.write_all(&bytes[..count]).await?;
        }
    }
}

// Like a client with a small window that never acknowledges reading.
async fn forward_with_small_window(
    from: &mut ReadHalf<'_>,
    to: &AsyncMutex<WriteHalf<'_>>,
    mode: &LinkMode,
) -> io::Result<()> {
    let mut preface = [0; PREFACE];
    from.read_exact(&mut preface).await?;
    to.lock().await.write_all(&preface).await?;
    loop {
        let (head, payload) = frame(from).await?;
        let kind = head[3];
        let is_answer = head[4] & ACK != 0;
        if mode.is(SWALLOWS) || kind == WINDOW_UPDATE && stream_of(head) != 0 {
            continue;
        }
        let passed = if kind == SETTINGS && !is_answer {
            with_small_window(head, &payload)
        } else {
            [&head[..], &payload].concat()
        };
        to.lock().await.write_all(&passed).await?;
    }
}

// Reports each stream whose narrow window is full.
async fn forward_answers(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mode: &LinkMode,
    full: mpsc::UnboundedSender<u32>,
) -> io::Result<()> {
    let mut sent = HashMap::<u32, usize>::new();
    loop {
        let (head, payload) = frame(from).await?;
        if head[3] == DATA {
            let stream = stream_of(head);
            let window = SMALL_WINDOW as usize;
            let before =
                *sent.entry(stream).and_modify(|sent| *sent += payload.len()).or_insert(payload.len());
            if before >= window && before - payload.len() < window {
                let _ = full.send(stream);
            }
        }
        if mode.is(SWALLOWS) || mode.is(MUTES) && head[3] == DATA {
            continue;
        }
        to.write_all(&head).await?;
        to.write_all(&payload).await?;
    }
}

// The reader of a narrow connection finally continues: the server can send the rest, and why it ended the
// stream.
async fn reopen_windows(
    mut filled: mpsc::UnboundedReceiver<u32>,
    to: &AsyncMutex<WriteHalf<'_>>,
    narrow: Option<Duration>,
) {
    while let Some(stream) = filled.recv().await {
        let Some(pause) = narrow else { continue };
        sleep_until(Instant::now() + pause).await;
        let update = super::frame(WINDOW_UPDATE, 0, stream, &REST.to_be_bytes());
        // A stopped server does not need it any more.
        let _ = to.lock().await.write_all(&update).await;
    }
}

async fn frame(from: &mut ReadHalf<'_>) -> io::Result<([u8; HEADER], Vec<u8>)> {
    let mut head = [0; HEADER];
    from.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    from.read_exact(&mut payload).await?;
    Ok((head, payload))
}

fn stream_of(head: [u8; HEADER]) -> u32 {
    u32::from_be_bytes([head[5], head[6], head[7], head[8]])
}

// The client's own SETTINGS with a window that the client does not know.
fn with_small_window(mut head: [u8; HEADER], settings: &[u8]) -> Vec<u8> {
    let id = INITIAL_WINDOW_SIZE.to_be_bytes();
    let mut payload: Vec<u8> =
        settings.chunks(6).filter(|one| !one.starts_with(&id)).flatten().copied().collect();
    payload.extend(id);
    payload.extend(SMALL_WINDOW.to_be_bytes());
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    head[..3].copy_from_slice(&length[1..]);
    [&head[..], &payload].concat()
}
