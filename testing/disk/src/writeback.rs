//! Which unsynced changes are durable when the power fails.
//!
//! A system writes back at any time: nothing yet, everything up to a moment, or anything in any order.

use crate::random::Random;

/// How a cut applies to the changes of one file, or of all names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writeback {
    Nothing,
    /// Keeps the first changes, this many.
    First(usize),
    /// Decides each piece separately, with a chance in percent: later ones may survive without earlier ones,
    /// or half of a change.
    Pieces(u8),
}

// === impl Writeback ===

impl Writeback {
    /// A random choice of these, for a number of changes.
    pub(crate) fn choose(changes: usize, random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Nothing,
            1 => Self::First(random.below(changes + 1)),
            _ => Self::Pieces([10, 50, 90][random.below(3)]),
        }
    }

    /// Whether a piece of the change with this index survives.
    pub(crate) fn arrived(self, index: usize, random: &mut Random) -> bool {
        match self {
            Self::Nothing => false,
            Self::First(count) => index < count,
            Self::Pieces(chance) => random.percent(chance),
        }
    }

    /// How many size changes survive. A file system journals them, so they survive in order.
    pub(crate) fn sizes(self, changes: usize, random: &mut Random) -> usize {
        match self {
            Self::Nothing => 0,
            Self::First(count) => count,
            Self::Pieces(_) => random.below(changes + 1),
        }
    }
}
