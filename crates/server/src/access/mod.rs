//! Authentication, authorization and rate limits of callers.
//!
//! A call is authenticated by a bearer token of this service, a client certificate (mTLS), or a JSON Web Token of
//! an identity provider. If `--auth` is not set, which is only allowed on loopback and a Unix socket, every caller is
//! the local operator with the role admin.

mod flags;
mod jwt;
mod limits;
mod methods;
mod token_bucket;
mod token_reads;
mod unauthenticated;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::namespace::Namespace;
use ticketing_core::role::Role;
use tokio::time::Instant;

use ticketing_ingress::{Peer, PeerCertificate, PeerKey};
use ticketing_store::{Actor, AuditAction, NewAuditEntry, Requester, Store, StoreError, StoredToken};

pub use flags::{AccessArgs, AccessArgsError, AuthSource};
pub use jwt::{Claims, InvalidJwt, JwtAuthenticator, JwtKeysError, JwtSettings, algorithm};
pub use limits::CallLimits;
pub(crate) use limits::{RateLimited, StreamPermit};
pub(crate) use methods::{Rpc, UNSAVED_SETTINGS};
pub use token_bucket::Rate;

use limits::Limits;
use ticketing_secrets::PresentedToken;
use token_reads::TokenReads;
use unauthenticated::{TokenCache, UnauthenticatedLimiter};

/// The caller's name if no authentication is configured.
const LOCAL: &str = "local";

/// Which credentials are accepted.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Bearer tokens made by `ticketing token create`.
    pub tokens: bool,
    /// Client certificates: the grant for each SAN URI.
    pub certificates: HashMap<String, Grant>,
    /// JSON Web Tokens of an identity provider.
    pub jwt: Option<JwtSettings>,
    pub limits: CallLimits,
}

/// What a credential grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub namespace: Namespace,
}

/// Authenticates and limits callers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    tokens: bool,
    certificates: HashMap<String, Grant>,
    jwt: Option<JwtAuthenticator>,
    limits: Limits,
    unauthenticated: UnauthenticatedLimiter,
    token_cache: TokenCache,
    token_reads: TokenReads,
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Unique over all kinds of credentials: `token:NAME`, `certificate:URI`, `jwt:SUBJECT` or `local`.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The namespace of the credential.
    pub(crate) namespace: Namespace,
    pub(crate) proof: Proof,
    pub(crate) source: String,
}

/// The credential of a caller, with what its validity depends on.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// No authentication is configured.
    None,
    Token {
        id: String,
    },
    Certificate {
        fingerprint: String,
        not_after: Timestamp,
    },
    Jwt {
        expires_at: Timestamp,
    },
}

/// Why a call is not authenticated.
#[derive(Debug)]
pub(crate) enum Denied {
    /// No credential.
    Missing,
    /// The credential is invalid; the reason is for the log only.
    Invalid(String),
    /// The credential is missing or invalid, and the peer is over its limit.
    TooMany {
        retry_after: Duration,
    },
    Store(StoreError),
}

// === impl Access ===

