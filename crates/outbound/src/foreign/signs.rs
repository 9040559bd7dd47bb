//! By what each product is recognized.

use super::page::is_page;
use super::{ForeignKind, title_of_page};
use crate::Reply;
use crate::words::read_json;

/// How much of a page is read.
const MAX_PAGE: usize = 64 * 1024;

/// A header and what its value holds, and words of a page.
struct Sign {
    product: &'static str,
    headers: &'static [(&'static str, &'static str)],
    words: &'static [&'static str],
}

const fn sign(
    product: &'static str,
    headers: &'static [(&'static str, &'static str)],
    words: &'static [&'static str],
) -> Sign {
    Sign { product, headers, words }
}

/// Headers that Jira and ServiceNow themselves write: a page with one of them is not of a product before them, even if that
/// product left its own headers on the way.
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

const PROXIES: &[Sign] = &[
    sign("Zscaler", &[("server", "zscaler")], &["zscaler"]),
    sign("Squid", &[("x-squid-error", ""), ("server", "squid")], &["squid", "err_access_denied"]),
    sign(
        "Blue Coat ProxySG",
        &[("x-bluecoat-via", ""), ("server", "bluecoat")],
        &["blue coat", "bluecoat", "proxysg", "policy_denied", "symantec web security service"],
    ),
    sign("Netskope", &[], &["netskope"]),
    sign("Forcepoint", &[], &["forcepoint", "websense"]),
    sign("McAfee Web Gateway", &[], &["mcafee web gateway", "skyhigh"]),
    sign("Cisco", &[], &["cisco umbrella", "opendns", "ironport", "cisco secure web appliance"]),
    sign("Palo Alto Networks", &[], &["palo alto networks"]),
    sign("FortiGuard", &[], &["fortiguard", "fortigate"]),
    sign("Check Point", &[], &["usercheck"]),
    sign("Sophos", &[], &["sophos"]),
    sign("iboss", &[], &["iboss"]),
    sign("Menlo Security", &[], &["menlo security"]),
    sign(
        "",
        &[("proxy-authenticate", "")],
        &["internet usage policy", "company policy", "url category", "web filter"],
    ),
];

const FIREWALLS: &[Sign] = &[
    sign(
        "ModSecurity",
        &[("server", "mod_security"), ("server", "modsecurity")],
        &["mod_security", "modsecurity"],
    ),
    sign(
        "F5 BIG-IP",
        &[("server", "big-ip"), ("x-wa-info", "")],
        &["the requested url was rejected", "support id"],
    ),
    sign(
        "Imperva",
        &[("x-iinfo", ""), ("x-cdn", "incapsula"), ("x-cdn", "imperva")],
        &["incapsula", "imperva"],
    ),
    sign(
        "Azure WAF",
        &[("server", "microsoft-azure-application-gateway"), ("x-azure-ref", "")],
        &["azure waf", "azure web application firewall", "microsoft-azure-application-gateway"],
    ),
    sign("AWS WAF", &[("x-amzn-waf-action", ""), ("server", "awselb")], &["aws waf"]),
    sign("FortiWeb", &[("server", "fortiweb")], &["fortiweb"]),
    sign("Barracuda", &[("server", "barracuda")], &["barracuda"]),
    sign("NetScaler", &[("server", "netscaler")], &["netscaler", "citrix adc"]),
    sign("Sucuri", &[("server", "sucuri"), ("x-sucuri-id", "")], &["sucuri"]),
    sign("Radware", &[], &["radware", "appwall"]),
    sign("NAXSI", &[("server", "naxsi")], &["naxsi"]),
];

const CDNS: &[Sign] = &[
    sign("Cloudflare", &[("server", "cloudflare"), ("cf-mitigated", ""), ("cf-ray", "")], &["cloudflare"]),
    sign("Akamai", &[("server", "akamai")], &["akamai", "edgesuite.net"]),
    sign(
        "Amazon CloudFront",
        &[("server", "cloudfront"), ("x-cache", "error from cloudfront")],
        &["cloudfront"],
    ),
    sign("Fastly", &[("x-served-by", "cache-")], &["fastly", "varnish cache server"]),
    sign(
        "Azure Front Door",
        &[("x-azure-ref", "")],
        &["azure front door", "our services aren't available right now"],
    ),
    sign("Google Cloud", &[("via", "1.1 google"), ("server", "gws")], &[]),
];

