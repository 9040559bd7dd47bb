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
struct Bench {
    disk: Disk,
    folder: TempDir,
}

impl Bench {
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
    let Some(bench) = Bench::mount() else { return };
    bench.keep("log", b"");
    let (mut kept, mut vanished, mut arrived) = (vec![], 0, 0);
    for seed in 0..100 {
        let mut log = OpenOptions::new().append(true).open(bench.path("log")).unwrap();
        let line = format!("{seed:0>1500}");
        log.write_all(line.as_bytes()).unwrap();
        log.sync_data().unwrap();
        kept.extend(line.into_bytes());
        log.write_all(&[b'?'; 1_500]).unwrap();
        drop(log);
        bench.disk.cut(seed);
        let after = fs::read(bench.path("log")).unwrap();
        assert_eq!(after[..kept.len()], kept, "seed {seed}");
        *if after.len() == kept.len() { &mut vanished } else { &mut arrived } += 1;
        fs::write(bench.path("log"), &kept).unwrap();
        File::open(bench.path("log")).unwrap().sync_all().unwrap();
    }
    assert!(vanished > 10 && arrived > 10, "{vanished} {arrived}");
    let counts = bench.disk.counts();
    assert_eq!(counts.cuts, 100);
    assert!(counts.sectors_forgotten > 100 && counts.sectors_spared > 100, "{counts:?}");
}

#[test]
fn name_is_lost_unless_folder_was_synced() {
    let Some(bench) = Bench::mount() else { return };
    let mut vanished = 0;
    for seed in 0..40 {
        bench.keep("kept", b"kept");
        File::create(bench.path("synced alone")).unwrap().sync_all().unwrap();
        bench.disk.cut(seed);
        assert_eq!(fs::read(bench.path("kept")).unwrap(), b"kept");
        vanished += u32::from(!bench.path("synced alone").exists());
        let _ = fs::remove_file(bench.path("synced alone"));
    }
    assert!((1..40).contains(&vanished), "{vanished}");
}

#[test]
fn journal_keeps_the_name_of_a_synced_file() {
    let options = Options { syncs: Syncs::WithTheNames, ..Options::default() };
    let Some(bench) = Bench::mount_with(options) else { return };
    for seed in 0..40 {
        let name = bench.path(&seed.to_string());
        File::create(&name).unwrap().sync_all().unwrap();
        bench.disk.cut(seed);
        assert!(name.exists(), "seed {seed}");
    }
}

#[test]
fn unsynced_folder_loses_its_content() {
    let Some(bench) = Bench::mount() else { return };
    let mut vanished = 0;
    for seed in 0..40 {
        let folder = bench.path(&seed.to_string());
        fs::create_dir(&folder).unwrap();
        File::create(folder.join("file")).unwrap().sync_all().unwrap();
        sync(&folder);
        bench.disk.cut(seed);
        vanished += u32::from(!folder.join("file").exists());
        assert_eq!(folder.exists(), folder.join("file").exists());
    }
    assert!((1..40).contains(&vanished), "{vanished}");
}

#[test]
fn rename_leaves_old_or_new_file() {
    let Some(bench) = Bench::mount() else { return };
    for seed in 0..40 {
        bench.keep("file", b"old");
        let mut new = File::create(bench.path("file.new")).unwrap();
        new.write_all(b"new").unwrap();
        new.sync_all().unwrap();
        fs::rename(bench.path("file.new"), bench.path("file")).unwrap();
        bench.disk.cut(seed);
        let found = fs::read(bench.path("file")).unwrap();
        assert!(found == b"old" || found == b"new", "{found:?}");
    }
}

#[test]
fn folders_list_created_but_not_removed_names() {
    let Some(bench) = Bench::mount() else { return };
    (0..300).for_each(|n| fs::write(bench.path(&format!("{n}")), "x").unwrap());
    fs::create_dir(bench.path("folder")).unwrap();
    fs::write(bench.path("folder/file"), "y").unwrap();
    fs::remove_file(bench.path("17")).unwrap();
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 300);
    assert!(fs::remove_dir(bench.path("folder")).is_err());
    fs::remove_file(bench.path("folder/file")).unwrap();
    fs::remove_dir(bench.path("folder")).unwrap();
    assert!(!bench.path("folder").exists());
}

#[test]
fn open_files_fail_after_a_power_cut() {
    let Some(bench) = Bench::mount() else { return };
    bench.keep("file", b"content");
    let mut open = File::options().read(true).write(true).open(bench.path("file")).unwrap();
    bench.disk.cut(1);
    assert!(open.write_all(b"more").is_err());
    assert!(open.sync_all().is_err());
    assert_eq!(fs::read(bench.path("file")).unwrap(), b"content");
}

#[test]
fn locks_exclude_other_open_files() {
    let Some(bench) = Bench::mount() else { return };
    let [one, other] = [(); 2].map(|()| File::create(bench.path("lock")).unwrap());
    one.try_lock().unwrap();
    assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
    one.unlock().unwrap();
    other.try_lock().unwrap();
    let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::fcntl_lock(&one, exclusive).unwrap();
}

#[test]
fn full_disk_writes_what_fits_and_recovers() {
    let Some(bench) = Bench::mount() else { return };
    bench.keep("file", &[1; 4_096]);
    bench.disk.fail(Fault::Full { after: 8_192 });
    assert_eq!(rustix::fs::statvfs(bench.folder.path()).unwrap().f_bavail, 2);
    let mut file = OpenOptions::new().write(true).open(bench.path("file")).unwrap();
    file.write_all(&[2; 4_096]).unwrap();
    let error = file.write_all(&[3; 3 * 4_096]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(file.metadata().unwrap().len(), 3 * 4_096);
    assert_eq!(rustix::fs::statvfs(bench.folder.path()).unwrap().f_bavail, 0);
    assert_eq!(File::create(bench.path("other")).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[4; 4_096]).unwrap();
    bench.disk.heal();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&[5; 4_096]).unwrap();
    assert_eq!(fs::read(bench.path("file")).unwrap().len(), 4 * 4_096);
}

