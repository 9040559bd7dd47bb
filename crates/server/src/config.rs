//! The configuration of the server process: flags, each with an environment variable. `--help` is the reference.

mod outbound;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ticketing_core::duration;
use ticketing_core::policy::Bounds;
use ticketing_engine::dispatch::{Concurrency, DispatchSettings};
use ticketing_ingress::{ListenAddress, TransportFlags};
use ticketing_retry::retry_after;
use ticketing_store::KeySource;

use crate::access::{AccessArgs, AccessArgsError, AuthSource};
use crate::vendors::VendorFlags;

/// Name of the database file in the data folder.
pub(crate) const DATABASE: &str = "ticketing.db";

pub use outbound::{OutboundError, OutboundFlags};

/// Not a flag, because other users of the machine can read arguments.
const KEY_VARIABLE: &str = "TICKETING_KEY";

/// How the server runs. Durations are written like 250ms, 30s, 15m, 24h or "1h 30m".
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Listen address: HOST:PORT, or unix:PATH for a socket that only its owner can use. An address that other
    /// machines can reach requires --tls-cert, --tls-key and --auth.
    #[arg(long, env = "TICKETING_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: ListenAddress,

    #[command(flatten)]
    pub transport: TransportFlags,

    /// Folder of the database; created if it does not exist.
    #[arg(long, env = "TICKETING_DATA", default_value = "data")]
    pub data: PathBuf,

    #[command(flatten)]
    pub key: KeyArgs,

    #[command(flatten)]
    pub access: AccessArgs,

    /// For one start: the database was restored from a backup. Tickets are searched for before they are created, so
    /// that none is created twice. Most restores are detected without this flag; not detected are those of a machine
    /// that was not rebooted since, and those by the file system itself.
    #[arg(long, env = "TICKETING_RESTORED")]
    pub restored: bool,

    /// How long to wait while another program has locked the database, such as a copy made by SQLite's own shell.
    #[arg(long, env = "TICKETING_BUSY_TIMEOUT", default_value = "10s", value_parser = duration::parse)]
    pub busy_timeout: Duration,

    /// Log filter, for example "info" or "ticketing=debug".
    #[arg(long, env = "TICKETING_LOG", default_value = "info")]
    pub log: String,

    /// Log format.
    #[arg(long, env = "TICKETING_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Concurrent creates per connection to begin with. The number adapts: it grows while the ticket system answers
    /// well, and falls when it refuses for load (429, 503) or slows down. 1 to 64.
    #[arg(long, env = "TICKETING_CONCURRENCY", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,

    /// Maximum number of concurrent creates per connection, not below --concurrency. 1 to 256.
    #[arg(long, env = "TICKETING_MAX_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_concurrency: u16,

    /// Time from the intent to send until the request is abandoned. Also limits look-ups and previews.
    #[arg(long, env = "TICKETING_ATTEMPT_DEADLINE", default_value = "30s", value_parser = duration::parse)]
    pub attempt_deadline: Duration,

    /// How long a lease holds before a delivery is taken over. At least twice the attempt deadline.
    #[arg(long, env = "TICKETING_LEASE", default_value = "90s", value_parser = duration::parse)]
    pub lease: Duration,

    /// How long after its send deadline a ticket system may still apply a request.
    #[arg(long, env = "TICKETING_SERVER_BOUND", default_value = "60s", value_parser = duration::parse)]
    pub server_bound: Duration,

    /// Interval between look-ups of a ticket with unknown outcome, and between the two empty answers that prove its
    /// absence.
    #[arg(long, env = "TICKETING_LOOK_UP_INTERVAL", default_value = "30s", value_parser = duration::parse)]
    pub look_up_interval: Duration,

    /// Delays of the duplicate scans of deliveries that once had an unknown outcome, after they were delivered,
    /// failed or were cancelled. Three durations.
    #[arg(long, env = "TICKETING_DUPLICATE_SCAN_DELAYS", default_value = "15m,1h,24h", value_parser = duplicate_scan_delays)]
    pub duplicate_scan_delays: [Duration; 3],

    /// Consecutive failures that open the circuit breaker of a ticket system, which is then only probed, once a tick.
    /// 1 to 1,000.
    #[arg(long, env = "TICKETING_CIRCUIT_THRESHOLD", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub circuit_threshold: u32,

    /// Maximum pause that a ticket system can ask for (429, Retry-After), and maximum interval between probes of a
    /// refused login that cannot be locked. 1 ms to 24 h.
    #[arg(long, env = "TICKETING_MAX_RETRY_AFTER", default_value = "1h", value_parser = pause)]
    pub max_retry_after: Duration,

    #[command(flatten)]
    pub vendors: VendorFlags,

    /// How long events are kept.
    #[arg(long, env = "TICKETING_EVENT_RETENTION", default_value = "720h", value_parser = duration::parse)]
    pub event_retention: Duration,

    /// How long the content of incidents and the attempts of deliveries are kept after the last delivery of the incident
    /// ended: it was delivered, failed or was cancelled. Deliveries, their tickets and markers, and what recognizes an
    /// incident that is submitted again are kept forever.
    #[arg(long, env = "TICKETING_INCIDENT_RETENTION", default_value = "2160h", value_parser = duration::parse)]
    pub incident_retention: Duration,

    /// Interval between bookmarks on an event stream.
    #[arg(long, env = "TICKETING_BOOKMARK_INTERVAL", default_value = "10s", value_parser = duration::parse)]
    pub bookmark_interval: Duration,

    /// Ends a subscriber that receives nothing within this time, with its last token.
    #[arg(long, env = "TICKETING_SUBSCRIBER_TIMEOUT", default_value = "30s", value_parser = duration::parse)]
    pub subscriber_timeout: Duration,

    /// How long a stopping server waits for attempts in progress.
    #[arg(long, env = "TICKETING_SHUTDOWN_GRACE", default_value = "35s", value_parser = duration::parse)]
    pub shutdown_grace: Duration,

    #[command(flatten)]
    pub outbound: OutboundFlags,
}

