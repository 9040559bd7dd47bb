//! Name resolution: every answer is checked before each connection, also one from the cache, and only checked
//! addresses are connected to.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

use crate::address_policy::{AddressPolicy, AddressRefused};

/// How long an answer is reused. The operating system does not report the record's own lifetime.
const ANSWER_AGE: Duration = Duration::from_secs(30);
/// Maximum number of names with a cached answer.
const MAX_NAMES: usize = 64;
/// Maximum number of addresses of a cached answer.
const MAX_ADDRESSES: usize = 64;

/// Resolves host names.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a name.
    fn resolve(&self, name: &str) -> ResolveFuture;

    /// Forgets the answer for a name, if it is cached: no address of it could be connected to.
    fn forget(&self, _name: &str) {}
}

/// The pending addresses of a name.
pub type ResolveFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

/// Reuses the answers of another resolver for a short time. Failures are not cached.
#[derive(Debug, Clone)]
pub struct CachingResolver {
    inner: Arc<dyn Resolver>,
    answers: Arc<Mutex<Answers>>,
}

#[derive(Debug, Default)]
struct Answers(HashMap<String, Answer>);

#[derive(Debug)]
struct Answer {
    addresses: Vec<IpAddr>,
    expires_at: Instant,
}

/// A name that resolves to a forbidden address.
#[derive(Debug, thiserror::Error)]
#[error("{name} may not be called")]
pub(crate) struct AnswerRefused {
    pub(crate) name: String,
    #[source]
    pub(crate) refused: AddressRefused,
}

/// Returns only addresses that the policy allows. The client connects to exactly these, so there is no second
/// resolution that could differ (DNS rebinding), and keeps the name for TLS and the `Host` header.
#[derive(Debug, Clone)]
pub(crate) struct CheckedResolver {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) addresses: AddressPolicy,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let answers = self.resolver.resolve(name.as_str());
        let addresses = self.addresses.clone();
        Box::pin(async move {
            let answers = answers.await?;
            if let Err(refused) = addresses.check_answers(name.as_str(), &answers) {
                // The address itself is for the operator's log: callers must not be able to map a network by
                // resolving names.
                tracing::warn!(name = name.as_str(), ?answers, "a name resolves to a forbidden address");
                let name = name.as_str().to_owned();
                return Err(AnswerRefused { name, refused }.into());
            }
            let checked: Addrs = Box::new(answers.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(checked)
        })
    }
}

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> ResolveFuture {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

// === impl CachingResolver ===

impl CachingResolver {
    #[must_use]
    pub fn new(inner: Arc<dyn Resolver>) -> Self {
        Self { inner, answers: Arc::default() }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for CachingResolver {
    fn resolve(&self, name: &str) -> ResolveFuture {
        if let Some(addresses) = self.answers().get(name, Instant::now()) {
            return Box::pin(std::future::ready(Ok(addresses)));
        }
        let this = self.clone();
        let name = name.to_owned();
        let pending = self.inner.resolve(&name);
        Box::pin(async move {
            let addresses = pending.await?;
            this.answers().insert(name, &addresses, Instant::now());
            Ok(addresses)
        })
    }

    fn forget(&self, name: &str) {
        self.answers().0.remove(name);
    }
}

// === impl Answers ===

impl Answers {
    fn get(&self, name: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let answer = self.0.get(name).filter(|answer| now < answer.expires_at)?;
        Some(answer.addresses.clone())
    }

    /// Beyond its bounds, an answer is not cached.
    fn insert(&mut self, name: String, addresses: &[IpAddr], now: Instant) {
        self.0.retain(|_, answer| now < answer.expires_at);
        if self.0.len() < MAX_NAMES && addresses.len() <= MAX_ADDRESSES {
            self.0.insert(name, Answer { addresses: addresses.to_vec(), expires_at: now + ANSWER_AGE });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Counts the questions; knows only the name "a".
    #[derive(Debug, Default)]
    struct Counting(Mutex<usize>);

    impl Resolver for Counting {
        fn resolve(&self, name: &str) -> ResolveFuture {
            *self.0.lock().unwrap() += 1;
            let answer = if name == "a" { Ok(vec![LOOPBACK]) } else { Err(io::Error::other("unknown")) };
            Box::pin(std::future::ready(answer))
        }
    }

    #[tokio::test]
    async fn caches_answer_but_no_failure() {
        let counting = Arc::new(Counting::default());
        let resolver = CachingResolver::new(counting.clone());
        let asked = || *counting.0.lock().unwrap();
        for _ in 0..3 {
            assert_eq!(resolver.resolve("a").await.unwrap(), [LOOPBACK]);
        }
        assert_eq!(asked(), 1);
        resolver.forget("a");
        resolver.resolve("a").await.unwrap();
        assert_eq!(asked(), 2);
        for _ in 0..3 {
            assert!(resolver.resolve("b").await.is_err());
        }
        assert_eq!(asked(), 5);
    }

    #[test]
    fn forgets_answer_after_its_age() {
        let mut answers = Answers::default();
        let now = Instant::now();
        answers.insert("a".to_owned(), &[LOOPBACK], now);
        let almost = now + ANSWER_AGE - Duration::from_millis(1);
        assert_eq!(answers.get("a", almost), Some(vec![LOOPBACK]));
        assert_eq!(answers.get("a", now + ANSWER_AGE), None);
    }

    #[test]
    fn caches_bounded_number_of_names() {
        let mut answers = Answers::default();
        let now = Instant::now();
        for name in 0..2 * MAX_NAMES {
            answers.insert(name.to_string(), &[LOOPBACK], now);
        }
        assert_eq!(answers.0.len(), MAX_NAMES);
        answers.insert("many".to_owned(), &[LOOPBACK; MAX_ADDRESSES + 1], now + ANSWER_AGE);
        assert_eq!(answers.0.len(), 0);
        answers.insert("a".to_owned(), &[LOOPBACK], now + ANSWER_AGE);
        assert_eq!(answers.0.len(), 1);
    }
}
