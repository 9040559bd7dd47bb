//! Secrets at rest: XChaCha20-Poly1305 with a random nonce, each bound to the row and column that it belongs to.
//!
//! A secret is encrypted with a data key, and the data keys with the master key, which is not in the database. A
//! ciphertext that was moved to another row cannot be decrypted there. A restored older row is detected by its row digest
//! (`store/sqlite/row_digests.rs`).

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use ticketing_core::pasted;
use ticketing_host::entropy::Entropy;
use ticketing_host::files::{beside, private_file, read_regular, sync_folder};
use zeroize::Zeroizing;

use crate::KeyError;

const NONCE: usize = 24;

/// The source of the master key, which is 32 bytes, in base64 or as 64 hex digits.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file beside the database, created at the first start.
    BesideDatabase,
    /// A file that exists.
    File(PathBuf),
    /// The key itself, for example from the environment.
    Text {
        text: SecretString,
        /// Its name in messages, for example the name of the variable.
        origin: String,
    },
}

/// Encrypts and decrypts (AEAD).
pub struct Cipher(XChaCha20Poly1305);

/// The associated data of a ciphertext: binds it to its table, row, column and origin.
#[derive(Debug, Clone, Copy)]
pub struct CiphertextContext<'a> {
    pub table: &'a str,
    pub row: &'a str,
    pub column: &'a str,
    pub origin: &'a str,
}

/// A master key, and the name of its source.
pub struct MasterKey {
    pub key: Zeroizing<[u8; 32]>,
    pub origin: String,
}

/// Decryption failed: wrong key, wrong row, or edited.
#[derive(Debug)]
pub struct Undecryptable;

// === impl Cipher ===

impl Cipher {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// The nonce, followed by the ciphertext.
    pub fn encrypt(&self, secret: &[u8], place: CiphertextContext<'_>, entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: secret, aad: &place.bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("only a secret of more than 256 GB cannot be encrypted");
        [&nonce[..], &sealed].concat()
    }

    pub fn decrypt(
        &self,
        sealed: &[u8],
        place: CiphertextContext<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Undecryptable> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(Undecryptable)?;
        let payload = Payload { msg: sealed, aad: &place.bytes() };
        self.0.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| Undecryptable)
    }

    pub fn decrypt_text(
        &self,
        sealed: &[u8],
        place: CiphertextContext<'_>,
    ) -> Result<SecretString, Undecryptable> {
        let bytes = self.decrypt(sealed, place)?;
        std::str::from_utf8(&bytes).map(SecretString::from).map_err(|_| Undecryptable)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

// === impl CiphertextContext ===

impl CiphertextContext<'_> {
    /// Every part is preceded by its length, so that no two places have the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let parts = [self.table, self.row, self.column, self.origin];
        let framed = parts.map(|part| [&(part.len() as u64).to_be_bytes()[..], part.as_bytes()].concat());
        framed.concat()
    }
}

// === impl MasterKey ===

impl MasterKey {
    /// The key of the source, and after an interrupted rotation also the one that was to replace it.
    pub fn candidates(source: &KeySource, database: &Path) -> Result<Vec<Self>, KeyError> {
        let file = match source {
            KeySource::Text { text, origin } => {
                return Ok(vec![Self::parse(text.expose_secret(), origin.clone())?]);
            }
            KeySource::File(_) | KeySource::BesideDatabase => source.file(database).unwrap_or_default(),
        };
        // The server creates this file itself, so a symbolic link in its place is an attack.
        if matches!(source, KeySource::BesideDatabase) && file.is_symlink() {
            return Err(KeyError::Link { path: file });
        }
        let first = Self::read(&file, database)?;
        let next = Self::read(&next(&file), database).ok();
        Ok(std::iter::once(first).chain(next).collect())
    }

    /// Reads the key of a new database, or creates it if it has no file yet.
    pub fn first(
        source: &KeySource,
        database: &Path,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Option<PathBuf>), KeyError> {
        let file = beside(database, "key");
        if matches!(source, KeySource::BesideDatabase) && !file.exists() {
            return Ok((Self::make(&file, entropy)?, Some(file)));
        }
        let mut candidates = Self::candidates(source, database)?;
        Ok((candidates.swap_remove(0), None))
    }

