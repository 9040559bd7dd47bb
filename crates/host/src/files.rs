//! Reads files named by operators: certificates, keys, logins.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Maximum size: no file of keys or certificates is larger.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// Open flags of files that the server creates or writes: a symbolic link in their place is not followed, because
/// another local user may have planted it.
#[must_use]
pub fn no_follow() -> i32 {
    flags(OFlags::NOFOLLOW)
}

/// Opens files that only their owner can read. A symbolic link in the place of one is not followed.
#[must_use]
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600).custom_flags(no_follow());
    options
}

/// The path of a file beside another: its name with `.ending` appended.
#[must_use]
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

/// Syncs the directory entries of a folder to disk.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let is_current = folder.as_os_str().is_empty();
    std::fs::File::open(if is_current { Path::new(".") } else { folder })?.sync_all()
}

/// Reads a file of at most 4 MiB. Symbolic links are followed, because orchestrators mount secrets as links.
///
/// # Errors
/// If it cannot be read, is too large, or is not a regular file: reading a FIFO would block.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let opened = OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path);
    let file = opened.map_err(|error| with_user(error, path))?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.len() > MAX_SIZE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    let mut bytes = vec![];
    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The denied user: in a container, or under a unit, often not the one who started it.
fn with_user(error: io::Error, path: &Path) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let uid = rustix::process::geteuid().as_raw();
    let hint = format!("{error}: this process runs as user ID {uid}; chown {uid} {}", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, hint)
}

#[expect(clippy::cast_possible_wrap, reason = "the flags of open(2) are an int")]
fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_a_regular_file_and_a_link_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let link = folder.path().join("link");
        std::fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(
            (read_regular(&file).unwrap(), read_regular(&link).unwrap()),
            (b"text".to_vec(), b"text".to_vec())
        );
    }

    #[test]
    fn refuses_a_fifo_a_folder_and_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        for path in [fifo.as_path(), folder.path(), Path::new("/dev/zero")] {
            let refused = read_regular(path).unwrap_err().to_string();
            assert!(refused.contains("not a regular file"), "{}: {refused}", path.display());
        }
    }
}
