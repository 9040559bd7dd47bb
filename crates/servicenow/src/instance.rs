//! Parses the address of an instance.

use ticketing_core::pasted;
use url::Url;

const CLOUD_DOMAIN: &str = "service-now.com";
/// ServiceNow hosts that are not customer instances.
const PORTALS: [&str; 8] = ["www", "hi", "signon", "support", "developer", "docs", "store", "partnerportal"];

/// The origin of an instance, from its name, host, address, or the URL of one of its pages. Plain http is kept: the
/// egress policy decides whether an address may be called.
///
/// # Errors
/// What is wrong with the text, for display.
pub(crate) fn origin_of(text: &str) -> Result<Url, &'static str> {
    origin(&completed(text))
}

/// The complete address of a text, if it can be completed, otherwise as entered. Instances of the vendor use
/// https, whatever was pasted.
pub(crate) fn completed(text: &str) -> String {
    let text = pasted::tidy_address(text);
    if text.is_empty() {
        return text;
    }
    let address = pasted::complete_address(&text);
    let Some((scheme, rest)) = address.split_once("://") else { return address };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if is_bare_name(host) && !text.contains("://") {
        return format!("https://{host}.{CLOUD_DOMAIN}{path}");
    }
    if scheme == "http" && host.to_ascii_lowercase().ends_with(&format!(".{CLOUD_DOMAIN}")) {
        return format!("https://{rest}");
    }
    address
}

/// The URL of an origin without a trailing slash.
pub(crate) fn text_of(origin: &Url) -> String {
    origin.as_str().trim_end_matches('/').to_owned()
}

fn is_bare_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_portal(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let name = host.strip_suffix(CLOUD_DOMAIN).and_then(|name| name.strip_suffix('.'));
    host == CLOUD_DOMAIN
        || name.is_some_and(|name| PORTALS.contains(&name))
        || host == "servicenow.com"
        || host.ends_with(".servicenow.com")
}

fn origin(text: &str) -> Result<Url, &'static str> {
    const EXAMPLES: &str =
        "must be the instance's name, host or address, for example acme or https://acme.service-now.com";
    let mut url = Url::parse(text).map_err(|_| EXAMPLES)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(EXAMPLES);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user name or password; give them as username and password");
    }
    if is_portal(&url) {
        return Err(
            "is a page of ServiceNow and not an instance; give yours, for example acme or https://acme.service-now.com",
        );
    }
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_form_of_an_instance() {
        let cloud = "https://acme.service-now.com";
        let table = [
            ("acme", cloud),
            (" ACME ", cloud),
            ("acme.service-now.com", cloud),
            ("acme.service-now.com/", cloud),
            ("https://acme.service-now.com", cloud),
            ("https://acme.service-now.com/nav_to.do?uri=incident.do%3Fsys_id%3D1#top", cloud),
            ("acme.service-now.com/now/nav/ui/classic", cloud),
            ("acme/nav_to.do", cloud),
            ("12345", "https://12345.service-now.com"),
            ("tickets.acme.example", "https://tickets.acme.example"),
            ("tickets.acme.example:8443", "https://tickets.acme.example:8443"),
            ("https://tickets.acme.example:8443/x", "https://tickets.acme.example:8443"),
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("localhost:4000", "https://localhost:4000"),
            ("http://acme.service-now.com/login.do", cloud),
            ("<https://ACME.Service-Now.com./now/nav/ui/home>,", cloud),
            ("\u{FEFF}acme\u{200B}", cloud),
            ("https:/acme.service-now.com/sp?id=index", cloud),
            ("https://acme.service-now.com/$pa_dashboard.do?sysparm_dashboard=1", cloud),
            ("\"acme.servicenowservices.com/\"", "https://acme.servicenowservices.com"),
        ];
        for (text, expected) in table {
            assert_eq!(origin_of(text).map(|url| text_of(&url)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_other_texts_than_instances() {
        let table = [
            "",
            "   ",
            "a b",
            "ftp://acme",
            "javascript:alert(1)",
            "https://",
            "https://u:p@acme.example",
            "user@acme.example",
            "//",
            "http://[::1",
            "https://developer.servicenow.com/dev.do",
            "https://acme.servicenow.com",
            "https://signon.service-now.com/x",
            "service-now.com",
        ];
        for text in table {
            assert!(origin_of(text).is_err(), "{text}");
        }
    }
}
