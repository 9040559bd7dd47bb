use ticketing_vendor::SettingsDraft as _;

use super::*;

fn draft() -> SettingsDraft {
    SettingsDraft {
        url: Some("https://x.atlassian.net/browse/SEC-1".to_owned()),
        email: Some(" analyst@example.com ".to_owned()),
        project_key: Some(" SEC ".to_owned()),
        ..SettingsDraft::default()
    }
}

fn secret(kind: SecretKind, value: &str) -> Secret {
    Secret::new(kind, value)
}

fn parse(draft: &SettingsDraft, secret: Option<&Secret>) -> Result<Settings, Vec<String>> {
    let mut violations = Violations::default();
    let settings = Settings::parse(draft, secret, "jira", &mut violations);
    settings.ok_or_else(|| violations.iter().map(|violation| violation.field.clone()).collect())
}

#[test]
fn tidies_pasted_settings_and_defaults_to_task() {
    let settings = parse(&draft(), Some(&secret(SecretKind::ApiToken, "token\n"))).unwrap();
    assert_eq!(settings.site.as_text(), "https://x.atlassian.net");
    assert_eq!((settings.project_key.as_str(), settings.issue_type.as_str()), ("SEC", "Task"));
    assert_eq!(settings.flavour, Flavour::Cloud);
    assert_eq!(settings.origin(), "https://x.atlassian.net");
}

#[test]
fn every_violation_is_reported_at_once_with_its_path() {
    let bad = SettingsDraft {
        url: Some("nonsense://".to_owned()),
        project_key: Some("sec".to_owned()),
        cloud_id: Some("1234".to_owned()),
        labels: Some(vec!["two words".to_owned()]),
        ..SettingsDraft::default()
    };
    let fields = parse(&bad, Some(&secret(SecretKind::ApiToken, "a b"))).unwrap_err();
    let expected = [
        "jira.url",
        "jira.cloud_id",
        "jira.api_token",
        "jira.email",
        "jira.project_key",
        "jira.labels.values[0]",
    ];
    assert_eq!(fields, expected);
    assert_eq!(parse(&draft(), None).unwrap_err(), ["jira.api_token"]);
}

#[test]
fn refusal_of_pasted_secret_names_the_character() {
    let violation_of = |draft: &SettingsDraft, kind, value: &str| {
        let mut violations = Violations::default();
        Settings::parse(draft, Some(&secret(kind, value)), "jira", &mut violations);
        violations.to_string()
    };
    let api = SecretKind::ApiToken;
    let pat = SecretKind::PersonalAccessToken;
    for value in ["token\r\n", "\u{FEFF}token", "token\u{200B}", "\u{A0}token"] {
        assert_eq!(violation_of(&draft(), api, value), "", "{value:?}");
    }
    let wrong = violation_of(&draft(), api, "to\u{200B}ken");
    assert!(
        wrong.contains("jira.api_token: contains a zero-width space (U+200B) as character 3 of 6"),
        "{wrong}"
    );
    assert!(violation_of(&draft(), pat, "Bearer token").contains("begins with \"bearer \""));
    let on_premises = SettingsDraft { url: Some("https://jira.corp.example".to_owned()), ..draft() };
    for password in ["pass word", "pässword", "\"quoted\""] {
        assert_eq!(violation_of(&on_premises, api, password), "", "{password}");
        assert!(
            violation_of(&draft(), api, password).contains("jira.api_token"),
            "no token of Cloud: {password}"
        );
    }
    assert!(violation_of(&on_premises, api, "pass\u{200B}word").contains("U+200B"));
}

