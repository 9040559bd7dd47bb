//! Hostile peers with handwritten HTTP/2 frames.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::WAIT_TIMEOUT;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frames per write.
const FRAMES_PER_WRITE: u32 = 200;

/// The kind of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    Pings,
    Settings,
    Priorities,
    Windows,
    Unknown,
    EmptyData,
    Continuations,
    /// Calls that are cancelled at once.
    Resets,
    /// Calls that the server must reset.
    Errors,
}

/// The result of a flood.
#[derive(Debug, Clone, Copy)]
pub struct Flooded {
    /// Number of frames written.
    pub sent: u32,
    /// Whether the server closed the connection.
    pub closed: bool,
}

/// The server's answer to a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A block of headers, possibly followed by more.
    Headers(Vec<u8>),
    /// By resetting its stream, with this error code.
    Reset(u32),
}

/// A connection with handwritten frames.
#[derive(Debug)]
pub struct HostilePeer {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

/// An HTTP/2 frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a call to a method of the service, with further headers.
pub fn call_head(method: &str, further: &[(&str, &str)]) -> Vec<u8> {
    head_of(&format!("/rhythmx.ticketing.v1.TicketingService/{method}"), further)
}

/// The same for a full method path, `/SERVICE/METHOD`.
pub fn head_of(path: &str, further: &[(&str, &str)]) -> Vec<u8> {
    // POST and http from the static table; then names of that table, or literal ones.
    let mut block = vec![0x83, 0x86, 0x04];
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, "localhost");
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(further) {
        block.push(0x00);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap();
    block.push(length);
    block.extend(text.as_bytes());
}

/// Floods a server over one connection with at most this many frames.
pub async fn flood(address: &str, flood: Flood, max_frames: u32) -> io::Result<Flooded> {
    let HostilePeer { read, mut write } = HostilePeer::connect(address).await?;
    let mut drained = drain(read);
    let mut sent = 0;
    write.write_all(&flood.opening()).await?;
    while sent < max_frames {
        let frames: Vec<u8> =
            (sent..sent + FRAMES_PER_WRITE).flat_map(|number| flood.frames(number)).collect();
        let written = tokio::time::timeout(WAIT_TIMEOUT, write.write_all(&frames)).await;
        if written.expect("the server neither takes frames nor closes").is_err() {
            break;
        }
        sent += FRAMES_PER_WRITE;
    }
    let closed = tokio::time::timeout(Duration::from_secs(2), &mut drained).await.is_ok();
    drained.abort();
    Ok(Flooded { sent, closed })
}

/// Reads until the server closes.
fn drain(mut read: OwnedReadHalf) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1_024];
        while read.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    })
}

// === impl Flood ===

impl Flood {
    pub const ALL: [Self; 9] = [
        Self::Pings,
        Self::Settings,
        Self::Priorities,
        Self::Windows,
        Self::Unknown,
        Self::EmptyData,
        Self::Continuations,
        Self::Resets,
        Self::Errors,
    ];

    fn opening(self) -> Vec<u8> {
        match self {
            Self::EmptyData => frame(0x1, 0x4, 1, &call_head("GetStatus", &[])),
            Self::Continuations => frame(0x1, 0x0, 1, &call_head("GetStatus", &[])),
            _ => vec![],
        }
    }

    /// The n-th frame.
    pub fn frames(self, number: u32) -> Vec<u8> {
        let stream = 2 * number + 1;
        let call = || frame(0x1, 0x4, stream, &call_head("GetStatus", &[]));
        match self {
            Self::Pings => frame(0x6, 0, 0, &[7; 8]),
            Self::Settings => frame(0x4, 0, 0, &[]),
            Self::Priorities => frame(0x2, 0, 2 * (number % 1_000) + 1, &[0, 0, 0, 0, 1]),
            Self::Windows => frame(0x8, 0, 0, &[0, 0, 0, 1]),
            Self::Unknown => frame(0xBE, 0, 0, &[1]),
            Self::EmptyData => frame(0x0, 0, 1, &[]),
            Self::Continuations => frame(0x9, 0, 1, b"\x00\x01a\x01b"),
            Self::Resets => [call(), frame(0x3, 0, stream, &[0, 0, 0, 8])].concat(),
            // A zero window increment is invalid.
            Self::Errors => [call(), frame(0x8, 0, stream, &[0; 4])].concat(),
        }
    }
}

