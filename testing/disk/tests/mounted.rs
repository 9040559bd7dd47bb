//! The mounted disk, as programs use it. If mounting is impossible, each test prints a line of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use ticketing_disk::{Dirty, Disk, DiskOperation, Fault, Options, Syncs};

/// A disk, and the folder that it is mounted on; unmounted before that is removed.
struct MountedDisk {
    disk: Disk,
    folder: TempDir,
}

impl MountedDisk {
    fn mount() -> Option<Self> {
        Self::mount_with(Options::default())
    }

    fn mount_with(options: Options) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::mount_or_skip(folder.path(), options)?;
        Some(Self { disk, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file durable, with its name.
    fn keep(&self, name: &str, bytes: &[u8]) {
        let mut file = File::create(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        file.sync_all().unwrap();
        sync(self.folder.path());
    }
}

fn sync(folder: &Path) {
    File::open(folder).unwrap().sync_all().unwrap();
}

#[test]
fn synced_data_survives_a_hundred_power_cuts() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("log", b"");
    let mut kept = vec![];
    let mut lost = 0;
    let mut arrived = 0;
    for seed in 0..100 {
        let mut log = OpenOptions::new().append(true).open(mounted.path("log")).unwrap();
        let line = format!("{seed:0>1500}");
        log.write_all(line.as_bytes()).unwrap();
        log.sync_data().unwrap();
        kept.extend(line.into_bytes());
        log.write_all(&[b'?'; 1_500]).unwrap();
        drop(log);
        mounted.disk.cut(seed);
        let after = fs::read(mounted.path("log")).unwrap();
        assert_eq!(after[..kept.len()], kept, "seed {seed}");
        *if after.len() == kept.len() { &mut lost } else { &mut arrived } += 1;
        fs::write(mounted.path("log"), &kept).unwrap();
        File::open(mounted.path("log")).unwrap().sync_all().unwrap();
    }
    assert!(lost > 10 && arrived > 10, "{lost} {arrived}");
    let counts = mounted.disk.counts();
    assert_eq!(counts.cuts, 100);
    assert!(counts.sectors_lost > 100 && counts.sectors_kept > 100, "{counts:?}");
}

#[test]
fn name_is_lost_unless_folder_was_synced() {
    let Some(mounted) = MountedDisk::mount() else { return };
    let mut lost = 0;
    for seed in 0..40 {
        mounted.keep("kept", b"kept");
        File::create(mounted.path("synced alone")).unwrap().sync_all().unwrap();
        mounted.disk.cut(seed);
        assert_eq!(fs::read(mounted.path("kept")).unwrap(), b"kept");
        lost += u32::from(!mounted.path("synced alone").exists());
        let _ = fs::remove_file(mounted.path("synced alone"));
    }
    assert!((1..40).contains(&lost), "{lost}");
}

#[test]
fn journal_keeps_the_name_of_a_synced_file() {
    let options = Options { syncs: Syncs::WithNames, ..Options::default() };
    let Some(mounted) = MountedDisk::mount_with(options) else { return };
    for seed in 0..40 {
        let name = mounted.path(&seed.to_string());
        File::create(&name).unwrap().sync_all().unwrap();
        mounted.disk.cut(seed);
        assert!(name.exists(), "seed {seed}");
    }
}

#[test]
fn unsynced_folder_loses_its_content() {
    let Some(mounted) = MountedDisk::mount() else { return };
    let mut lost = 0;
    for seed in 0..40 {
        let folder = mounted.path(&seed.to_string());
        fs::create_dir(&folder).unwrap();
        File::create(folder.join("file")).unwrap().sync_all().unwrap();
        sync(&folder);
        mounted.disk.cut(seed);
        lost += u32::from(!folder.join("file").exists());
        assert_eq!(folder.exists(), folder.join("file").exists());
    }
    assert!((1..40).contains(&lost), "{lost}");
}

#[test]
fn rename_leaves_old_or_new_file() {
    let Some(mounted) = MountedDisk::mount() else { return };
    for seed in 0..40 {
        mounted.keep("file", b"old");
        let mut new = File::create(mounted.path("file.new")).unwrap();
        new.write_all(b"new").unwrap();
        new.sync_all().unwrap();
        fs::rename(mounted.path("file.new"), mounted.path("file")).unwrap();
        mounted.disk.cut(seed);
        let found = fs::read(mounted.path("file")).unwrap();
        assert!(found == b"old" || found == b"new", "{found:?}");
    }
}

#[test]
fn folders_list_created_but_not_removed_names() {
    let Some(mounted) = MountedDisk::mount() else { return };
    (0..300).for_each(|n| fs::write(mounted.path(&format!("{n}")), "x").unwrap());
    fs::create_dir(mounted.path("folder")).unwrap();
    fs::write(mounted.path("folder/file"), "y").unwrap();
    fs::remove_file(mounted.path("17")).unwrap();
    assert_eq!(fs::read_dir(mounted.folder.path()).unwrap().count(), 300);
    assert!(fs::remove_dir(mounted.path("folder")).is_err());
    fs::remove_file(mounted.path("folder/file")).unwrap();
    fs::remove_dir(mounted.path("folder")).unwrap();
    assert!(!mounted.path("folder").exists());
}

#[test]
fn open_files_fail_after_a_power_cut() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("file", b"content");
    let mut open = File::options().read(true).write(true).open(mounted.path("file")).unwrap();
    mounted.disk.cut(1);
    assert!(open.write_all(b"more").is_err());
    assert!(open.sync_all().is_err());
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"content");
}

