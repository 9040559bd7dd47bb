//! Answers that no HTTP server would send, written byte by byte.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use crate::fault_script::Call;
use crate::message::Answer;
use crate::points::Point;
use crate::simulator::Shared;
use crate::transport::{Stream, client_gone};

/// The rest of a connection: what is written on it, and then.
#[derive(Debug)]
pub(crate) struct Raw {
    bytes: Bytes,
    /// What is reached once the bytes are written.
    point: Option<Point>,
    holds: bool,
    status: Option<u16>,
}

// === impl Raw ===

impl Raw {
    /// Not another byte.
    pub(crate) fn silence(point: Option<Point>) -> Self {
        Self { bytes: Bytes::new(), point, holds: true, status: None }
    }

    /// Words that come without being asked for.
    pub(crate) fn banner(text: String) -> Self {
        Self { bytes: text.into(), point: Some(Point::HalfSent), holds: true, status: None }
    }

    pub(crate) fn status_line(answer: &Answer) -> Self {
        let line = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
        Self { bytes: line.into(), point: Some(Point::HalfSent), holds: true, status: Some(answer.status) }
    }

    /// A head that announces `announced` bytes, and a body of others.
    pub(crate) fn announcing(answer: &Answer, announced: u64, body: &[u8]) -> Self {
        let mut bytes = head(answer, &format!("content-length: {announced}"));
        bytes.put_slice(body);
        Self { bytes: bytes.freeze(), point: Some(Point::HalfSent), holds: true, status: Some(answer.status) }
    }

    pub(crate) fn after_interim(answer: &Answer, interim: u16) -> Self {
        let mut bytes = BytesMut::from(format!("HTTP/1.1 {interim} Interim\r\n\r\n").as_bytes());
        let length = answer.body.len();
        bytes.unsplit(head(answer, &format!("content-length: {length}\r\nconnection: close")));
        bytes.put_slice(&answer.body);
        Self {
            bytes: bytes.freeze(),
            point: Some(Point::Answered),
            holds: false,
            status: Some(answer.status),
        }
    }

    pub(crate) fn broken_chunks(answer: &Answer) -> Self {
        let half = &answer.body[..answer.body.len() / 2];
        let mut bytes = head(answer, "transfer-encoding: chunked");
        bytes.put_slice(format!("{:x}\r\n", half.len()).as_bytes());
        bytes.put_slice(half);
        bytes.put_slice(b"\r\nno size\r\n");
        Self {
            bytes: bytes.freeze(),
            point: Some(Point::HalfSent),
            holds: false,
            status: Some(answer.status),
        }
    }

    /// The status that is sent, if any is.
    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Writes, and holds if it is to.
    pub(crate) async fn play(self, shared: &Shared, call: Call, mut wire: Stream) {
        // Subscribed before the announcement: a waiting test may release at once.
        let released = shared.faults.released();
        let written = async {
            wire.write_all(&self.bytes).await?;
            wire.flush().await
        };
        if written.await.is_err() {
            // The client went first.
            return;
        }
        if let Some(point) = self.point {
            shared.points.reach(call, point);
        }
        if self.holds {
            shared.points.reach(call, Point::Held);
            tokio::select! {
                () = client_gone(wire.tcp()) => {}
                () = released => {}
            }
        }
        // Whatever ends the connection ends it here; a failure only says that it had ended before.
        let _ = wire.shutdown().await;
    }
}

fn head(answer: &Answer, framing: &str) -> BytesMut {
    let mut bytes = BytesMut::from(format!("HTTP/1.1 {} Scripted\r\n", answer.status).as_bytes());
    for (name, value) in &answer.headers {
        bytes.put_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.put_slice(format!("{framing}\r\n\r\n").as_bytes());
    bytes
}
