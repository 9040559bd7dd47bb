//! Signatures of products.

use super::page::is_page;
use super::{ForeignKind, title_of_page};
use crate::Reply;
use crate::text::read_json;

/// Maximum part of a page that is read, in bytes.
const MAX_PAGE: usize = 64 * 1024;

/// Headers, as name and part of the value, and words of a page.
struct Signature {
    product: &'static str,
    headers: &'static [(&'static str, &'static str)],
    words: &'static [&'static str],
}

const fn signature(
    product: &'static str,
    headers: &'static [(&'static str, &'static str)],
    words: &'static [&'static str],
) -> Signature {
    Signature { product, headers, words }
}

/// Headers that Jira and ServiceNow themselves send: a page with one of them is theirs, even if an intermediary added
/// its own headers.
const VENDOR_HEADERS: [&str; 8] = [
    "x-arequestid",
    "x-anodeid",
    "x-asessionid",
    "x-seraph-loginreason",
    "x-ausername",
    "atl-traceid",
    "x-is-logged-in",
    "x-transaction-id",
];

const PROXIES: &[Signature] = &[
    signature("Zscaler", &[("server", "zscaler")], &["zscaler"]),
    signature("Squid", &[("x-squid-error", ""), ("server", "squid")], &["squid", "err_access_denied"]),
    signature(
        "Blue Coat ProxySG",
        &[("x-bluecoat-via", ""), ("server", "bluecoat")],
        &["blue coat", "bluecoat", "proxysg", "policy_denied", "symantec web security service"],
    ),
    signature("Netskope", &[], &["netskope"]),
    signature("Forcepoint", &[], &["forcepoint", "websense"]),
    signature("McAfee Web Gateway", &[], &["mcafee web gateway", "skyhigh"]),
    signature("Cisco", &[], &["cisco umbrella", "opendns", "ironport", "cisco secure web appliance"]),
    signature("Palo Alto Networks", &[], &["palo alto networks"]),
    signature("FortiGuard", &[], &["fortiguard", "fortigate"]),
    signature("Check Point", &[], &["usercheck"]),
    signature("Sophos", &[], &["sophos"]),
    signature("iboss", &[], &["iboss"]),
    signature("Menlo Security", &[], &["menlo security"]),
    signature(
        "",
        &[("proxy-authenticate", "")],
        &["internet usage policy", "company policy", "url category", "web filter"],
    ),
];

const FIREWALLS: &[Signature] = &[
    signature(
        "ModSecurity",
        &[("server", "mod_security"), ("server", "modsecurity")],
        &["mod_security", "modsecurity"],
    ),
    signature(
        "F5 BIG-IP",
        &[("server", "big-ip"), ("x-wa-info", "")],
        &["the requested url was rejected", "support id"],
    ),
    signature(
        "Imperva",
        &[("x-iinfo", ""), ("x-cdn", "incapsula"), ("x-cdn", "imperva")],
        &["incapsula", "imperva"],
    ),
    signature(
        "Azure WAF",
        &[("server", "microsoft-azure-application-gateway"), ("x-azure-ref", "")],
        &["azure waf", "azure web application firewall", "microsoft-azure-application-gateway"],
    ),
    signature("AWS WAF", &[("x-amzn-waf-action", ""), ("server", "awselb")], &["aws waf"]),
    signature("FortiWeb", &[("server", "fortiweb")], &["fortiweb"]),
    signature("Barracuda", &[("server", "barracuda")], &["barracuda"]),
    signature("NetScaler", &[("server", "netscaler")], &["netscaler", "citrix adc"]),
    signature("Sucuri", &[("server", "sucuri"), ("x-sucuri-id", "")], &["sucuri"]),
    signature("Radware", &[], &["radware", "appwall"]),
    signature("NAXSI", &[("server", "naxsi")], &["naxsi"]),
];

const CDNS: &[Signature] = &[
    signature(
        "Cloudflare",
        &[("server", "cloudflare"), ("cf-mitigated", ""), ("cf-ray", "")],
        &["cloudflare"],
    ),
    signature("Akamai", &[("server", "akamai")], &["akamai", "edgesuite.net"]),
    signature(
        "Amazon CloudFront",
        &[("server", "cloudfront"), ("x-cache", "error from cloudfront")],
        &["cloudfront"],
    ),
    signature("Fastly", &[("x-served-by", "cache-")], &["fastly", "varnish cache server"]),
    signature(
        "Azure Front HttpClient",
        &[("x-azure-ref", "")],
        &["azure front door", "our services aren't available right now"],
    ),
    signature("Google Cloud", &[("via", "1.1 google"), ("server", "gws")], &[]),
];

