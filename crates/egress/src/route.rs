//! The route to a ticket system: direct or through a proxy, and the trusted certificate authorities.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ticketing_core::pasted;
use ticketing_core::violation::Violations;
use url::Url;

use ticketing_core::pem;

use crate::{Authorization, Redactor};

/// In characters.
const MAX_PROXY_URL: usize = 2_048;
/// In characters.
const MAX_USERNAME: usize = 255;
/// In characters.
const MAX_PASSWORD: usize = 4_096;
/// In bytes; enough for several certificates.
const MAX_CERTIFICATES: usize = 65_536;

/// A route as stored: any part may be missing or invalid. The proxy password is stored separately.
#[derive(Default, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteDraft {
    /// URL of a proxy that supports CONNECT, for example `http://proxy.corp.example:3128`.
    pub proxy_url: Option<String>,
    /// User name for the proxy, if it requires authentication.
    pub proxy_username: Option<String>,
    /// Certificate authorities, in PEM, trusted instead of the public ones.
    pub ca_certificates: Option<String>,
}

/// A valid route.
#[derive(Default, Clone, Debug)]
pub struct Route {
    pub(crate) proxy: Option<Proxy>,
    pub(crate) authorities: Option<Authorities>,
}

/// A proxy, and the hosts that bypass it.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) url: Url,
    /// The value of `NO_PROXY`; only for the proxy of the environment.
    pub(crate) except: Option<String>,
    pub(crate) login: Option<ProxyLogin>,
}

#[derive(Clone)]
pub(crate) struct Authorities {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// Hash of the PEM text.
    fingerprint: String,
}

/// A login to a proxy.
#[derive(Clone)]
pub(crate) struct ProxyLogin {
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

/// The operator's proxy logins, each for one host and port.
#[derive(Clone, Debug, Default)]
pub struct ProxyLogins(Vec<(String, ProxyLogin)>);

/// An invalid line of the file of proxy logins. Never repeats the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {0} is not of the form \"proxy.corp.example:3128 user:password\", or has an invisible character in it"
)]
pub struct InvalidProxyLogin(pub usize);

// === impl RouteDraft ===

impl RouteDraft {
    /// Applies the fields that `patch` sets; an empty text clears a field.
    pub fn merge(&mut self, patch: Self) {
        let text = |field: &mut Option<String>, patch: Option<String>| {
            if let Some(value) = patch {
                *field = Some(value).filter(|value| !value.trim().is_empty());
            }
        };
        text(&mut self.proxy_url, patch.proxy_url);
        text(&mut self.proxy_username, patch.proxy_username);
        text(&mut self.ca_certificates, patch.ca_certificates);
    }

    /// What a secret is bound to besides its origin: the proxy and authorities could read it. `None` for the default
    /// route.
    #[must_use]
    pub fn binding(&self) -> Option<String> {
        let proxy = given(self.proxy_url.as_deref()).map(|url| format!("via {url}"));
        let authorities =
            given(self.ca_certificates.as_deref()).map(|pem| format!("ca {}", fingerprint(pem)));
        let parts: Vec<_> = proxy.into_iter().chain(authorities).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// What the proxy password is bound to: the proxy, and for https the trusted authorities. `None` without a proxy.
    #[must_use]
    pub fn proxy_binding(&self) -> Option<String> {
        let url = Url::parse(given(self.proxy_url.as_deref())?).ok().filter(is_proxy)?;
        let origin = url.origin().ascii_serialization();
        let pem = given(self.ca_certificates.as_deref()).filter(|_| url.scheme() == "https");
        Some(pem.map_or_else(|| origin.clone(), |pem| format!("{origin} ca {}", fingerprint(pem))))
    }
}

// === impl Route ===

impl Route {
    /// Parses a draft and its proxy password; `path` is the field path of the settings, for example `jira`. Adds
    /// every violation to `violations`, and returns `None` if there are any.
    pub fn parse(
        draft: &RouteDraft,
        password: Option<&SecretString>,
        path: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let before = violations.iter().count();
        let login = login(draft, password, path, violations);
        let proxy = given(draft.proxy_url.as_deref())
            .and_then(|url| proxy(url, login, &format!("{path}.proxy_url"), violations));
        let authorities = given(draft.ca_certificates.as_deref())
            .and_then(|pem| authorities(pem, &format!("{path}.ca_certificates"), violations));
        (violations.iter().count() == before).then_some(Self { proxy, authorities })
    }

    /// Parses a proxy from the environment: a URL that may contain a login. `None` if it is invalid.
    #[must_use]
    pub fn from_environment(proxy: &str, except: Option<String>) -> Option<Self> {
        let mut url = Url::parse(proxy).ok().filter(is_proxy)?;
        let password = percent_decoded(url.password().unwrap_or_default())?;
        let user = percent_decoded(url.username())?;
        let login = (!user.is_empty()).then(|| ProxyLogin { user, password: password.into() });
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { proxy: Some(Proxy { url, except, login }), authorities: None })
    }

    /// Whether it is the default route.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.proxy.is_none() && self.authorities.is_none()
    }
}

// === impl Authorities ===

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.fingerprint)
    }
}

// === impl ProxyLogin ===

impl ProxyLogin {
    /// `text` without the password and the header built from it.
    #[cfg(test)]
    pub(crate) fn redact(&self, text: &str) -> String {
        self.add_to(Redactor::default()).redact(text)
    }