impl Access {
    /// # Errors
    /// If the identity provider's keys cannot be loaded.
    pub fn new(settings: AccessSettings, store: Store, clock: Arc<dyn Clock>) -> Result<Self, JwtKeysError> {
        let AccessSettings { tokens, certificates, jwt, limits } = settings;
        let jwt = jwt.as_ref().map(JwtAuthenticator::load).transpose()?;
        let (unauthenticated, token_cache) =
            (UnauthenticatedLimiter::new(limits.unauthenticated), TokenCache::default());
        let limits = Limits::new(limits);
        let token_reads = TokenReads::new(store.clone());
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            tokens,
            certificates,
            jwt,
            limits,
            unauthenticated,
            token_cache,
            token_reads,
        })))
    }

    /// Accepts everyone, for public services such as health.
    pub(crate) fn unrestricted(&self) -> Self {
        let store = self.0.store.clone();
        let clock = self.0.clock.clone();
        let limits = CallLimits::default();
        let token_reads = TokenReads::new(store.clone());
        Self(Arc::new(Inner {
            store,
            clock,
            tokens: false,
            certificates: HashMap::new(),
            jwt: None,
            limits: Limits::new(limits),
            unauthenticated: UnauthenticatedLimiter::new(limits.unauthenticated),
            token_cache: TokenCache::default(),
            token_reads,
        }))
    }

    /// Whether no authentication is configured.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.tokens && self.0.certificates.is_empty() && self.0.jwt.is_none()
    }

    /// Authenticates a call. See `unauthenticated.rs` for the limit of failures.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Denied> {
        if self.is_open() {
            let source = peer.address.to_string();
            let name = LOCAL.to_owned();
            let namespace = Namespace::default();
            return Ok(Caller { name, role: Role::Admin, namespace, proof: Proof::None, source });
        }
        let unauthenticated = &self.0.unauthenticated;
        let peer_key = PeerKey::of(&peer.address);
        let allowed = unauthenticated.take(peer_key, Instant::now());
        let result = self.authenticate_credential(headers, peer, allowed.is_ok()).await;
        match (&result, allowed) {
            (Err(Denied::Missing | Denied::Invalid(_)), Err(retry_after)) => {
                unauthenticated.count_refusal(peer_key);
                return Err(Denied::TooMany { retry_after });
            }
            (Ok(_), Ok(())) => unauthenticated.give_back(peer_key),
            // A store failure gives no token back, to protect the store.
            (Ok(_), Err(_)) | (Err(_), _) => {}
        }
        result
    }

    async fn authenticate_credential(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        allowed: bool,
    ) -> Result<Caller, Denied> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        match given.next() {
            Some(_) if given.next().is_some() => {
                Err(Denied::Invalid("the call has two credentials".to_owned()))
            }
            Some(value) => {
                let invalid = || Denied::Invalid("the authorization header is not a bearer token".to_owned());
                self.bearer(credential(value).ok_or_else(invalid)?, peer.address.to_string(), allowed).await
            }
            None => self.client_certificate(peer),
        }
    }

    /// Whether a caller's credential is still valid: not revoked and not expired.
    pub(crate) async fn is_still_valid(&self, caller: &Caller) -> Result<bool, StoreError> {
        let now = self.0.clock.now();
        Ok(match &caller.proof {
            Proof::None => true,
            Proof::Token { id } => {
                self.0.token_reads.get(id).await?.is_some_and(|token| token.is_valid_at(now))
            }
            Proof::Certificate { not_after: end, .. } | Proof::Jwt { expires_at: end } => now < *end,
        })
    }

    /// Counts a call against the caller's rate limit.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), RateLimited> {
        if self.is_open() { Ok(()) } else { self.0.limits.call(&caller.name, Instant::now()) }
    }

    /// Reserves a stream for the caller until the permit is dropped. `None` if no authentication is configured: then
    /// there is no limit, and no credential that could expire.
    pub(crate) fn admit_stream(&self, caller: &Caller) -> Result<Option<StreamPermit>, RateLimited> {
        if self.is_open() {
            return Ok(None);
        }
        self.0.limits.stream(&caller.name, Instant::now()).map(Some)
    }

    /// Writes a refused action to the audit log. A failure to write is only logged, because nothing was done.
    pub(crate) async fn note_refusal(&self, actor: Actor, action: AuditAction, subject: &str, reason: &str) {
        let at = self.0.clock.now();
        let subject = subject.to_owned();
        let outcome = reason.to_owned();
        let entry = NewAuditEntry { at, actor, action, subject, detail: serde_json::Value::Null, outcome };
        if let Err(error) = self.0.store.append_audit(entry).await {
            tracing::error!(
                error = %ErrorChain(&error),
                "failed to write a refusal to the audit log"
            );
        }
    }

    async fn bearer(&self, text: &str, source: String, allowed: bool) -> Result<Caller, Denied> {
        if self.0.tokens
            && let Some(presented) = PresentedToken::parse(text)
        {
            return self.token(&presented, source, allowed).await;
        }
        let Some(jwt) = &self.0.jwt else {
            return Err(Denied::Invalid("it does not have the format of a token of this service".to_owned()));
        };
        let claims = jwt.check(text, self.0.clock.now()).map_err(|why| Denied::Invalid(why.to_string()))?;
        let proof = Proof::Jwt { expires_at: claims.expires_at };
        let (name, Grant { role, namespace }) = (format!("jwt:{}", claims.subject), claims.grant);
        Ok(Caller { name, role, namespace, proof, source })
    }

    async fn token(
        &self,
        presented: &PresentedToken<'_>,
        source: String,
        allowed: bool,
    ) -> Result<Caller, Denied> {
        let Inner { store, clock, token_cache, token_reads, .. } = &*self.0;
        let invalid = |why: &str| Denied::Invalid(format!("token {}: {why}", presented.id));
        if !allowed && !token_cache.contains(presented, store, clock.now()).await.map_err(Denied::Store)? {
            return Err(invalid("it is not in the list of valid tokens"));
        }
        let stored = token_reads.get(presented.id).await.map_err(Denied::Store)?;
        let stored = stored.ok_or_else(|| invalid("no token has this ID"))?;
        if !stored.hash.is_of(presented) {
            return Err(invalid("its secret is wrong"));
        }
        if !stored.is_valid_at(clock.now()) {
            return Err(invalid("it was revoked or has expired"));
        }
        let proof = Proof::Token { id: stored.id };
        let StoredToken { name, role, namespace, .. } = stored;
        Ok(Caller { name: format!("token:{name}"), role, namespace, proof, source })
    }

    fn client_certificate(&self, peer: &Peer) -> Result<Caller, Denied> {
        let Some(certificate) = &peer.certificate else { return Err(Denied::Missing) };
        let known = |uri: &String| self.0.certificates.get(uri).map(|grant| (uri.clone(), grant.clone()));
        let mut found = certificate.uris.iter().filter_map(known);
        let Some((uri, Grant { role, namespace })) = found.next() else {
            return Err(Denied::Invalid(format!(
                "no role is configured for certificate {:?}",
                certificate.uris
            )));
        };
        if found.next().is_some() {
            return Err(Denied::Invalid("several URIs of the certificate have a role".to_owned()));
        }
        let PeerCertificate { fingerprint, not_after, .. } = certificate.clone();
        // The handshake may be long ago.
        if self.0.clock.now() >= not_after {
            return Err(Denied::Invalid("the certificate has expired since the handshake".to_owned()));
        }
        let proof = Proof::Certificate { fingerprint, not_after };
        let name = format!("certificate:{uri}");
        let source = peer.address.to_string();
        Ok(Caller { name, role, namespace, proof, source })
    }
}