/// The source of the master key.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// File with the master key, which encrypts the stored secrets: 32 bytes in base64 or as 64 hex digits. Without
    /// it and the variable TICKETING_KEY, a file beside the database is used, and created at the first start.
    #[arg(long, env = "TICKETING_KEY_FILE")]
    pub key_file: Option<PathBuf>,
}

/// Log formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Invalid combinations of settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error(
        "--listen {address} is neither a loopback address nor a Unix socket, so it also requires {missing}; or listen on \
         127.0.0.1, [::1] or unix:PATH"
    )]
    Exposed { address: ListenAddress, missing: &'static str },
    #[error("{given} also requires {missing}")]
    Incomplete { given: &'static str, missing: &'static str },
    #[error(
        "--lease {lease:?} is too short: it must be at least twice --attempt-deadline ({attempt_deadline:?}), for the \
         preparation and the send"
    )]
    LeaseTooShort { lease: Duration, attempt_deadline: Duration },
    #[error(
        "--max-concurrency {max} is too low: it must be at least --concurrency ({start}), with which a connection begins; \
         lower both"
    )]
    MaxConcurrencyTooLow { max: u16, start: u16 },
    #[error(transparent)]
    Access(#[from] AccessArgsError),
}

// === impl Config ===

impl Config {
    /// Validates combinations of flags.
    ///
    /// # Errors
    /// The first invalid flag.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_tls()?;
        self.check_exposure()?;
        self.access.settings()?;
        let lease = self.lease;
        let attempt_deadline = self.attempt_deadline;
        if lease < attempt_deadline * 2 {
            return Err(ConfigError::LeaseTooShort { lease, attempt_deadline });
        }
        let max = self.max_concurrency;
        let start = self.concurrency;
        if max < start {
            return Err(ConfigError::MaxConcurrencyTooLow { max, start });
        }
        Ok(())
    }

    /// Whether the listener uses TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.transport.tls.tls_cert.is_some()
    }

    /// Whether clients without a certificate fail the handshake, because certificates are the only credentials.
    #[must_use]
    pub fn demands_certificate(&self) -> bool {
        !self.access.auth.is_empty()
            && self.access.auth.iter().all(|source| *source == AuthSource::Certificate)
    }

    /// The files that contain secrets; the key file may not exist yet.
    pub(crate) fn secret_files(&self) -> Vec<PathBuf> {
        let key = self.key.source().file(&self.data.join(DATABASE));
        let given = [&self.transport.tls.tls_key, &self.outbound.proxy_logins];
        key.into_iter().chain(given.into_iter().flatten().cloned()).collect()
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        const CLIENT_CA: &str = "--tls-client-ca";
        const CERTIFICATE: &str = "--auth certificate";
        let tls = &self.transport.tls;
        let by_certificate = self.access.auth.contains(&AuthSource::Certificate);
        let (given, missing) = match (&tls.tls_cert, &tls.tls_key, &tls.tls_client_ca) {
            (Some(_), None, _) => ("--tls-cert", "--tls-key"),
            (None, Some(_), _) => ("--tls-key", "--tls-cert"),
            (None, None, Some(_)) => (CLIENT_CA, "--tls-cert and --tls-key"),
            (_, _, Some(_)) if !by_certificate => (CLIENT_CA, CERTIFICATE),
            (None, None, None) if by_certificate => {
                (CERTIFICATE, "--tls-client-ca, --tls-cert and --tls-key")
            }
            (_, _, None) if by_certificate => (CERTIFICATE, CLIENT_CA),
            _ => return Ok(()),
        };
        Err(ConfigError::Incomplete { given, missing })
    }

    fn check_exposure(&self) -> Result<(), ConfigError> {
        let missing = match (self.has_tls(), self.access.auth.is_empty()) {
            _ if self.listen.is_local() => return Ok(()),
            (true, false) => return Ok(()),
            (false, true) => "--tls-cert, --tls-key and --auth",
            (false, false) => "--tls-cert and --tls-key",
            (true, true) => "--auth",
        };
        Err(ConfigError::Exposed { address: self.listen.clone(), missing })
    }

    /// The bounds of the delivery protocol.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds {
            attempt_deadline: self.attempt_deadline,
            lease: self.lease,
            server_bound: self.server_bound,
            look_up_interval: self.look_up_interval,
            duplicate_scan_delays: self.duplicate_scan_delays,
            circuit_threshold: self.circuit_threshold,
            max_retry_after: self.max_retry_after,
        }
    }

    #[must_use]
    pub fn dispatch(&self) -> DispatchSettings {
        let concurrency = Concurrency { start: self.concurrency.into(), max: self.max_concurrency.into() };
        DispatchSettings {
            concurrency,
            event_retention: self.event_retention,
            incident_retention: self.incident_retention,
        }
    }
}