/// Single sign-on. The words are matched in URLs too.
const SIGN_ON: &[Signature] = &[
    signature(
        "Microsoft Entra",
        &[],
        &["microsoftonline.com", "microsoftonline.us", "login.windows.net", "microsoft entra", "msauth.net"],
    ),
    signature("AD FS", &[], &["adfs", "ad fs", "active directory federation services"]),
    signature(
        "Okta",
        &[("x-okta-request-id", "")],
        &["okta.com", "oktapreview.com", "okta-emea.com", "okta"],
    ),
    signature("OneLogin", &[], &["onelogin", "onelogin.com"]),
    signature("Auth0", &[], &["auth0.com", "auth0"]),
    signature(
        "Ping Identity",
        &[],
        &["pingfederate", "pingone.com", "pingidentity.com", "pingaccess", "ping identity"],
    ),
    signature("Keycloak", &[], &["keycloak", "openid-connect"]),
    signature("Shibboleth", &[], &["shibboleth"]),
    signature("Duo", &[], &["duosecurity.com", "duo security"]),
    signature("Google", &[], &["accounts.google.com"]),
    signature("Atlassian", &[], &["id.atlassian.com", "auth.atlassian.com"]),
    signature("Cloudflare Access", &[], &["cloudflareaccess.com", "cloudflare access"]),
    signature("oauth2-proxy", &[], &["oauth2-proxy", "oauth2_proxy"]),
    signature("SiteMinder", &[], &["siteminder", "smagentname"]),
    signature("JumpCloud", &[], &["jumpcloud.com", "jumpcloud"]),
    signature("F5 BIG-IP APM", &[], &["my.policy"]),
];

const SIGN_ON_WORDS: [&str; 6] =
    ["samlrequest", "samlresponse", "relaystate", "single sign-on", "single sign on", "sso"];

const ASLEEP: [&str; 6] = [
    "hibernating",
    "hibernation",
    "hibernated",
    "instance is currently offline",
    "instance is asleep",
    "wake your instance",
];

const SUSPENDED: [&str; 14] = [
    "site unavailable",
    "site is currently unavailable",
    "site is unavailable",
    "has been suspended",
    "is suspended",
    "account suspended",
    "site has been deactivated",
    "has been deactivated",
    "is deactivated",
    "payment required",
    "unpaid",
    "subscription has expired",
    "subscription has ended",
    "check your billing",
];

const MAINTENANCE: [&str; 16] = [
    "maintenance",
    "wartung",
    "wartungsarbeiten",
    "mantenimiento",
    "manutenzione",
    "manutenção",
    "メンテナンス",
    "维护",
    "temporarily unavailable",
    "is starting up",
    "still starting",
    "is being upgraded",
    "startup check",
    "johnson",
    "reindexing",
    "vorübergehend nicht",
];

const BLOCKED: [&str; 10] = [
    "web application firewall",
    "waf",
    "request rejected",
    "request blocked",
    "request was blocked",
    "has been blocked",
    "you have been blocked",
    "not acceptable!",
    "security rules",
    "security policy",
];

const WANTS_HTTPS: [&str; 2] =
    ["plain http request was sent to https port", "speaking plain http to an ssl-enabled"];

/// Recognizes what wrote a page, a plain text or an empty reply.
pub(super) fn find(reply: &Reply) -> Option<(ForeignKind, &'static str)> {
    let is_page = is_page(reply);
    let text = start_of(&reply.body).to_lowercase();
    let of_vendor = VENDOR_HEADERS.iter().any(|name| reply.headers.contains_key(*name));
    let header =
        |sign: &Signature| !of_vendor && sign.headers.iter().any(|(name, value)| holds(reply, name, value));
    let product = |signs: &'static [Signature]| {
        signs.iter().find(|sign| header(sign) || says(&text, sign.words)).map(|sign| sign.product)
    };
    let gave_up = reply.status >= 500;
    if says(&text, &WANTS_HTTPS) {
        return Some((ForeignKind::WantsHttps, ""));
    }
    if let Some(product) = product(PROXIES) {
        return Some((ForeignKind::Proxy, product));
    }
    if says(&text, &ASLEEP) {
        return Some((ForeignKind::Asleep, ""));
    }
    if says(&text, &SUSPENDED) {
        return Some((ForeignKind::Suspended, ""));
    }
    if let Some(product) = sign_on(&text).or_else(|| asked_to_sign_on(reply)).filter(|_| !gave_up) {
        return Some((ForeignKind::SingleSignOn, product));
    }
    if let Some(product) = product(FIREWALLS).filter(|_| !gave_up) {
        return Some((ForeignKind::Firewall, product));
    }
    if let Some(product) = product(CDNS) {
        return Some((ForeignKind::Cdn, product));
    }
    if has_password_field(&text) || is_page && is_titled_as_login(&reply.body) {
        return Some((ForeignKind::LoginPage, ""));
    }
    if says(&text, &MAINTENANCE) || is_page && matches!(reply.status, 502..=504) {
        return Some((ForeignKind::Maintenance, ""));
    }
    if says(&text, &BLOCKED) && !gave_up {
        return Some((ForeignKind::Firewall, ""));
    }
    if is_page && reply.status == 401 && !of_vendor {
        return Some((ForeignKind::SingleSignOn, ""));
    }
    is_page.then_some((ForeignKind::Page, ""))
}

