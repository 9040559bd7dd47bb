use super::*;

fn parse(proxy_url: &str, ca_certificates: &str) -> Result<Route, Vec<String>> {
    let draft = RouteDraft {
        proxy_url: Some(proxy_url.to_owned()),
        ca_certificates: Some(ca_certificates.to_owned()),
        proxy_username: None,
    };
    read(&draft, None)
}

fn read(draft: &RouteDraft, password: Option<&str>) -> Result<Route, Vec<String>> {
    let mut violations = Violations::default();
    let route = Route::parse(draft, password.map(SecretString::from).as_ref(), "jira", &mut violations);
    assert_eq!(route.is_none(), !violations.is_empty());
    route.ok_or_else(|| violations.iter().map(|violation| violation.field.clone()).collect())
}

fn with_login(proxy_url: &str, user: &str, password: &str) -> Result<Route, Vec<String>> {
    let [proxy_url, proxy_username] = [proxy_url, user].map(|text| Some(text.to_owned()));
    let draft = RouteDraft { proxy_url, proxy_username, ca_certificates: None };
    read(&draft, Some(password))
}

const PROXY: &str = "http://proxy.corp:3128";

#[test]
fn reports_missing_part_of_proxy_login() {
    let login = with_login(PROXY, " bot ", "pass word:é").unwrap().proxy.unwrap().login.unwrap();
    assert_eq!((login.user.as_str(), login.password.expose_secret()), ("bot", "pass word:é"));
    assert!(with_login(PROXY, "", "").unwrap().proxy.unwrap().login.is_none());
    let name = "jira.proxy_username";
    let password = "jira.proxy_password";
    assert_eq!(with_login("", "bot", "word").unwrap_err(), [name, password]);
    assert_eq!(with_login("", "bot", "").unwrap_err(), [name]);
    assert_eq!(with_login("", "", "word").unwrap_err(), [password]);
    assert_eq!(with_login(PROXY, "bot", "").unwrap_err(), [password]);
    assert_eq!(with_login(PROXY, "", "word").unwrap_err(), [name]);
    for user in ["a:b", "a\nb"] {
        assert_eq!(with_login(PROXY, user, "word").unwrap_err(), [name], "{user}");
    }
    assert_eq!(with_login(PROXY, "bot", "two\nlines").unwrap_err(), [password]);
}

#[test]
fn limits_length_of_proxy_login() {
    let name = "é".repeat(MAX_USERNAME);
    let password = "é".repeat(MAX_PASSWORD);
    assert!(with_login(PROXY, &name, &password).is_ok());
    let longer = with_login(PROXY, &format!("{name}x"), &format!("{password}x")).unwrap_err();
    assert_eq!(longer, ["jira.proxy_username", "jira.proxy_password"]);
}

#[test]
fn settings_login_takes_precedence_and_is_redacted() {
    let logins = ProxyLogins::parse("proxy.corp:3128 operator:other\n").unwrap();
    let proxy = |route: Route| route.proxy.unwrap();
    let (own, none) =
        (proxy(with_login(PROXY, "bot", "canary-word").unwrap()), proxy(parse(PROXY, "").unwrap()));
    assert_eq!(own.login(&logins).unwrap().user, "bot");
    assert_eq!(none.login(&logins).unwrap().user, "operator");
    assert!(!format!("{own:?}").contains("canary"));
    let header = STANDARD.encode("bot:canary-word");
    let redacted = own.login(&logins).unwrap().redact(&format!("you sent {header}, that is canary-word"));
    assert_eq!(redacted, "you sent [secret], that is [secret]");
}

#[test]
fn binds_proxy_password_to_proxy_and_authorities() {
    let binding = |url: &str, pem: Option<&str>| {
        let draft = RouteDraft { proxy_url: Some(url.to_owned()), ..RouteDraft::default() };
        RouteDraft { ca_certificates: pem.map(str::to_owned), ..draft }.proxy_binding()
    };
    assert_eq!(binding("http://Proxy.corp:3128/", Some("pem")).as_deref(), Some(PROXY));
    assert_eq!(binding("https://proxy.corp", None).as_deref(), Some("https://proxy.corp"));
    assert_ne!(binding("https://proxy.corp", Some("pem")), binding("https://proxy.corp", None));
    assert_eq!(binding(" ", None), None);
}

#[test]
fn accepts_proxy_origin_only() {
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
fn refuses_invalid_certificate() {
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for pem in ["nonsense", nonsense, key, &"x".repeat(MAX_CERTIFICATES + 1)] {
        assert_eq!(parse("", pem).unwrap_err(), ["jira.ca_certificates"], "{}", &pem[..8]);
    }
}

#[test]
fn binds_secret_to_proxy_and_authorities() {
    let draft = |proxy: Option<&str>, pem: Option<&str>| RouteDraft {
        proxy_url: proxy.map(str::to_owned),
        proxy_username: None,
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
fn selects_proxy_login_by_host_and_port() {
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
        assert_eq!(ProxyLogins::parse(&format!("\n{text}")).unwrap_err(), InvalidProxyLogin(2), "{text}");
    }
}

#[test]
fn parses_proxy_of_environment() {
    let route = Route::from_environment("http://bot:p%40ss@proxy.corp:3128", None).unwrap();
    let proxy = route.proxy.as_ref().unwrap();
    assert_eq!(proxy.url.as_str(), "http://proxy.corp:3128/");
    assert_eq!(proxy.login.as_ref().unwrap().password.expose_secret(), "p@ss");
    assert!(!format!("{route:?}").contains("p@ss"));
    assert!(Route::from_environment("socks5://proxy.corp", None).is_none());
}

#[test]
fn merges_route_drafts() {
    let draft: RouteDraft = serde_json::from_str("{}").unwrap();
    assert_eq!(draft, RouteDraft::default());
    let mut merged = RouteDraft { proxy_url: Some("http://a".to_owned()), ..draft };
    merged.merge(RouteDraft { ca_certificates: Some("pem".to_owned()), ..RouteDraft::default() });
    assert_eq!(
        (merged.proxy_url.as_deref(), merged.ca_certificates.as_deref()),
        (Some("http://a"), Some("pem"))
    );
    merged.merge(RouteDraft { proxy_url: Some(String::new()), ..RouteDraft::default() });
    assert_eq!(merged.proxy_url, None);
}
