use super::*;

fn parse(proxy_url: &str, ca_certificates: &str) -> Result<Route, Vec<String>> {
    let draft = RouteDraft {
        proxy_url: Some(proxy_url.to_owned()),
        ca_certificates: Some(ca_certificates.to_owned()),
    };
    let mut violations = Violations::default();
    let route = Route::parse(&draft, "jira", &mut violations);
    assert_eq!(route.is_none(), !violations.is_empty());
    route.ok_or_else(|| violations.iter().map(|violation| violation.field.clone()).collect())
}

#[test]
fn a_proxy_is_an_address_and_nothing_more() {
    assert!(parse("", " ").unwrap().is_plain());
    for url in ["http://proxy.corp:3128", " https://10.0.0.1/ ", "http://[fd00::1]:8080"] {
        assert!(parse(url, "").unwrap().proxy.is_some(), "{url}");
    }
    for url in [
        "proxy.corp:3128",
        "socks5://proxy.corp",
        "http://u:p@proxy.corp",
        "http://proxy/x",
        "http://proxy/?x",
    ] {
        assert_eq!(parse(url, "").unwrap_err(), ["jira.proxy_url"], "{url}");
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for pem in ["nonsense", nonsense, key, &"x".repeat(LONGEST_CERTIFICATES + 1)] {
        assert_eq!(parse("", pem).unwrap_err(), ["jira.ca_certificates"], "{}", &pem[..8]);
    }
}

#[test]
fn whoever_stands_on_the_way_is_a_part_of_what_a_secret_is_bound_to() {
    let draft = |proxy: Option<&str>, pem: Option<&str>| RouteDraft {
        proxy_url: proxy.map(str::to_owned),
        ca_certificates: pem.map(str::to_owned),
    };
    assert_eq!(draft(None, Some("  ")).binding(), None);
    let bindings = [
        draft(Some("http://a"), None),
        draft(Some("http://b"), None),
        draft(None, Some("one")),
        draft(None, Some("two")),
        draft(Some("http://a"), Some("one")),
    ]
    .map(|draft| draft.binding().unwrap());
    let different: std::collections::HashSet<_> = bindings.iter().collect();
    assert_eq!(different.len(), bindings.len());
    assert_eq!(draft(Some("http://a "), Some("one\n")).binding().as_ref(), Some(&bindings[4]));
}

#[test]
fn a_login_goes_to_the_proxy_that_it_stands_beside_and_is_never_printed() {
    let text = "# ours\n\nProxy.corp:3128 bot:canary:x\n10.0.0.1:443  b c\n".replace("b c", "b:c");
    let logins = ProxyLogins::parse(&text).unwrap();
    let of = |url: &str| logins.of(&url.parse().unwrap()).map(|login| login.user.clone());
    assert_eq!(of("http://proxy.corp:3128").as_deref(), Some("bot"));
    assert_eq!(of("https://10.0.0.1").as_deref(), Some("b"));
    for other in
        ["http://proxy.corp", "http://proxy.corp:3129", "http://x.proxy.corp:3128", "http://10.0.0.1"]
    {
        assert_eq!(of(other), None, "{other}");
    }
    assert!(!format!("{logins:?}").contains("canary"));
    for text in ["a b", "proxy:1", "proxy:1 user", "proxy user:p", "proxy:x u:p", "proxy:1 :p"] {
        assert_eq!(ProxyLogins::parse(&format!("\n{text}")).unwrap_err(), NotALogin(2), "{text}");
    }
}

#[test]
fn the_environment_names_a_proxy_with_its_login() {
    let route = Route::of_environment("http://bot:p%40ss@proxy.corp:3128", None).unwrap();
    let proxy = route.proxy.as_ref().unwrap();
    assert_eq!(proxy.url.as_str(), "http://proxy.corp:3128/");
    assert_eq!(proxy.login.as_ref().unwrap().password.expose_secret(), "p@ss");
    assert!(!format!("{route:?}").contains("p@ss"));
    assert!(Route::of_environment("socks5://proxy.corp", None).is_none());
}

#[test]
fn a_way_is_saved_beside_other_settings_and_absent_ones_are_read_as_none() {
    let draft: RouteDraft = serde_json::from_str("{}").unwrap();
    assert_eq!(draft, RouteDraft::default());
    let mut merged = RouteDraft { proxy_url: Some("http://a".to_owned()), ..draft };
    merged.merge(RouteDraft { proxy_url: None, ca_certificates: Some("pem".to_owned()) });
    assert_eq!(
        (merged.proxy_url.as_deref(), merged.ca_certificates.as_deref()),
        (Some("http://a"), Some("pem"))
    );
    merged.merge(RouteDraft { proxy_url: Some(String::new()), ca_certificates: None });
    assert_eq!(merged.proxy_url, None);
}
