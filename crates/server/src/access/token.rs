//! Bearer tokens: `rxt_`, 16 hex digits that name the token, `_`, and 43 characters that are the secret: 256 random bits.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

const PREFIX: &str = "rxt_";
const ID_LENGTH: usize = 16;
const SECRET_LENGTH: usize = 43;

/// A token that was just made. Its text is shown once and kept nowhere.
#[derive(Debug)]
pub struct NewToken {
    pub id: String,
    pub text: SecretString,
    pub hash: TokenHash,
}

/// What is kept of the secret part.
#[derive(Debug, Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

/// A token as a caller presents it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PresentedToken<'a> {
    pub(crate) id: &'a str,
    secret: &'a str,
}

// === impl NewToken ===

impl NewToken {
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let (mut id, mut secret) = ([0; ID_LENGTH / 2], Zeroizing::new([0; 32]));
        entropy.fill(&mut id);
        entropy.fill(&mut secret[..]);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(&secret[..]));
        let hash = TokenHash::of(&secret);
        let text = SecretString::from(format!("{PREFIX}{id}_{}", secret.as_str()));
        Self { id, text, hash }
    }

    /// For the one who is to use it.
    #[must_use]
    pub fn show(&self) -> &str {
        self.text.expose_secret()
    }
}

// === impl TokenHash ===

impl TokenHash {
    // The secret has 256 random bits: a slow hash would add nothing.
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether the secret is the one that was hashed. Takes as long for any secret.
    pub(crate) fn is_of(&self, presented: &PresentedToken<'_>) -> bool {
        Self::of(presented.secret).0.ct_eq(&self.0).into()
    }
}

// === impl PresentedToken ===

impl<'a> PresentedToken<'a> {
    /// Reads the text of a token; `None` if it is not shaped like one of ours.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
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
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_token_is_told_from_every_other_by_the_hash_of_its_secret() {
        let entropy = SeededEntropy::new(1);
        let (one, other) = (NewToken::generate(&entropy), NewToken::generate(&entropy));
        let presented = PresentedToken::parse(one.show()).unwrap();
        assert_eq!(presented.id, one.id);
        assert!(one.hash.is_of(&presented));
        assert!(!other.hash.is_of(&presented));
    }

    #[test]
    fn its_text_has_256_random_bits_and_is_not_in_its_debug_form() {
        let token = NewToken::generate(&SeededEntropy::new(1));
        assert_eq!(token.show().len(), PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH);
        assert!(!format!("{token:?}").contains(&token.show()[PREFIX.len() + ID_LENGTH + 1..]));
    }

    #[test]
    fn what_is_not_shaped_like_a_token_is_none() {
        let token = NewToken::generate(&SeededEntropy::new(1));
        for text in
            ["", "rxt_", &token.show()[1..], &token.show()[..token.show().len() - 1], "rxt_0_x", "Bearer x"]
        {
            assert_eq!(PresentedToken::parse(text), None, "{text}");
        }
    }
}
