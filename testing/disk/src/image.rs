//! The whole disk, as the running system sees it and as a power cut would leave it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::directory_entries::{DirectoryEntries, Folders, Node};
use crate::fault::{Dirty, Faults};
use crate::file::{Content, SectorCounts};
use crate::random::Random;
use crate::{Counts, Options, Syncs};

/// The root folder.
pub(crate) const ROOT: Node = 1;

/// The disk. Node numbers change with each power cut, so that no cache serves dropped content.
#[derive(Debug)]
pub(crate) struct Image {
    options: Options,
    pub(crate) faults: Faults,
    pub(crate) counts: Counts,
    names: DirectoryEntries,
    nodes: BTreeMap<Node, Entry>,
    next: Node,
}

/// A file or a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Permissions and owner, which every cut preserves.
    pub(crate) owner: Owner,
    /// Its last name, for faults that are confined to some files.
    name: String,
}

#[derive(Debug)]
pub(crate) enum Kind {
    File(Content),
    Folder,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    Exists,
    NotEmpty,
    IsAFolder,
    NoSpace,
    Broken,
}

// === impl Image ===

impl Image {
    pub(crate) fn new(options: Options, root: Owner) -> Self {
        let root = Entry { kind: Kind::Folder, owner: root, name: String::new() };
        Self {
            options,
            faults: Faults::default(),
            counts: Counts::default(),
            names: DirectoryEntries::default(),
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
        }
    }

    pub(crate) fn entry(&self, node: Node) -> Result<&Entry, Refusal> {
        // An unknown node is from before the last cut.
        self.nodes.get(&node).ok_or(Refusal::Broken)
    }

    pub(crate) fn entry_mut(&mut self, node: Node) -> Result<&mut Entry, Refusal> {
        self.nodes.get_mut(&node).ok_or(Refusal::Broken)
    }

    /// Whether the name of a file has this suffix.
    pub(crate) fn has_suffix(&self, node: Node, ending: &str) -> bool {
        self.entry(node).is_ok_and(|entry| entry.name.ends_with(ending))
    }

    pub(crate) fn look_up(&self, folder: Node, name: &OsStr) -> Result<Node, Refusal> {
        self.entry(folder)?;
        self.names.get(folder, name).ok_or(Refusal::NotFound)
    }

    pub(crate) fn list(&self, folder: Node) -> Result<impl Iterator<Item = (&OsString, Node)>, Refusal> {
        self.entry(folder)?;
        Ok(self.names.of(folder))
    }

