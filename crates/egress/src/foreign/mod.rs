//! Recognizes replies that the ticket system's API did not write: pages of single sign-on, CDNs, web firewalls,
//! corporate proxies, hibernating or suspended sites, and redirects.
//!
//! What is recognized here chooses a hint and nothing else: what a failure means for a ticket is decided by status, headers
//! and further evidence in the adapter. A JSON body counts as the API's own reply, unless its headers name a firewall or a CDN
//! and it does not have the form of the API's errors. On pages, product names and the form of the page are read, in any
//! language where the form permits it.

mod page;
mod redirect;
mod signatures;
#[cfg(test)]
mod tests;

use self::page::is_json;
use crate::Reply;

pub(crate) use page::is_page;
pub use page::title_of_page;
pub use redirect::points_to;
pub use signatures::mentions;

/// A reply from something other than the called API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignReply {
    pub kind: ForeignKind,
    /// The product, for example "Cloudflare"; empty if unknown.
    pub product: &'static str,
    /// The target of a redirect, without its query; empty for a page.
    pub location: String,
    status: u16,
}

/// What answered in place of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// A single sign-on service, or a gateway with its own login.
    SingleSignOn,
    /// The login page of the ticket system itself.
    LoginPage,
    /// A content delivery network.
    Cdn,
    /// A web application firewall.
    Firewall,
    /// An outgoing proxy.
    Proxy,
    /// A hibernating or offline instance.
    Asleep,
    /// A site that is starting or down for maintenance.
    Maintenance,
    /// A deactivated site, usually because of billing.
    Suspended,
    /// The server requires https.
    WantsHttps,
    /// A redirect to another address.
    Moved,
    /// A page of unknown origin.
    Page,
}

/// Names used in hints.
#[derive(Debug, Clone, Copy)]
pub struct HintNames {
    /// The ticket system, for example "Jira".
    pub system: &'static str,
    /// The setting that holds its address, for example "jira.url".
    pub address: &'static str,
    /// The setting that holds the proxy's address.
    pub proxy: &'static str,
}

/// Recognizes what wrote a reply; `None` if it was the API.
#[must_use]
pub fn recognize(reply: &Reply) -> Option<ForeignReply> {
    if (300..400).contains(&reply.status) {
        return redirect::recognize(reply);
    }
    let found = |kind, product| ForeignReply { kind, product, location: String::new(), status: reply.status };
    if reply.status == 407 {
        return Some(found(ForeignKind::Proxy, ""));
    }
    if reply.status == 402 {
        return Some(found(ForeignKind::Suspended, ""));
    }
    let (kind, product) =
        if is_json(&reply.body) { signatures::find_by_headers(reply) } else { signatures::find(reply) }?;
    Some(found(kind, product))
}

// === impl ForeignReply ===

impl ForeignReply {
    /// How to fix it, in one sentence.
    #[must_use]
    pub fn hint(&self, names: &HintNames) -> String {
        let HintNames { system, address, proxy } = names;
        let known = |what: &str| match self.product {
            "" => what.to_owned(),
            product => format!("{what} ({product})"),
        };
        let at = if self.location.is_empty() { String::new() } else { format!(" at {}", self.location) };
        match self.kind {
            ForeignKind::SingleSignOn => format!(
                "{}{at} is in front of the REST API of {system}: let its administrators exempt the REST API, or set {address} to \
                 an address that is not behind it",
                known("a single sign-on or login page")
            ),
            ForeignKind::LoginPage => format!(
                "the login page{at} came in place of an answer, so the login was not accepted: check the account and its token \
                 or password, and let the REST API of {system} pass any single sign-on before it"
            ),
            ForeignKind::Cdn if self.status >= 500 => format!(
                "{} could not reach {system}: check that {system} is up; deliveries are tried again",
                known("the content delivery network")
            ),
            ForeignKind::Cdn => format!(
                "{} before {system} blocks this request: let its administrators allow this machine's address and requests \
                 without a browser to the REST API of {address}",
                known("the content delivery network")
            ),
            ForeignKind::Firewall => format!(
                "{} before {system} blocked this request: let its administrators exempt the REST API of {address} from the rule \
                 that struck, or from inspecting bodies",
                known("a web firewall")
            ),
            ForeignKind::Proxy => format!(
                "{} answered in place of {system}: let its administrators allow requests to the host of {address}, or set \
                 {proxy} to a proxy that does",
                known("a proxy on the way")
            ),
            ForeignKind::Asleep => format!(
                "the instance hibernates or is offline: open it in a browser and check {address}; an instance in use should not \
                 hibernate"
            ),
            ForeignKind::Maintenance => format!(
                "{system}, or the load balancer before it, is down for maintenance or starting: wait, deliveries are tried \
                 again; if it lasts, ask its administrators"
            ),
            ForeignKind::Suspended => format!(
                "the site is suspended or deactivated, usually for an unpaid or ended subscription: let its owner check the \
                 billing, and check {address}"
            ),
            ForeignKind::WantsHttps => {
                format!("set {address} to an https address: plain http is not answered")
            }
            ForeignKind::Moved if self.location.is_empty() => {
                format!("set {address} to the address at which {system} itself answers")
            }
            ForeignKind::Moved => format!(
                "the reply points to {}: if {system} is there now, set {address} to it (with its context path); if that is a \
                 login page, exempt the REST API from single sign-on",
                self.location
            ),
            ForeignKind::Page => format!(
                "a page came in place of an answer of the API: check {address} (with its context path, if it has one), and \
                 look for a gateway in front of {system}"
            ),
        }
    }
}
