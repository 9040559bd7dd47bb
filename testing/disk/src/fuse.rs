//! The FUSE interface of the disk. Decides nothing: each request is passed to the image, each refusal becomes
//! an error number.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

use crate::directory_entries::Node;
use crate::image::{Image, Kind, Owner, Refusal};
use crate::power::Power;
use crate::{DiskOperation, MountError};

/// Maximum number of requests that wait for a slow sync or a frozen disk.
const THREADS: usize = 8;
/// How long the kernel may cache attributes: not at all, because a cut changes everything.
const TTL: Duration = Duration::ZERO;
/// A close does not access the disk, so that killed processes can close their files on a frozen disk.
const OPENED: FopenFlags = FopenFlags::FOPEN_NOFLUSH;
const BLOCK: u32 = 4_096;
/// The free space that an undamaged disk reports: 4 GiB.
const CAPACITY: u64 = 4 << 30;

#[derive(Debug)]
pub(crate) struct Mounted {
    folder: PathBuf,
    session: Option<BackgroundSession>,
}

struct Requests(Arc<Power>);

pub(crate) fn mount(folder: &Path, power: Arc<Power>) -> Result<Mounted, MountError> {
    if !Path::new("/dev/fuse").exists() {
        return Err(MountError::NoFuse);
    }
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("ticketing-disk".into()), MountOption::DefaultPermissions];
    config.n_threads = Some(THREADS);
    let session = fuser::spawn_mount(Requests(power), folder, &config)
        .map_err(|source| MountError::Refused { folder: folder.to_owned(), source })?;
    Ok(Mounted { folder: folder.to_owned(), session: Some(session) })
}

/// The owner of the disk's root folder: the owner of the folder that it is mounted on.
pub(crate) fn owner(folder: &Path) -> io::Result<Owner> {
    let metadata = std::fs::metadata(folder)?;
    let mode = (metadata.mode() & 0o7777) as u16;
    Ok(Owner { mode, uid: metadata.uid(), gid: metadata.gid() })
}

// === impl Mounted ===

impl Drop for Mounted {
    fn drop(&mut self) {
        // Detached first, which works even with open files; dropping the session is for users who may not do
        // that.
        let detached = rustix::mount::unmount(&self.folder, rustix::mount::UnmountFlags::DETACH);
        drop(self.session.take());
        if let Err(error) = detached {
            warn_if_still_mounted(&self.folder, &error.into());
        }
    }
}

/// Warns if a folder is still mounted.
fn warn_if_still_mounted(folder: &Path, error: &io::Error) {
    use io::Write;
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if folder.to_str().is_some_and(|folder| mounts.contains(folder)) {
        let _ = writeln!(io::stderr(), "{} could not be unmounted: {error}", folder.display());
    }
}

// === impl Requests ===

impl Requests {
    fn attributes(image: &Image, node: Node) -> Result<FileAttr, Refusal> {
        let entry = image.entry(node)?;
        let (kind, size) = match &entry.kind {
            Kind::File(content) => (FileType::RegularFile, content.len() as u64),
            Kind::Folder => (FileType::Directory, 0),
        };
        let time = UNIX_EPOCH;
        Ok(FileAttr {
            ino: INodeNo(node),
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm: entry.owner.mode,
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            uid: entry.owner.uid,
            gid: entry.owner.gid,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        })
    }

    fn make(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        kind: Kind,
        mode: u32,
    ) -> Result<FileAttr, Refusal> {
        let owner = Owner { mode: (mode & 0o7777) as u16, uid: req.uid(), gid: req.gid() };
        self.0.change(|image| {
            let node = image.make(parent.0, name, kind, owner)?;
            Self::attributes(image, node)
        })
    }

    fn remove(&self, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.0.change(|image| image.remove(parent.0, name)), reply);
    }

    /// Writes during a sync are not part of it.
    fn sync(&self, node: Node) -> Result<(), Refusal> {
        let (newest, takes) = self.0.change_file(DiskOperation::Sync, node, |image| {
            Ok((image.newest(node)?, image.faults.sync_takes()))
        })?;
        std::thread::sleep(takes);
        self.0.read(|image| image.sync(node, newest))
    }
}

