//! JSON Web Tokens of an identity provider. Its public keys come from a file (a JWK set); algorithms, issuer and
//! audience are pinned. ring, which TLS already uses, verifies signatures.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation, decode, decode_header,
};
use serde_json::{Map, Value};
use ticketing_core::clean::{clean, is_blank};
use ticketing_core::namespace::Namespace;
use ticketing_core::pasted;
use ticketing_core::role::Role;
use ticketing_host::files::read_regular;

use super::Grant;

/// Clock skew tolerated between the identity provider and this machine, in seconds.
const LEEWAY: i64 = 60;
/// Maximum length of a token in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// Requirements for tokens.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// The file with the identity provider's public keys: a JWK set.
    pub keys: PathBuf,
    pub issuer: String,
    pub audience: String,
    /// The claim with the role.
    pub role_claim: String,
    /// The claim with the namespace.
    pub namespace_claim: String,
    pub algorithms: Vec<Algorithm>,
}

/// Verifies tokens.
#[derive(Debug)]
pub struct JwtAuthenticator {
    keys: Vec<Key>,
    validation: Validation,
    role_claim: String,
    namespace_claim: String,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The verified claims of a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Claims {
    pub subject: String,
    pub grant: Grant,
    pub expires_at: Timestamp,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwtKeysError {
    #[error("failed to read the keys of the identity provider from {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a JWK set")]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("{path} is not a JWK set but {what}")]
    OtherFile { path: PathBuf, what: &'static str },
    #[error("{path} has no key for any of the algorithms of --jwt-algorithms")]
    NoKey { path: PathBuf },
}

/// Why a token is invalid. For the log only.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwt {
    #[error("not a JSON Web Token with a pinned algorithm")]
    Malformed,
    #[error("not signed by a known key for this issuer and audience")]
    Unproven,
    #[error("token is not yet valid or has expired")]
    OutOfTime,
    #[error("missing or unknown subject or role")]
    NoRole,
    #[error("invalid namespace")]
    NoNamespace,
}

// === impl JwtAuthenticator ===

impl JwtAuthenticator {
    /// Reads the keys from the file of the settings.
    ///
    /// # Errors
    /// If the file cannot be read, or has no key for a pinned algorithm.
    pub fn load(settings: &JwtSettings) -> Result<Self, JwtKeysError> {
        let path = || settings.keys.clone();
        let bytes = read_regular(&settings.keys)
            .map_err(|source| JwtKeysError::Unreadable { path: path(), source })?;
        let other = |what| JwtKeysError::OtherFile { path: path(), what };
        let text = pasted::decode(&bytes).ok_or(other("no text"))?;
        if text.contains("-----BEGIN ") {
            return Err(other("PEM: write the public key as a JWK"));
        }
        if text.contains("\"jwks_uri\"") {
            return Err(other("the provider's configuration: download what its jwks_uri names"));
        }
        Self::read(&text, settings)
    }

    /// Parses the keys: the content of the file of the settings.
    ///
    /// # Errors
    /// If it is not a JWK set, or has no key for a pinned algorithm.
    pub fn read(text: &str, settings: &JwtSettings) -> Result<Self, JwtKeysError> {
        // Any other use of the library in this process installs the same provider.
        let _ = PROVIDER.install_default();
        let path = || settings.keys.clone();
        let set: JwkSet =
            serde_json::from_str(text).map_err(|source| JwtKeysError::Malformed { path: path(), source })?;
        let keys: Vec<_> = set.keys.iter().filter_map(|jwk| Key::read(jwk, &settings.algorithms)).collect();
        if keys.is_empty() {
            return Err(JwtKeysError::NoKey { path: path() });
        }
        let mut validation = Validation::default();
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Checked below, by our own clock.
        validation.validate_exp = false;
        let JwtSettings { role_claim, namespace_claim, .. } = settings.clone();
        Ok(Self { keys, validation, role_claim, namespace_claim })
    }

    /// Verifies a token, as of `now`.
    ///
    /// # Errors
    /// Why it is invalid; for the log only.
    pub fn check(&self, text: &str, now: Timestamp) -> Result<Claims, InvalidJwt> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidJwt::Malformed);
        }
        let header = decode_header(text).map_err(|_| InvalidJwt::Malformed)?;
        let fits = |key: &&Key| {
            let named = header.kid.is_none() || key.id.is_none() || key.id == header.kid;
            named && key.algorithms.contains(&header.alg)
        };
        let mut candidates = self.keys.iter().filter(fits).peekable();
        candidates.peek().ok_or(InvalidJwt::Malformed)?;
        let mut validation = self.validation.clone();
        validation.algorithms = vec![header.alg];
        let claims =
            candidates.find_map(|key| decode::<Map<String, Value>>(text, &key.key, &validation).ok());
        self.claims(&claims.ok_or(InvalidJwt::Unproven)?.claims, now)
    }

    fn claims(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Claims, InvalidJwt> {
        let seconds = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(InvalidJwt::OutOfTime),
        };
        let expires = seconds("exp")?.ok_or(InvalidJwt::OutOfTime)?;
        let not_before = seconds("nbf")?;
        let time = |seconds: f64| Timestamp::from_second(seconds as i64).map_err(|_| InvalidJwt::OutOfTime);
        let expires_at = time(expires + LEEWAY as f64)?;
        if now >= expires_at || not_before.is_some_and(|from| now.as_second() + LEEWAY < from as i64) {
            return Err(InvalidJwt::OutOfTime);
        }
        let subject = claims.get("sub").and_then(Value::as_str);
        // The subject names the caller in audit and logs, so look-alikes must not pass.
        let subject = subject.filter(|subject| !is_blank(subject) && clean(subject).text == *subject);
        let role = claims.get(&self.role_claim).and_then(role_of);
        let (subject, role) = subject.zip(role).ok_or(InvalidJwt::NoRole)?;
        let namespace = match claims.get(&self.namespace_claim) {
            None => Namespace::default(),
            // An unreadable namespace must not become the default one.
            Some(claim) => {
                claim.as_str().and_then(|text| text.parse().ok()).ok_or(InvalidJwt::NoNamespace)?
            }
        };
        Ok(Claims { subject: subject.to_owned(), grant: Grant { role, namespace }, expires_at })
    }
}

