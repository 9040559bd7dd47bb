//! What the system lets this process do, and what its files let others do.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

/// Files that a server has open besides its callers' connections: the database and its readers, connections to ticket systems,
/// what it listens on, its log. More than it needs.
const RESERVED_FILES: u64 = 64;

/// What others may do with a file, by its mode.
const OTHERS_MODE: u32 = 0o077;

/// Has the process open as many files as the system lets it.
pub fn raise_file_limit() {
    let before = getrlimit(Resource::Nofile);
    let most = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "the limit on open files can not be raised");
    }
}

/// Tells how many files may be open, and if that is too few for so many connections of callers.
pub(crate) fn log_file_limit(connections: u64) {
    let files = getrlimit(Resource::Nofile).current;
    let told = files.map_or_else(|| "any number".to_owned(), |files| files.to_string());
    tracing::info!(files = told, "open files");
    if let Some(files) = files.filter(|files| *files < connections + RESERVED_FILES) {
        tracing::warn!(
            files,
            connections,
            "--connections does not fit into the files that this process may have open: raise that limit (LimitNOFILE of \
             systemd, `ulimit -Hn`), or give a smaller --connections"
        );
    }
}

/// Tells of each file with a secret that others than its owner can read or write.
pub(crate) fn warn_about_readable_secrets(files: &[PathBuf]) {
    for file in files.iter().filter(|file| is_accessible_by_others(file)) {
        let file = file.display();
        tracing::warn!(%file, "others than its owner can read or write a file with a secret: chmod 600 {file}");
    }
}

/// Warns of a data folder that others than its owner can read or write: they could put files of their own there, or read the
/// incidents.
pub(crate) fn warn_about_open_folder(folder: &Path) {
    let Ok(found) = folder.metadata() else { return };
    let (mode, owner, us) = (found.permissions().mode() & 0o777, found.uid(), geteuid().as_raw());
    let folder = folder.display();
    if mode & OTHERS_MODE != 0 {
        let mode = format!("{mode:03o}");
        tracing::warn!(%folder, mode, "others than its owner can read or write the data folder: chmod 700 {folder}");
    }
    if owner != us {
        tracing::warn!(%folder, owner, user = us, "the data folder belongs to another user: chown {us} {folder}");
    }
}

/// Whoever reads a file that is not there tells so.
fn is_accessible_by_others(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.permissions().mode() & OTHERS_MODE != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_file_is_open_to_others_whatever_they_may_do_with_it() {
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
