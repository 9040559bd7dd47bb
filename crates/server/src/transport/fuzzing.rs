//! What comes over a connection, read as the transport reads it. See [`crate::fuzzing`].

use super::frames::{Frame, Frames};
use super::peer::PeerCertificate;

/// The certificate that bytes are, if they are one.
#[must_use]
pub fn certificate(der: &[u8]) -> Option<PeerCertificate> {
    PeerCertificate::of_der(der).ok()
}

/// The kinds of the frames that a client sends, a letter for each, if they come in pieces of so many bytes; and how many heads
/// were complete then.
#[must_use]
pub fn frames(bytes: &[u8], piece: usize) -> (String, Option<u64>) {
    let (mut frames, mut kinds) = (Frames::of_client(), String::new());
    for piece in bytes.chunks(piece.max(1)) {
        frames.follow(piece, |frame| {
            kinds.push(match frame {
                Frame::Carrying => 'c',
                Frame::Reset => 'r',
                Frame::Empty => 'e',
            });
        });
    }
    (kinds, frames.incomplete_head())
}
