//! Who calls, and what he may do.
//!
//! A call is let in by a credential: a bearer token of ours, a client certificate, or a JSON Web Token of an identity
//! provider. Where no kind of credential is asked for, which only loopback and a Unix socket allow, everybody who can
//! reach the port is the local operator, with the role of an admin.

mod bucket;
mod flags;
pub(crate) mod fuzzing;
mod jwt;
mod limits;
mod role;
mod strangers;
mod token;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::namespace::Namespace;
use tokio::time::Instant;

use crate::store::{Actor, AuditAction, NewAuditEntry, Requester, Store, StoreError, StoredToken};
use crate::transport::{Peer, PeerCertificate, PeerKey};

pub use bucket::Rate;
pub use flags::{AccessArgs, AccessArgsError, AuthSource};
pub use jwt::{JwtKeysError, JwtSettings, algorithm};
pub use limits::CallLimits;
pub(crate) use limits::{Busy, StreamPlace};
pub use role::Role;
pub(crate) use role::{Door, UNSAVED_SETTINGS};
pub use token::{NewToken, TokenHash};

use jwt::JwtVerifying;
use limits::Limits;
use strangers::{KnownTokens, Strangers};
use token::Presented;

/// The name of whoever calls where no credential is asked for.
const LOCAL: &str = "local";

/// Which credentials are good.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Bearer tokens made by `ticketing token create`.
    pub tokens: bool,
    /// Client certificates: what each SAN URI is granted.
    pub certificates: HashMap<String, Grant>,
    /// Tokens of an identity provider.
    pub jwt: Option<JwtSettings>,
    pub limits: CallLimits,
}

/// What a credential gives its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub namespace: Namespace,
}

/// The doorkeeper; cheap to clone.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    tokens: bool,
    certificates: HashMap<String, Grant>,
    jwt: Option<JwtVerifying>,
    limits: Limits,
    strangers: Strangers,
    known: KnownTokens,
}

/// Who calls.
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

/// How a caller proved who it is, and how long that holds.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// Not at all: none is asked for.
    Open,
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

/// Why a call is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// No credential came with it.
    Missing,
    /// The credential is not good; why is for the log alone.
    Invalid(String),
    /// Nor is one of those that came from the same peer before, of which there were too many.
    TooMany {
        come_back_after: Duration,
    },
    Store(StoreError),
}

// === impl Access ===

impl Access {
    /// # Errors
    /// If the keys of the identity provider can not be used.
    pub fn new(settings: AccessSettings, store: Store, clock: Arc<dyn Clock>) -> Result<Self, JwtKeysError> {
        let AccessSettings { tokens, certificates, jwt, limits } = settings;
        let jwt = jwt.as_ref().map(JwtVerifying::load).transpose()?;
        let (strangers, known) = (Strangers::new(limits.strangers), KnownTokens::default());
        let limits = Limits::new(limits);
        Ok(Self(Arc::new(Inner { store, clock, tokens, certificates, jwt, limits, strangers, known })))
    }

    /// A door without a keeper, for what everybody may know.
    pub(crate) fn for_anybody(&self) -> Self {
        let (store, clock, limits) = (self.0.store.clone(), self.0.clock.clone(), CallLimits::default());
        Self(Arc::new(Inner {
            store,
            clock,
            tokens: false,
            certificates: HashMap::new(),
            jwt: None,
            limits: Limits::new(limits),
            strangers: Strangers::new(limits.strangers),
            known: KnownTokens::default(),
        }))
    }

