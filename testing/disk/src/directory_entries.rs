//! Directory entries: those visible to the running system, and those that are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use crate::random::Random;
use crate::writeback::Writeback;

/// The target of a name: a file or a folder.
pub(crate) type Node = u64;

/// The entries of every folder, visible and durable.
#[derive(Debug, Default)]
pub(crate) struct DirectoryEntries {
    live: Folders,
    durable: Folders,
    /// Changes since the folders were synced, in order.
    unsynced: Vec<Change>,
}

/// The entries of each folder.
pub(crate) type Folders = BTreeMap<Node, BTreeMap<OsString, Node>>;

/// An atomic change of names: one for creating or removing, two for renaming.
#[derive(Debug, Clone)]
struct Change(Vec<(Node, OsString, Option<Node>)>);

// === impl DirectoryEntries ===

impl DirectoryEntries {
    /// Entries that are durable from the start.
    pub(crate) fn durable(folders: Folders) -> Self {
        Self { live: folders.clone(), durable: folders, unsynced: vec![] }
    }

    pub(crate) fn get(&self, folder: Node, name: &OsStr) -> Option<Node> {
        self.live.get(&folder)?.get(name).copied()
    }

    pub(crate) fn of(&self, folder: Node) -> impl Iterator<Item = (&OsString, Node)> {
        self.live.get(&folder).into_iter().flatten().map(|(name, node)| (name, *node))
    }

    /// Creates, replaces or removes a name.
    pub(crate) fn set(&mut self, folder: Node, name: &OsStr, node: Option<Node>) {
        self.change(Change(vec![(folder, name.to_owned(), node)]));
    }

    pub(crate) fn rename(&mut self, from: (Node, &OsStr), to: (Node, &OsStr), node: Node) {
        let removed = (from.0, from.1.to_owned(), None);
        self.change(Change(vec![removed, (to.0, to.1.to_owned(), Some(node))]));
    }

    /// Makes the changes of a folder durable, and those connected with them by a rename.
    pub(crate) fn sync(&mut self, folder: Node) {
        let mut connected = BTreeSet::from([folder]);
        let mut before = 0;
        while before < connected.len() {
            before = connected.len();
            let touching = self.unsynced.iter().filter(|change| change.touches(&connected));
            let more: Vec<_> = touching.flat_map(Change::folders).collect();
            connected.extend(more);
        }
        let (arrived, left) = std::mem::take(&mut self.unsynced)
            .into_iter()
            .partition(|change: &Change| change.touches(&connected));
        self.unsynced = left;
        self.make_durable(&arrived);
    }

    pub(crate) fn sync_all(&mut self) {
        let arrived = std::mem::take(&mut self.unsynced);
        self.make_durable(&arrived);
    }

    /// Applies a power failure.
    pub(crate) fn after_cut(&self, random: &mut Random) -> Folders {
        let writeback = Writeback::choose(self.unsynced.len(), random);
        let mut surviving = self.durable.clone();
        for (index, change) in self.unsynced.iter().enumerate() {
            if writeback.arrived(index, random) {
                change.apply(&mut surviving);
            }
        }
        surviving
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    fn make_durable(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| change.apply(&mut self.durable));
    }
}

// === impl Change ===

impl Change {
    fn folders(&self) -> impl Iterator<Item = Node> {
        self.0.iter().map(|(folder, ..)| *folder)
    }

    fn touches(&self, folders: &BTreeSet<Node>) -> bool {
        self.folders().any(|folder| folders.contains(&folder))
    }

    fn apply(&self, image: &mut Folders) {
        for (folder, name, node) in &self.0 {
            let names = image.entry(*folder).or_default();
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Node = 1;

    #[test]
    fn name_is_durable_once_its_folder_was_synced() {
        let mut names = DirectoryEntries::default();
        names.set(ROOT, OsStr::new("kept"), Some(2));
        names.sync(ROOT);
        names.set(ROOT, OsStr::new("perhaps"), Some(3));
        let cuts: Vec<_> = (0..100).map(|seed| names.after_cut(&mut Random::new(seed))).collect();
        assert!(cuts.iter().all(|cut| cut[&ROOT].contains_key(OsStr::new("kept"))));
        let arrived = cuts.iter().filter(|cut| cut[&ROOT].contains_key(OsStr::new("perhaps"))).count();
        assert!((1..100).contains(&arrived), "{arrived}");
    }

    #[test]
    fn rename_is_atomic() {
        let mut names = DirectoryEntries::default();
        names.set(ROOT, OsStr::new("new"), Some(2));
        names.set(ROOT, OsStr::new("old"), Some(3));
        names.sync(ROOT);
        names.rename((ROOT, OsStr::new("new")), (ROOT, OsStr::new("old")), 2);
        for seed in 0..100 {
            let cut = names.after_cut(&mut Random::new(seed));
            let both = (cut[&ROOT].get(OsStr::new("new")), cut[&ROOT].get(OsStr::new("old")));
            assert!(matches!(both, (Some(2), Some(3)) | (None, Some(2))), "{both:?}");
        }
    }

    #[test]
    fn syncing_a_folder_syncs_others_only_through_a_rename() {
        let a = 2;
        let b = 3;
        let c = 4;
        let mut names = DirectoryEntries::default();
        names.set(b, OsStr::new("x"), Some(9));
        names.rename((a, OsStr::new("y")), (b, OsStr::new("x")), 8);
        names.set(c, OsStr::new("z"), Some(7));
        names.sync(a);
        assert_eq!(names.durable[&b][OsStr::new("x")], 8);
        assert!(!names.durable.contains_key(&c));
    }
}
