//! An HTTP server with canned replies, so that the adapters are called by their public API, over real connections.

pub(crate) mod reply;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_egress::HttpClient;
use ticketing_egress::address_policy::AddressPolicy;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use reply::Reply;

/// Maximum duration of a request.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// The server, and a client that may call it.
#[derive(Debug)]
pub(crate) struct Server {
    runtime: Runtime,
    listener: TcpListener,
    pub(crate) client: HttpClient,
    /// Its URL, without a trailing slash.
    pub(crate) url: String,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
}

/// A clock that stands still, so that what the adapters cache stays cached.
#[derive(Debug)]
struct StillClock;

/// A client that may call what `addresses` permits.
pub(crate) fn client(addresses: AddressPolicy) -> HttpClient {
    HttpClient::new(Arc::new(StillClock), WITHIN, addresses.into()).expect("TLS can be set up")
}

// === impl Server ===

impl Server {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let here = AddressPolicy::permitting(vec!["127.0.0.1".parse().expect("an address")]);
        Self { runtime, listener, client: client(here), url: format!("http://{address}") }
    }

    /// Waits for `call`, and answers its requests.
    pub(crate) fn answering<T>(
        &self,
        answer: impl Fn(&Request) -> Reply,
        call: impl Future<Output = T>,
    ) -> T {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                result = call => result,
                () = self.serve(answer) => unreachable!("it serves without end"),
            }
        })
    }

    async fn serve(&self, answer: impl Fn(&Request) -> Reply) {
        loop {
            let (stream, _) = self.listener.accept().await.expect("the listener is open");
            // A client that has given up is its own affair.
            let _ = exchange(stream, &answer).await;
        }
    }
}

/// Reads one request, and answers it.
async fn exchange(stream: TcpStream, answer: impl Fn(&Request) -> Reply) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut length = 0_u64;
    stream.read_line(&mut line).await?;
    let mut words = line.split(' ').map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or_default();
            }
            Some(_) => {}
            None => break,
        }
    }
    tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await?;
    let bytes = answer(&Request { method, path }).to_http();
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

// === impl Request ===

impl Request {
    /// The last segment of the path.
    pub(crate) fn resource(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

// === impl StillClock ===

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}
