//! The content of one file: what the running system sees, what is durable, and the changes in between.

use crate::random::Random;
use crate::writeback::Writeback;

/// The content of a file, visible and durable.
#[derive(Debug, Default)]
pub(crate) struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    unsynced: Vec<Change>,
    /// Number of changes so far; numbers them.
    changes: u64,
}

#[derive(Debug)]
struct Change {
    number: u64,
    kind: ChangeKind,
}

#[derive(Debug)]
enum ChangeKind {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// The pieces that a cut has lost, of those that it could have lost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SectorCounts {
    pub(crate) lost: u64,
    pub(crate) kept: u64,
}

// === impl Content ===

impl Content {
    /// Content that is durable from the start.
    pub(crate) fn durable(bytes: Vec<u8>) -> Self {
        Self { live: bytes.clone(), durable: bytes, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn read(&self, offset: usize, size: usize) -> &[u8] {
        let start = offset.min(self.live.len());
        &self.live[start..start.saturating_add(size).min(self.live.len())]
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.live, offset, bytes);
        self.note(ChangeKind::Write { offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn resize(&mut self, size: usize) {
        if size != self.live.len() {
            self.live.resize(size, 0);
            self.note(ChangeKind::Resize(size));
        }
    }

    /// The number of the newest change: a sync that begins now must make it durable.
    pub(crate) fn newest(&self) -> u64 {
        self.changes
    }

    /// Makes every change up to that number durable.
    pub(crate) fn sync(&mut self, newest: u64) {
        for change in self.take(newest) {
            change.kind.apply(&mut self.durable);
        }
    }

    /// Drops the pending changes, like a system whose write-back failed: they are visible until the power
    /// fails, and no later sync writes them.
    pub(crate) fn drop_dirty(&mut self, newest: u64) {
        drop(self.take(newest));
    }

    /// Changes both images, unnoticed by the system.
    pub(crate) fn damage(&mut self, damage: impl Fn(&mut Vec<u8>)) {
        self.sync(self.changes);
        damage(&mut self.live);
        self.durable.clone_from(&self.live);
    }

    /// Applies a power failure.
    pub(crate) fn after_cut(
        &self,
        sector: usize,
        random: &mut Random,
        sectors: &mut SectorCounts,
    ) -> Vec<u8> {
        let writeback = Writeback::choose(self.unsynced.len(), random);
        let sizes = writeback.sizes(self.unsynced.len(), random);
        let mut surviving = self.durable.clone();
        let mut size = self.durable.len();
        for (index, change) in self.unsynced.iter().enumerate() {
            let resized = index < sizes;
            match &change.kind {
                ChangeKind::Write { offset, bytes } => {
                    for (offset, piece) in pieces(*offset, bytes, sector) {
                        let arrived = writeback.arrived(index, random);
                        *if arrived { &mut sectors.kept } else { &mut sectors.lost } += 1;
                        if arrived {
                            put(&mut surviving, offset, piece);
                        }
                    }
                    if resized {
                        size = size.max(offset + bytes.len());
                    }
                }
                ChangeKind::Resize(new) if resized => {
                    surviving.truncate(*new);
                    size = *new;
                }
                ChangeKind::Resize(_) => {}
            }
        }
        surviving.resize(size, 0);
        surviving
    }

    fn note(&mut self, kind: ChangeKind) {
        self.changes += 1;
        self.unsynced.push(Change { number: self.changes, kind });
    }

    fn take(&mut self, newest: u64) -> Vec<Change> {
        let count = self.unsynced.partition_point(|change| change.number <= newest);
        self.unsynced.drain(..count).collect()
    }
}

// === impl ChangeKind ===

impl ChangeKind {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(image, *offset, bytes),
            Self::Resize(size) => image.resize(*size, 0),
        }
    }
}

/// Writes into an image, which grows by zeros if it is too short.
fn put(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(bytes);
}

/// A write split at sector bounds, each piece with its offset.
fn pieces(offset: usize, bytes: &[u8], sector: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = offset;
    std::iter::from_fn(move || {
        let start = at - offset;
        let end = bytes.len().min((at / sector + 1) * sector - offset);
        at = offset + end;
        (start < end).then(|| (offset + start, &bytes[start..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: usize = 4;

    #[test]
    fn writes_are_torn_at_sector_bounds_only() {
        let torn: Vec<_> = pieces(3, b"abcdefg", SECTOR).collect();
        assert_eq!(torn, [(3, &b"a"[..]), (4, b"bcde"), (8, b"fg")]);
        assert_eq!(pieces(3, b"", SECTOR).count(), 0);
    }

    #[test]
    fn synced_data_survives_every_cut() {
        for seed in 0..200 {
            let mut content = Content::default();
            content.write(0, b"kept forever!");
            content.sync(content.newest());
            content.write(20, b"perhaps");
            let after = content.after_cut(SECTOR, &mut Random::new(seed), &mut SectorCounts::default());
            assert_eq!(&after[..13], b"kept forever!", "seed {seed}");
        }
    }

    #[test]
    fn cuts_keep_nothing_all_or_any_part_of_unsynced_writes() {
        let mut content = Content::durable(vec![b'.'; 12]);
        content.write(0, b"AAAA");
        content.write(4, b"BBBB");
        let seen: std::collections::BTreeSet<_> = (0..200)
            .map(|seed| content.after_cut(SECTOR, &mut Random::new(seed), &mut SectorCounts::default()))
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect();
        let all = ["............", "AAAA........", "....BBBB....", "AAAABBBB...."];
        assert_eq!(seen, all.map(str::to_owned).into());
    }

    #[test]
    fn file_size_and_content_reach_the_disk_separately() {
        let mut content = Content::default();
        content.write(0, b"AAAA");
        let seen: std::collections::BTreeSet<_> = (0..200)
            .map(|seed| content.after_cut(SECTOR, &mut Random::new(seed), &mut SectorCounts::default()))
            .collect();
        assert_eq!(seen, [vec![], vec![0; 4], b"AAAA".to_vec()].into());
    }

    #[test]
    fn sync_covers_what_was_written_before_it_began() {
        let mut content = Content::default();
        content.write(0, b"before");
        let newest = content.newest();
        content.write(6, b"after!");
        content.sync(newest);
        assert_eq!(content.durable, b"before");
        assert_eq!(content.read(0, 99), b"beforeafter!");
    }

    #[test]
    fn data_dropped_by_failed_sync_stays_lost() {
        let mut content = Content::durable(b"old".to_vec());
        content.write(0, b"new");
        content.drop_dirty(content.newest());
        content.sync(content.newest());
        assert_eq!(content.read(0, 3), b"new");
        assert_eq!(content.after_cut(SECTOR, &mut Random::new(1), &mut SectorCounts::default()), b"old");
    }

    #[test]
    fn same_seed_loses_the_same_writes() {
        let mut content = Content::default();
        (0..50).for_each(|n| content.write(n * 3, b"abcdef"));
        let cut = |seed| content.after_cut(SECTOR, &mut Random::new(seed), &mut SectorCounts::default());
        assert_eq!(cut(7), cut(7));
        assert_ne!(cut(7), cut(8));
    }
}
