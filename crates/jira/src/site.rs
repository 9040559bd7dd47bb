//! Parses pasted addresses of Jira sites.

use ticketing_core::pasted;
use ticketing_core::violation::Violations;
use url::{Host, Url};

const CLOUD_DOMAIN: &str = ".atlassian.net";
/// Maximum length of an address that Jira reports, in bytes.
const MAX_PUBLIC: usize = 2_048;
/// Pages of Jira, by the first segment of their path below the context path.
const PAGES: [&str; 12] = [
    "browse",
    "projects",
    "issues",
    "secure",
    "rest",
    "servicedesk",
    "plugins",
    "login",
    "logout",
    "download",
    "si",
    "sr",
];
/// Segments below `/jira/` where that is not a context path, as in `/jira/software/projects/SEC/boards/1`.
const CLOUD_PAGES: [&str; 13] = [
    "software",
    "core",
    "servicedesk",
    "dashboards",
    "your-work",
    "for-you",
    "people",
    "filters",
    "boards",
    "settings",
    "apps",
    "plans",
    "discovery",
];
/// Atlassian hosts that are not customer sites.
const PORTALS: [&str; 11] =
    ["id", "auth", "admin", "home", "start", "my", "www", "support", "developer", "community", "team"];

/// An http or https address without a trailing slash, user name, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site(Url);

// === impl Site ===

impl Site {
    /// Parses an address; reduces that of a page to its site, with the context path if there is one.
    pub(crate) fn parse(text: &str, field: &str, violations: &mut Violations) -> Option<Self> {
        let url = Url::parse(&completed(text)).ok();
        let url = url.filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
        let Some(mut url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            violations
                .add(field, "must be an http or https address, for example https://your-site.atlassian.net");
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            violations.add(field, "must not carry a user name or password: they have fields of their own");
            return None;
        }
        if is_portal(&url) {
            violations.add(
                field,
                "is a page of Atlassian and not your site: give the address at which you see your issues, for example \
                 https://your-site.atlassian.net",
            );
            return None;
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = if is_cloud(&url) { String::new() } else { context_path(url.path()) };
        url.set_path(&path);
        Some(Self(url))
    }

    /// The site's URL for people, as Jira reports it; `None` if it cannot be meant for people.
    ///
    /// Data Center reports a value that its administrator may never have set. So it must be a web address
    /// without a login, not this machine, not plain http instead of https, and, unless this site is one too,
    /// not a bare host name or an internal address.
    pub(crate) fn public(&self, reported: &str) -> Option<Self> {
        let reported = Some(reported).filter(|reported| reported.len() <= MAX_PUBLIC)?;
        let public = Self::parse(reported, "", &mut Violations::default())?;
        let is_inside = |site: &Self| match site.0.host() {
            Some(Host::Domain(name)) => !name.contains('.'),
            _ => true,
        };
        let is_this_machine = match public.0.host() {
            Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
            Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => true,
        };
        let is_worse = is_inside(&public) && !is_inside(self)
            || public.0.scheme() == "http" && self.0.scheme() == "https";
        (!is_this_machine && !is_worse).then_some(public)
    }

    pub(crate) fn is_cloud(&self) -> bool {
        is_cloud(&self.0)
    }

    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The address of a page below the site, each segment percent-encoded.
    pub(crate) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    pub(crate) fn as_text(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

fn is_cloud(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Domain(domain)) if domain.ends_with(CLOUD_DOMAIN))
}

/// The complete address of a pasted text. Jira Cloud uses https, whatever was pasted.
pub(crate) fn completed(text: &str) -> String {
    let address = pasted::complete_address(&pasted::tidy_address(text));
    match address.strip_prefix("http://") {
        Some(rest) if rest.split(['/', '?', '#']).next().is_some_and(|host| host.ends_with(CLOUD_DOMAIN)) => {
            format!("https://{rest}")
        }
        _ => address,
    }
}

fn is_portal(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let name = host.strip_suffix(".atlassian.com");
    matches!(host, "atlassian.com" | "atlassian.net" | "www.atlassian.net")
        || name.is_some_and(|name| PORTALS.contains(&name))
}

/// The path up to any page of Jira: a context path may itself be `/jira`.
fn context_path(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_page =
        |segment: &&str| PAGES.contains(segment) || segment.ends_with(".jsp") || segment.ends_with(".jspa");
    if let ["jira", page, rest @ ..] = segments.as_slice()
        && CLOUD_PAGES.contains(page)
        && (*page != "servicedesk" || rest.first() == Some(&"projects"))
    {
        return String::new();
    }
    let page = segments.iter().position(is_page);
    segments[..page.unwrap_or(segments.len())].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let mut violations = Violations::default();
        let site = Site::parse(text, "jira.url", &mut violations);
        assert_eq!(site.is_none(), !violations.is_empty(), "{text}");
        site.map(|site| site.as_text().to_owned())
    }

