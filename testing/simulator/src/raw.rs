//! Replies that no HTTP server would send, written as raw bytes.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use crate::call::Call;
use crate::message::Answer;
use crate::points::Point;
use crate::shared::Shared;
use crate::transport::{Stream, client_gone};

/// The last bytes of a connection, and whether it is then held or closed.
#[derive(Debug)]
pub(crate) struct Raw {
    bytes: Bytes,
    /// The point that is reached once the bytes are written.
    point: Option<Point>,
    holds: bool,
    status: Option<u16>,
}

// === impl Raw ===

impl Raw {
    /// Sends nothing.
    pub(crate) fn silence(point: Option<Point>) -> Self {
        Self { bytes: Bytes::new(), point, holds: true, status: None }
    }

    /// Sends an unsolicited text.
    pub(crate) fn banner(text: String) -> Self {
        Self { bytes: text.into(), point: Some(Point::HalfSent), holds: true, status: None }
    }

    pub(crate) fn status_line(answer: &Answer) -> Self {
        let line = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
        Self { bytes: line.into(), point: Some(Point::HalfSent), holds: true, status: Some(answer.status) }
    }

    /// Announces `announced` bytes, and sends another body.
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

    /// The status that is sent, if any.
    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Writes the bytes, then holds or closes the connection.
    pub(crate) async fn play(self, shared: &Shared, call: Call, mut wire: Stream) {
        // Subscribes before the point is announced, since a waiting test may release immediately.
        let released = shared.faults.released();
        let written = async {
            wire.write_all(&self.bytes).await?;
            wire.flush().await
        };
        if written.await.is_err() {
            // The client disconnected first.
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
        // An error means that the connection was closed already.
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