#[test]
fn refusal_of_pasted_email_names_the_character() {
    let violation_of = |email: &str| {
        let mut violations = Violations::default();
        let draft = SettingsDraft { email: Some(email.to_owned()), ..draft() };
        let settings =
            Settings::parse(&draft, Some(&secret(SecretKind::ApiToken, "token")), "jira", &mut violations);
        settings.map(|settings| settings.oddity.unwrap_or_default()).ok_or_else(|| violations.to_string())
    };
    for email in ["bot@corp.example\u{A0}", "\u{200B}bot@corp.example", "mailto:bot@corp.example"] {
        assert_eq!(violation_of(email), Ok(String::new()), "{email:?}");
    }
    for (email, words) in [
        ("bot\u{200B}@corp.example", "a zero-width space (U+200B) as character 4 of 17"),
        ("bot @corp.example", "a space (U+0020) as character 4"),
        ("Bot <bot@corp.example>", "a space"),
        ("<bot@corp.example>", "the address alone"),
        ("bot:x@corp.example", "a colon"),
    ] {
        assert!(violation_of(email).unwrap_err().contains(words), "{email}");
    }
    // A Cyrillic letter that looks like a Latin one is reported when the login is refused.
    assert!(violation_of("b\u{43E}t@corp.example").unwrap().contains("U+043E"));
}

#[test]
fn refuses_names_with_invisible_characters() {
    let token = secret(SecretKind::ApiToken, "token");
    for (field, draft) in [
        ("jira.project_key", SettingsDraft { project_key: Some("SE\u{200B}C".to_owned()), ..draft() }),
        ("jira.issue_type", SettingsDraft { issue_type: Some("Ta\u{AD}sk".to_owned()), ..draft() }),
        ("jira.labels.values[0]", SettingsDraft { labels: Some(vec!["a\u{2060}b".to_owned()]), ..draft() }),
    ] {
        assert_eq!(parse(&draft, Some(&token)).unwrap_err(), [field]);
    }
}

#[test]
fn refuses_gateway_as_site_and_completes_addresses() {
    let gateway = SettingsDraft { url: Some("https://api.atlassian.com/ex/jira/1".to_owned()), ..draft() };
    assert_eq!(parse(&gateway, Some(&secret(SecretKind::ApiToken, "token"))).unwrap_err(), ["jira.url"]);
    let pasted = SettingsDraft { url: Some("jira.corp.example/jira/login.jsp".to_owned()), ..draft() };
    assert_eq!(pasted.site_url(), "https://jira.corp.example/jira");
    assert_eq!(pasted.addresses(), [("url", "https://jira.corp.example/jira/login.jsp".to_owned())]);
    assert_eq!(SettingsDraft { url: Some("nonsense://".to_owned()), ..draft() }.site_url(), "nonsense://");
}

#[test]
fn refuses_label_with_space_and_eleventh_label() {
    let token = secret(SecretKind::ApiToken, "token");
    let many = SettingsDraft { labels: Some(vec!["a".to_owned(); 11]), ..draft() };
    assert_eq!(parse(&many, Some(&token)).unwrap_err(), ["jira.labels"]);
}

#[test]
fn pat_needs_no_email_and_gateway_is_in_origin() {
    let mut with_gateway = draft();
    with_gateway.email = None;
    let pat = secret(SecretKind::PersonalAccessToken, "pat");
    assert!(parse(&with_gateway, Some(&pat)).is_ok());
    with_gateway.cloud_id = Some("11223344-a1b2-3b33-c444-def123456789".to_owned());
    let settings = parse(&with_gateway, Some(&pat)).unwrap();
    assert_eq!(
        settings.origin(),
        "https://x.atlassian.net https://api.atlassian.com/11223344-a1b2-3b33-c444-def123456789"
    );
}

#[test]
fn debug_output_never_shows_a_secret() {
    for kind in [SecretKind::ApiToken, SecretKind::PersonalAccessToken] {
        let secret = secret(kind, "hunter2");
        let settings = parse(&draft(), Some(&secret)).unwrap();
        assert!(!format!("{secret:?} {settings:?}").contains("hunter2"));
        assert_eq!(
            settings.login.add_to(Redactor::default()).redact("bad token hunter2"),
            "bad token [secret]"
        );
    }
}

#[test]
fn merge_replaces_set_and_clears_empty_fields() {
    let mut merged = draft();
    merged.merge(SettingsDraft {
        email: Some(String::new()),
        issue_type: Some("Bug".to_owned()),
        ..SettingsDraft::default()
    });
    assert_eq!(merged, SettingsDraft { email: None, issue_type: Some("Bug".to_owned()), ..draft() });
}