    #[test]
    fn addresses_are_reduced_to_their_site() {
        let table = [
            ("https://x.atlassian.net", "https://x.atlassian.net"),
            ("x.atlassian.net/", "https://x.atlassian.net"),
            ("https://x.atlassian.net/browse/SEC-1?focused=1#top", "https://x.atlassian.net"),
            ("https://x.atlassian.net/jira/software/projects/SEC/boards/1", "https://x.atlassian.net"),
            ("https://jira.example.com:8443/jira/", "https://jira.example.com:8443/jira"),
            ("https://jira.example.com/jira/browse/SEC-1", "https://jira.example.com/jira"),
            ("http://jira.example.com/tools/jira2", "http://jira.example.com/tools/jira2"),
            ("http://x.atlassian.net", "https://x.atlassian.net"),
            ("<HTTPS://X.Atlassian.net.>", "https://x.atlassian.net"),
            ("\u{FEFF}x.atlassian\u{200B}.net", "https://x.atlassian.net"),
            ("https:/jira.example.com//", "https://jira.example.com"),
            ("https://jira.example.com/jira/rest/api/latest/", "https://jira.example.com/jira"),
            ("https://jira.example.com/jira/secure/Dashboard.jspa", "https://jira.example.com/jira"),
            ("https://jira.example.com/login.jsp?os_destination=%2Fdefault.jsp", "https://jira.example.com"),
            ("https://jira.example.com/default.jsp", "https://jira.example.com"),
            ("https://jira.example.com/issues/?jql=project%3DSEC#x", "https://jira.example.com"),
            ("https://jira.example.com/plugins/servlet/samlsso", "https://jira.example.com"),
            ("https://jira.example.com/servicedesk/customer/portal/3", "https://jira.example.com"),
            ("https://jira.example.com/jira/servicedesk/customer/portal/3", "https://jira.example.com/jira"),
            ("https://jira.example.com/jira/servicedesk/projects/SEC/queues", "https://jira.example.com"),
            ("https://jira.example.com/jira/software/c/projects/SEC/boards/1", "https://jira.example.com"),
            ("https://jira.example.com/jira/projects/SEC/summary", "https://jira.example.com/jira"),
        ];
        for (pasted, site) in table {
            assert_eq!(read(pasted).as_deref(), Some(site), "{pasted}");
        }
    }

    #[test]
    fn refuses_addresses_other_than_sites() {
        for text in [
            "",
            "ftp://x.example",
            "https://",
            "https://a:b@x.example",
            "https://x y",
            "https://id.atlassian.com/login?continue=https%3A%2F%2Fx.atlassian.net",
            "https://admin.atlassian.com",
            "www.atlassian.com/software/jira",
            "https://atlassian.net",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn believes_a_public_address_that_people_can_open() {
        let public = |own: &str, reported: &str| {
            let own = Site::parse(own, "url", &mut Violations::default()).unwrap();
            own.public(reported).map(|site| site.as_text().to_owned())
        };
        let inner = "http://10.0.0.5:8080/jira";
        let outer = "https://jira.corp.example/jira";
        assert_eq!(public(inner, "https://jira.corp.example/jira/").as_deref(), Some(outer));
        assert_eq!(
            public("https://jira.corp.example", "https://issues.corp.example").as_deref(),
            Some("https://issues.corp.example")
        );
        assert_eq!(public("http://jira01:8080", "http://10.0.0.5").as_deref(), Some("http://10.0.0.5"));
        for reported in [
            "",
            "nonsense://",
            "https://u:p@x.example",
            "http://localhost:8080",
            "http://127.0.0.1",
            "ftp://x.example",
        ] {
            assert_eq!(public(inner, reported), None, "{reported}");
        }
        for reported in ["http://jira.corp.example", "https://jira01", "https://10.0.0.5"] {
            assert_eq!(public(outer, reported), None, "{reported}");
        }
    }

    #[test]
    fn path_keeps_context_and_encodes_segments() {
        let site = Site::parse("https://h.example/jira", "url", &mut Violations::default()).unwrap();
        assert_eq!(site.join(&["browse", "A/B?"]).as_str(), "https://h.example/jira/browse/A%2FB%3F");
    }
}
