//! Entry points of the transport for fuzzing. See [`crate::fuzzing`].

use super::frames::{Frame, Frames};
use super::peer::PeerCertificate;

/// Parses a client certificate.
#[must_use]
pub fn certificate(der: &[u8]) -> Option<PeerCertificate> {
    PeerCertificate::of_der(der).ok()
}

/// Parses a client's frames in pieces of `piece` bytes. Returns the kind of each frame as a letter, and the number of
/// the header block in progress.
#[must_use]
pub fn frames(bytes: &[u8], piece: usize) -> (String, Option<u64>) {
    let mut frames = Frames::of_client();
    let mut kinds = String::new();
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