    pub(crate) fn make(
        &mut self,
        folder: Node,
        name: &OsStr,
        kind: Kind,
        owner: Owner,
    ) -> Result<Node, Refusal> {
        match self.look_up(folder, name) {
            Ok(_) => return Err(Refusal::Exists),
            Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refusal),
        }
        if self.faults.space_left() == Some(0) {
            return Err(Refusal::NoSpace);
        }
        let node = self.next;
        self.next += 1;
        self.nodes.insert(node, Entry { kind, owner, name: name.to_string_lossy().into_owned() });
        self.names.set(folder, name, Some(node));
        Ok(node)
    }

    /// Removes a name. Processes that have the file open keep it.
    pub(crate) fn remove(&mut self, folder: Node, name: &OsStr) -> Result<(), Refusal> {
        let node = self.look_up(folder, name)?;
        if self.names.of(node).next().is_some() {
            return Err(Refusal::NotEmpty);
        }
        self.names.set(folder, name, None);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (Node, &OsStr), to: (Node, &OsStr)) -> Result<(), Refusal> {
        let node = self.look_up(from.0, from.1)?;
        if let Ok(replaced) = self.look_up(to.0, to.1)
            && self.names.of(replaced).next().is_some()
        {
            return Err(Refusal::NotEmpty);
        }
        self.entry_mut(node)?.name = to.1.to_string_lossy().into_owned();
        self.names.rename(from, to, node);
        Ok(())
    }

    pub(crate) fn read(&mut self, node: Node, offset: usize, size: usize) -> Result<&[u8], Refusal> {
        let entry = self.nodes.get(&node).ok_or(Refusal::Broken)?;
        if self.faults.read_fails(&entry.name) {
            return Err(Refusal::Broken);
        }
        Ok(entry.content()?.read(offset, size))
    }

    /// Writes as much as there is space for. Returns how much that is.
    pub(crate) fn write(&mut self, node: Node, offset: usize, bytes: &[u8]) -> Result<usize, Refusal> {
        let entry = self.nodes.get_mut(&node).ok_or(Refusal::Broken)?;
        if self.faults.write_fails(&entry.name) {
            return Err(Refusal::Broken);
        }
        let content = entry.content_mut()?;
        let growth = (offset + bytes.len()).saturating_sub(content.len()) as u64;
        let lacking = usize::try_from(growth - self.faults.take_space(growth)).unwrap_or(bytes.len());
        let written = bytes.len().saturating_sub(lacking);
        if written == 0 && !bytes.is_empty() {
            return Err(Refusal::NoSpace);
        }
        content.write(offset, &bytes[..written]);
        self.counts.writes += 1;
        Ok(written)
    }

    pub(crate) fn resize(&mut self, node: Node, size: usize) -> Result<(), Refusal> {
        let content = self.nodes.get_mut(&node).ok_or(Refusal::Broken)?.content_mut()?;
        let growth = size.saturating_sub(content.len()) as u64;
        if self.faults.space_left().is_some_and(|left| left < growth) {
            return Err(Refusal::NoSpace);
        }
        self.faults.take_space(growth);
        content.resize(size);
        Ok(())
    }

    /// What a sync that begins now must make durable.
    pub(crate) fn newest(&self, node: Node) -> Result<u64, Refusal> {
        Ok(self.entry(node)?.content()?.newest())
    }

    /// Makes a file durable as it was when the sync began.
    pub(crate) fn sync(&mut self, node: Node, newest: u64) -> Result<(), Refusal> {
        let entry = self.nodes.get_mut(&node).ok_or(Refusal::Broken)?;
        self.counts.syncs += 1;
        match self.faults.sync_fails(&entry.name) {
            None => entry.content_mut()?.sync(newest),
            Some(Dirty::Kept) => return Err(Refusal::Broken),
            Some(Dirty::Dropped) => {
                entry.content_mut()?.drop_dirty(newest);
                return Err(Refusal::Broken);
            }
        }
        if self.options.syncs == Syncs::WithNames {
            self.names.sync_all();
        }
        Ok(())
    }

    pub(crate) fn sync_folder(&mut self, folder: Node) -> Result<(), Refusal> {
        let entry = self.entry(folder)?;
        let name = entry.name.clone();
        self.counts.syncs += 1;
        if self.faults.sync_fails(&name).is_some() {
            return Err(Refusal::Broken);
        }
        self.names.sync(folder);
        Ok(())
    }

    /// Changes a file durably, unnoticed by the system.
    pub(crate) fn damage(&mut self, path: &Path, damage: impl Fn(&mut Vec<u8>)) -> Result<(), Refusal> {
        let node = self.walk(path)?;
        self.entry_mut(node)?.content_mut()?.damage(damage);
        Ok(())
    }

    /// How long a file is.
    pub(crate) fn length(&self, path: &Path) -> Result<usize, Refusal> {
        Ok(self.entry(self.walk(path)?)?.content()?.len())
    }

    fn walk(&self, path: &Path) -> Result<Node, Refusal> {
        path.iter().try_fold(ROOT, |folder, name| self.look_up(folder, name))
    }

    /// The power fails and returns.
    pub(crate) fn cut(&mut self, seed: u64) -> SectorCounts {
        let mut random = Random::new(seed);
        let mut sectors = SectorCounts::default();
        let surviving = self.names.after_cut(&mut random);
        let mut rest = BTreeMap::new();
        let mut folders = Folders::new();
        let mut root = std::mem::take(&mut self.nodes);
        if let Some(entry) = root.remove(&ROOT) {
            rest.insert(ROOT, entry);
        }
        let mut open = vec![(ROOT, ROOT)];
        while let Some((before, now)) = open.pop() {
            for (name, node) in surviving.get(&before).into_iter().flatten() {
                let Some(entry) = root.remove(node) else { continue };
                let new = self.next;
                self.next += 1;
                if matches!(entry.kind, Kind::Folder) {
                    open.push((*node, new));
                }
                let kind = entry.kind.after_cut(self.options.sector, &mut random, &mut sectors);
                rest.insert(new, Entry { kind, name: name.to_string_lossy().into_owned(), ..entry });
                folders.entry(now).or_default().insert(name.clone(), new);
            }
        }
        self.nodes = rest;
        self.names = DirectoryEntries::durable(folders);
        self.counts.cuts += 1;
        self.counts.sectors_lost += sectors.lost;
        self.counts.sectors_kept += sectors.kept;
        sectors
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) fn content(&self) -> Result<&Content, Refusal> {
        match &self.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder => Err(Refusal::IsAFolder),
        }
    }

    fn content_mut(&mut self) -> Result<&mut Content, Refusal> {
        match &mut self.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder => Err(Refusal::IsAFolder),
        }
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) fn file() -> Self {
        Self::File(Content::default())
    }

    fn after_cut(&self, sector: usize, random: &mut Random, sectors: &mut SectorCounts) -> Self {
        match self {
            Self::File(content) => Self::File(Content::durable(content.after_cut(sector, random, sectors))),
            Self::Folder => Self::Folder,
        }
    }
}