/// The credential of a bearer authorization header.
fn credential(header: &HeaderValue) -> Option<&str> {
    let (scheme, credential) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

// === impl Caller ===

impl Caller {
    /// The caller as requester of a push. Producers are confined to their namespace; admins and analysts are not.
    pub(crate) fn requester(&self) -> Requester {
        let name = self.name.clone();
        let namespace = self.namespace.clone();
        Requester { name, namespace, is_confined: self.role.is_confined() }
    }

    /// The caller as recorded in the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let credential = match &self.proof {
            Proof::None => "none".to_owned(),
            Proof::Token { id } => format!("token {id}"),
            Proof::Certificate { fingerprint, .. } => format!("certificate {fingerprint}"),
            Proof::Jwt { .. } => "jwt".to_owned(),
        };
        Actor {
            name: self.name.clone(),
            role: self.role.as_str().to_owned(),
            credential,
            source: self.source.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    /// The ID of the token in a value of the `authorization` header.
    fn id_of_token(header: &[u8]) -> Option<String> {
        let value = HeaderValue::from_bytes(header).ok()?;
        PresentedToken::parse(credential(&value)?).map(|presented| presented.id.to_owned())
    }

    fn headers() -> Vec<String> {
        let token = format!("rxt_0123456789abcdef_{}", "A".repeat(43));
        vec![format!("Bearer {token}"), format!("bearer  {token} ")]
    }

    #[test]
    fn reads_bearer_token_of_any_scheme_case() {
        let ids: Vec<_> = headers().iter().map(|header| id_of_token(header.as_bytes())).collect();
        assert_eq!(ids, [Some("0123456789abcdef".to_owned()), Some("0123456789abcdef".to_owned())]);
        assert_eq!(id_of_token(b"Basic YTpi"), None);
    }

    proptest! {
        #[test]
        fn id_of_bearer_token_has_16_hex_digits(
            header in select(headers()),
            (from, to) in (any::<Index>(), any::<Index>()),
            put in prop_oneof!["[ -~]{0,4}".prop_map(String::into_bytes), vec(any::<u8>(), 0..64)],
        ) {
            let one = from.index(header.len() + 1);
            let other = to.index(header.len() + 1);
            let start = &header.as_bytes()[..one.min(other)];
            let end = &header.as_bytes()[one.max(other)..];
            let id = id_of_token(&[start, put.as_slice(), end].concat());
            prop_assert!(id.is_none_or(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
        }
    }
}
