//! Entry points of authentication for fuzzing. See [`crate::fuzzing`].

use http::HeaderValue;
use jiff::Timestamp;
use ticketing_secrets::PresentedToken;

use super::jwt::{JwtAuthenticator, JwtSettings};
use super::{algorithm, credential};

/// Verifies tokens of an identity provider.
#[derive(Debug)]
pub struct JwtFuzzTarget(JwtAuthenticator);

/// Subject and role of a verified token.
pub type VerifiedSubject = (String, &'static str);

// === impl JwtFuzzTarget ===

impl JwtFuzzTarget {
    /// For tokens of issuer `https://id.example` and audience `ticketing`, with the role in `role`. `None` if the JWK
    /// set has no usable key.
    #[must_use]
    pub fn new(jwk_set: &str) -> Option<Self> {
        let algorithms = ["EdDSA", "ES256", "RS256"].map(|name| algorithm(name).expect("it can be pinned"));
        let settings = JwtSettings {
            keys: "keys.json".into(),
            issuer: "https://id.example".to_owned(),
            audience: "ticketing".to_owned(),
            role_claim: "role".to_owned(),
            namespace_claim: "namespace".to_owned(),
            algorithms: algorithms.to_vec(),
        };
        JwtAuthenticator::read(jwk_set, &settings).ok().map(Self)
    }

    /// Verifies a token as of the year 2027.
    #[must_use]
    pub fn check(&self, text: &str) -> Option<VerifiedSubject> {
        let now = Timestamp::from_second(1_800_000_000).expect("a second of the year 2027");
        self.0.check(text, now).ok().map(|claims| (claims.subject, claims.grant.role.as_str()))
    }
}

/// The ID of the bearer token in a value of the `authorization` header.
#[must_use]
pub fn bearer(header: &[u8]) -> Option<String> {
    let value = HeaderValue::from_bytes(header).ok()?;
    PresentedToken::parse(credential(&value)?).map(|presented| presented.id.to_owned())
}
