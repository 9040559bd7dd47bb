//! How to connect, from the environment.

use std::env;

use super::{Client, ConnectError, Unusable};

/// Where a server listens by default.
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
const CA: &str = "TICKETING_TLS_CA";
const CLIENT_CERT: &str = "TICKETING_TLS_CLIENT_CERT";
const CLIENT_KEY: &str = "TICKETING_TLS_CLIENT_KEY";

impl Client {
    /// A client by the environment, for example in a container: TICKETING_ADDRESS is the address, by default 127.0.0.1:50051;
    /// TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file with the authorities to trust, and
    /// TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the client's certificate and its key: any of them means TLS,
    /// which needs the feature `tls`. What is empty or not set is left out. Nothing is sent before the first call.
    ///
    /// # Errors
    /// If the address is invalid, a file cannot be read, or the token cannot be sent there.
    pub async fn from_env() -> Result<Client, ConnectError> {
        let address = variable("TICKETING_ADDRESS").unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let client = connect(address.clone()).await?;
        match variable("TICKETING_TOKEN") {
            Some(token) => client.with_token(&token).map_err(|why| Unusable::Token(why).of(address)),
            None => Ok(client),
        }
    }
}

#[cfg(feature = "tls")]
async fn connect(address: String) -> Result<Client, ConnectError> {
    let (ca, identity) = (file(CA, &address)?, (file(CLIENT_CERT, &address)?, file(CLIENT_KEY, &address)?));
    let has_tls = ca.is_some() || identity.0.is_some() || identity.1.is_some();
    if !has_tls {
        return Client::connect(address).await;
    }
    let tls = ca.map_or_else(super::Tls::system, super::Tls::trusting);
    let tls = match identity {
        (Some(certificate), Some(key)) => tls.with_certificate(certificate, key),
        (None, None) => tls,
        _ => return Err(Unusable::Pair.of(address)),
    };
    Client::connect_tls(address, &tls).await
}

#[cfg(not(feature = "tls"))]
async fn connect(address: String) -> Result<Client, ConnectError> {
    let has_tls = [CA, CLIENT_CERT, CLIENT_KEY].into_iter().any(|name| variable(name).is_some());
    if has_tls { Err(Unusable::Contradiction.of(address)) } else { Client::connect(address).await }
}

/// An empty variable counts as one that is not set.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

#[cfg(feature = "tls")]
fn file(name: &'static str, address: &str) -> Result<Option<Vec<u8>>, ConnectError> {
    let read = variable(name).map(std::fs::read).transpose();
    read.map_err(|why| Unusable::File(name, why).of(address.to_owned()))
}