impl Filesystem for Requests {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.read(|image| {
            let node = image.look_up(parent.0, name)?;
            Self::attributes(image, node)
        });
        entry(found, reply);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        attributes(self.0.read(|image| Self::attributes(image, ino.0)), reply);
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.0.change(|image| {
            let owner = &mut image.entry_mut(ino.0)?.owner;
            owner.mode = mode.map_or(owner.mode, |mode| (mode & 0o7777) as u16);
            owner.uid = uid.unwrap_or(owner.uid);
            owner.gid = gid.unwrap_or(owner.gid);
            if let Some(size) = size {
                image.resize(ino.0, bytes(size)?)?;
            }
            Self::attributes(image, ino.0)
        });
        attributes(changed, reply);
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, reply: ReplyEntry) {
        entry(self.make(req, parent, name, Kind::Folder, mode), reply);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.make(req, parent, name, Kind::file(), mode) {
            Ok(made) => reply.created(&TTL, &made, Generation(0), FileHandle(0), OPENED),
            Err(refusal) => reply.error(number(refusal)),
        }
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, reply);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, reply);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.is_empty() {
            let from = (parent.0, name);
            let to = (newparent.0, newname);
            answer(self.0.change(|image| image.rename(from, to)), reply);
        } else {
            reply.error(Errno::EINVAL);
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.0.read(|image| image.entry(ino.0).map(drop)) {
            Ok(()) => reply.opened(FileHandle(0), OPENED),
            Err(refusal) => reply.error(number(refusal)),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.0.read(|image| Ok(image.read(ino.0, bytes(offset)?, size as usize)?.to_vec()));
        match read {
            Ok(read) => reply.data(&read),
            Err(refusal) => reply.error(number(refusal)),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self
            .0
            .change_file(DiskOperation::Write, ino.0, |image| image.write(ino.0, bytes(offset)?, data))
        {
            Ok(written) => reply.written(u32::try_from(written).unwrap_or(u32::MAX)),
            Err(refusal) => reply.error(number(refusal)),
        }
    }

    /// Sent by kernels that do not know that they need not ask.
    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer(self.sync(ino.0), reply);
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer(self.0.change(|image| image.sync_folder(ino.0)), reply);
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.0.read(|image| {
            let named = |(name, node)| Ok((name, node, Self::attributes(image, node)?.kind));
            let names = image.list(ino.0)?.map(|(name, node)| named((name.clone(), node)));
            names.collect::<Result<Vec<_>, Refusal>>()
        });
        match listed {
            Ok(names) => {
                for (at, (name, node, kind)) in (1..).zip(names).skip(usize::try_from(offset).unwrap_or(0)) {
                    if reply.add(INodeNo(node), at, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(refusal) => reply.error(number(refusal)),
        }
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let left = self.0.read(|image| Ok(image.faults.space_left().unwrap_or(CAPACITY)));
        match left {
            Ok(left) => {
                let all = CAPACITY / u64::from(BLOCK);
                let left = left / u64::from(BLOCK);
                reply.statfs(all, left, left, 1 << 20, 1 << 19, BLOCK, 255, BLOCK);
            }
            Err(refusal) => reply.error(number(refusal)),
        }
    }
}

fn entry(made: Result<FileAttr, Refusal>, reply: ReplyEntry) {
    match made {
        Ok(made) => reply.entry(&TTL, &made, Generation(0)),
        Err(refusal) => reply.error(number(refusal)),
    }
}

fn attributes(found: Result<FileAttr, Refusal>, reply: ReplyAttr) {
    match found {
        Ok(found) => reply.attr(&TTL, &found),
        Err(refusal) => reply.error(number(refusal)),
    }
}

fn answer(done: Result<(), Refusal>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(refusal) => reply.error(number(refusal)),
    }
}

fn bytes(count: u64) -> Result<usize, Refusal> {
    // A file lives in memory: 1 TiB is a mistake.
    usize::try_from(count).ok().filter(|count| *count < 1 << 40).ok_or(Refusal::NoSpace)
}

fn number(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::NotFound => Errno::ENOENT,
        Refusal::Exists => Errno::EEXIST,
        Refusal::NotEmpty => Errno::ENOTEMPTY,
        Refusal::IsAFolder => Errno::EISDIR,
        Refusal::NoSpace => Errno::ENOSPC,
        Refusal::Broken => Errno::EIO,
    }
}