/// Recognizes a firewall or CDN that blocks an API request with a JSON reply, by its headers. Its headers are on the vendor's
/// own replies, too; those are excluded by their form.
pub(super) fn find_by_headers(reply: &Reply) -> Option<(ForeignKind, &'static str)> {
    let of_vendor = VENDOR_HEADERS.iter().any(|name| reply.headers.contains_key(*name));
    if of_vendor || !matches!(reply.status, 403 | 406 | 500..=599) || is_error_of_vendor(&reply.body) {
        return None;
    }
    let gave_up = reply.status >= 500;
    let product = |signs: &'static [Signature]| {
        let found =
            signs.iter().find(|sign| sign.headers.iter().any(|(name, value)| holds(reply, name, value)));
        found.map(|sign| sign.product)
    };
    let firewall = product(FIREWALLS).filter(|_| !gave_up).map(|product| (ForeignKind::Firewall, product));
    firewall.or_else(|| product(CDNS).map(|product| (ForeignKind::Cdn, product)))
}

/// Whether a JSON body has the form of an error of Jira (a list of messages, or a code with a message) or of ServiceNow
/// (an error object).
fn is_error_of_vendor(body: &str) -> bool {
    let Some(body) = read_json::<serde_json::Value>(body) else { return false };
    let has = |name: &str| body.get(name).is_some();
    has("errorMessages")
        || has("errors")
        || has("errorMessage")
        || has("message") && (has("code") || has("status-code"))
        || body.get("error").is_some_and(serde_json::Value::is_object)
}

/// The single sign-on product that a page or a URL names.
pub(super) fn sign_on(text: &str) -> Option<&'static str> {
    let named = SIGN_ON.iter().find(|sign| says(text, sign.words)).map(|sign| sign.product);
    named.or_else(|| says(text, &SIGN_ON_WORDS).then_some(""))
}

/// Whether `text` contains `phrase` as whole words, ignoring case.
#[must_use]
pub fn mentions(text: &str, phrase: &str) -> bool {
    let text = text.to_lowercase();
    let phrase = phrase.to_lowercase();
    contains_phrase(&text, &phrase)
}

/// Authentication schemes of Windows logins and token services.
fn asked_to_sign_on(reply: &Reply) -> Option<&'static str> {
    if reply.status != 401 {
        return None;
    }
    let asked = reply.headers.get_all(http::header::WWW_AUTHENTICATE);
    let asked: Vec<String> =
        asked.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase()).collect();
    let product = asked.iter().find_map(|value| sign_on(value));
    let windows = asked.iter().any(|value| says(value, &["negotiate", "ntlm", "authorization_uri"]));
    product.or(if windows { Some("") } else { None })
}

fn has_password_field(text: &str) -> bool {
    ["type=\"password\"", "type='password'", "type=password"].iter().any(|field| text.contains(field))
        || says(text, &["os_username", "login.jsp", "user_password"])
}

fn is_titled_as_login(body: &str) -> bool {
    let title = title_of_page(start_of(body)).unwrap_or_default().to_lowercase();
    let words = [
        "log in",
        "login",
        "log on",
        "sign in",
        "signin",
        "anmelden",
        "anmeldung",
        "einloggen",
        "connexion",
        "se connecter",
        "iniciar sesión",
        "accedi",
        "entrar",
        "ログイン",
        "登录",
        "로그인",
        "вход",
    ];
    says(&title, &words)
}

fn holds(reply: &Reply, name: &str, part: &str) -> bool {
    let mut values = reply.headers.get_all(name).iter();
    values.any(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase().contains(part))
}

/// Whether a lower-case text contains one of the phrases as whole words.
fn says(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| contains_phrase(text, phrase))
}

fn contains_phrase(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        is_border(before, phrase.chars().next()) && is_border(phrase.chars().next_back(), after)
    })
}

/// Whether there is a word boundary between two characters. Scripts without spaces have none.
fn is_border(left: Option<char>, right: Option<char>) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && u32::from(c) < 0x2e80);
    !(part(left) && part(right))
}

fn start_of(body: &str) -> &str {
    let end = (0..=MAX_PAGE.min(body.len())).rev().find(|end| body.is_char_boundary(*end)).unwrap_or(0);
    &body[..end]
}