/// Single sign-on. The words are looked for in addresses, too.
const SIGN_ON: &[Sign] = &[
    sign(
        "Microsoft Entra",
        &[],
        &["microsoftonline.com", "microsoftonline.us", "login.windows.net", "microsoft entra", "msauth.net"],
    ),
    sign("AD FS", &[], &["adfs", "ad fs", "active directory federation services"]),
    sign("Okta", &[("x-okta-request-id", "")], &["okta.com", "oktapreview.com", "okta-emea.com", "okta"]),
    sign("OneLogin", &[], &["onelogin", "onelogin.com"]),
    sign("Auth0", &[], &["auth0.com", "auth0"]),
    sign(
        "Ping Identity",
        &[],
        &["pingfederate", "pingone.com", "pingidentity.com", "pingaccess", "ping identity"],
    ),
    sign("Keycloak", &[], &["keycloak", "openid-connect"]),
    sign("Shibboleth", &[], &["shibboleth"]),
    sign("Duo", &[], &["duosecurity.com", "duo security"]),
    sign("Google", &[], &["accounts.google.com"]),
    sign("Atlassian", &[], &["id.atlassian.com", "auth.atlassian.com"]),
    sign("Cloudflare Access", &[], &["cloudflareaccess.com", "cloudflare access"]),
    sign("oauth2-proxy", &[], &["oauth2-proxy", "oauth2_proxy"]),
    sign("SiteMinder", &[], &["siteminder", "smagentname"]),
    sign("JumpCloud", &[], &["jumpcloud.com", "jumpcloud"]),
    sign("F5 BIG-IP APM", &[], &["my.policy"]),
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

/// What a page, a plain text or an empty reply is of; `None` if nothing tells.
pub(super) fn find(reply: &Reply) -> Option<(ForeignKind, &'static str)> {
    let is_page = is_page(reply);
    let text = start_of(&reply.body).to_lowercase();
    let of_vendor = VENDOR_HEADERS.iter().any(|name| reply.headers.contains_key(*name));
    let header =
        |sign: &Sign| !of_vendor && sign.headers.iter().any(|(name, value)| holds(reply, name, value));
    let product = |signs: &'static [Sign]| {
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

/// What a JSON reply that blocks a request is of, by its headers: firewalls and CDNs answer callers of an API so. What stands
/// before a vendor leaves its headers on the vendor's own replies, too, which are known by their form.
pub(super) fn find_by_headers(reply: &Reply) -> Option<(ForeignKind, &'static str)> {
    let of_vendor = VENDOR_HEADERS.iter().any(|name| reply.headers.contains_key(*name));
    if of_vendor || !matches!(reply.status, 403 | 406 | 500..=599) || is_error_of_vendor(&reply.body) {
        return None;
    }
    let gave_up = reply.status >= 500;
    let product = |signs: &'static [Sign]| {
        let found =
            signs.iter().find(|sign| sign.headers.iter().any(|(name, value)| holds(reply, name, value)));
        found.map(|sign| sign.product)
    };
    let firewall = product(FIREWALLS).filter(|_| !gave_up).map(|product| (ForeignKind::Firewall, product));
    firewall.or_else(|| product(CDNS).map(|product| (ForeignKind::Cdn, product)))
}

/// Whether a JSON body has the form of an error of Jira (a list of messages, or a code with a message) or of ServiceNow (an error
/// with parts).
fn is_error_of_vendor(body: &str) -> bool {
    let Some(body) = read_json::<serde_json::Value>(body) else { return false };
    let has = |name: &str| body.get(name).is_some();
    has("errorMessages")
        || has("errors")
        || has("errorMessage")
        || has("message") && (has("code") || has("status-code"))
        || body.get("error").is_some_and(serde_json::Value::is_object)
}

/// The single sign-on that a page or an address names.
pub(super) fn sign_on(text: &str) -> Option<&'static str> {
    let named = SIGN_ON.iter().find(|sign| says(text, sign.words)).map(|sign| sign.product);
    named.or_else(|| says(text, &SIGN_ON_WORDS).then_some(""))
}

/// Whether `text` has `phrase` in it as whole words, in any case.
#[must_use]
pub fn mentions(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (text.to_lowercase(), phrase.to_lowercase());
    has_words(&text, &phrase)
}

/// The schemes by which a server asks for the login of Windows, or for a token of another service.
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

/// Whether a text in lower case has one of the phrases as whole words.
fn says(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| has_words(text, phrase))
}

fn has_words(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        is_border(before, phrase.chars().next()) && is_border(phrase.chars().next_back(), after)
    })
}

/// Whether a word ends between two characters. Scripts that write no spaces have none.
fn is_border(left: Option<char>, right: Option<char>) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && u32::from(c) < 0x2e80);
    !(part(left) && part(right))
}

fn start_of(body: &str) -> &str {
    let end = (0..=MAX_PAGE.min(body.len())).rev().find(|end| body.is_char_boundary(*end)).unwrap_or(0);
    &body[..end]
}
