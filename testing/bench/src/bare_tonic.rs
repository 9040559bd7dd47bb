//! The limit of the server's calls: tonic that returns given bytes, in a process of its own, and a client that does not
//! decode.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::uri::PathAndQuery;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tonic::body::Body;
use tonic::client::Grpc as GrpcClient;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc as GrpcServer, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::server::{Credentials, connect};

const SERVICE: &str = "rhythmx.ticketing.v1.TicketingService";
const GET_STATUS: &str = "/rhythmx.ticketing.v1.TicketingService/GetStatus";
const STREAM_EVENTS: &str = "/rhythmx.ticketing.v1.TicketingService/StreamTicketEvents";

/// The arguments of the process.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BareArgs {
    /// File with the messages: each is its length, as four bytes in little-endian order, and its bytes. A unary call
    /// gets the first one, a stream all of them.
    #[arg(long)]
    messages: PathBuf,
    /// Folder with `server.pem` and `server.key`.
    #[arg(long)]
    tls: Option<PathBuf>,
}

/// The process.
#[derive(Debug)]
pub(crate) struct BareTonic {
    address: String,
    credentials: Option<Credentials>,
    /// Killed with it.
    _child: Child,
}

/// A client that leaves messages encoded.
#[derive(Debug, Clone)]
pub(crate) struct RawClient {
    grpc: GrpcClient<Channel>,
    token: Option<String>,
}

/// Messages as their bytes.
#[derive(Debug, Clone, Copy, Default)]
struct RawCodec;

#[derive(Debug, Clone)]
struct Replay {
    messages: Arc<Vec<Bytes>>,
}

// === impl BareTonic ===

impl BareTonic {
    /// Starts the process with these messages, which it reads from `file`.
    pub(crate) async fn start(
        file: &Path,
        messages: &[Bytes],
        credentials: Option<&Credentials>,
    ) -> Result<Self> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.put_u32_le(u32::try_from(message.len())?);
            bytes.put_slice(message);
        }
        std::fs::write(file, bytes)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-tonic").arg("--messages").arg(file);
        if let Some(credentials) = credentials {
            command.arg("--tls").arg(&credentials.folder);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let address = BufReader::new(output).lines().next_line().await?;
        let address = address.context("the bare server did not start")?;
        Ok(Self { address, credentials: credentials.cloned(), _child: child })
    }

    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<RawClient>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let channel = connect(&self.address, self.credentials.as_ref()).await?;
            clients.push(RawClient::new(channel, self.credentials.as_ref()));
        }
        Ok(clients)
    }
}

/// The process: prints its address and serves until it is killed.
pub(crate) async fn serve(arguments: &BareArgs) -> Result<()> {
    let messages = Arc::new(read(&arguments.messages)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut server = Server::builder();
    if let Some(folder) = &arguments.tls {
        let certificate = std::fs::read(folder.join("server.pem"))?;
        let identity = Identity::from_pem(certificate, std::fs::read(folder.join("server.key"))?);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    println!("{address}");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server.add_service(Replay { messages }).serve_with_incoming(incoming).await?;
    Ok(())
}

fn read(file: &Path) -> Result<Vec<Bytes>> {
    let mut bytes = Bytes::from(std::fs::read(file)?);
    let mut messages = Vec::new();
    while bytes.has_remaining() {
        let length = bytes.get_u32_le();
        messages.push(bytes.split_to(usize::try_from(length)?));
    }
    Ok(messages)
}

// === impl Replay ===

impl NamedService for Replay {
    const NAME: &'static str = SERVICE;
}

impl tower::Service<http::Request<Body>> for Replay {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let messages = self.messages.clone();
        Box::pin(async move {
            let mut grpc = GrpcServer::new(RawCodec);
            if request.uri().path() == GET_STATUS {
                let first = messages.first().cloned().unwrap_or_default();
                let answer = tower::service_fn(move |_: Request<Bytes>| ok(first.clone()));
                return Ok(grpc.unary(answer, request).await);
            }
            let answer = tower::service_fn(move |_: Request<Bytes>| {
                let messages = messages.clone();
                ok(stream::iter(
                    (0..messages.len()).map(move |index| Ok::<_, Status>(messages[index].clone())),
                ))
            });
            Ok(grpc.server_streaming(answer, request).await)
        })
    }
}

fn ok<T>(answer: T) -> Ready<Result<Response<T>, Status>> {
    ready(Ok(Response::new(answer)))
}

// === impl RawClient ===

impl RawClient {
    pub(crate) fn new(channel: Channel, credentials: Option<&Credentials>) -> Self {
        let token = credentials.map(|credentials| format!("Bearer {}", credentials.token));
        Self { grpc: GrpcClient::new(channel), token }
    }

    pub(crate) async fn get_status(&mut self) -> Result<Bytes> {
        let request = self.request(Bytes::new())?;
        self.grpc.ready().await?;
        let path = PathAndQuery::from_static(GET_STATUS);
        Ok(self.grpc.unary(request, path, RawCodec).await?.into_inner())
    }

    /// Opens an event stream with an encoded request.
    pub(crate) async fn stream_events(&mut self, message: Bytes) -> Result<Streaming<Bytes>> {
        let request = self.request(message)?;
        self.grpc.ready().await?;
        let path = PathAndQuery::from_static(STREAM_EVENTS);
        Ok(self.grpc.server_streaming(request, path, RawCodec).await?.into_inner())
    }

    fn request(&self, message: Bytes) -> Result<Request<Bytes>> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.parse()?);
        }
        Ok(request)
    }
}

// === impl RawCodec ===

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
