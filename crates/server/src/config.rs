//! The settings of the server process: flags, each with an environment variable. `--help` is their reference.

mod outbound;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use ticketing_core::policy::Bounds;
use ticketing_failpoints::{Guard, is_removed};
use ticketing_retry::retry_after;

use crate::access::{AccessArgs, AccessArgsError, AuthSource};
use crate::dispatch::DispatchSettings;
use crate::server::DATABASE;
use crate::store::KeySource;
use crate::transport::{ListenAddress, TransportFlags};

pub use outbound::{OutboundError, OutboundFlags};

/// Not a flag: other users of the machine can read flags.
const KEY_VARIABLE: &str = "TICKETING_KEY";

/// How the server runs. Durations are written like 250ms, 30s, 15m, 24h or "1h 30m".
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where to listen: HOST:PORT, or unix:PATH for a socket that is its owner's alone. An address that can be reached
    /// from elsewhere needs --tls-cert, --tls-key and --auth.
    #[arg(long, env = "TICKETING_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: ListenAddress,

    #[command(flatten)]
    pub transport: TransportFlags,

    /// Folder of the database; made if it is not there.
    #[arg(long, env = "TICKETING_DATA", default_value = "data")]
    pub data: PathBuf,

    #[command(flatten)]
    pub key: KeyArgs,

    #[command(flatten)]
    pub access: AccessArgs,

    /// For one start: the database was put back from an older copy. Tickets are looked for before they are created, so that
    /// none is created twice. Most copies are recognised without being told of; one of a machine that was not booted
    /// since is not, nor one that is put back by the file system itself.
    #[arg(long, env = "TICKETING_RESTORED")]
    pub restored: bool,

    /// How long to wait for another program that has locked the database, such as a copy made by SQLite's own shell.
    #[arg(long, env = "TICKETING_BUSY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub busy_timeout: Duration,

    /// What to log, for example "info" or "ticketing=debug".
    #[arg(long, env = "TICKETING_LOG", default_value = "info")]
    pub log: String,

    /// How to log.
    #[arg(long, env = "TICKETING_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Creates at a time to one ticket system. 1 to 64.
    #[arg(long, env = "TICKETING_CONCURRENCY", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,

    /// From the intent to send until the request is given up. Also bounds look-ups and previews.
    #[arg(long, env = "TICKETING_ATTEMPT_DEADLINE", default_value = "30s", value_parser = duration)]
    pub attempt_deadline: Duration,

    /// How long a claim holds before a delivery is taken over. At least twice the attempt deadline.
    #[arg(long, env = "TICKETING_LEASE", default_value = "90s", value_parser = duration)]
    pub lease: Duration,

    /// How long after the send deadline a ticket system may still apply a request.
    #[arg(long, env = "TICKETING_SERVER_BOUND", default_value = "60s", value_parser = duration)]
    pub server_bound: Duration,

    /// How long Jira Cloud's search may lag behind its tickets.
    #[arg(long, env = "TICKETING_JIRA_CLOUD_INDEX_BOUND", default_value = "180s", value_parser = duration)]
    pub jira_cloud_index_bound: Duration,

    /// How long the search of Jira Data Center may lag behind its tickets.
    #[arg(long, env = "TICKETING_JIRA_DATA_CENTER_INDEX_BOUND", default_value = "900s", value_parser = duration)]
    pub jira_data_center_index_bound: Duration,

    /// Between two look-ups of a ticket in doubt, and between the two empty answers that prove that there is none.
    #[arg(long, env = "TICKETING_LOOK_UP_INTERVAL", default_value = "30s", value_parser = duration)]
    pub look_up_interval: Duration,

    /// When what was ever in doubt is searched for tickets again: three times after it was delivered, failed or was
    /// cancelled.
    #[arg(long, env = "TICKETING_SWEEPS", default_value = "15m,1h,24h", value_parser = sweeps)]
    pub sweeps: [Duration; 3],

    /// Failures in a row after which a ticket system is only probed, once a tick. 1 to 1,000.
    #[arg(long, env = "TICKETING_CIRCUIT_THRESHOLD", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub circuit_threshold: u32,

    /// The longest pause that a ticket system is believed when it asks for one (429, Retry-After), and the longest between two
    /// probes of a refused login that cannot be locked. 1 ms to 24 h.
    #[arg(long, env = "TICKETING_MAX_RETRY_AFTER", default_value = "1h", value_parser = pause)]
    pub max_retry_after: Duration,

    /// Refused logins in a row after which Jira Data Center asks an account for a CAPTCHA. With a password, one call fewer
    /// is in flight at a time, and the login is suspended before that many were refused. 2 to 1,000.
    #[arg(long, env = "TICKETING_JIRA_LOCKOUT_LIMIT", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub jira_lockout_limit: u32,

    /// The same for ServiceNow, which locks the account. 2 to 1,000.
    #[arg(long, env = "TICKETING_SERVICENOW_LOCKOUT_LIMIT", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub servicenow_lockout_limit: u32,

    /// How long events are kept.
    #[arg(long, env = "TICKETING_EVENT_RETENTION", default_value = "720h", value_parser = duration)]
    pub event_retention: Duration,

    /// Between two bookmarks on an event stream.
    #[arg(long, env = "TICKETING_BOOKMARK_INTERVAL", default_value = "10s", value_parser = duration)]
    pub bookmark_interval: Duration,

    /// A subscriber that takes nothing for so long is ended, with its last token.
    #[arg(long, env = "TICKETING_SLOW_SUBSCRIBER", default_value = "30s", value_parser = duration)]
    pub slow_subscriber: Duration,

    /// How long a stopping server waits for attempts that are under way.
    #[arg(long, env = "TICKETING_SHUTDOWN_GRACE", default_value = "35s", value_parser = duration)]
    pub shutdown_grace: Duration,

    #[command(flatten)]
    pub outbound: OutboundFlags,
}