    /// Adds the password, and the header built from it, to a redactor.
    pub(crate) fn add_to(&self, redactor: Redactor) -> Redactor {
        let header = Authorization::basic(&self.user, &self.password);
        header.add_to(redactor).with(self.password.expose_secret())
    }
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

// === impl ProxyLogins ===

impl ProxyLogins {
    /// Parses lines like `proxy.corp.example:3128 user:password`. Empty lines and lines that begin with # are
    /// ignored.
    ///
    /// # Errors
    /// The first invalid line.
    pub fn parse(text: &str) -> Result<Self, InvalidProxyLogin> {
        let mut logins = Vec::new();
        for (index, line) in pasted::without_mark(text).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = || {
                let (proxy, login) = line.split_once(char::is_whitespace)?;
                let (user, password) = login.trim_start().split_once(':')?;
                let (_, port) = proxy.rsplit_once(':')?;
                let password = pasted::password(password).ok()?;
                let visible = pasted::name(proxy).is_ok() && pasted::name(user).is_ok();
                let sound = port.parse::<u16>().is_ok() && !user.is_empty() && visible;
                let login = ProxyLogin { user: user.to_owned(), password: password.to_owned().into() };
                sound.then(|| (proxy.to_ascii_lowercase(), login))
            };
            logins.push(read().ok_or(InvalidProxyLogin(index + 1))?);
        }
        Ok(Self(logins))
    }

    /// The login for a proxy.
    pub(crate) fn of(&self, proxy: &Url) -> Option<&ProxyLogin> {
        let port = proxy.port_or_known_default()?;
        let authority = format!("{}:{port}", proxy.host_str()?);
        self.0.iter().find(|(known, _)| *known == authority).map(|(_, login)| login)
    }
}

// === impl Proxy ===

impl Proxy {
    /// The login from the settings, else the one from the operator's file.
    pub(crate) fn login<'a>(&'a self, logins: &'a ProxyLogins) -> Option<&'a ProxyLogin> {
        self.login.as_ref().or_else(|| logins.of(&self.url))
    }

    /// The name of the proxy in faults. The operator's proxy is not named to callers.
    pub(crate) fn display_name(&self) -> String {
        match &self.except {
            Some(_) => "the proxy".to_owned(),
            None => format!("the proxy {}", crate::authority(&self.url)),
        }
    }

    /// As reqwest takes it: an https proxy setting, which uses CONNECT.
    pub(crate) fn client_setting(&self, logins: &ProxyLogins) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::https(self.url.clone())?;
        let proxy = match self.login(logins) {
            Some(login) => proxy.basic_auth(&login.user, login.password.expose_secret()),
            None => proxy,
        };
        Ok(proxy.no_proxy(self.except.as_deref().and_then(reqwest::NoProxy::from_string)))
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(pasted::trim).filter(|text| !text.is_empty())
}

/// The proxy login: user name and password, or neither, and only with a proxy.
fn login(
    draft: &RouteDraft,
    password: Option<&SecretString>,
    path: &str,
    violations: &mut Violations,
) -> Option<ProxyLogin> {
    let name_field = format!("{path}.proxy_username");
    let password_field = format!("{path}.proxy_password");
    let user = given(draft.proxy_username.as_deref());
    let password = password.filter(|password| !password.expose_secret().is_empty());
    let has_proxy = given(draft.proxy_url.as_deref()).is_some();
    let alone = "must not be set without proxy_url; \"\" removes it";
    if let Some(user) = user {
        violations.limit_text(&name_field, user, MAX_USERNAME);
        violations.require(!user.contains(':'), &name_field, "must not contain a colon");
        if let Err(wrong) = pasted::name(user) {
            violations.add(&name_field, wrong);
        }
        violations.require(has_proxy, &name_field, alone);
        violations.require(
            password.is_some() || !has_proxy,
            &password_field,
            "is needed with proxy_username",
        );
    }
    let checked = password.map(|password| pasted::password(password.expose_secret()));
    if let Some(checked) = &checked {
        match checked {
            Ok(text) => violations.limit_text(&password_field, text, MAX_PASSWORD),
            Err(wrong) => violations.add(&password_field, wrong.clone()),
        }
        violations.require(has_proxy, &password_field, alone);
        violations.require(user.is_some() || !has_proxy, &name_field, "is needed with proxy_password");
    }
    Some(ProxyLogin { user: user?.to_owned(), password: checked?.ok()?.into() })
}

fn proxy(text: &str, login: Option<ProxyLogin>, field: &str, violations: &mut Violations) -> Option<Proxy> {
    violations.limit_text(field, text, MAX_PROXY_URL);
    let url = Url::parse(text).ok().filter(is_proxy);
    let bare = url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    let Some(url) = bare else {
        violations.add(
            field,
            "must be the address of a proxy and nothing more, for example http://proxy.corp.example:3128",
        );
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        violations.add(
            field,
            "must not carry a user name or password: give them as proxy_username and proxy_password",
        );
        return None;
    }
    Some(Proxy { url, except: None, login })
}

fn is_proxy(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn authorities(pem: &str, field: &str, violations: &mut Violations) -> Option<Authorities> {
    if pem.len() > MAX_CERTIFICATES {
        violations.add(field, format!("must be at most {MAX_CERTIFICATES} bytes"));
        return None;
    }
    let certificates = match pem::certificates(pem) {
        Ok(certificates) => certificates.into_iter().map(CertificateDer::from).collect::<Vec<_>>(),
        Err(wrong) => {
            violations.add(field, wrong.to_string());
            return None;
        }
    };
    let count = certificates.len();
    for (index, certificate) in certificates.iter().enumerate() {
        if RootCertStore::empty().add(certificate.clone()).is_err() {
            let which = if count == 1 {
                "the certificate".to_owned()
            } else {
                format!("certificate {} of {count}", index + 1)
            };
            violations.add(field, format!("{which} cannot be read: copy the file anew"));
            return None;
        }
    }
    Some(Authorities { certificates, fingerprint: fingerprint(pem) })
}

fn fingerprint(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.trim().as_bytes()))
}

/// Decodes percent-encoding: `%40` is an @.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
