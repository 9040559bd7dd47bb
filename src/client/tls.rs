use std::fmt;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// TLS settings: trusted authorities and a client certificate.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rhythmx_ticketing::{Client, Tls};
///
/// let tls = Tls::trusting(std::fs::read("ca.pem")?)
///     .with_certificate(std::fs::read("client.pem")?, std::fs::read("client.key")?);
/// let client = Client::connect_tls("ticketing.your-company.example:50051", &tls).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    authorities: Option<Certificate>,
    identity: Option<Identity>,
    server_name: Option<String>,
}

// === impl Tls ===

impl Tls {
    /// Trusts the system's certificate authorities.
    pub fn system() -> Self {
        Self { authorities: None, identity: None, server_name: None }
    }

    /// Trusts only these certificate authorities, in PEM.
    pub fn trusting(authorities: impl AsRef<[u8]>) -> Self {
        Self { authorities: Some(Certificate::from_pem(authorities)), ..Self::system() }
    }

    /// Authenticates with a client certificate: the certificate chain and its key, in PEM.
    #[must_use]
    pub fn with_certificate(self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        Self { identity: Some(Identity::from_pem(certificate, key)), ..self }
    }

    /// Sets the name that the server's certificate must be valid for, if it differs from the host of the address.
    #[must_use]
    pub fn with_server_name(self, name: impl Into<String>) -> Self {
        Self { server_name: Some(name.into()), ..self }
    }

    pub(super) fn config(&self) -> ClientTlsConfig {
        let mut config = match self.authorities.clone() {
            Some(authorities) => ClientTlsConfig::new().ca_certificate(authorities),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some(identity) = self.identity.clone() {
            config = config.identity(identity);
        }
        match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::system()
    }
}

// Omits the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("system", &self.authorities.is_none())
            .field("has_client_certificate", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