/// Where the key of the stored secrets is.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// File that holds the key which seals the stored secrets: 32 bytes in base64 or as 64 hex digits. Without it, and
    /// without the variable TICKETING_KEY, a file beside the database is used, and made at the first start.
    #[arg(long, env = "TICKETING_KEY_FILE")]
    pub key_file: Option<PathBuf>,
}

/// The shape of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a server can not run like this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error(
        "--listen {address} is not a loopback address nor a Unix socket, so it also needs {missing}; or listen on \
         127.0.0.1, [::1] or unix:PATH"
    )]
    Exposed { address: ListenAddress, missing: &'static str },
    #[error("{given} also needs {missing}")]
    Incomplete { given: &'static str, missing: &'static str },
    #[error(
        "--lease {lease:?} is too short: it must be at least twice --attempt-deadline ({attempt_deadline:?}), for the \
         preparation and the send"
    )]
    LeaseTooShort { lease: Duration, attempt_deadline: Duration },
    #[error(transparent)]
    Access(#[from] AccessArgsError),
}

// === impl Config ===

impl Config {
    /// The shortest duration of any setting.
    const SHORTEST: Duration = Duration::from_millis(1);
    /// The longest: ten years.
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

    /// Refuses what can not work, saying which flag to mend.
    ///
    /// # Errors
    /// The first flag that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_tls()?;
        self.check_exposure()?;
        self.access.settings()?;
        let (lease, attempt_deadline) = (self.lease, self.attempt_deadline);
        if lease < attempt_deadline * 2 {
            return Err(ConfigError::LeaseTooShort { lease, attempt_deadline });
        }
        Ok(())
    }

    /// Whether callers are under TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.transport.tls.tls_cert.is_some()
    }

    /// Whether a client without a certificate is turned away at the handshake: there is nothing else to know it by.
    #[must_use]
    pub fn demands_certificate(&self) -> bool {
        !self.access.auth.is_empty()
            && self.access.auth.iter().all(|source| *source == AuthSource::Certificate)
    }

    /// The files that hold secrets; the key of the stored ones may not be there yet.
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
            server_bound: if is_removed(Guard::InFlightBound) { Duration::ZERO } else { self.server_bound },
            jira_cloud_index_bound: self.jira_cloud_index_bound,
            jira_data_center_index_bound: self.jira_data_center_index_bound,
            look_up_interval: self.look_up_interval,
            duplicate_scan_delays: self.sweeps,
            circuit_threshold: self.circuit_threshold,
            max_retry_after: self.max_retry_after,
            jira_lockout_limit: self.jira_lockout_limit,
            servicenow_lockout_limit: self.servicenow_lockout_limit,
        }
    }

    #[must_use]
    pub fn dispatch(&self) -> DispatchSettings {
        DispatchSettings { concurrency: self.concurrency.into(), event_retention: self.event_retention }
    }
}