// === impl HostilePeer ===

impl HostilePeer {
    /// Connects, and sends the connection preface.
    pub async fn connect(address: &str) -> io::Result<Self> {
        Self::connect_with(address, &frame(0x4, 0, 0, &[])).await
    }

    /// Connects, and sends the preface and these settings.
    pub async fn connect_with(address: &str, settings: &[u8]) -> io::Result<Self> {
        let mut peer = Self::silent(address).await?;
        peer.send(PREFACE).await?;
        peer.send(settings).await?;
        Ok(peer)
    }

    /// Connects without sending anything.
    pub async fn silent(address: &str) -> io::Result<Self> {
        let (read, write) = TcpStream::connect(address).await?.into_split();
        Ok(Self { read, write })
    }

    /// Connects from an address of this machine, and sends the connection preface.
    pub async fn connect_from(from: IpAddr, address: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let address: SocketAddr = address.parse().unwrap();
        let (read, write) = socket.connect(address).await?.into_split();
        let mut peer = Self { read, write };
        peer.send(PREFACE).await?;
        peer.send(&frame(0x4, 0, 0, &[])).await?;
        Ok(peer)
    }

    /// Disconnects abruptly, as if its process or its network had failed.
    pub fn reset(self) {
        let wire = self.read.reunite(self.write).unwrap();
        wire.set_zero_linger().unwrap();
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }

    /// Opens a call without its message.
    pub async fn call(&mut self, stream: u32, method: &str, further: &[(&str, &str)]) -> io::Result<()> {
        self.send(&frame(0x1, 0x4, stream, &call_head(method, further))).await
    }

    /// Sends a part of a call's message.
    pub async fn data(&mut self, stream: u32, bytes: &[u8], ends: bool) -> io::Result<()> {
        self.send(&frame(0x0, u8::from(ends), stream, bytes)).await
    }

    /// The server's first frame on a stream. Frames on others are dropped.
    pub async fn answer(&mut self, stream: u32) -> Answer {
        loop {
            match self.next_frame().await {
                (0x1, number, payload) if number == stream => return Answer::Headers(payload),
                (0x3, number, payload) if number == stream => {
                    let code = payload.try_into().expect("a reset has four bytes");
                    return Answer::Reset(u32::from_be_bytes(code));
                }
                _ => {}
            }
        }
    }

    /// The server's next frame: its kind, its stream and its payload.
    pub async fn next_frame(&mut self) -> (u8, u32, Vec<u8>) {
        let listen = async {
            let mut head = [0; 9];
            self.read.read_exact(&mut head).await.expect("the server closes");
            let [a, b, c, kind, _flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.read.read_exact(&mut payload).await.expect("the server closes");
            (kind, u32::from_be_bytes(stream), payload)
        };
        tokio::time::timeout(WAIT_TIMEOUT, listen).await.expect("the server says nothing")
    }

    /// Waits until the server closes the connection. Returns what it sent until then.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        let mut received = vec![];
        let ended = tokio::time::timeout(WAIT_TIMEOUT, self.read.read_to_end(&mut received)).await;
        // A reset is also an end.
        let _ = ended.expect("the server keeps the connection");
        received
    }

    /// Whether the server still answers a ping.
    pub async fn is_alive(&mut self) -> bool {
        let token = *b"alive?!!";
        let answer = frame(0x6, 1, 0, &token);
        if self.send(&frame(0x6, 0, 0, &token)).await.is_err() {
            return false;
        }
        let mut received: Vec<u8> = vec![];
        let mut buffer = [0; 4_096];
        let listen = async {
            loop {
                match self.read.read(&mut buffer).await {
                    Ok(0) | Err(_) => return false,
                    Ok(length) => received.extend(&buffer[..length]),
                }
                if received.windows(answer.len()).any(|window| window == answer) {
                    return true;
                }
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, listen).await.expect("the server says nothing")
    }
}
