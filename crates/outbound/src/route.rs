//! The way to a target: straight, or through a proxy; and whose certificates are trusted there.

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

use crate::{Authorization, Redactor, pem};

/// In characters.
const LONGEST_PROXY_URL: usize = 2_048;
/// In characters.
const LONGEST_USERNAME: usize = 255;
/// In characters.
const LONGEST_PASSWORD: usize = 4_096;
/// In bytes: a handful of authorities.
const LONGEST_CERTIFICATES: usize = 65_536;

/// The way as it is saved: anything may be missing or wrong. The password for the proxy is kept elsewhere.
#[derive(Default, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteDraft {
    /// A proxy that is asked to CONNECT, for example `http://proxy.corp.example:3128`.
    pub proxy_url: Option<String>,
    /// Who we are to it, where it asks.
    pub proxy_username: Option<String>,
    /// The authorities that are trusted instead of the public ones: PEM.
    pub ca_certificates: Option<String>,
}

/// A way that can be gone.
#[derive(Default, Clone, Debug)]
pub struct Route {
    pub(crate) proxy: Option<Proxy>,
    pub(crate) authorities: Option<Authorities>,
}

/// A proxy, and what it is not asked for.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) url: Url,
    /// A list as the environment has it; only for the proxy of the environment.
    pub(crate) except: Option<String>,
    pub(crate) login: Option<ProxyLogin>,
}

#[derive(Clone)]
pub(crate) struct Authorities {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// Of the text that they were read from.
    fingerprint: String,
}

/// Who we are to a proxy.
#[derive(Clone)]
pub(crate) struct ProxyLogin {
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

/// The operator's logins to proxies, each for one host and port and sent to no other.
#[derive(Clone, Debug, Default)]
pub struct ProxyLogins(Vec<(String, ProxyLogin)>);

/// A line of a file of logins that can not be read. It never repeats the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {0} is not of the form \"proxy.corp.example:3128 user:password\", or has an invisible character in it"
)]
pub struct NotALogin(pub usize);

// === impl RouteDraft ===

impl RouteDraft {
    /// Takes over what `patch` sets; an empty text clears.
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

    /// What a secret is bound to besides its origin: who stands on the way could read it. `None` if nobody does.
    #[must_use]
    pub fn binding(&self) -> Option<String> {
        let proxy = given(self.proxy_url.as_deref()).map(|url| format!("via {url}"));
        let authorities =
            given(self.ca_certificates.as_deref()).map(|pem| format!("ca {}", fingerprint(pem)));
        let parts: Vec<_> = proxy.into_iter().chain(authorities).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// What the password for the proxy is bound to: the proxy, and who says that it is the one, where it is spoken to by
    /// TLS. `None` while there is no proxy.
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
    /// Reads a draft and the password for its proxy; `path` is what the contract calls the settings, for example `jira`.
    /// Everything wrong with it is added to `violations`, and then there is no way.
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

    /// The way that the environment names, in the form that is usual there: with a login in the address, if need be.
    /// `None` if it makes no sense.
    #[must_use]
    pub fn of_environment(proxy: &str, except: Option<String>) -> Option<Self> {
        let mut url = Url::parse(proxy).ok().filter(is_proxy)?;
        let password = percent_decoded(url.password().unwrap_or_default())?;
        let user = percent_decoded(url.username())?;
        let login = (!user.is_empty()).then(|| ProxyLogin { user, password: password.into() });
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { proxy: Some(Proxy { url, except, login }), authorities: None })
    }

    /// Whether it is the way that every target has that names none.
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
    /// `text` without the password and without the header made of it, should somebody have repeated them.
    #[cfg(test)]
    pub(crate) fn hide(&self, text: &str) -> String {
        self.add_to(Redactor::default()).redact(text)
    }

    /// Has the password taken out, and the header made of it.
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
    /// Reads a file of lines like `proxy.corp.example:3128 user:password`. Empty lines, and those that begin with #, are
    /// passed over.
    ///
    /// # Errors
    /// The first line that is of another form.
    pub fn parse(text: &str) -> Result<Self, NotALogin> {
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
            logins.push(read().ok_or(NotALogin(index + 1))?);
        }
        Ok(Self(logins))
    }

    /// The login for one proxy.
    pub(crate) fn of(&self, proxy: &Url) -> Option<&ProxyLogin> {
        let port = proxy.port_or_known_default()?;
        let authority = format!("{}:{port}", proxy.host_str()?);
        self.0.iter().find(|(known, _)| *known == authority).map(|(_, login)| login)
    }
}

// === impl Proxy ===

impl Proxy {
    /// Who we are to it: as its settings say, else as the operator's file does.
    pub(crate) fn login<'a>(&'a self, logins: &'a ProxyLogins) -> Option<&'a ProxyLogin> {
        self.login.as_ref().or_else(|| logins.of(&self.url))
    }

    /// What faults call it. The operator's is not named to callers.
    pub(crate) fn called(&self) -> String {
        match &self.except {
            Some(_) => "the proxy".to_owned(),
            None => format!("the proxy {}", crate::authority(&self.url)),
        }
    }

    /// As the client takes it: for https alone, which it is asked to CONNECT for.
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

/// Who we are to the proxy: both or neither, and only where there is one.
fn login(
    draft: &RouteDraft,
    password: Option<&SecretString>,
    path: &str,
    violations: &mut Violations,
) -> Option<ProxyLogin> {
    let (name_field, password_field) = (format!("{path}.proxy_username"), format!("{path}.proxy_password"));
    let user = given(draft.proxy_username.as_deref());
    let password = password.filter(|password| !password.expose_secret().is_empty());
    let has_proxy = given(draft.proxy_url.as_deref()).is_some();
    let alone = "must not be set without proxy_url; \"\" removes it";
    if let Some(user) = user {
        violations.limit_text(&name_field, user, LONGEST_USERNAME);
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
            Ok(text) => violations.limit_text(&password_field, text, LONGEST_PASSWORD),
            Err(wrong) => violations.add(&password_field, wrong.clone()),
        }
        violations.require(has_proxy, &password_field, alone);
        violations.require(user.is_some() || !has_proxy, &name_field, "is needed with proxy_password");
    }
    Some(ProxyLogin { user: user?.to_owned(), password: checked?.ok()?.into() })
}

fn proxy(text: &str, login: Option<ProxyLogin>, field: &str, violations: &mut Violations) -> Option<Proxy> {
    violations.limit_text(field, text, LONGEST_PROXY_URL);
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
    if pem.len() > LONGEST_CERTIFICATES {
        violations.add(field, format!("must be at most {LONGEST_CERTIFICATES} bytes"));
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

/// As addresses have it: `%40` for an @.
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
