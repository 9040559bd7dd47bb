//! TLS and mTLS with certificates from files, reloaded when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use ticketing_core::clock::Clock;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::pasted;
use ticketing_core::pem::{self, InvalidCertificates};
use ticketing_host::clock::SystemClock;
use ticketing_host::files::read_regular;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::flags::TlsFiles;
use crate::peer::PeerCertificate;

/// Interval between checks of the files.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
const HTTP_2: &[u8] = b"h2";

/// The current certificates.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: RwLock<Arc<ServerConfig>>,
    /// Digest of the files at the last check, valid or not.
    seen: RwLock<Option<Seen>>,
    clock: SystemClock,
    /// Whether the expiry of the current certificate was logged.
    is_expiry_logged: AtomicBool,
}

/// Why TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to read {flag} {}", .path.display())]
    Read { flag: &'static str, path: PathBuf, source: io::Error },
    #[error("{flag} {} cannot be used", .path.display())]
    Certificates { flag: &'static str, path: PathBuf, source: InvalidCertificates },
    #[error("{KEY} {} {what}", .path.display())]
    Key { path: PathBuf, what: &'static str },
    #[error("--tls-cert and --tls-key do not make a pair")]
    Pair(#[source] rustls::Error),
    #[error("--tls-client-ca {} contains a certificate that is not an authority", .path.display())]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("failed to use --tls-client-ca")]
    Verifier(#[from] VerifierBuilderError),
}

#[derive(Debug, Clone)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    /// Whether clients without a certificate fail the handshake.
    required: bool,
}

/// Contents of the files.
struct Contents {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// A digest of the contents, or why they could not be read.
type Seen = Result<[u8; 32], io::ErrorKind>;

const CERT: &str = "--tls-cert";
const KEY: &str = "--tls-key";
const BEGIN: &str = "-----BEGIN ";
const CLIENT_CA: &str = "--tls-client-ca";

// === impl Tls ===

impl Tls {
    /// Loads the files, if configured. `required` rejects clients without a certificate.
    ///
    /// # Errors
    /// The first invalid file.
    pub fn load(files: &TlsFiles, required: bool) -> Result<Option<Self>, TlsError> {
        let (Some(cert), Some(key)) = (files.tls_cert.clone(), files.tls_key.clone()) else {
            return Ok(None);
        };
        let files = Files { cert, key, client_ca: files.tls_client_ca.clone(), required };
        let contents = files.read()?;
        let current = RwLock::new(Arc::new(files.config(&contents)?));
        let seen = RwLock::new(Some(Ok(contents.digest())));
        let clock = SystemClock::start();
        let tls = Self { files, current, seen, clock, is_expiry_logged: AtomicBool::new(false) };
        tls.check_expiry(&contents);
        Ok(Some(tls))
    }

    /// An acceptor with the current certificates.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }

    /// Reloads the files when they change and on SIGHUP. Never completes.
    pub(super) async fn watch_files(&self) {
        let mut hang_up = signal(SignalKind::hangup()).ok();
        let mut look = tokio::time::interval(POLL_INTERVAL);
        loop {
            let asked = async {
                match &mut hang_up {
                    Some(hang_up) => hang_up.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = asked => self.reload_if_changed(true),
                _ = look.tick() => self.reload_if_changed(false),
            }
        }
    }

    // Blocking reads: the files are small and cached.
    fn reload_if_changed(&self, asked: bool) {
        let read = self.files.read();
        let now = match &read {
            Ok(contents) => Ok(contents.digest()),
            Err(TlsError::Read { source, .. }) => Err(source.kind()),
            Err(_) => Err(io::ErrorKind::Other),
        };
        let before = self.seen.write().unwrap_or_else(PoisonError::into_inner).replace(now);
        if before == Some(now) && !asked {
            // The certificate may expire without a change of the files.
            return read.iter().for_each(|contents| self.check_expiry(contents));
        }
        match read.and_then(|contents| Ok((self.files.config(&contents)?, contents))) {
            Ok((config, contents)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!(cert = %self.files.cert.display(), "reloaded the TLS certificate");
                self.is_expiry_logged.store(false, Ordering::Relaxed);
                self.check_expiry(&contents);
            }
            Err(error) => {
                let error = ErrorChain(&error);
                tracing::error!(%error, "failed to reload TLS certificates, keeping the current ones");
            }
        }
    }
}

impl Tls {
    /// Logs once that the certificate has expired.
    fn check_expiry(&self, contents: &Contents) {
        let Some(not_after) = contents.not_after() else { return };
        if self.clock.now() < not_after || self.is_expiry_logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let cert = self.files.cert.display();
        tracing::error!(%cert, %not_after, "the certificate of --tls-cert has expired: callers refuse it");
    }
}

// === impl Files ===

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let client_ca = self.client_ca.as_deref().map(|path| read(CLIENT_CA, path)).transpose()?;
        Ok(Contents { cert: read(CERT, &self.cert)?, key: read(KEY, &self.key)?.into(), client_ca })
    }

    fn config(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let chain = certificates(CERT, &self.cert, &contents.cert)?;
        let key =
            private_key(&contents.key).map_err(|what| TlsError::Key { path: self.key.clone(), what })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(path), Some(pem)) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots(path, pem)?.into(), provider);
                let verifier = if self.required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build()?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(config)
    }
}

// === impl Contents ===

impl Contents {
    /// Expiry of the server certificate; `None` if it cannot be parsed.
    fn not_after(&self) -> Option<Timestamp> {
        let text = pasted::decode(&self.cert)?;
        let first = CertificateDer::pem_slice_iter(text.as_bytes()).next()?.ok()?;
        PeerCertificate::of_der(&first).ok().map(|certificate| certificate.not_after)
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [Some(self.cert.as_slice()), Some(self.key.as_slice()), self.client_ca.as_deref()];
        let mut digest = Sha256::new();
        for part in parts.into_iter().flatten() {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    read_regular(path).map_err(|source| TlsError::Read { flag, path: path.to_owned(), source })
}

fn certificates(
    flag: &'static str,
    path: &Path,
    file: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = pasted::decode(file).unwrap_or_default();
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    if let Ok(certificates) = found
        && !certificates.is_empty()
    {
        return Ok(certificates);
    }
    let found = pem::certificates_of_file(file);
    let found = found.map_err(|source| TlsError::Certificates { flag, path: path.to_owned(), source })?;
    Ok(found.into_iter().map(CertificateDer::from).collect())
}

/// The first private key of a file, or what the file contains instead.
fn private_key(file: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    let text = Zeroizing::new(pasted::decode(file).unwrap_or_default());
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        if file.first() == Some(&0x30) && !text.contains(BEGIN) {
            "is DER or PKCS #12, not PEM: convert it with openssl pkey -inform DER or openssl pkcs12 -nocerts -noenc"
        } else if text.contains("ENCRYPTED") {
            "is encrypted with a pass phrase: decrypt it with openssl pkey"
        } else if text.contains("OPENSSH PRIVATE KEY") {
            "is a key of OpenSSH: make one with openssl genpkey"
        } else if text.contains("PRIVATE KEY") {
            "holds a private key that is damaged or cut short: copy the file anew"
        } else if text.contains("CERTIFICATE") {
            "holds a certificate and no key: it may have been given in the place of --tls-cert"
        } else {
            "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"
        }
    })
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(CLIENT_CA, path, pem)? {
        roots.add(authority).map_err(|source| TlsError::Authority { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate and its key, in PEM.
    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn load(cert: &[u8], key: &[u8]) -> Result<Option<Tls>, String> {
        let folder = tempfile::tempdir().unwrap();
        let cert_file = folder.path().join("cert");
        let key_file = folder.path().join("key");
        std::fs::write(&cert_file, cert).unwrap();
        std::fs::write(&key_file, key).unwrap();
        let files = TlsFiles { tls_cert: Some(cert_file), tls_key: Some(key_file), tls_client_ca: None };
        Tls::load(&files, false).map_err(|error| ErrorChain(&error).to_string())
    }

    #[test]
    fn reads_files_with_bom_and_windows_line_ends() {
        let (cert, key) = pair();
        let windows =
            |text: &str| format!("\u{FEFF}text before\r\n{}", text.replace('\n', "\r\n")).into_bytes();
        let utf16 = |text: &str| {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
            [&[0xFF, 0xFE], units.as_slice()].concat()
        };
        assert!(load(&windows(&cert), &windows(&key)).unwrap().is_some());
        assert!(load(&utf16(&cert), &utf16(&key)).unwrap().is_some());
        assert!(
            load(format!("{key}{cert}").as_bytes(), format!("{cert}{key}").as_bytes()).unwrap().is_some()
        );
    }

    #[test]
    fn names_wrong_kind_of_file() {
        let (cert, key) = pair();
        let table: [(&[u8], &[u8], &str); 6] = [
            (key.as_bytes(), key.as_bytes(), "holds a private key"),
            (&[0x30, 0x82, 0, 6, 0x30], key.as_bytes(), "DER"),
            (b"", key.as_bytes(), "holds no certificate"),
            (cert.as_bytes(), cert.as_bytes(), "holds a certificate and no key"),
            (
                cert.as_bytes(),
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
                "pass phrase",
            ),
            (cert.as_bytes(), &[0x30, 0x82, 0, 6], "DER"),
        ];
        for (cert, key, expected) in table {
            let wrong = load(cert, key).unwrap_err();
            assert!(wrong.contains("--tls-") && wrong.contains(expected), "{wrong}");
        }
    }
}
