//! JSON Web Tokens of callers.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use ticketing_server::access::{JwtAuthenticator, JwtSettings, algorithm};

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| Provider::new(1));
static AUTHENTICATOR: LazyLock<JwtAuthenticator> =
    LazyLock::new(|| authenticator(&PROVIDER.keys().to_string()).expect("the keys can be used"));

/// An identity provider.
struct Provider(Ed25519KeyPair);

// === impl Provider ===

impl Provider {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any 32 bytes are a seed"))
    }

    fn keys(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one", "use": "sig" }] })
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
    json!({ "iss": "https://id.example", "aud": "ticketing", "sub": "soar", "exp": 1_800_000_300, "role": "producer" })
}

/// Verifies tokens of issuer `https://id.example` and audience `ticketing`, with the role in `role`. `None` if the JWK
/// set has no usable key.
fn authenticator(jwk_set: &str) -> Option<JwtAuthenticator> {
    let algorithms = ["EdDSA", "ES256", "RS256"].map(|name| algorithm(name).expect("it can be pinned"));
    let settings = JwtSettings {
        keys: "keys.json".into(),
        issuer: "https://id.example".to_owned(),
        audience: "ticketing".to_owned(),
        role_claim: "role".to_owned(),
        namespace_claim: "namespace".to_owned(),
        algorithms: algorithms.to_vec(),
    };
    JwtAuthenticator::read(jwk_set, &settings).ok()
}

/// The subject and the role of a token that is valid in the year 2027.
fn verified(authenticator: &JwtAuthenticator, token: &str) -> Option<(String, &'static str)> {
    let now = Timestamp::from_second(1_800_000_000).expect("a second of the year 2027");
    let claims = authenticator.check(token, now).ok()?;
    Some((claims.subject, claims.grant.role.as_str()))
}

pub(super) fn jwt_seeds() -> Vec<Vec<u8>> {
    let mut expired = claims();
    expired["exp"] = json!(1e300);
    let none = json!({ "alg": "none" });
    let tokens = [(header(), claims()), (header(), expired), (none, claims())];
    tokens.iter().map(|(header, claims)| PROVIDER.sign(header, claims).into_bytes()).collect()
}

/// Checks the input as a token, and then as the claims of a token that an untrusted key signs.
pub(super) fn jwt(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(accepted) = verified(&AUTHENTICATOR, &text) {
        assert_eq!(accepted, ("soar".to_owned(), "producer"), "{text}");
        let signed = PROVIDER.sign(&header(), &claims());
        // The signature is not compared: the unused bits of its last base64 character may differ.
        let same = |part: usize| text.split('.').nth(part) == signed.split('.').nth(part);
        assert!(same(0) && same(1), "{text}");
    }
    let claims: Value = serde_json::from_slice(input).unwrap_or_else(|_| claims());
    let forged = Provider::new(2).sign(&header(), &claims);
    assert_eq!(verified(&AUTHENTICATOR, &forged), None, "{claims}");
}

pub(super) fn keys_seeds() -> Vec<Vec<u8>> {
    let rsa = json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xc5; 256]), "e": "AQAB", "alg": "RS256" });
    let point = URL_SAFE_NO_PAD.encode([7; 32]);
    let curve = json!({ "kty": "EC", "crv": "P-256", "x": point, "y": point, "kid": "two" });
    let secret = json!({ "kty": "oct", "k": point });
    [PROVIDER.keys(), json!({ "keys": [rsa, curve, secret] })]
        .iter()
        .map(|keys| keys.to_string().into_bytes())
        .collect()
}

pub(super) fn keys(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(authenticator) = authenticator(text) else { return };
    let token = Provider::new(2).sign(&header(), &claims());
    assert_eq!(verified(&authenticator, &token), None, "{text}");
    let _ = verified(&authenticator, &PROVIDER.sign(&header(), &claims()));
}
