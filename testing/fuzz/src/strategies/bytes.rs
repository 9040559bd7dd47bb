//! Bytes without a structure.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One edit of bytes, at a relative position.
#[derive(Debug, Clone)]
enum Edit {
    Flip {
        at: Index,
        bit: u8,
    },
    Set {
        at: Index,
        byte: u8,
    },
    Remove(Index, Index),
    Repeat(Index, Index),
    /// Ends as another seed does.
    Splice {
        at: Index,
        other: Vec<u8>,
        from: Index,
    },
    Insert {
        at: Index,
        bytes: Vec<u8>,
    },
}

/// A seed with a few edits, or arbitrary bytes.
pub(super) fn edited(seeds: &[Vec<u8>]) -> BoxedStrategy<Vec<u8>> {
    let edits = vec(edit(seeds), 1..=4);
    let edited = (select(seeds.to_vec()), edits)
        .prop_map(|(seed, edits)| edits.into_iter().fold(seed, |bytes, edit| edit.apply(bytes)));
    prop_oneof![9 => edited, 1 => vec(any::<u8>(), 0..=1_024)].boxed()
}

fn edit(seeds: &[Vec<u8>]) -> impl Strategy<Value = Edit> + use<> {
    let index = any::<Index>;
    let byte = prop_oneof![select(&[0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'{'][..]), any::<u8>()];
    prop_oneof![
        (index(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip { at, bit }),
        (index(), byte).prop_map(|(at, byte)| Edit::Set { at, byte }),
        (index(), index()).prop_map(|(one, other)| Edit::Remove(one, other)),
        (index(), index()).prop_map(|(one, other)| Edit::Repeat(one, other)),
        (index(), select(seeds.to_vec()), index()).prop_map(|(at, other, from)| Edit::Splice {
            at,
            other,
            from
        }),
        (index(), vec(any::<u8>(), 1..=32)).prop_map(|(at, bytes)| Edit::Insert { at, bytes }),
    ]
}

// === impl Edit ===

impl Edit {
    fn apply(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len();
        match self {
            Self::Flip { at, bit } if end > 0 => bytes[at.index(end)] ^= 1 << bit,
            Self::Set { at, byte } if end > 0 => bytes[at.index(end)] = byte,
            Self::Flip { .. } | Self::Set { .. } => {}
            Self::Remove(one, other) => drop(bytes.drain(range(&one, &other, end))),
            Self::Repeat(one, other) => bytes.extend_from_within(range(&one, &other, end)),
            Self::Splice { at, other, from } => {
                bytes.truncate(at.index(end + 1));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Insert { at, bytes: inserted } => {
                let at = at.index(end + 1);
                bytes.splice(at..at, inserted);
            }
        }
        bytes
    }
}

fn range(one: &Index, other: &Index, length: usize) -> std::ops::Range<usize> {
    let one = one.index(length + 1);
    let other = other.index(length + 1);
    one.min(other)..one.max(other)
}
