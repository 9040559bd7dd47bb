//! A TCP relay between a caller and the server, which can be cut or limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rhythmx_ticketing::Client;
use ticketing_harness::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to the server.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: String,
    cut: watch::Sender<bool>,
}

/// One relayed connection.
struct Pair {
    caller: TcpStream,
    server: TcpStream,
    /// Remaining number of bytes from callers; further bytes are not forwarded.
    left: Arc<AtomicUsize>,
}

// === impl Relay ===

impl Relay {
    /// A relay without a limit.
    pub(super) async fn to(server: &Server) -> Self {
        Self::with_byte_limit(server, usize::MAX).await
    }

    /// A relay that stops forwarding after this many bytes from all callers together.
    pub(super) async fn with_byte_limit(server: &Server, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cut, is_cut) = watch::channel(false);
        let left = Arc::new(AtomicUsize::new(bytes));
        let server = server.address.clone();
        tokio::spawn(async move {
            let mut ended = is_cut.clone();
            loop {
                let caller = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    _ = ended.changed() => return,
                };
                let server = TcpStream::connect(&server).await.unwrap();
                let pair = Pair { caller, server, left: left.clone() };
                tokio::spawn(pair.forward(is_cut.clone()));
            }
        });
        Self { address, cut }
    }

    pub(super) async fn client(&self) -> Client {
        Client::connect(format!("http://{}", self.address)).await.unwrap().with_retries(0)
    }

    /// Resets every connection at both ends, and accepts no further ones.
    pub(super) fn cut(&self) {
        self.cut.send_replace(true);
    }
}

// === impl Pair ===

impl Pair {
    /// Forwards until one end closes or the relay is cut, and then resets both ends.
    async fn forward(mut self, mut is_cut: watch::Receiver<bool>) {
        tokio::select! {
            () = self.copy() => {}
            _ = is_cut.changed() => {}
        }
        // Fails if the peer has disconnected already, which needs no reset.
        let _ = self.caller.set_zero_linger();
        let _ = self.server.set_zero_linger();
    }

    async fn copy(&mut self) {
        let (mut from_caller, mut to_caller) = self.caller.split();
        let (mut from_server, mut to_server) = self.server.split();
        let left = &self.left;
        let sending = async {
            let mut buffer = vec![0; 4_096];
            loop {
                let limit = left.load(Ordering::SeqCst).min(buffer.len());
                if limit == 0 {
                    return std::future::pending().await;
                }
                let read = from_caller.read(&mut buffer[..limit]).await.unwrap_or(0);
                if read == 0 || to_server.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
                left.fetch_sub(read, Ordering::SeqCst);
            }
        };
        let receiving = tokio::io::copy(&mut from_server, &mut to_caller);
        tokio::select! {
            () = sending => {}
            _ = receiving => {}
        }
    }
}