// === impl KeyArgs ===

impl KeyArgs {
    /// Where the key of the stored secrets comes from: the file that is named, the variable `TICKETING_KEY` (32 bytes in
    /// base64 or as 64 hex digits), or a file beside the database.
    #[must_use]
    pub fn source(&self) -> KeySource {
        match (&self.key_file, std::env::var(KEY_VARIABLE)) {
            (Some(path), _) => KeySource::File(path.clone()),
            (None, Ok(text)) => KeySource::Text { text: text.into(), origin: KEY_VARIABLE.to_owned() },
            (None, Err(_)) => KeySource::BesideDatabase,
        }
    }
}

/// Reads a duration such as 250ms, 30s or "1h 30m": from a millisecond to ten years.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.trim().parse().map_err(|_| "write it like 250ms, 30s, 15m or 24h".to_owned())?;
    let duration = Duration::try_from(parsed).map_err(|_| "must not be negative".to_owned())?;
    let possible = (Config::SHORTEST..=Config::LONGEST).contains(&duration);
    if possible { Ok(duration) } else { Err("must be 1ms to 87600h".to_owned()) }
}

/// Reads a duration of at most a day.
fn pause(text: &str) -> Result<Duration, String> {
    let pause = duration(text)?;
    if pause <= retry_after::LONGEST { Ok(pause) } else { Err("must be at most 24h".to_owned()) }
}

/// Reads three durations that grow, such as 15m,1h,24h.
fn sweeps(text: &str) -> Result<[Duration; 3], String> {
    let sweeps: Vec<_> = text.split(',').map(duration).collect::<Result<_, _>>()?;
    let grow = sweeps.windows(2).all(|pair| pair[0] < pair[1]);
    let three = <[Duration; 3]>::try_from(sweeps).ok().filter(|_| grow);
    three.ok_or_else(|| "must be three durations that grow, for example 15m,1h,24h".to_owned())
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
    fn the_defaults_are_those_of_the_protocol() {
        let config = config(&[]);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.bounds(), Bounds::default());
    }

    #[test]
    fn bounds_go_down_to_tens_of_milliseconds() {
        let config = config(&["--attempt-deadline=40ms", "--lease=100ms", "--sweeps=10ms,20ms,30ms"]);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.bounds().duplicate_scan_delays.map(|sweep| sweep.as_millis()), [10, 20, 30]);
    }

    #[test]
    fn an_address_that_others_can_reach_needs_tls_and_a_way_to_tell_callers_apart() {
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
    fn flags_that_need_others_name_them() {
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
    fn a_certificate_is_demanded_where_nothing_else_tells_callers_apart() {
        assert!(config(&["--auth=certificate"]).demands_certificate());
        assert!(!config(&["--auth=certificate,token"]).demands_certificate());
        assert!(!config(&[]).demands_certificate());
    }

    #[test]
    fn a_lease_shorter_than_an_attempt_is_refused() {
        let config = config(&["--lease=59s"]);
        assert!(matches!(config.check(), Err(ConfigError::LeaseTooShort { .. })));
    }

    #[test]
    fn durations_that_make_no_sense_are_refused() {
        for text in ["", "soon", "-1s", "0s", "30", "1 fortnight", "87601h"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
