//! The instance, however people write it.

use url::Url;

const CLOUD_DOMAIN: &str = "service-now.com";

/// The origin of an instance: of a bare name, of a host, of an address, or of a page that somebody pasted. Plain http is
/// kept, for whether an address may be called is decided where calls go out.
///
/// # Errors
/// What is wrong with the text, for a person to read.
pub(crate) fn origin_of(text: &str) -> Result<Url, &'static str> {
    origin(&completed(text))
}

/// The whole address that a text stands for, otherwise as it was typed.
pub(crate) fn completed(text: &str) -> String {
    let text = text.trim();
    if is_bare_name(text) {
        return format!("https://{text}.{CLOUD_DOMAIN}");
    }
    if text.contains("://") {
        return text.to_owned();
    }
    let (host, path) = text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()));
    let host = if is_bare_name(host) { format!("{host}.{CLOUD_DOMAIN}") } else { host.to_owned() };
    format!("https://{host}{path}")
}

/// The address of an origin without a trailing slash.
pub(crate) fn text_of(origin: &Url) -> String {
    origin.as_str().trim_end_matches('/').to_owned()
}

fn is_bare_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
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
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_understood_however_it_is_written() {
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
        ];
        for (text, expected) in table {
            assert_eq!(origin_of(text).map(|url| text_of(&url)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_instance_is_refused() {
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
        ];
        for text in table {
            assert!(origin_of(text).is_err(), "{text}");
        }
    }
}
