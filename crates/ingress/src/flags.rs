//! Flags of the listeners.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::duration::duration;

/// Limits for `--health-listen`: an orchestrator uses a few connections with one stream each. Health checks are
/// unauthenticated, so only connections and streams can be limited.
const HEALTH_STREAMS_PER_CONNECTION: u32 = 8;
const HEALTH_CONNECTIONS_PER_PEER: u32 = 16;

/// Listeners and ingress limits.
#[derive(Debug, Clone, Args)]
pub struct TransportFlags {
    #[command(flatten)]
    pub tls: TlsFiles,

    /// Additional address, HOST:PORT, that serves only health checks (grpc.health.v1), in plaintext, for an
    /// orchestrator. They are served on --listen too.
    #[arg(long, env = "TICKETING_HEALTH_LISTEN")]
    pub health_listen: Option<SocketAddr>,

    #[command(flatten)]
    pub limits: Limits,
}

/// TLS files. Checked every 5 s and on SIGHUP; changes apply to new connections.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsFiles {
    /// File with the server certificate and its chain, in PEM. Reloaded when it changes and on SIGHUP; open
    /// connections are unaffected.
    #[arg(long, env = "TICKETING_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// File with the private key of --tls-cert, in PEM.
    #[arg(long, env = "TICKETING_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// File with the certificate authorities, in PEM, that issue client certificates. Requires --auth certificate.
    #[arg(long, env = "TICKETING_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
}

/// Ingress limits.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Maximum number of connections. At the limit, a new connection displaces the oldest one without an
    /// authenticated call, of the peer that has the most of them. 1 to 100,000.
    #[arg(long, env = "TICKETING_MAX_CONNECTIONS", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections: u32,

    /// Maximum number of connections from one IPv4 address, IPv6 /64 network or local user. At the limit, a new
    /// connection displaces the oldest one without an authenticated call; connections with one are never displaced,
    /// and an eighth of the limit is reserved for new ones. Increase it if many clients share an address, as behind a
    /// load balancer. 1 to 100,000.
    #[arg(long, env = "TICKETING_MAX_CONNECTIONS_PER_PEER", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections_per_peer: u32,

    /// Maximum duration of a TLS handshake.
    #[arg(long, env = "TICKETING_HANDSHAKE_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub handshake_timeout: Duration,

    /// Maximum time for the connection preface, or the headers of a call, to arrive once they have begun.
    #[arg(long, env = "TICKETING_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// Maximum time for the message of a call to arrive.
    #[arg(long, env = "TICKETING_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,

    /// Closes connections that make no authenticated call within this time (any call if --auth is not set).
    /// Connections with such a call may stay idle until their maximum age.
    #[arg(long, env = "TICKETING_FIRST_CALL_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub first_call_timeout: Duration,

    /// Maximum age of a connection, plus or minus 10 %. It then accepts no new calls, and clients reconnect. Event
    /// streams end with their resume token.
    #[arg(long, env = "TICKETING_CONNECTION_AGE", default_value = "1h", value_parser = duration)]
    pub connection_age: Duration,

    /// Time for calls in progress to finish on a connection that reached its maximum age.
    #[arg(long, env = "TICKETING_CONNECTION_AGE_GRACE", default_value = "1m", value_parser = duration)]
    pub connection_age_grace: Duration,

    /// Maximum size of the headers of a call in bytes. 1,024 to 1,048,576.
    #[arg(long, env = "TICKETING_HEADER_LIST_SIZE", default_value_t = 16_384,
          value_parser = clap::value_parser!(u32).range(1_024..=1_048_576))]
    pub header_list_size: u32,

    /// Maximum number of concurrent calls and streams on one connection. 1 to 10,000.
    #[arg(long, env = "TICKETING_STREAMS_PER_CONNECTION", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams_per_connection: u32,

    /// Maximum number of streams per minute that a client may reset on one connection, and in total that it may cause
    /// the server to reset. The connection is closed above it, and also when more than `--streams-per-connection` are
    /// reset at once. 10 to 100,000.
    #[arg(long, env = "TICKETING_STREAM_RESETS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub stream_resets: u32,

    /// Maximum number of control frames per minute (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty
    /// DATA, unknown types) from a client, in addition to four per data-carrying frame in either direction. The
    /// connection is closed above it. 100 to 1,000,000.
    #[arg(long, env = "TICKETING_CONTROL_FRAMES", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub control_frames: u32,

    /// Maximum duration of a call, whatever its deadline. Does not apply to open streams.
    #[arg(long, env = "TICKETING_MAX_CALL_DURATION", default_value = "5m", value_parser = duration)]
    pub max_call_duration: Duration,

    /// Maximum size of a request in bytes, uncompressed; a larger one fails with OUT_OF_RANGE. The largest valid
    /// incident takes 420,000 bytes in ASCII and 1,620,000 if every character takes four bytes. 16,384 to 16,777,216.
    #[arg(long, env = "TICKETING_MAX_REQUEST_SIZE", default_value_t = 2_097_152,
          value_parser = clap::value_parser!(u32).range(16_384..=16_777_216))]
    pub max_request_size: u32,

    /// Memory budget in mebibytes for requests in progress; over it, calls fail with RESOURCE_EXHAUSTED. A request
    /// counts with its decoded size, and one caller gets at most half. 8 to 65,536.
    #[arg(long, env = "TICKETING_REQUEST_MEMORY", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(8..=65_536))]
    pub request_memory: u32,
}

// === impl TransportFlags ===

impl TransportFlags {
    /// Maximum number of connections in total, over all listeners.
    #[must_use]
    pub fn max_connections(&self) -> u64 {
        let addresses = if self.health_listen.is_some() { 2 } else { 1 };
        addresses * u64::from(self.limits.max_connections)
    }
}

// === impl Limits ===

impl Limits {
    /// The limits of `--health-listen`, never above the general ones.
    pub fn for_health(&self) -> Self {
        Self {
            max_connections_per_peer: self.max_connections_per_peer.min(HEALTH_CONNECTIONS_PER_PEER),
            streams_per_connection: self.streams_per_connection.min(HEALTH_STREAMS_PER_CONNECTION),
            ..self.clone()
        }
    }
}
