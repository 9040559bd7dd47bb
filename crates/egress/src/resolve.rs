//! Name resolution: each name is resolved once, and only checked addresses are connected to.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address_policy::{AddressPolicy, AddressRefused};

/// Resolves host names.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a name.
    fn resolve(&self, name: &str) -> ResolveFuture;
}

/// The pending addresses of a name.
pub type ResolveFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

/// Returns only addresses that the policy allows. The client connects to exactly these, so there is no second
/// resolution that could differ (DNS rebinding), and keeps the name for TLS and the `Host` header.
#[derive(Debug, Clone)]
pub(crate) struct CheckedResolver {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) addresses: AddressPolicy,
}

/// A name that resolves to a forbidden address.
#[derive(Debug, thiserror::Error)]
#[error("{name} may not be called")]
pub(crate) struct AnswerRefused {
    pub(crate) name: String,
    #[source]
    pub(crate) refused: AddressRefused,
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
