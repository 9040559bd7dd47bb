//! Connection settings from the environment.

use std::env;

use super::{Client, ConnectError, ConnectErrorKind};

/// Default listen address of a server.
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
const CA: &str = "TICKETING_TLS_CA";
const CLIENT_CERT: &str = "TICKETING_TLS_CLIENT_CERT";
const CLIENT_KEY: &str = "TICKETING_TLS_CLIENT_KEY";

impl Client {
    /// Creates a client from environment variables, for example in a container. TICKETING_ADDRESS is the address, by default
    /// 127.0.0.1:50051; TICKETING_TOKEN is the bearer token. TICKETING_TLS_CA names a PEM file with the authorities to trust,
    /// TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the files of the client's certificate and key: any of them
    /// enables TLS, which requires the feature `tls`. Empty variables count as unset. The connection is opened by the first
    /// call.
    ///
    /// # Errors
    /// If the address is invalid, a file cannot be read, or the token cannot be sent to the address.
    pub async fn from_env() -> Result<Client, ConnectError> {
        let address = variable("TICKETING_ADDRESS").unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let client = connect(address.clone()).await?;
        match variable("TICKETING_TOKEN") {
            Some(token) => {
                client.with_token(&token).map_err(|error| ConnectErrorKind::Token(error).at(address))
            }
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
        _ => return Err(ConnectErrorKind::IncompleteIdentity.at(address)),
    };
    Client::connect_tls(address, &tls).await
}

#[cfg(not(feature = "tls"))]
async fn connect(address: String) -> Result<Client, ConnectError> {
    let has_tls = [CA, CLIENT_CERT, CLIENT_KEY].into_iter().any(|name| variable(name).is_some());
    if has_tls { Err(ConnectErrorKind::SchemeConflict.at(address)) } else { Client::connect(address).await }
}

/// `None` if the variable is unset or empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

#[cfg(feature = "tls")]
fn file(name: &'static str, address: &str) -> Result<Option<Vec<u8>>, ConnectError> {
    let read = variable(name).map(std::fs::read).transpose();
    read.map_err(|error| ConnectErrorKind::File(name, error).at(address.to_owned()))
}