// === impl KeyArgs ===

impl KeyArgs {
    /// The source of the master key: the named file, the variable `TICKETING_KEY` (32 bytes in base64 or as 64 hex
    /// digits), or a file beside the database.
    #[must_use]
    pub fn source(&self) -> KeySource {
        match (&self.key_file, std::env::var(KEY_VARIABLE)) {
            (Some(path), _) => KeySource::File(path.clone()),
            (None, Ok(text)) => KeySource::Text { text: text.into(), origin: KEY_VARIABLE.to_owned() },
            (None, Err(_)) => KeySource::BesideDatabase,
        }
    }
}

/// Parses a duration of at most a day.
fn pause(text: &str) -> Result<Duration, String> {
    let pause = duration::parse(text)?;
    if pause <= retry_after::MAX_WAIT { Ok(pause) } else { Err("must be at most 24h".to_owned()) }
}

/// Parses three increasing durations, such as 15m,1h,24h.
fn duplicate_scan_delays(text: &str) -> Result<[Duration; 3], String> {
    let duplicate_scan_delays: Vec<_> = text.split(',').map(duration::parse).collect::<Result<_, _>>()?;
    let grow = duplicate_scan_delays.windows(2).all(|pair| pair[0] < pair[1]);
    let three = <[Duration; 3]>::try_from(duplicate_scan_delays).ok().filter(|_| grow);
    three.ok_or_else(|| "must be three increasing durations, for example 15m,1h,24h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    fn config(flags: &[&str]) -> Config {
        Cli::try_parse_from(std::iter::once("ticketing").chain(flags.iter().copied())).unwrap().config
    }

    #[test]
    fn defaults_match_protocol() {
        let config = config(&[]);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.bounds(), Bounds::default());
    }

    #[test]
    fn bounds_go_down_to_tens_of_milliseconds() {
        let config =
            config(&["--attempt-deadline=40ms", "--lease=100ms", "--duplicate-scan-delays=10ms,20ms,30ms"]);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.bounds().duplicate_scan_delays.map(|sweep| sweep.as_millis()), [10, 20, 30]);
    }

    #[test]
    fn exposed_address_requires_tls_and_auth() {
        const OPEN: &str = "--listen=0.0.0.0:50051";
        const TLS: [&str; 2] = ["--tls-cert=a", "--tls-key=b"];
        let missing = |flags: &[&str]| match config(flags).check() {
            Err(ConfigError::Exposed { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&[OPEN]), "--tls-cert, --tls-key and --auth");
        assert_eq!(missing(&[OPEN, "--auth=token"]), "--tls-cert and --tls-key");
        assert_eq!(missing(&[OPEN, TLS[0], TLS[1]]), "--auth");
        assert_eq!(config(&[OPEN, TLS[0], TLS[1], "--auth=token"]).check(), Ok(()));
        for local in ["--listen=[::1]:1", "--listen=localhost:1", "--listen=unix:a"] {
            assert_eq!(config(&[local]).check(), Ok(()));
        }
    }

    #[test]
    fn names_required_flag() {
        let table: [(&[&str], _, _); 5] = [
            (&["--tls-cert=a"], "--tls-cert", "--tls-key"),
            (&["--tls-key=a"], "--tls-key", "--tls-cert"),
            (&["--tls-client-ca=a"], "--tls-client-ca", "--tls-cert and --tls-key"),
            (&["--tls-cert=a", "--tls-key=b", "--tls-client-ca=c"], "--tls-client-ca", "--auth certificate"),
            (&["--tls-cert=a", "--tls-key=b", "--auth=certificate"], "--auth certificate", "--tls-client-ca"),
        ];
        for (flags, given, missing) in table {
            assert_eq!(config(flags).check(), Err(ConfigError::Incomplete { given, missing }), "{flags:?}");
        }
    }

    #[test]
    fn requires_certificate_if_it_is_the_only_credential() {
        assert!(config(&["--auth=certificate"]).demands_certificate());
        assert!(!config(&["--auth=certificate,token"]).demands_certificate());
        assert!(!config(&[]).demands_certificate());
    }

    #[test]
    fn refuses_lease_shorter_than_attempt() {
        let config = config(&["--lease=59s"]);
        assert!(matches!(config.check(), Err(ConfigError::LeaseTooShort { .. })));
    }

    #[test]
    fn refuses_max_concurrency_below_concurrency() {
        let refused = ConfigError::MaxConcurrencyTooLow { max: 1, start: 4 };
        assert_eq!(config(&["--max-concurrency=1"]).check(), Err(refused));
        assert_eq!(config(&["--max-concurrency=1", "--concurrency=1"]).check(), Ok(()));
    }
}
