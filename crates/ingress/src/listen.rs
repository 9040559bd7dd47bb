//! Listeners: TCP addresses and Unix sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::boxed_io::BoxedIo;
use crate::peer::PeerAddress;

/// A listen address: `HOST:PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A local host name and a port.
    Name { host: String, port: u16 },
    /// A Unix socket, accessible to its owner only.
    Unix(PathBuf),
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("failed to bind")]
    Bind(#[source] io::Error),
    #[error("its folder does not exist")]
    NoFolder,
    #[error("the path is a file, not a socket")]
    NotASocket,
    #[error("address already in use by another server")]
    InUse,
    #[error("an address that other machines can reach requires --tls-cert, --tls-key and --auth")]
    Exposed,
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Removed when the listener is dropped.
        path: PathBuf,
    },
}

// === impl ListenAddress ===

impl ListenAddress {
    const UNIX: &str = "unix:";

    /// Whether only local processes can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => is_loopback(address.ip()),
            Self::Name { host, .. } => host.eq_ignore_ascii_case("localhost"),
            Self::Unix(_) => true,
        }
    }

    /// Binds the address. `exposed` permits one that other machines can reach.
    ///
    /// # Errors
    /// Why it cannot be bound.
    pub async fn bind(&self, exposed: bool) -> Result<Listener, ListenError> {
        let bound = match self {
            Self::Tcp(address) => TcpListener::bind(address).await,
            Self::Name { host, port } => TcpListener::bind((host.as_str(), *port)).await,
            Self::Unix(path) => return bind_unix(path),
        };
        let listener = bound.map_err(ListenError::Bind)?;
        let address = listener.local_addr().map_err(ListenError::Bind)?;
        // A host name resolves to its addresses only now.
        if !exposed && !is_loopback(address.ip()) {
            return Err(ListenError::Exposed);
        }
        Ok(Listener::Tcp(listener))
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "write it like 127.0.0.1:50051, [::1]:50051, localhost:50051 or unix:/run/ticketing.sock";
        if let Some(path) = text.strip_prefix(Self::UNIX) {
            return if path.is_empty() { Err(FORM) } else { Ok(Self::Unix(path.into())) };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
        let letters = host.bytes().any(|b| b.is_ascii_alphabetic());
        let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let port = port.parse().map_err(|_| FORM)?;
        if letters && plain { Ok(Self::Name { host: host.to_owned(), port }) } else { Err(FORM) }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}{}", Self::UNIX, path.display()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

// === impl Listener ===

impl Listener {
    /// The bound address.
    ///
    /// # Errors
    /// From the operating system.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix { path, .. } => Ok(ListenAddress::Unix(path.clone())),
        }
    }

    /// Accepts the next connection, with its peer's address.
    pub(super) async fn accept(&self) -> io::Result<(BoxedIo, PeerAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                prepare(&stream);
                Ok((Box::new(stream), PeerAddress::Tcp(address)))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let owner = stream.peer_cred()?;
                Ok((Box::new(stream), PeerAddress::Unix { uid: owner.uid(), pid: owner.pid() }))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            // A stale socket is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

// Sends small frames at once. A connection that is already closed fails at its first read.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// A socket with mode 0600. Replaces a stale one that no process listens on.
fn bind_unix(path: &Path) -> Result<Listener, ListenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(ListenError::NoFolder);
    }
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(ListenError::NotASocket);
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(ListenError::InUse);
        }
        std::fs::remove_file(path).map_err(ListenError::Bind)?;
    }
    let listener = UnixListener::bind(path).map_err(ListenError::Bind)?;
    let listener = Listener::Unix { listener, path: path.to_owned() };
    let owner_alone = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, owner_alone).map_err(ListenError::Bind)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_listen_address() {
        for text in ["127.0.0.1:1", "[::1]:50051", "localhost:0", "unix:/run/ticketing.sock", "unix:here"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in
            ["", "50051", "localhost", "unix:", "1.2.3:5", "a b:1", "localhost:65536", "http://localhost:1"]
        {
            assert!(text.parse::<ListenAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for text in
            ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1", "unix:/a"]
        {
            assert!(text.parse::<ListenAddress>().unwrap().is_local(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.org:1", "localhost.example.org:1"] {
            assert!(!text.parse::<ListenAddress>().unwrap().is_local(), "{text}");
        }
    }
}
