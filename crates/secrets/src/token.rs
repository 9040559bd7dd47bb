//! Bearer tokens: `rxt_`, 16 hex digits (the ID), `_`, and 43 base64url characters (the secret, 256 random bits).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use ticketing_host::entropy::Entropy;

const PREFIX: &str = "rxt_";
const ID_LENGTH: usize = 16;
const SECRET_LENGTH: usize = 43;

/// A new token. Its text is shown once and not stored.
#[derive(Debug)]
pub struct NewToken {
    pub id: String,
    pub text: SecretString,
    pub hash: TokenHash,
}

/// The stored hash of the secret.
#[derive(Debug, Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

/// A token as presented by a caller.
#[derive(Debug, PartialEq, Eq)]
pub struct PresentedToken<'a> {
    pub id: &'a str,
    secret: &'a str,
}

// === impl NewToken ===

impl NewToken {
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut id = [0; ID_LENGTH / 2];
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut id);
        entropy.fill(&mut secret[..]);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(&secret[..]));
        let hash = TokenHash::of(&secret);
        let text = SecretString::from(format!("{PREFIX}{id}_{}", secret.as_str()));
        Self { id, text, hash }
    }

    /// The text, for its user.
    #[must_use]
    pub fn show(&self) -> &str {
        self.text.expose_secret()
    }
}

// === impl TokenHash ===

impl TokenHash {
    // The secret has 256 random bits, so a slow hash would add nothing.
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether the secret matches, in constant time.
    pub fn is_of(&self, presented: &PresentedToken<'_>) -> bool {
        Self::of(presented.secret).0.ct_eq(&self.0).into()
    }
}

// === impl PresentedToken ===

impl<'a> PresentedToken<'a> {
    /// Parses a token; `None` if it has another format.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let fits = id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH;
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (fits && id.bytes().all(|c| c.is_ascii_hexdigit()) && secret.bytes().all(plain))
            .then_some(Self { id, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ticketing_host::manual::SeededEntropy;

    #[test]
    fn identifies_token_by_hash_of_secret() {
        let entropy = SeededEntropy::new(1);
        let one = NewToken::generate(&entropy);
        let other = NewToken::generate(&entropy);
        let presented = PresentedToken::parse(one.show()).unwrap();
        assert_eq!(presented.id, one.id);
        assert!(one.hash.is_of(&presented));
        assert!(!other.hash.is_of(&presented));
    }

    #[test]
    fn token_is_random_and_not_in_debug_output() {
        let token = NewToken::generate(&SeededEntropy::new(1));
        assert_eq!(token.show().len(), PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH);
        assert!(!format!("{token:?}").contains(&token.show()[PREFIX.len() + ID_LENGTH + 1..]));
    }

    #[test]
    fn rejects_malformed_token() {
        let token = NewToken::generate(&SeededEntropy::new(1));
        for text in
            ["", "rxt_", &token.show()[1..], &token.show()[..token.show().len() - 1], "rxt_0_x", "Bearer x"]
        {
            assert_eq!(PresentedToken::parse(text), None, "{text}");
        }
    }
}
