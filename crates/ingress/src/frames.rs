//! Tracks the HTTP/2 frames of a connection by their nine-byte headers, and limits what they may cost.
//!
//! h2 answers PING and SETTINGS, skips PRIORITY, and serves streams that are reset at once, for as long as a peer
//! sends them. This takes no memory, but CPU time (rapid reset, CVE-2023-44487, and its relatives).

use std::time::Duration;

use tokio::time::Instant;

/// The client connection preface, "PRI * HTTP/2.0" and so on.
const PREFACE: usize = 24;
const HEAD: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Time in which a `TokenBucket` refills completely.
pub const REFILL: Duration = Duration::from_secs(60);
/// Initial tokens of a restricted [`FrameBudget`]: enough to set up a connection and make calls.
const RESTRICTED_SHARE: f64 = 0.05;
/// Control frames credited per carrying frame: a window update and a ping, for stream and connection.
const ALONG: u32 = 4;

/// What a frame costs its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// HEADERS, or non-empty DATA.
    Carrying,
    /// RST_STREAM.
    Reset,
    /// Any other.
    Empty,
}

/// Tracks the frames of one direction.
#[derive(Debug)]
pub struct Frames {
    position: Position,
    head: [u8; HEAD],
    /// HEADERS without END_HEADERS so far.
    in_block: bool,
    /// The current bytes belong to the preface, the first frame or a header block.
    in_head: bool,
    /// Number of complete header blocks; the preface counts as the first.
    heads: u64,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    Preface { left: usize },
    Head { have: usize },
    Payload { left: usize },
}

/// What a peer may still send.
#[derive(Debug)]
pub struct FrameBudget {
    begun: Instant,
    /// Initial share of the full budget.
    initial: f64,
    resets: TokenBucket,
    control: TokenBucket,
    /// Resets by the server, whose number h2 limits; counted only for [`spent`](Self::spent).
    resets_of_ours: TokenBucket,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetExceeded {
    #[error("too many streams were reset")]
    Resets,
    #[error("too many control frames")]
    ControlFrames,
}

#[derive(Debug)]
struct TokenBucket {
    capacity: u32,
    left: u32,
    filled: Instant,
}

// === impl Frames ===

impl Frames {
    /// Tracks a client's frames.
    pub fn of_client() -> Self {
        Self::starting_at(Position::Preface { left: PREFACE })
    }

    /// Tracks a server's frames.
    pub fn of_server() -> Self {
        Self::starting_at(Position::Head { have: 0 })
    }

    fn starting_at(position: Position) -> Self {
        Self { position, head: [0; HEAD], in_block: false, in_head: true, heads: 0 }
    }

    /// The number of the header block in progress: of the connection preface, or of a call.
    pub fn incomplete_head(&self) -> Option<u64> {
        self.in_head.then_some(self.heads)
    }

    /// Processes bytes, and reports each frame that begins in them.
    pub fn follow(&mut self, mut bytes: &[u8], mut frame: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let consumed = match &mut self.position {
                Position::Preface { left } | Position::Payload { left } => {
                    let consumed = bytes.len().min(*left);
                    *left -= consumed;
                    consumed
                }
                Position::Head { have } => {
                    let consumed = bytes.len().min(HEAD - *have);
                    self.head[*have..*have + consumed].copy_from_slice(&bytes[..consumed]);
                    *have += consumed;
                    consumed
                }
            };
            bytes = &bytes[consumed..];
            match self.position {
                Position::Preface { left: 0 } => self.position = Position::Head { have: 0 },
                Position::Head { have: HEAD } => frame(self.begin()),
                _ => {}
            }
            if let Position::Payload { left: 0 } = self.position {
                self.end();
            }
        }
    }

    fn begin(&mut self) -> Frame {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.position = Position::Payload { left: length as usize };
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_head = true;
            self.in_block = flags & END_HEADERS == 0;
        }
        match kind {
            HEADERS => Frame::Carrying,
            DATA if length > 0 => Frame::Carrying,
            RST_STREAM => Frame::Reset,
            _ => Frame::Empty,
        }
    }

    fn end(&mut self) {
        self.position = Position::Head { have: 0 };
        if self.in_head && !self.in_block {
            self.in_head = false;
            self.heads += 1;
        }
    }
}

// === impl FrameBudget ===

impl FrameBudget {
    pub fn new(resets: u32, control: u32, now: Instant) -> Self {
        Self::with_share(1.0, resets, control, now)
    }

    /// A budget that starts small and is full after [`REFILL`].
    pub fn restricted(resets: u32, control: u32, now: Instant) -> Self {
        Self::with_share(RESTRICTED_SHARE, resets, control, now)
    }

    fn with_share(initial: f64, resets: u32, control: u32, now: Instant) -> Self {
        let bucket = |capacity| TokenBucket::with_share(initial, capacity, now);
        let begun = now;
        let resets_of_ours = bucket(resets);
        Self { begun, initial, resets: bucket(resets), control: bucket(control), resets_of_ours }
    }

    /// Charges a frame of the peer.
    pub fn take(&mut self, frame: Frame, now: Instant) -> Result<(), BudgetExceeded> {
        match frame {
            Frame::Carrying => self.give(),
            Frame::Reset if !self.resets.take(now) => return Err(BudgetExceeded::Resets),
            Frame::Empty if !self.control.take(now) => return Err(BudgetExceeded::ControlFrames),
            Frame::Reset | Frame::Empty => {}
        }
        Ok(())
    }