/// The role in a claim: one name, or a list that contains exactly one of our roles.
fn role_of(claim: &Value) -> Option<Role> {
    let names: HashSet<&str> = match claim {
        Value::String(name) => HashSet::from([name.as_str()]),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let mut roles = Role::ALL.into_iter().filter(|role| names.contains(role.as_str()));
    let role = roles.next()?;
    // Several roles are ambiguous.
    roles.next().is_none().then_some(role)
}

// === impl Key ===

impl Key {
    /// `None` if the key does not verify signatures of a `pinned` algorithm.
    fn read(jwk: &Jwk, pinned: &[Algorithm]) -> Option<Self> {
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let stated = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
        let fits = |algorithm: &&Algorithm| {
            algorithm.family() == key.family()
                && key.family() != AlgorithmFamily::Hmac
                && stated.as_ref().is_none_or(|stated| *stated == format!("{algorithm:?}"))
        };
        let algorithms: Vec<_> = pinned.iter().filter(fits).copied().collect();
        (!algorithms.is_empty()).then(|| Self { id: jwk.common.key_id.clone(), algorithms, key })
    }
}

/// The algorithms that can be pinned: asymmetric ones only, so that a public key cannot serve as an HMAC secret.
const ALGORITHMS: [(&str, Algorithm); 6] = [
    ("RS256", Algorithm::RS256),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: RingVerifier::make,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Verifies a signature with ring.
struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKeyKind,
}

impl RingVerifier {
    fn make(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
        if algorithm.family() != key.family() {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Box::new(Self { algorithm: *algorithm, key: key.kind().clone() }))
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        use ring::signature as by;
        let rsa = |parameters: &'static by::RsaParameters| match &self.key {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                by::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            DecodingKeyKind::SecretOrDer(_) => Err(ring::error::Unspecified),
        };
        let point = |algorithm: &'static dyn by::VerificationAlgorithm| match &self.key {
            DecodingKeyKind::SecretOrDer(key) => {
                by::UnparsedPublicKey::new(algorithm, key).verify(message, signature)
            }
            DecodingKeyKind::RsaModulusExponent { .. } => Err(ring::error::Unspecified),
        };
        let verified = match self.algorithm {
            Algorithm::RS256 => rsa(&by::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS512 => rsa(&by::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => rsa(&by::RSA_PSS_2048_8192_SHA256),
            Algorithm::ES256 => point(&by::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => point(&by::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => point(&by::ED25519),
            _ => Err(ring::error::Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

/// Parses the name of an algorithm that can be pinned.
pub fn algorithm(name: &str) -> Result<Algorithm, String> {
    let found = ALGORITHMS.into_iter().find(|(known, _)| *known == name);
    let names = || ALGORITHMS.map(|(name, _)| name).join(", ");
    found.map(|(_, algorithm)| algorithm).ok_or_else(|| format!("must be one of {}", names()))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// A test identity provider.
    struct Provider(Ed25519KeyPair);

    impl Provider {
        fn new(seed: u8) -> Self {
            Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
        }

        fn verifying(&self, algorithms: Vec<Algorithm>) -> Result<JwtAuthenticator, JwtKeysError> {
            let folder = tempfile::tempdir().unwrap();
            let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
            let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one", "use": "sig" });
            let keys = folder.path().join("keys.json");
            // A leading byte order mark is ignored.
            Self::load(keys, &format!("\u{FEFF}{}", json!({ "keys": [key] })), algorithms)
        }

        fn load(
            keys: PathBuf,
            text: &str,
            algorithms: Vec<Algorithm>,
        ) -> Result<JwtAuthenticator, JwtKeysError> {
            std::fs::write(&keys, text).unwrap();
            JwtAuthenticator::load(&Self::settings(keys, algorithms))
        }

        fn settings(keys: PathBuf, algorithms: Vec<Algorithm>) -> JwtSettings {
            JwtSettings {
                keys,
                issuer: "https://id.example".to_owned(),
                audience: "ticketing".to_owned(),
                role_claim: "ticketing_role".to_owned(),
                namespace_claim: "ticketing_namespace".to_owned(),
                algorithms,
            }
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(header), part(claims));
            let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()));
            format!("{message}.{signature}")
        }
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "typ": "JWT", "kid": "one" })
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example", "aud": "ticketing", "sub": "soar", "exp": NOW + 300,
            "ticketing_role": "producer",
        })
    }

    fn checked(header: &Value, claims: &Value) -> Result<Claims, InvalidJwt> {
        let provider = Provider::new(1);
        let verifying = provider.verifying(vec![Algorithm::EdDSA]).unwrap();
        verifying.check(&provider.sign(header, claims), Timestamp::from_second(NOW).unwrap())
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn reads_claims_of_token() {
        let expires_at = Timestamp::from_second(NOW + 300 + LEEWAY).unwrap();
        let grant = Grant { role: Role::Producer, namespace: Namespace::default() };
        let soar = Claims { subject: "soar".to_owned(), grant, expires_at };
        assert_eq!(checked(&header(), &claims()), Ok(soar));
        let among_others = with("ticketing_role", json!(["staff", "producer"]));
        assert_eq!(checked(&header(), &among_others).unwrap().grant.role, Role::Producer);
    }

    #[test]
    fn reads_namespace_claim() {
        let claims = with("ticketing_namespace", json!("soc-eu"));
        assert_eq!(checked(&header(), &claims).unwrap().grant.namespace.as_str(), "soc-eu");
    }

    #[test]
    fn rejects_token_with_invalid_claims() {
        let table = [
            (with("iss", json!("https://other.example")), InvalidJwt::Unproven),
            (with("aud", json!("other")), InvalidJwt::Unproven),
            (with("aud", Value::Null), InvalidJwt::Unproven),
            (with("exp", json!(NOW - LEEWAY - 1)), InvalidJwt::OutOfTime),
            (with("nbf", json!(NOW + LEEWAY + 1)), InvalidJwt::OutOfTime),
            (with("nbf", json!("tomorrow")), InvalidJwt::OutOfTime),
            (with("sub", json!(" ")), InvalidJwt::NoRole),
            (with("sub", json!("so\u{200b}ar")), InvalidJwt::NoRole),
            (with("ticketing_role", json!("root")), InvalidJwt::NoRole),
            (with("ticketing_namespace", json!("SOC")), InvalidJwt::NoNamespace),
            (with("ticketing_namespace", json!(["soc"])), InvalidJwt::NoNamespace),
            (with("ticketing_namespace", Value::Null), InvalidJwt::NoNamespace),
            (with("ticketing_role", json!(["viewer", "admin"])), InvalidJwt::NoRole),
        ];
        for (claims, why) in table {
            assert_eq!(checked(&header(), &claims), Err(why), "{claims}");
        }
    }

    #[test]
    fn rejects_token_of_other_algorithm_or_key() {
        let now = Timestamp::from_second(NOW).unwrap();
        let provider = Provider::new(1);
        let verifying = provider.verifying(vec![Algorithm::EdDSA]).unwrap();
        for algorithm in ["none", "HS256", "RS256", "ES256"] {
            let token = provider.sign(&json!({ "alg": algorithm }), &claims());
            assert_eq!(verifying.check(&token, now), Err(InvalidJwt::Malformed), "{algorithm}");
        }
        let forged = Provider::new(2).sign(&header(), &claims());
        assert_eq!(verifying.check(&forged, now), Err(InvalidJwt::Unproven));
        let unknown = provider.sign(&json!({ "alg": "EdDSA", "kid": "two" }), &claims());
        assert_eq!(verifying.check(&unknown, now), Err(InvalidJwt::Malformed));
        for text in ["", "a.b.c", "....", &"x".repeat(MAX_LENGTH + 1)] {
            assert_eq!(verifying.check(text, now), Err(InvalidJwt::Malformed));
        }
    }

    #[test]
    fn rejects_keys_without_pinned_algorithm() {
        let refused = Provider::new(1).verifying(vec![Algorithm::RS256]).unwrap_err();
        assert!(matches!(refused, JwtKeysError::NoKey { .. }), "{refused}");
    }

    #[test]
    fn names_file_that_is_not_jwk_set() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let settings = Provider::settings(fifo, vec![Algorithm::EdDSA]);
        let wrong = format!("{:#}", anyhow::Error::from(JwtAuthenticator::load(&settings).unwrap_err()));
        assert_eq!(wrong.matches("not a regular file").count(), 1, "{wrong}");
        for (text, expected) in [
            ("-----BEGIN PUBLIC KEY-----\n", "but PEM"),
            (r#"{"issuer": "x", "jwks_uri": "https://id.example/keys"}"#, "jwks_uri"),
        ] {
            let wrong = Provider::load(folder.path().join("keys"), text, vec![Algorithm::EdDSA]);
            let wrong = wrong.err().unwrap().to_string();
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
