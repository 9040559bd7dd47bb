//! Copies of a database, by copying files, and how they are restored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{Acknowledged, World, binary};

/// How an operator restores a copy.
#[derive(Debug, Clone, Copy)]
pub enum RestoreMethod {
    /// The database over the existing one, with its WAL if the server was killed.
    DatabaseOnly,
    /// Each file of the folder over the existing one.
    OverFolder,
    /// The folder is removed, and recreated from the copy.
    NewFolder,
    /// The copy of `ticketing backup`, in a folder with only the key, as on another machine.
    OtherFolder,
}

/// A copy of the data folder, and one by `ticketing backup`.
#[derive(Debug)]
pub struct DatabaseCopy {
    folder: TempDir,
    backup: PathBuf,
}

// === impl RestoreMethod ===

impl RestoreMethod {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DatabaseOnly => "the database file only",
            Self::OverFolder => "the folder copied over",
            Self::NewFolder => "the folder removed and recreated",
            Self::OtherFolder => "by `ticketing backup`, in another folder",
        }
    }
}

// === impl DatabaseCopy ===

impl DatabaseCopy {
    /// The server must not run.
    pub async fn of(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_files(&world.server.data(), folder.path());
        let backup = folder.path().join("backup");
        let data = format!("--data={}", world.server.data().display());
        let made = tokio::process::Command::new(binary()).args(["backup", &data]).arg(&backup).status().await;
        assert!(made.unwrap().success());
        // A copy is restored later than it was made: its timestamps differ.
        world.wait(Duration::from_millis(1_100)).await;
        Self { folder, backup }
    }

    /// The server must not run. Pushes acknowledged after the copy are lost then, and are pushed again.
    pub fn restore_copy(&self, world: &mut World, how: RestoreMethod) {
        world.acknowledged = Acknowledged::default();
        let data = &world.server.data();
        let file = |name: &str| data.join(format!("ticketing.db{name}"));
        for log in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(file(log));
        }
        match how {
            RestoreMethod::DatabaseOnly => {
                let kept = ["", "-wal"].map(|name| self.folder.path().join(format!("ticketing.db{name}")));
                for (from, to) in
                    kept.into_iter().zip([file(""), file("-wal")]).filter(|(from, _)| from.exists())
                {
                    std::fs::copy(from, to).unwrap();
                }
            }
            RestoreMethod::OverFolder => copy_files(self.folder.path(), data),
            RestoreMethod::NewFolder => {
                std::fs::remove_dir_all(data).unwrap();
                std::fs::create_dir(data).unwrap();
                copy_files(self.folder.path(), data);
            }
            RestoreMethod::OtherFolder => {
                for name in ["", ".mark", ".lock"] {
                    std::fs::remove_file(file(name)).unwrap();
                }
                std::fs::copy(&self.backup, file("")).unwrap();
            }
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "backup" {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}