#[test]
fn locks_exclude_other_open_files() {
    let Some(mounted) = MountedDisk::mount() else { return };
    let [one, other] = [(); 2].map(|()| File::create(mounted.path("lock")).unwrap());
    one.try_lock().unwrap();
    assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
    one.unlock().unwrap();
    other.try_lock().unwrap();
    let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::fcntl_lock(&one, exclusive).unwrap();
}

#[test]
fn full_disk_writes_what_fits_and_recovers() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("file", &[1; 4_096]);
    mounted.disk.fail(Fault::Full { after: 8_192 });
    assert_eq!(rustix::fs::statvfs(mounted.folder.path()).unwrap().f_bavail, 2);
    let mut file = OpenOptions::new().write(true).open(mounted.path("file")).unwrap();
    file.write_all(&[2; 4_096]).unwrap();
    let error = file.write_all(&[3; 3 * 4_096]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(file.metadata().unwrap().len(), 3 * 4_096);
    assert_eq!(rustix::fs::statvfs(mounted.folder.path()).unwrap().f_bavail, 0);
    assert_eq!(File::create(mounted.path("other")).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[4; 4_096]).unwrap();
    mounted.disk.heal();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&[5; 4_096]).unwrap();
    assert_eq!(fs::read(mounted.path("file")).unwrap().len(), 4 * 4_096);
}

#[test]
fn failed_sync_keeps_or_drops_the_bytes() {
    let Some(mounted) = MountedDisk::mount() else { return };
    for (dirty, survives) in [(Dirty::Kept, true), (Dirty::Dropped, false)] {
        mounted.keep("file", b"old");
        mounted.disk.fail_only("file", Fault::SyncFails { times: 1, dirty });
        let file = OpenOptions::new().write(true).open(mounted.path("file")).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        assert!(file.sync_all().is_err());
        file.sync_all().unwrap();
        drop(file);
        assert_eq!(fs::read(mounted.path("file")).unwrap(), b"new");
        mounted.disk.cut(3);
        assert_eq!(fs::read(mounted.path("file")).unwrap() == b"new", survives, "{dirty:?}");
    }
}