#[test]
fn failed_sync_keeps_or_drops_the_bytes() {
    let Some(bench) = Bench::mount() else { return };
    for (dirty, survives) in [(Dirty::Kept, true), (Dirty::Dropped, false)] {
        bench.keep("file", b"old");
        bench.disk.fail_only("file", Fault::SyncFails { times: 1, dirty });
        let file = OpenOptions::new().write(true).open(bench.path("file")).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        assert!(file.sync_all().is_err());
        file.sync_all().unwrap();
        drop(file);
        assert_eq!(fs::read(bench.path("file")).unwrap(), b"new");
        bench.disk.cut(3);
        assert_eq!(fs::read(bench.path("file")).unwrap() == b"new", survives, "{dirty:?}");
    }
}

#[test]
fn reads_and_writes_fail_in_the_configured_file() {
    let Some(bench) = Bench::mount() else { return };
    bench.keep("good", b"good");
    bench.keep("bad", b"bad");
    bench.disk.fail_only("bad", Fault::WriteFails { times: 1 });
    bench.disk.fail_only("bad", Fault::ReadFails { times: 1_000 });
    assert!(fs::write(bench.path("good"), b"still good").is_ok());
    let mut bad = File::options().read(true).write(true).open(bench.path("bad")).unwrap();
    assert!(bad.write_all(b"worse").is_err());
    let mut read = vec![];
    assert!(bad.read_to_end(&mut read).is_err());
    bench.disk.heal();
    assert_eq!(fs::read(bench.path("bad")).unwrap(), b"bad");
}

#[test]
fn slow_sync_excludes_later_writes() {
    let Some(bench) = Bench::mount() else { return };
    bench.disk.fail_only("", Fault::SlowSync(Duration::from_millis(30)));
    let mut lost = 0;
    for seed in 0..20 {
        let mut file = File::create(bench.path("file")).unwrap();
        sync(bench.folder.path());
        file.write_all(b"before").unwrap();
        let slow = file.try_clone().unwrap();
        let syncs = bench.disk.counts().syncs;
        let thread = std::thread::spawn(move || slow.sync_all().unwrap());
        while bench.disk.counts().syncs == syncs && !thread.is_finished() {
            std::thread::yield_now();
        }
        file.write_all(b"after!").unwrap();
        thread.join().unwrap();
        drop(file);
        bench.disk.cut(seed);
        let found = fs::read(bench.path("file")).unwrap();
        assert_eq!(found[..6], *b"before", "seed {seed}");
        lost += u32::from(found != b"beforeafter!");
    }
    assert!(lost > 0);
}

#[test]
fn flipped_bit_and_lost_tail_persist() {
    let Some(bench) = Bench::mount() else { return };
    bench.keep("file", b"abcd");
    bench.disk.flip(Path::new("file"), 1).unwrap();
    assert_eq!(fs::read(bench.path("file")).unwrap(), b"accd");
    bench.disk.truncate(Path::new("file"), 3).unwrap();
    bench.disk.cut(1);
    assert_eq!(fs::read(bench.path("file")).unwrap(), b"acc");
    assert!(bench.disk.flip(Path::new("file"), 3).is_err());
    assert!(bench.disk.flip(Path::new("other"), 0).is_err());
}

#[test]
fn frozen_disk_blocks_until_power_cut() {
    let Some(bench) = Bench::mount() else { return };
    bench.keep("file", b"");
    bench.disk.stand_still_after(2);
    let path = bench.path("file");
    let writer = std::thread::spawn(move || {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync_all().unwrap();
        file.write_all_at(b"two", 0)
    });
    assert!(bench.disk.wait_until_still(Duration::from_secs(20)));
    assert!(!writer.is_finished());
    bench.disk.cut(1);
    assert!(writer.join().unwrap().is_err());
    assert_eq!(fs::read(bench.path("file")).unwrap(), b"one");
}

#[test]
fn disk_freezes_at_the_named_operation_and_resumes() {
    let Some(bench) = Bench::mount() else { return };
    bench.keep("file", b"");
    bench.keep("file-log", b"");
    bench.disk.stand_still_at(DiskOperation::Sync, "file");
    let (path, log) = (bench.path("file"), bench.path("file-log"));
    let writer = std::thread::spawn(move || {
        fs::write(&log, "log").unwrap();
        File::open(&log).unwrap().sync_all().unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        file.sync_all()
    });
    assert!(bench.disk.wait_until_still(Duration::from_secs(20)));
    assert!(!writer.is_finished());
    bench.disk.go_on();
    writer.join().unwrap().unwrap();
    bench.disk.cut(1);
    assert_eq!(fs::read(bench.path("file")).unwrap(), b"one");
    assert_eq!(fs::read(bench.path("file-log")).unwrap(), b"log");
}

#[test]
fn dropping_the_disk_unmounts_despite_an_open_file() {
    let Some(bench) = Bench::mount() else { return };
    fs::write(bench.path("file"), "on the disk").unwrap();
    let open = File::open(bench.path("file")).unwrap();
    let Bench { disk, folder } = bench;
    drop(disk);
    assert!(!folder.path().join("file").exists());
    drop(open);
    folder.close().unwrap();
}
