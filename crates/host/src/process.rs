//! Limits and file permissions of the process.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

/// Descriptors reserved for the database, connections to ticket systems, listeners and the log. More than needed.
const RESERVED_FILES: u64 = 64;

/// Mode bits of group and others.
const OTHERS_MODE: u32 = 0o077;

/// Raises the limit of open files to its maximum.
pub fn raise_file_limit() {
    let before = getrlimit(Resource::Nofile);
    let most = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "failed to raise the limit on open files");
    }
}

/// Logs the limit of open files, with a warning if it is too low for the number of connections.
pub fn log_file_limit(connections: u64) {
    let files = getrlimit(Resource::Nofile).current;
    tracing::info!(limit = files, "file descriptor limit");
    if let Some(files) = files.filter(|files| *files < connections + RESERVED_FILES) {
        tracing::warn!(
            files,
            connections,
            "--max-connections does not fit into the limit of open files: raise it (LimitNOFILE of \
             systemd, `ulimit -Hn`), or give a smaller --max-connections"
        );
    }
}

/// Warns about files with secrets that other users can read or write.
pub fn warn_about_readable_secrets(files: &[PathBuf]) {
    for file in files.iter().filter(|file| is_accessible_by_others(file)) {
        let fix = format!("chmod 600 {}", file.display());
        tracing::warn!(fix, "other users can read or write a file with a secret");
    }
}

/// Warns about a data folder that other users can access: they could read incidents or plant files.
pub fn warn_about_open_folder(folder: &Path) {
    let Ok(found) = folder.metadata() else { return };
    let mode = found.permissions().mode() & 0o777;
    let owner = found.uid();
    let us = geteuid().as_raw();
    let folder = folder.display();
    if mode & OTHERS_MODE != 0 {
        let mode = format!("{mode:03o}");
        let fix = format!("chmod 700 {folder}");
        tracing::warn!(%folder, mode, fix, "other users can read or write the data folder");
    }
    if owner != us {
        let fix = format!("chown {us} {folder}");
        tracing::warn!(%folder, owner, user = us, fix, "the data folder belongs to another user");
    }
}

/// A missing file is reported by its reader.
fn is_accessible_by_others(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.permissions().mode() & OTHERS_MODE != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn detects_file_accessible_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(!is_accessible_by_others(&file));
        std::fs::write(&file, "").unwrap();
        for (mode, open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_accessible_by_others(&file), open, "{mode:o}");
        }
    }
}
