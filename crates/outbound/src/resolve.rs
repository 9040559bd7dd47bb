//! Names, resolved once: what is judged is what is called.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::{Guard, Refused};

/// Who knows what names stand for.
pub trait Names: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a name.
    fn addresses(&self, name: &str) -> Answers;
}

/// What a name stands for, as soon as it is known.
pub type Answers = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The resolver of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

/// Hands out only addresses that were judged. The client calls these very addresses, so nobody is asked a second time,
/// and keeps the name for TLS and for the `Host` header.
#[derive(Debug, Clone)]
pub(crate) struct JudgedNames {
    pub(crate) names: Arc<dyn Names>,
    pub(crate) guard: Guard,
}

/// A name that stands for what may not be called.
#[derive(Debug, thiserror::Error)]
#[error("{name} may not be called")]
pub(crate) struct RefusedAnswer {
    pub(crate) name: String,
    #[source]
    pub(crate) refused: Refused,
}

impl Names for SystemNames {
    fn addresses(&self, name: &str) -> Answers {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

impl Resolve for JudgedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (answers, guard) = (self.names.addresses(name.as_str()), self.guard.clone());
        Box::pin(async move {
            let answers = answers.await?;
            if let Err(refused) = guard.judge_answers(name.as_str(), &answers) {
                // The address itself is for the operator: a caller shall not map a network by asking for names.
                tracing::warn!(
                    name = name.as_str(),
                    ?answers,
                    "a name stands for an address that may not be called"
                );
                let name = name.as_str().to_owned();
                return Err(RefusedAnswer { name, refused }.into());
            }
            let judged: Addrs = Box::new(answers.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(judged)
        })
    }
}
