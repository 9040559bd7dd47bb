//! Which unsynced changes are durable when the power fails.
//!
//! A system writes back whenever it likes: nothing yet, everything up to a moment, or anything in any order.

use crate::random::Random;

/// How the changes of one file, or of all names, met the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writeback {
    Nothing,
    /// So many of the first changes, and none of the later ones.
    First(usize),
    /// Each piece by itself, with a chance in percent: later ones without earlier ones, and halves of one change.
    Pieces(u8),
}

// === impl Writeback ===

impl Writeback {
    /// One way out of all of them, for so many changes.
    pub(crate) fn choose(changes: usize, random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Nothing,
            1 => Self::First(random.below(changes + 1)),
            _ => Self::Pieces([10, 50, 90][random.below(3)]),
        }
    }

    /// Whether one piece of the change at this place arrived.
    pub(crate) fn arrived(self, index: usize, random: &mut Random) -> bool {
        match self {
            Self::Nothing => false,
            Self::First(count) => index < count,
            Self::Pieces(chance) => random.percent(chance),
        }
    }

    /// How many of the changes of a size arrived. A file system keeps a journal of these: they arrive in their order.
    pub(crate) fn sizes(self, changes: usize, random: &mut Random) -> usize {
        match self {
            Self::Nothing => 0,
            Self::First(count) => count,
            Self::Pieces(_) => random.below(changes + 1),
        }
    }
}