#[test]
fn reads_and_writes_fail_in_the_configured_file() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("good", b"good");
    mounted.keep("bad", b"bad");
    mounted.disk.fail_only("bad", Fault::WriteFails { times: 1 });
    mounted.disk.fail_only("bad", Fault::ReadFails { times: 1_000 });
    assert!(fs::write(mounted.path("good"), b"still good").is_ok());
    let mut bad = File::options().read(true).write(true).open(mounted.path("bad")).unwrap();
    assert!(bad.write_all(b"worse").is_err());
    let mut read = vec![];
    assert!(bad.read_to_end(&mut read).is_err());
    mounted.disk.heal();
    assert_eq!(fs::read(mounted.path("bad")).unwrap(), b"bad");
}

#[test]
fn slow_sync_excludes_later_writes() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.disk.fail_only("", Fault::SlowSync(Duration::from_millis(30)));
    let mut lost = 0;
    for seed in 0..20 {
        let mut file = File::create(mounted.path("file")).unwrap();
        sync(mounted.folder.path());
        file.write_all(b"before").unwrap();
        let slow = file.try_clone().unwrap();
        let syncs = mounted.disk.counts().syncs;
        let thread = std::thread::spawn(move || slow.sync_all().unwrap());
        while mounted.disk.counts().syncs == syncs && !thread.is_finished() {
            std::thread::yield_now();
        }
        file.write_all(b"after!").unwrap();
        thread.join().unwrap();
        drop(file);
        mounted.disk.cut(seed);
        let found = fs::read(mounted.path("file")).unwrap();
        assert_eq!(found[..6], *b"before", "seed {seed}");
        lost += u32::from(found != b"beforeafter!");
    }
    assert!(lost > 0);
}

#[test]
fn flipped_bit_and_lost_tail_persist() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("file", b"abcd");
    mounted.disk.flip(Path::new("file"), 1).unwrap();
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"accd");
    mounted.disk.truncate(Path::new("file"), 3).unwrap();
    mounted.disk.cut(1);
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"acc");
    assert!(mounted.disk.flip(Path::new("file"), 3).is_err());
    assert!(mounted.disk.flip(Path::new("other"), 0).is_err());
}

#[test]
fn frozen_disk_blocks_until_power_cut() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("file", b"");
    mounted.disk.freeze_after(2);
    let path = mounted.path("file");
    let writer = std::thread::spawn(move || {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync_all().unwrap();
        file.write_all_at(b"two", 0)
    });
    assert!(mounted.disk.wait_until_frozen(Duration::from_secs(20)));
    assert!(!writer.is_finished());
    mounted.disk.cut(1);
    assert!(writer.join().unwrap().is_err());
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"one");
}

#[test]
fn disk_freezes_at_the_named_operation_and_resumes() {
    let Some(mounted) = MountedDisk::mount() else { return };
    mounted.keep("file", b"");
    mounted.keep("file-log", b"");
    mounted.disk.freeze_at(DiskOperation::Sync, "file");
    let path = mounted.path("file");
    let log = mounted.path("file-log");
    let writer = std::thread::spawn(move || {
        fs::write(&log, "log").unwrap();
        File::open(&log).unwrap().sync_all().unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync_all()
    });
    assert!(mounted.disk.wait_until_frozen(Duration::from_secs(20)));
    assert!(!writer.is_finished());
    mounted.disk.resume();
    writer.join().unwrap().unwrap();
    mounted.disk.cut(1);
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"one");
    assert_eq!(fs::read(mounted.path("file-log")).unwrap(), b"log");
}

#[test]
fn dropping_the_disk_unmounts_despite_an_open_file() {
    let Some(mounted) = MountedDisk::mount() else { return };
    fs::write(mounted.path("file"), "on the disk").unwrap();
    let open = File::open(mounted.path("file")).unwrap();
    let MountedDisk { disk, folder } = mounted;
    drop(disk);
    assert!(!folder.path().join("file").exists());
    drop(open);
    folder.close().unwrap();
}
