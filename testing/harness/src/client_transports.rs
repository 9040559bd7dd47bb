//! Client connections over TLS and Unix sockets.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rhythmx_ticketing::Client;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Endpoint, Error};

use super::run_program;

/// The files that `ticketing tls dev` makes.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub folder: PathBuf,
    /// Whether clients present their certificate.
    pub shows_certificate: bool,
}

/// A client over the Unix socket of a server.
pub async fn over_socket(path: &Path) -> Result<Client, Error> {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    Ok(Client::over(endpoint.connect_with_connector(connector).await?))
}

// === impl TlsFiles ===

impl TlsFiles {
    /// Makes the files in `folder`.
    pub async fn make(folder: &Path) -> Self {
        let out = format!("--out={}", folder.display());
        let ended = run_program(&["tls".to_owned(), "dev".to_owned(), out], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Self { folder: folder.to_owned(), shows_certificate: true }
    }

    /// The server's TLS flags; `--auth` and `--tls-client-ca` can be added.
    pub fn flags(&self) -> Vec<String> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.file(name).display());
        vec![file("tls-cert", "server.pem"), file("tls-key", "server.key")]
    }

    /// The flag that requires a client certificate.
    pub fn flag_of_authority(&self) -> String {
        format!("--tls-client-ca={}", self.file("ca.pem").display())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A client that trusts this authority, and presents its certificate.
    pub async fn connect(&self, address: &str) -> Result<Client, Error> {
        let tls_files = self.clone();
        let server = address.to_owned();
        let connector = tower::service_fn(move |_| {
            let tls_files = tls_files.clone();
            let server = server.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(tls_files.tls_handshake(&server).await?)) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        Ok(Client::over(endpoint.connect_with_connector(connector).await?))
    }

    /// A connection under TLS.
    pub async fn tls_handshake(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(self.config())).connect(name, stream).await
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = if self.shows_certificate {
            let certificate = CertificateDer::from_pem_file(self.file("client.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(self.file("client.key")).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}
