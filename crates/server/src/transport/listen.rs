//! Where the server listens: a TCP address, or a Unix socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::peer::PeerAddress;
use super::serve::BoxedIo;

/// Where to listen: `HOST:PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A name of this machine, and a port.
    Name { host: String, port: u16 },
    /// A socket in the file system, for its owner alone.
    Unix(PathBuf),
}

/// Why an address can not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("it can not be bound")]
    Bind(#[source] io::Error),
    #[error("its folder does not exist")]
    NoFolder,
    #[error("there is a file that is no socket")]
    NotASocket,
    #[error("another server listens there")]
    InUse,
    #[error("it can be reached from elsewhere, which needs --tls-cert, --tls-key and --auth")]
    Exposed,
}

/// What a server listens on.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Removed with the listener.
        path: PathBuf,
    },
}

// === impl ListenAddress ===

impl ListenAddress {
    const UNIX: &str = "unix:";

    /// Whether nobody but processes of this machine can come here.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => is_loopback(address.ip()),
            Self::Name { host, .. } => host.eq_ignore_ascii_case("localhost"),
            Self::Unix(_) => true,
        }
    }

    /// Takes the address. `exposed` allows one that others can reach.
    ///
    /// # Errors
    /// Why it can not be taken.
    pub async fn bind(&self, exposed: bool) -> Result<Listener, ListenError> {
        let bound = match self {
            Self::Tcp(address) => TcpListener::bind(address).await,
            Self::Name { host, port } => TcpListener::bind((host.as_str(), *port)).await,
            Self::Unix(path) => return bind_unix(path),
        };
        let listener = bound.map_err(ListenError::Bind)?;
        let address = listener.local_addr().map_err(ListenError::Bind)?;
        // A name says where it leads only now.
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
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not know.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix { path, .. } => Ok(ListenAddress::Unix(path.clone())),
        }
    }

    /// The next connection, and whose it is.
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
            // A socket that stays behind is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

// Small frames go out at once. A connection that is gone already is noticed when it is read.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// A socket for its owner alone. One that nobody listens on any more is removed.
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
    fn an_address_is_a_host_and_a_port_or_a_socket() {
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
    fn loopback_and_sockets_are_local_and_nothing_else_is() {
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
