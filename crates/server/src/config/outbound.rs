//! Flags of the outbound policy and route.

use std::io;
use std::path::PathBuf;

use clap::Args;
use ticketing_core::pasted;
use ticketing_egress::address_policy::{AddressPolicy, Permission};
use ticketing_egress::{EgressPolicy, InvalidProxyLogin, ProxyLogins, Route};

use ticketing_host::files::read_regular;

/// Environment variables that name a proxy; the first one that is set counts.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPT_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Egress policy and route.
#[derive(Debug, Clone, Args)]
pub struct OutboundFlags {
    /// Host, address or network to allow beyond https on port 443 or 8443 of the public Internet, for a ticket system
    /// or proxy: for example jira.corp.example, 127.0.0.1:8080 or 10.2.0.0/16. Repeatable, or separated by commas.
    /// With a port, only that one; plain http is allowed too. Cloud metadata services are never allowed.
    #[arg(long, env = "TICKETING_ALLOW_TARGET", value_delimiter = ',', value_parser = permission)]
    pub allow_target: Vec<Permission>,

    /// File with proxy logins, one per line: "proxy.corp.example:3128 user:password". Read at start. A login in the
    /// settings of a ticket system takes precedence.
    #[arg(long, env = "TICKETING_PROXY_LOGINS")]
    pub proxy_logins: Option<PathBuf>,

    /// Use the proxy of HTTPS_PROXY or ALL_PROXY, except for hosts in NO_PROXY, unless the settings of a ticket
    /// system name a proxy. Without this flag these variables are ignored.
    #[arg(long, env = "TICKETING_PROXY_FROM_ENVIRONMENT")]
    pub proxy_from_environment: bool,

    /// Connection tests per minute of all callers together, and their burst. 1 to 60,000.
    #[arg(long, env = "TICKETING_TESTS_PER_MINUTE", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub tests_per_minute: u32,
}

/// Why the outbound configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("failed to read --proxy-logins {}", .path.display())]
    LoginsMissing { path: PathBuf, source: io::Error },
    #[error("invalid file of --proxy-logins {}", .path.display())]
    LoginsUnreadable { path: PathBuf, source: InvalidProxyLogin },
    #[error("--proxy-logins {} is not UTF-8 text", .path.display())]
    LoginsNotText { path: PathBuf },
    #[error("--proxy-from-environment: {0} names no http or https proxy")]
    NoProxy(&'static str),
}

// === impl OutboundFlags ===

impl OutboundFlags {
    /// The egress policy of the server.
    ///
    /// # Errors
    /// The invalid flag.
    pub fn egress_policy(&self) -> Result<EgressPolicy, OutboundError> {
        let addresses = AddressPolicy::permitting(self.allow_target.clone());
        let logins = self.logins()?;
        let (route, ignored_proxy) = if self.proxy_from_environment {
            (environment()?, None)
        } else {
            (Route::default(), proxy_variable(variable).map(|(name, _)| name))
        };
        if let Some(variable) = ignored_proxy {
            tracing::warn!(
                variable,
                "ignoring the proxy of the environment: set proxy_url with the settings of a ticket system, or start \
                 with --proxy-from-environment"
            );
        }
        Ok(EgressPolicy { logins, route, ignored_proxy, ..addresses.into() })
    }

    fn logins(&self) -> Result<ProxyLogins, OutboundError> {
        let Some(path) = self.proxy_logins.clone() else { return Ok(ProxyLogins::default()) };
        let bytes = read_regular(&path);
        let bytes = bytes.map_err(|source| OutboundError::LoginsMissing { path: path.clone(), source })?;
        let Some(text) = pasted::decode(&bytes) else { return Err(OutboundError::LoginsNotText { path }) };
        ProxyLogins::parse(&text).map_err(|source| OutboundError::LoginsUnreadable { path, source })
    }
}

/// The route of the environment, if it names a proxy.
fn environment() -> Result<Route, OutboundError> {
    let Some((name, proxy)) = proxy_variable(variable) else { return Ok(Route::default()) };
    // An empty exception list still marks it as the environment's proxy.
    let except = EXCEPT_VARIABLES.into_iter().find_map(variable).unwrap_or_default();
    Route::from_environment(&proxy, Some(except)).ok_or(OutboundError::NoProxy(name))
}

/// The name and value of the variable that names a proxy.
fn proxy_variable(read: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    PROXY_VARIABLES.into_iter().find_map(|name| Some((name, read(name)?)))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

fn permission(text: &str) -> Result<Permission, String> {
    text.parse().map_err(|error: ticketing_egress::address_policy::InvalidPermission| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        outbound: OutboundFlags,
    }

    fn flags(flags: &[&str]) -> Result<OutboundFlags, clap::Error> {
        let cli = Cli::try_parse_from(std::iter::once("ticketing").chain(flags.iter().copied()));
        cli.map(|cli| cli.outbound)
    }

    #[test]
    fn parses_allowed_targets() {
        let targets = |given: &[&str]| -> Vec<String> {
            flags(given).unwrap().allow_target.iter().map(ToString::to_string).collect()
        };
        assert!(targets(&[]).is_empty());
        let several = ["--allow-target=jira.corp,10.2.0.0/16", "--allow-target", "127.0.0.1:8080"];
        assert_eq!(targets(&several), ["jira.corp", "10.2.0.0/16", "127.0.0.1:8080"]);
        let never = flags(&["--allow-target=169.254.169.254"]).unwrap_err().to_string();
        assert!(never.contains("--allow-target") && never.contains("never permitted"), "{never}");
    }

    #[test]
    fn reports_line_of_invalid_proxy_login() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins");
        let flag = format!("--proxy-logins={}", file.display());
        let egress_policy = || flags(&[&flag]).unwrap().egress_policy();
        assert!(matches!(egress_policy(), Err(OutboundError::LoginsMissing { .. })));
        std::fs::write(&file, "proxy.corp canary\n").unwrap();
        let error = anyhow::Error::from(egress_policy().unwrap_err());
        let message = format!("{error:#}");
        assert!(
            message.contains("logins") && message.contains("line 1") && !message.contains("canary"),
            "{message}"
        );
        // A byte order mark and Windows line ends are ignored.
        std::fs::write(&file, "\u{FEFF}proxy.corp:3128 bot:canary\r\n").unwrap();
        assert!(!format!("{:?}", egress_policy().unwrap()).contains("canary"));
        std::fs::write(&file, b"\xFF\xFE\xFF").unwrap();
        assert!(matches!(egress_policy(), Err(OutboundError::LoginsNotText { .. })));
    }

    #[test]
    fn finds_first_variable_that_names_proxy() {
        let read = |name: &str| (name != "HTTPS_PROXY").then(|| format!("http://{name}"));
        assert_eq!(proxy_variable(read), Some(("https_proxy", "http://https_proxy".to_owned())));
        assert_eq!(proxy_variable(|_| None), None);
    }
}