    pub fn read(path: &Path, database: &Path) -> Result<Self, KeyError> {
        let bytes = read_regular(path).map(Zeroizing::new).map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                std::io::ErrorKind::NotFound => KeyError::Missing { path, database: database.to_owned() },
                _ => KeyError::File { path, source },
            }
        })?;
        let origin = path.display().to_string();
        match pasted::decode(&bytes).map(Zeroizing::new) {
            Some(text) => Self::parse(&text, origin),
            None => {
                Err(KeyError::Malformed { origin, what: format!("{} bytes that are no text", bytes.len()) })
            }
        }
    }

    /// Creates a key and its file.
    pub fn make(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut key[..]);
        let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(STANDARD.encode(&key[..]))));
        write_private(path, text.as_bytes())
            .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        Ok(Self { key, origin: path.display().to_string() })
    }

    fn parse(text: &str, origin: String) -> Result<Self, KeyError> {
        let text = pasted::trim(text).trim_matches(['"', '\'']);
        let bytes = Zeroizing::new(from_hex(text).or_else(|| STANDARD.decode(text).ok()));
        let key = bytes.as_deref().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key =
            key.ok_or_else(|| KeyError::Malformed { origin: origin.clone(), what: found_instead(text) })?;
        Ok(Self { key: Zeroizing::new(key), origin })
    }

    pub fn cipher(&self) -> Cipher {
        Cipher::new(&self.key)
    }
}

impl KeySource {
    /// The file of the key, if any.
    pub fn file(&self, database: &Path) -> Option<PathBuf> {
        match self {
            Self::BesideDatabase => Some(beside(database, "key")),
            Self::File(path) => Some(path.clone()),
            Self::Text { .. } => None,
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey(from {})", self.origin)
    }
}

/// The file of the key that is to replace the one in `file`.
pub fn next(file: &Path) -> PathBuf {
    beside(file, "next")
}

/// Moves the next key into `file`. The former one is kept under the returned name: older backups need it.
pub fn replace_by_next(file: &Path, at: Timestamp) -> std::io::Result<PathBuf> {
    let former = beside(file, &format!("until-{}", at.strftime("%Y%m%dT%H%M%S%6fZ")));
    let key = Zeroizing::new(std::fs::read(file)?);
    write_private(&former, &key)?;
    std::fs::rename(next(file), file)?;
    sync_folder(file.parent().unwrap_or(Path::new("")))?;
    Ok(former)
}

/// What a text contains instead of a key, without showing it.
fn found_instead(text: &str) -> String {
    let is_strange = |c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c);
    match pasted::find(text, is_strange) {
        Some(wrong) => wrong.to_string(),
        None => format!("{} characters", text.chars().count()),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|start| u8::from_str_radix(&text[start..start + 2], 16).ok()).collect()
}

/// Creates a file that only its owner can read, durable before this returns. It gets its name only when it is
/// complete: an interrupted start leaves no partial key, which would prevent every later start.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let unfinished = beside(path, "unfinished");
    let mut file = private_file().create(true).truncate(true).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<MasterKey, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, bytes).unwrap();
        MasterKey::read(&path, Path::new("db")).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_key_however_its_file_was_written() {
        let base64 = STANDARD.encode([7; 32]);
        let utf16: Vec<u8> = base64.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let files = [
            format!("\u{FEFF}{base64}\r\n").into_bytes(),
            format!("\"{base64}\"\n").into_bytes(),
            [&[0xFF, 0xFE], utf16.as_slice()].concat(),
            "07".repeat(32).into_bytes(),
        ];
        for file in files {
            assert_eq!(*read(&file).unwrap().key, [7; 32], "{file:?}");
        }
    }

    #[test]
    fn describes_malformed_key_without_showing_it() {
        let base64 = STANDARD.encode([7; 32]);
        for (file, expected) in [
            (vec![0xFF; 32], "32 bytes that are no text"),
            (base64.as_bytes()[..43].to_vec(), "43 characters"),
            (base64.replacen('c', "\u{200B}", 1).into_bytes(), "a zero-width space (U+200B) as character"),
        ] {
            let wrong = read(&file).unwrap_err();
            assert!(wrong.contains(expected) && !wrong.contains(&base64[..8]), "{wrong}");
        }
    }
}