    /// Records a frame sent by the server.
    pub fn answer(&mut self, frame: Frame, now: Instant) {
        match frame {
            Frame::Carrying => self.give(),
            Frame::Reset => _ = self.resets_of_ours.take(now),
            Frame::Empty => {}
        }
    }

    /// The used share of the most used part, from 0 to 1.
    pub fn spent(&mut self, now: Instant) -> f64 {
        let refilled = now.duration_since(self.begun).as_secs_f64() / REFILL.as_secs_f64();
        let unused = (self.initial + refilled).min(1.0);
        let parts = [&mut self.resets, &mut self.control, &mut self.resets_of_ours];
        parts.into_iter().map(|bucket| unused - bucket.share_left(now)).fold(0.0, f64::max)
    }

    /// A carrying frame in either direction earns credit.
    fn give(&mut self) {
        self.control.give(ALONG);
    }
}

// === impl TokenBucket ===

impl TokenBucket {
    fn with_share(share: f64, capacity: u32, now: Instant) -> Self {
        Self { capacity, left: (f64::from(capacity) * share) as u32, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            self.refill(now);
        }
        let enough = self.left > 0;
        self.left = self.left.saturating_sub(1);
        enough
    }

    fn refill(&mut self, now: Instant) {
        let share = now.duration_since(self.filled).as_secs_f64() / REFILL.as_secs_f64();
        let drops = (share.min(1.0) * f64::from(self.capacity)) as u32;
        if drops > 0 {
            self.filled = now;
            self.give(drops);
        }
    }

    fn share_left(&mut self, now: Instant) -> f64 {
        self.refill(now);
        f64::from(self.left) / f64::from(self.capacity)
    }

    fn give(&mut self, drops: u32) {
        self.left = self.left.saturating_add(drops).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 0x4;
    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let head = [0, 0, length, kind, flags, 0, 0, 0, 1];
        head.into_iter().chain(std::iter::repeat_n(0xAA, length.into())).collect()
    }

    fn conversation() -> Vec<u8> {
        let parts = [
            vec![b'x'; PREFACE],
            frame(SETTINGS, 0, 12),
            frame(HEADERS, 0, 30),
            frame(CONTINUATION, END_HEADERS, 0),
            frame(DATA, 0, 5),
            frame(DATA, 1, 0),
            frame(PING, 0, 8),
            frame(RST_STREAM, 0, 4),
        ];
        parts.concat()
    }

    #[test]
    fn finds_frames_in_any_chunking() {
        use Frame::{Carrying, Empty, Reset};
        let expected = [Empty, Carrying, Empty, Carrying, Empty, Empty, Reset];
        for size in 1..70 {
            let mut frames = Frames::of_client();
            let mut seen = vec![];
            for piece in conversation().chunks(size) {
                frames.follow(piece, |frame| seen.push(frame));
            }
            assert_eq!(seen, expected, "{size}");
            assert_eq!((frames.incomplete_head(), frames.heads), (None, 2));
        }
    }

    #[test]
    fn header_block_is_incomplete_until_last_byte() {
        let mut frames = Frames::of_client();
        let bytes = conversation();
        // The preface and the settings; then a header block in two frames.
        let incomplete =
            (0..PREFACE + 21).map(|_| Some(0)).chain((0..9).map(|_| None)).chain((9..48).map(|_| Some(1)));
        for (at, expected) in incomplete.enumerate() {
            assert_eq!(frames.incomplete_head(), expected, "after {at} bytes");
            frames.follow(&bytes[at..=at], |_| {});
        }
        assert_eq!(frames.incomplete_head(), None);
    }

    #[test]
    fn frame_budget_refills_with_time_and_carrying_frames() {
        let now = Instant::now();
        let mut budget = FrameBudget::new(10, 100, now);
        assert!((0..100).all(|_| budget.take(Frame::Empty, now).is_ok()));
        assert_eq!(budget.take(Frame::Empty, now), Err(BudgetExceeded::ControlFrames));
        budget.give();
        assert!((0..4).all(|_| budget.take(Frame::Empty, now).is_ok()));
        assert_eq!(budget.take(Frame::Empty, now), Err(BudgetExceeded::ControlFrames));
        // A tenth of each refills, of the resets too.
        let now = now + REFILL / 10;
        assert!((0..10).all(|_| budget.take(Frame::Empty, now).is_ok()));
        assert_eq!(budget.take(Frame::Empty, now), Err(BudgetExceeded::ControlFrames));
        assert!((0..11).all(|_| budget.take(Frame::Reset, now).is_ok()));
        assert_eq!(budget.take(Frame::Reset, now), Err(BudgetExceeded::Resets));
    }

    #[test]
    fn restricted_frame_budget_starts_small() {
        let begun = Instant::now();
        let mut budget = FrameBudget::restricted(100, 1_000, begun);
        assert!(budget.spent(begun) < 0.001);
        assert!((0..50).all(|_| budget.take(Frame::Empty, begun).is_ok()));
        assert_eq!(budget.take(Frame::Empty, begun), Err(BudgetExceeded::ControlFrames));
        assert!((budget.spent(begun) - 0.05).abs() < 0.001);
        let later = begun + REFILL / 2;
        assert!((0..500).all(|_| budget.take(Frame::Empty, later).is_ok()));
    }
}
