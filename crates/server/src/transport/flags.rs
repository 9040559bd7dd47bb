//! The flags of this room.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::duration;

/// On `--health-listen` an orchestrator asks with one connection or a few, and watches with one stream of each. Nobody
/// shows a credential there, so that connections and streams are all that can be counted.
const HEALTH_STREAMS_PER_CONNECTION: u32 = 8;
const HEALTH_CONNECTIONS_PER_PEER: u32 = 16;

/// How callers connect, and what they may use up.
#[derive(Debug, Clone, Args)]
pub struct TransportFlags {
    #[command(flatten)]
    pub tls: TlsFiles,

    /// A further address, HOST:PORT, that answers health checks (grpc.health.v1) in plaintext and nothing else: for an
    /// orchestrator. They are answered on --listen too.
    #[arg(long, env = "TICKETING_HEALTH_LISTEN")]
    pub health_listen: Option<SocketAddr>,

    #[command(flatten)]
    pub limits: Limits,
}

/// The files of TLS. They are looked at every 5 s and on SIGHUP; new ones hold for new connections.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsFiles {
    /// File with the certificate to show, in PEM, and those that lead to its authority. Read again when it changes, and
    /// on SIGHUP; connections that are open stay.
    #[arg(long, env = "TICKETING_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// File with the key of --tls-cert, in PEM.
    #[arg(long, env = "TICKETING_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// File with the authorities, in PEM, that client certificates must come from. Goes with --auth certificate.
    #[arg(long, env = "TICKETING_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
}

/// What one peer, and all of them, may use up.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Connections at a time. At the limit, a new connection takes the place of the oldest one without an authenticated
    /// call, of the peer that has the most of them. 1 to 100,000.
    #[arg(long, env = "TICKETING_CONNECTIONS", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: u32,

    /// Connections at a time from one IPv4 address, IPv6 /64 network or local user. At the limit, a new connection takes
    /// the place of the oldest one without an authenticated call; those with one are never closed for it, and an eighth
    /// is kept for newcomers. Raise it where many clients share an address, as behind a balancer. 1 to 100,000.
    #[arg(long, env = "TICKETING_CONNECTIONS_PER_PEER", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections_per_peer: u32,

    /// How long a TLS handshake may take.
    #[arg(long, env = "TICKETING_HANDSHAKE_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub handshake_timeout: Duration,

    /// How long the preface of a connection, or the headers of a call, may take to arrive once they have begun.
    #[arg(long, env = "TICKETING_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// How long the message of a call may take to arrive.
    #[arg(long, env = "TICKETING_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long a connection may be open before a call comes that is let in: one with a good credential, or any where
    /// none is asked for. One that has borne such a call may be idle until it is too old.
    #[arg(long, env = "TICKETING_FIRST_CALL_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub first_call_timeout: Duration,

    /// After this time, more or less a tenth, a connection takes no new calls, and its client connects again. Event
    /// streams end with their token.
    #[arg(long, env = "TICKETING_CONNECTION_AGE", default_value = "1h", value_parser = duration)]
    pub connection_age: Duration,

    /// How long the calls of a connection that is too old may still take.
    #[arg(long, env = "TICKETING_CONNECTION_AGE_GRACE", default_value = "1m", value_parser = duration)]
    pub connection_age_grace: Duration,

    /// The most bytes of the headers of a call. 1,024 to 1,048,576.
    #[arg(long, env = "TICKETING_HEADER_LIST_SIZE", default_value_t = 16_384,
          value_parser = clap::value_parser!(u32).range(1_024..=1_048_576))]
    pub header_list_size: u32,

    /// Calls and streams at a time on one connection. 1 to 10,000.
    #[arg(long, env = "TICKETING_STREAMS_PER_CONNECTION", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams_per_connection: u32,

    /// Streams in a minute that a peer may reset on one connection, and in its whole life those that it may have us
    /// reset. A connection with more is closed; so is one on which more than `--streams-per-connection` are reset at
    /// once. 10 to 100,000.
    #[arg(long, env = "TICKETING_STREAM_RESETS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub stream_resets: u32,

    /// Frames in a minute that carry nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA, unknown
    /// ones) that a peer may send beyond four for each frame that carries something, in either direction. A connection
    /// with more is closed. 100 to 1,000,000.
    #[arg(long, env = "TICKETING_CONTROL_FRAMES", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub control_frames: u32,

    /// The longest that a call may take, whatever deadline its caller set. Streams that were opened go on.
    #[arg(long, env = "TICKETING_LONGEST_CALL", default_value = "5m", value_parser = duration)]
    pub longest_call: Duration,

    /// Bytes of one request, unpacked; a larger one is refused with OUT_OF_RANGE. The largest valid incident takes
    /// 420,000 bytes in ASCII and 1,620,000 if every character takes four bytes. 16,384 to 16,777,216.
    #[arg(long, env = "TICKETING_MAX_REQUEST_SIZE", default_value_t = 2_097_152,
          value_parser = clap::value_parser!(u32).range(16_384..=16_777_216))]
    pub max_request_size: u32,

    /// Mebibytes of requests that are read or worked on at a time; more are refused with RESOURCE_EXHAUSTED. A request
    /// counts as what it takes in memory when it is decoded, and one caller holds at most half. 8 to 65,536.
    #[arg(long, env = "TICKETING_REQUEST_MEMORY", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(8..=65_536))]
    pub request_memory: u32,
}

// === impl TransportFlags ===

impl TransportFlags {
    /// How many connections there can be at a time. Each address has as many places as the limit says.
    #[must_use]
    pub fn max_connections(&self) -> u64 {
        let addresses = if self.health_listen.is_some() { 2 } else { 1 };
        addresses * u64::from(self.limits.connections)
    }
}

// === impl Limits ===

impl Limits {
    /// Those of `--health-listen`, which are never wider.
    pub(crate) fn for_health(&self) -> Self {
        Self {
            connections_per_peer: self.connections_per_peer.min(HEALTH_CONNECTIONS_PER_PEER),
            streams_per_connection: self.streams_per_connection.min(HEALTH_STREAMS_PER_CONNECTION),
            ..self.clone()
        }
    }
}