    /// Whether no credential is asked for.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.tokens && self.0.certificates.is_empty() && self.0.jwt.is_none()
    }

    /// Whose call it is. See `strangers.rs` for those that are nobody's.
    pub(crate) async fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Denied> {
        if self.is_open() {
            let source = peer.address.to_string();
            let (name, namespace) = (LOCAL.to_owned(), Namespace::default());
            return Ok(Caller { name, role: Role::Admin, namespace, proof: Proof::Open, source });
        }
        let (strangers, whose) = (&self.0.strangers, PeerKey::of(&peer.address));
        let allowed = strangers.take(whose, Instant::now());
        let recognised = self.recognise(headers, peer, allowed.is_ok()).await;
        match (&recognised, allowed) {
            (Err(Denied::Missing | Denied::Invalid(_)), Err(come_back_after)) => {
                strangers.count(whose);
                return Err(Denied::TooMany { come_back_after });
            }
            (Ok(_), Ok(())) => strangers.give_back(whose),
            // A store that fails is spared, too.
            (Ok(_), Err(_)) | (Err(_), _) => {}
        }
        recognised
    }

    async fn recognise(&self, headers: &HeaderMap, peer: &Peer, allowed: bool) -> Result<Caller, Denied> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        match given.next() {
            Some(_) if given.next().is_some() => {
                Err(Denied::Invalid("two credentials came with one call".to_owned()))
            }
            Some(value) => {
                let invalid = || Denied::Invalid("it is no bearer token".to_owned());
                self.bearer(credential(value).ok_or_else(invalid)?, peer.address.to_string(), allowed).await
            }
            None => self.certified(peer),
        }
    }

    /// Whether the credential that a caller had is still good: it may have been revoked, or have run out.
    pub(crate) async fn is_still_good(&self, caller: &Caller) -> Result<bool, StoreError> {
        let now = self.0.clock.now();
        Ok(match &caller.proof {
            Proof::Open => true,
            Proof::Token { id } => self.0.store.token(id).await?.is_some_and(|token| token.is_good(now)),
            Proof::Certificate { not_after: end, .. } | Proof::Jwt { expires_at: end } => now < *end,
        })
    }

    /// Takes a call into account; `Err` if its caller has had too many.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), Busy> {
        if self.is_open() { Ok(()) } else { self.0.limits.call(&caller.name, Instant::now()) }
    }

    /// Takes a stream into account for as long as what is returned is kept. Where everybody is the same caller there is no limit, and
    /// no credential that could end: `None`.
    pub(crate) fn admit_stream(&self, caller: &Caller) -> Result<Option<StreamPlace>, Busy> {
        if self.is_open() {
            return Ok(None);
        }
        self.0.limits.stream(&caller.name, Instant::now()).map(Some)
    }

    /// Writes down that a caller was refused something that is audited. That it can not be written down stops nothing: it was
    /// not done.
    pub(crate) async fn note_refusal(&self, actor: Actor, action: AuditAction, subject: &str, reason: &str) {
        let (at, subject, outcome) = (self.0.clock.now(), subject.to_owned(), reason.to_owned());
        let entry = NewAuditEntry { at, actor, action, subject, detail: serde_json::Value::Null, outcome };
        if let Err(error) = self.0.store.append_audit(entry).await {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal could not be written down");
        }
    }

    async fn bearer(&self, text: &str, source: String, allowed: bool) -> Result<Caller, Denied> {
        if self.0.tokens
            && let Some(presented) = Presented::parse(text)
        {
            return self.token(&presented, source, allowed).await;
        }
        let Some(jwt) = &self.0.jwt else {
            return Err(Denied::Invalid("it is not shaped like a token of this service".to_owned()));
        };
        let claims = jwt.check(text, self.0.clock.now()).map_err(|why| Denied::Invalid(why.to_string()))?;
        let proof = Proof::Jwt { expires_at: claims.expires_at };
        let (name, Grant { role, namespace }) = (format!("jwt:{}", claims.subject), claims.grant);
        Ok(Caller { name, role, namespace, proof, source })
    }

    async fn token(
        &self,
        presented: &Presented<'_>,
        source: String,
        allowed: bool,
    ) -> Result<Caller, Denied> {
        let Inner { store, clock, known, .. } = &*self.0;
        let invalid = |why: &str| Denied::Invalid(format!("token {}: {why}", presented.id));
        if !allowed && !known.has(presented, store, clock.now()).await.map_err(Denied::Store)? {
            return Err(invalid("it is not in the list of those that are good"));
        }
        let stored = store.token(presented.id).await.map_err(Denied::Store)?;
        let stored = stored.ok_or_else(|| invalid("there is none with this ID"))?;
        if !stored.hash.is_of(presented) {
            return Err(invalid("its secret is wrong"));
        }
        if !stored.is_good(clock.now()) {
            return Err(invalid("it was revoked or has expired"));
        }
        let proof = Proof::Token { id: stored.id };
        let StoredToken { name, role, namespace, .. } = stored;
        Ok(Caller { name: format!("token:{name}"), role, namespace, proof, source })
    }

    fn certified(&self, peer: &Peer) -> Result<Caller, Denied> {
        let Some(certificate) = &peer.certificate else { return Err(Denied::Missing) };
        let known = |uri: &String| self.0.certificates.get(uri).map(|grant| (uri.clone(), grant.clone()));
        let mut found = certificate.uris.iter().filter_map(known);
        let Some((uri, Grant { role, namespace })) = found.next() else {
            return Err(Denied::Invalid(format!("no role is given to certificate {:?}", certificate.uris)));
        };
        if found.next().is_some() {
            return Err(Denied::Invalid(
                "the certificate has several of the names that have a role".to_owned(),
            ));
        }
        let PeerCertificate { fingerprint, not_after, .. } = certificate.clone();
        // The handshake may have been long ago.
        if self.0.clock.now() >= not_after {
            return Err(Denied::Invalid("the certificate has expired since the handshake".to_owned()));
        }
        let proof = Proof::Certificate { fingerprint, not_after };
        let (name, source) = (format!("certificate:{uri}"), peer.address.to_string());
        Ok(Caller { name, role, namespace, proof, source })
    }
}

/// What stands behind the scheme of a bearer.
fn credential(header: &HeaderValue) -> Option<&str> {
    let (scheme, credential) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

// === impl Caller ===

impl Caller {
    /// The caller as one who hands incidents over. Producers are confined to their namespace; admins and analysts act on
    /// all of them.
    pub(crate) fn requester(&self) -> Requester {
        let (name, namespace) = (self.name.clone(), self.namespace.clone());
        Requester { name, namespace, is_confined: self.role.is_confined() }
    }

    /// The caller as the audit names it.
    pub(crate) fn actor(&self) -> Actor {
        let credential = match &self.proof {
            Proof::Open => "none".to_owned(),
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
