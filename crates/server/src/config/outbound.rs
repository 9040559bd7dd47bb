//! Flags for whom the server calls, and by which way.

use std::io;
use std::path::PathBuf;

use clap::Args;
use ticketing_core::pasted;
use ticketing_outbound::address_policy::{AddressPolicy, Permission};
use ticketing_outbound::{EgressPolicy, InvalidProxyLogin, ProxyLogins, Route};

use crate::files::read_regular;

/// Where the environment names a proxy, the first that is set.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPT_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Whom the server calls, and by which way.
#[derive(Debug, Clone, Args)]
pub struct OutboundFlags {
    /// A ticket system, or a proxy, that may be called although it is not https on port 443 or 8443 of the public Internet:
    /// a host, an address or a network, for example jira.corp.example, 127.0.0.1:8080 or 10.2.0.0/16. Given several times,
    /// or with commas. With a port, on that one alone; by plain http, too. Cloud metadata services stay out of reach.
    #[arg(long, env = "TICKETING_ALLOW_TARGET", value_delimiter = ',', value_parser = permission)]
    pub allow_target: Vec<Permission>,

    /// File with the logins to proxies, a line for each: "proxy.corp.example:3128 user:password". Read at the start. A login
    /// in the settings of a ticket system goes before it.
    #[arg(long, env = "TICKETING_PROXY_LOGINS")]
    pub proxy_logins: Option<PathBuf>,

    /// Go through the proxy that HTTPS_PROXY or ALL_PROXY names, but for what NO_PROXY names, where the settings of a ticket
    /// system name none. Without this flag these variables are ignored.
    #[arg(long, env = "TICKETING_PROXY_FROM_ENVIRONMENT")]
    pub proxy_from_environment: bool,

    /// Connection tests a minute, of all callers together, and as many at once. 1 to 60,000.
    #[arg(long, env = "TICKETING_TESTS_PER_MINUTE", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub tests_per_minute: u32,
}

/// Why nobody can be called like this.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("--proxy-logins {} can not be read", .path.display())]
    LoginsMissing { path: PathBuf, source: io::Error },
    #[error("--proxy-logins {} can not be used", .path.display())]
    LoginsUnreadable { path: PathBuf, source: InvalidProxyLogin },
    #[error("--proxy-logins {} is not a text in UTF-8", .path.display())]
    LoginsNotText { path: PathBuf },
    #[error("--proxy-from-environment: {0} names no http or https proxy")]
    NoProxy(&'static str),
}

// === impl OutboundFlags ===

impl OutboundFlags {
    /// How far the server may reach, and which way.
    ///
    /// # Errors
    /// The flag to mend.
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
                "ignoring the proxy that the environment names: set proxy_url with the settings of a ticket system, or start \
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

/// The way that the environment names, if it does.
fn environment() -> Result<Route, OutboundError> {
    let Some((name, proxy)) = proxy_variable(variable) else { return Ok(Route::default()) };
    // Exceptions that name nothing: what makes this the environment's proxy.
    let except = EXCEPT_VARIABLES.into_iter().find_map(variable).unwrap_or_default();
    Route::from_environment(&proxy, Some(except)).ok_or(OutboundError::NoProxy(name))
}

/// The variable that names a proxy, and the proxy.
fn proxy_variable(read: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    PROXY_VARIABLES.into_iter().find_map(|name| Some((name, read(name)?)))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

fn permission(text: &str) -> Result<Permission, String> {
    text.parse().map_err(|error: ticketing_outbound::address_policy::InvalidPermission| error.to_string())
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
    fn targets_are_permitted_one_by_one_or_with_commas_and_none_by_default() {
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
    fn logins_that_can_not_be_read_are_told_by_their_file_and_line_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins");
        let flag = format!("--proxy-logins={}", file.display());
        let egress_policy = || flags(&[&flag]).unwrap().egress_policy();
        assert!(matches!(egress_policy(), Err(OutboundError::LoginsMissing { .. })));
        std::fs::write(&file, "proxy.corp canary\n").unwrap();
        let error = anyhow::Error::from(egress_policy().unwrap_err());
        let told = format!("{error:#}");
        assert!(told.contains("logins") && told.contains("line 1") && !told.contains("canary"), "{told}");
        // A byte order mark before it and Windows line ends are no part of it.
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
