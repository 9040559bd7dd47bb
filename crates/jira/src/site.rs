//! Reading the address of a Jira site as people paste it.

use ticketing_core::violation::Violations;
use url::{Host, Url};

const CLOUD_DOMAIN: &str = ".atlassian.net";
const PAGES: [&str; 6] = ["browse", "jira", "projects", "issues", "secure", "rest"];

/// An http or https address without a trailing slash, user name, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site(Url);

// === impl Site ===

impl Site {
    /// Reads an address; the address of a page on Jira Cloud is reduced to its site, a context path elsewhere is kept.
    pub(crate) fn parse(text: &str, field: &str, violations: &mut Violations) -> Option<Self> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&full).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
        let Some(mut url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            violations
                .add(field, "must be an http or https address, for example https://your-site.atlassian.net");
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            violations.add(field, "must not carry a user name or password: they have fields of their own");
            return None;
        }
        let cloud = is_cloud(&url);
        if !cloud && (url.query().is_some() || url.fragment().is_some()) {
            violations.add(field, "must end before any ? or #: give the address of the site, not of a page");
            return None;
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = if cloud { String::new() } else { context_path(url.path()) };
        url.set_path(&path);
        Some(Self(url))
    }

    pub(crate) fn is_cloud(&self) -> bool {
        is_cloud(&self.0)
    }

    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The address of something below the site, each segment encoded.
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

/// The part of a path before any page of Jira: a context path may itself be called `/jira`.
fn context_path(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let page = segments
        .iter()
        .enumerate()
        .position(|(index, segment)| PAGES.contains(segment) && !(index == 0 && *segment == "jira"));
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
        ];
        for (pasted, site) in table {
            assert_eq!(read(pasted).as_deref(), Some(site), "{pasted}");
        }
    }

    #[test]
    fn addresses_that_are_no_site_are_refused() {
        for text in [
            "",
            "ftp://x.example",
            "https://",
            "https://a:b@x.example",
            "https://x.example/?a=b",
            "https://x y",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_below_the_site_keeps_the_context_and_encodes_each_segment() {
        let site = Site::parse("https://h.example/jira", "url", &mut Violations::default()).unwrap();
        assert_eq!(site.join(&["browse", "A/B?"]).as_str(), "https://h.example/jira/browse/A%2FB%3F");
    }
}
