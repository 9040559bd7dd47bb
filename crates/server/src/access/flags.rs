//! Flags for authentication and rate limits.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jsonwebtoken::Algorithm;
use ticketing_core::namespace::{InvalidNamespace, Namespace};

use super::{AccessSettings, CallLimits, Grant, JwtSettings, Rate, algorithm};

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthSource {
    /// Bearer tokens created by `ticketing token create`.
    Token,
    /// Client certificates, by their SAN URIs.
    Certificate,
    /// JSON Web Tokens of an identity provider.
    Jwt,
}

/// Authentication and rate limits of callers.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// Accepted kinds of credentials, separated by commas. If not set, every caller that can connect has the role
    /// admin: only allowed on loopback and a Unix socket.
    #[arg(long, env = "TICKETING_AUTH", value_enum, value_delimiter = ',')]
    pub auth: Vec<AuthSource>,

    /// Roles of client certificates by their SAN URI: URI=ROLE or URI=ROLE@NAMESPACE, separated by commas, for
    /// example spiffe://acme.example/soar=producer@soc-eu. The default namespace is "default".
    #[arg(long, env = "TICKETING_CERTIFICATE_ROLES", value_delimiter = ',', value_parser = certificate_role)]
    pub certificate_roles: Vec<(String, Grant)>,

    /// File with the identity provider's public keys, a JWK set.
    #[arg(long, env = "TICKETING_JWT_KEYS")]
    pub jwt_keys: Option<PathBuf>,

    /// Required issuer of JSON Web Tokens: the claim `iss`.
    #[arg(long, env = "TICKETING_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,

    /// Required audience of JSON Web Tokens: the claim `aud`.
    #[arg(long, env = "TICKETING_JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// The claim with the role: admin, analyst, producer or viewer.
    #[arg(long, env = "TICKETING_JWT_ROLE_CLAIM", default_value = "ticketing_role")]
    pub jwt_role_claim: String,

    /// The claim with the namespace: 1 to 63 lowercase letters, digits and hyphens, beginning with a letter. Tokens
    /// without the claim get "default".
    #[arg(long, env = "TICKETING_JWT_NAMESPACE_CLAIM", default_value = "ticketing_namespace")]
    pub jwt_namespace_claim: String,

    /// Accepted signature algorithms, separated by commas: RS256, RS512, PS256, ES256, ES384, EdDSA.
    #[arg(long, env = "TICKETING_JWT_ALGORITHMS", default_value = "RS256,ES256", value_delimiter = ',', value_parser = algorithm)]
    pub jwt_algorithms: Vec<Algorithm>,

    /// Sustained calls per second of one caller; over it, calls fail with RESOURCE_EXHAUSTED. Applies with --auth
    /// only. 1 to 100,000.
    #[arg(long, env = "TICKETING_CALL_RATE", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub call_rate: u32,

    /// Burst of calls of one caller. 1 to 100,000.
    #[arg(long, env = "TICKETING_CALL_BURST", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub call_burst: u32,

    /// Maximum number of concurrent streams of one caller: events, health (Watch), reflection. 1 to 10,000.
    #[arg(long, env = "TICKETING_STREAMS_PER_CALLER", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams_per_caller: u32,

    /// Sustained unauthenticated calls per second of one peer: an IPv4 address, an IPv6 /64 network or a local user.
    /// Over it, such calls fail with RESOURCE_EXHAUSTED; calls with a valid credential still succeed, those with a
    /// token once it is a second old. 1 to 100,000.
    #[arg(long, env = "TICKETING_UNAUTHENTICATED_RATE", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub unauthenticated_rate: u32,

    /// Burst of unauthenticated calls of one peer. 1 to 100,000.
    #[arg(long, env = "TICKETING_UNAUTHENTICATED_BURST", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub unauthenticated_burst: u32,
}

/// An incomplete combination of flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessArgsError {
    #[error("--auth jwt also requires {0}")]
    Jwt(&'static str),
    #[error("{0} has no effect without --auth {1}")]
    Idle(&'static str, &'static str),
    #[error("--auth certificate also requires --certificate-roles")]
    Certificate,
}

// === impl AccessArgs ===

impl AccessArgs {
    /// Whether no authentication is configured.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.auth.is_empty()
    }

    /// # Errors
    /// What is missing.
    pub fn settings(&self) -> Result<AccessSettings, AccessArgsError> {
        let asked = |source| self.auth.contains(&source);
        // These flags suggest that callers are authenticated, so they must not be silently ignored.
        if !self.certificate_roles.is_empty() && !asked(AuthSource::Certificate) {
            return Err(AccessArgsError::Idle("--certificate-roles", "certificate"));
        }
        if self.jwt_keys.is_some() && !asked(AuthSource::Jwt) {
            return Err(AccessArgsError::Idle("--jwt-keys", "jwt"));
        }
        let certificates = if asked(AuthSource::Certificate) {
            if self.certificate_roles.is_empty() {
                return Err(AccessArgsError::Certificate);
            }
            self.certificate_roles.iter().cloned().collect()
        } else {
            Default::default()
        };
        let jwt = if asked(AuthSource::Jwt) { Some(self.jwt()?) } else { None };
        let limits = CallLimits {
            calls: Rate { rate: self.call_rate, burst: self.call_burst },
            streams: self.streams_per_caller,
            unauthenticated: Rate { rate: self.unauthenticated_rate, burst: self.unauthenticated_burst },
        };
        Ok(AccessSettings { tokens: asked(AuthSource::Token), certificates, jwt, limits })
    }

    fn jwt(&self) -> Result<JwtSettings, AccessArgsError> {
        let missing = AccessArgsError::Jwt;
        Ok(JwtSettings {
            keys: self.jwt_keys.clone().ok_or(missing("--jwt-keys"))?,
            issuer: self.jwt_issuer.clone().ok_or(missing("--jwt-issuer"))?,
            audience: self.jwt_audience.clone().ok_or(missing("--jwt-audience"))?,
            role_claim: self.jwt_role_claim.clone(),
            namespace_claim: self.jwt_namespace_claim.clone(),
            algorithms: self.jwt_algorithms.clone(),
        })
    }
}

fn certificate_role(text: &str) -> Result<(String, Grant), String> {
    let (uri, grant) = text.rsplit_once('=').ok_or("must be URI=ROLE or URI=ROLE@NAMESPACE")?;
    if !uri.contains("://") {
        return Err("must begin with a URI such as spiffe://acme.example/soar".to_owned());
    }
    let (role, namespace) = match grant.split_once('@') {
        Some((role, namespace)) => {
            (role, namespace.parse().map_err(|error: InvalidNamespace| error.to_string())?)
        }
        None => (grant, Namespace::default()),
    };
    Ok((uri.to_owned(), Grant { role: role.parse()?, namespace }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ticketing_core::role::Role;

    #[test]
    fn parses_certificate_role_and_namespace() {
        let granted = |text: &str| certificate_role(text).unwrap();
        let uri = "spiffe://acme.example/soar".to_owned();
        let grant = |namespace: &str| Grant { role: Role::Producer, namespace: namespace.parse().unwrap() };
        assert_eq!(granted("spiffe://acme.example/soar=producer"), (uri.clone(), grant("default")));
        assert_eq!(granted("spiffe://acme.example/soar=producer@soc-eu"), (uri, grant("soc-eu")));
        for text in
            ["a=producer", "s://a", "s://a=root", "s://a=producer@", "s://a=producer@SOC", "s://a=@soc"]
        {
            assert!(certificate_role(text).is_err(), "{text}");
        }
    }
}
