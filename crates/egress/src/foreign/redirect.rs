//! Recognizes the target of a redirect.

use ticketing_core::text::{shorten, single_line};
use url::Url;

use super::signatures::{self, mentions};
use super::{ForeignKind, ForeignReply};
use crate::Reply;

/// Maximum length of a repeated URL and of a path segment: longer segments are tokens.
const MAX_ADDRESS: usize = 200;
const MAX_SEGMENT: usize = 48;

/// Path words of login pages.
const LOGIN_WORDS: [&str; 28] = [
    "saml",
    "saml2",
    "samlp",
    "samlsso",
    "sso",
    "adfs",
    "oauth",
    "oauth2",
    "oidc",
    "openid",
    "authorize",
    "authn",
    "auth",
    "idp",
    "shibboleth",
    "cas",
    "login",
    "logon",
    "signin",
    "realms",
    "nidp",
    "pkmslogin",
    "smlogin",
    "siteminder",
    "account",
    "accounts",
    "captcha",
    "challenge",
];
/// First host name labels of login pages.
const LOGIN_HOSTS: [&str; 18] = [
    "login",
    "logon",
    "sso",
    "idp",
    "auth",
    "adfs",
    "sts",
    "accounts",
    "signin",
    "saml",
    "iam",
    "id",
    "fs",
    "federation",
    "oauth",
    "cas",
    "keycloak",
    "identity",
];
/// Query parameters of login redirects.
const LOGIN_PARAMETERS: [&str; 8] = [
    "samlrequest",
    "relaystate",
    "client_id",
    "redirect_uri",
    "response_type",
    "os_destination",
    "wtrealm",
    "returnto",
];

/// Recognizes the target of a redirect.
pub(super) fn recognize(reply: &Reply) -> Option<ForeignReply> {
    if reply.status == 304 {
        return None;
    }
    let found = |kind, product, location| ForeignReply { kind, product, location, status: reply.status };
    let Some(target) = target(reply) else { return Some(found(ForeignKind::Moved, "", String::new())) };
    let location = shown(&target);
    let (kind, product) = classify_target(&target, &reply.url);
    Some(found(kind, product, location))
}

/// The target of a redirect: scheme, host and path. The query is omitted because it may contain secrets.
#[must_use]
pub fn points_to(reply: &Reply) -> Option<String> {
    target(reply).map(|target| shown(&target))
}

fn target(reply: &Reply) -> Option<Url> {
    let location = reply.headers.get(http::header::LOCATION)?;
    let location = String::from_utf8_lossy(location.as_bytes());
    if !(300..400).contains(&reply.status) || location.trim().is_empty() {
        return None;
    }
    reply.url.join(location.trim()).ok().filter(Url::has_host)
}

fn shown(target: &Url) -> String {
    let origin = target.origin().ascii_serialization();
    let origin =
        if target.origin().is_tuple() { origin } else { target.host_str().unwrap_or_default().to_owned() };
    // A session ID may follow a semicolon.
    let path = target.path().split(';').next().unwrap_or_default();
    let segment =
        |segment: &str| if segment.len() > MAX_SEGMENT { "…".to_owned() } else { segment.to_owned() };
    let path: Vec<String> = path.split('/').map(segment).collect();
    shorten(&single_line(&format!("{origin}{}", path.join("/").trim_end_matches('/'))), MAX_ADDRESS)
}

fn classify_target(target: &Url, asked: &Url) -> (ForeignKind, &'static str) {
    let host = target.host_str().unwrap_or_default().to_ascii_lowercase();
    let path = target.path().to_ascii_lowercase();
    let words: Vec<&str> = path.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let at_path = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let elsewhere = target.host_str() != asked.host_str();
    if elsewhere
        && (mentions(&host, "developer.servicenow.com") || mentions(&host, "developer.service-now.com"))
        || at_path(&["hibernating", "hibernation", "hibernate"])
    {
        return (ForeignKind::Asleep, "");
    }
    if at_path(&["maintenance", "johnson", "errors", "outage"]) {
        return (ForeignKind::Maintenance, "");
    }
    if at_path(&["suspended", "deactivated", "unavailable", "billing", "payment", "expired"]) {
        return (ForeignKind::Suspended, "");
    }
    if let Some(product) = signatures::sign_on(&format!("{host} {path}")) {
        return (ForeignKind::SingleSignOn, product);
    }
    let first = host.split('.').next().unwrap_or_default();
    let asks =
        target.query_pairs().any(|(key, _)| LOGIN_PARAMETERS.contains(&key.to_ascii_lowercase().as_str()));
    if asks || at_path(&LOGIN_WORDS) || elsewhere && LOGIN_HOSTS.contains(&first) {
        return (ForeignKind::SingleSignOn, "");
    }
    let https_only = asked.scheme() == "http" && target.scheme() == "https";
    if https_only && !elsewhere && target.path() == asked.path() {
        return (ForeignKind::WantsHttps, "");
    }
    (ForeignKind::Moved, "")
}
