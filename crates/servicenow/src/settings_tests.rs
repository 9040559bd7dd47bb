use ticketing_vendor::SettingsDraft as _;

use super::*;

fn draft() -> SettingsDraft {
    SettingsDraft {
        instance: Some("acme".to_owned()),
        username: Some("rhythmx".to_owned()),
        ..SettingsDraft::default()
    }
}

fn violations_of(draft: &SettingsDraft, password: Option<&str>) -> Vec<String> {
    let password = password.map(SecretString::from);
    let mut violations = Violations::default();
    let settings = Settings::parse(draft, password.as_ref(), "servicenow", &mut violations);
    assert_eq!(settings.is_some(), violations.is_empty());
    violations.iter().map(|violation| violation.field.clone()).collect()
}

fn parsed(draft: &SettingsDraft) -> Settings {
    let mut violations = Violations::default();
    let password = SecretString::from("open sesame");
    Settings::parse(draft, Some(&password), "servicenow", &mut violations).unwrap()
}

#[test]
fn minimal_settings_use_defaults() {
    let settings = parsed(&draft());
    assert_eq!((settings.table.as_str(), settings.assignment_group), ("incident", None));
    assert_eq!(settings.priorities, PriorityMatrix::default());
}

#[test]
fn password_is_bound_to_origin() {
    let mut other = draft();
    other.instance = Some("https://acme.service-now.com/nav_to.do?uri=x".to_owned());
    assert_eq!(parsed(&draft()).origin(), "https://acme.service-now.com");
    assert_eq!(other.origin().as_deref(), Some("https://acme.service-now.com"));
}

#[test]
fn reports_every_violation_with_path() {
    let pair = |impact, urgency| Some(ImpactUrgencyDraft { impact, urgency });
    let bad = SettingsDraft {
        instance: Some("https://user:word@acme.example".to_owned()),
        username: Some("a:b".to_owned()),
        assignment_group: Some("SOC^active=true".to_owned()),
        table: Some("Incident/1".to_owned()),
        priorities: PrioritiesDraft { critical: pair(0, 1), low: pair(1, 300), ..PrioritiesDraft::default() },
        public_url: Some("ftp://x".to_owned()),
        route: RouteDraft::default(),
    };
    let expected = [
        "servicenow.instance",
        "servicenow.username",
        "servicenow.public_url",
        "servicenow.assignment_group",
        "servicenow.table",
        "servicenow.priorities.critical.impact",
        "servicenow.priorities.low.urgency",
        "servicenow.password",
    ];
    assert_eq!(violations_of(&bad, Some("")), expected);
    let missing = ["servicenow.instance", "servicenow.username", "servicenow.password"];
    assert_eq!(violations_of(&SettingsDraft::default(), None), missing);
}

#[test]
fn accepts_unfinished_draft() {
    let mut violations = Violations::default();
    SettingsDraft::default().check("servicenow", &mut violations);
    assert!(violations.is_empty());
}

#[test]
fn refuses_script_and_two_lines_as_group() {
    for name in ["javascript:gs.getUserID()", "two\nlines", "a^b", &"x".repeat(256)] {
        let bad = SettingsDraft { assignment_group: Some(name.to_owned()), ..draft() };
        assert_eq!(violations_of(&bad, Some("x")), ["servicenow.assignment_group"], "{name}");
    }
}

#[test]
fn group_of_32_hex_digits_is_sys_id() {
    let group = |text: &str| {
        parsed(&SettingsDraft { assignment_group: Some(text.to_owned()), ..draft() }).assignment_group
    };
    let id = "D625DCCEC0A8016700A222A0F7900D06";
    assert_eq!(group(id), Some(AssignmentGroup::SysId(id.to_lowercase())));
    assert_eq!(group(" Security Operations "), Some(AssignmentGroup::Name("Security Operations".to_owned())));
}

#[test]
fn patch_replaces_set_and_clears_empty_fields() {
    let mut settings = SettingsDraft { assignment_group: Some("SOC".to_owned()), ..draft() };
    let pair = ImpactUrgencyDraft { impact: 1, urgency: 3 };
    settings.merge(SettingsDraft {
        instance: Some("other".to_owned()),
        assignment_group: Some(String::new()),
        priorities: PrioritiesDraft { high: Some(pair), ..PrioritiesDraft::default() },
        ..SettingsDraft::default()
    });
    assert_eq!(settings.instance.as_deref(), Some("other"));
    assert_eq!(settings.username.as_deref(), Some("rhythmx"));
    assert_eq!(settings.assignment_group, None);
    assert_eq!(settings.priorities().high, ImpactUrgency::new(1, 3));
    assert_eq!(settings.priorities().critical, PriorityMatrix::default().critical);
}

#[test]
fn debug_output_hides_the_password() {
    assert!(!format!("{:?}", parsed(&draft())).contains("sesame"));
}

#[test]
fn refusal_of_pasted_login_names_the_character() {
    let parsed = |username: &str, password: &str| {
        let draft = SettingsDraft { username: Some(username.to_owned()), ..draft() };
        let mut violations = Violations::default();
        let settings =
            Settings::parse(&draft, Some(&SecretString::from(password)), "servicenow", &mut violations);
        settings.ok_or_else(|| violations.to_string())
    };
    let settings = parsed("\u{FEFF}abel tuter\u{200B}", "pass word\r\n").unwrap();
    assert_eq!((settings.username.as_str(), settings.password.expose_secret()), ("abel tuter", "pass word"));
    assert_eq!(settings.oddity(), None);
    assert_eq!(parsed("x", "pässword").unwrap().password.expose_secret(), "pässword");
    assert!(parsed("x", "password ").unwrap().oddity().unwrap().contains("ends with a space"));
    let wrong = parsed("a\u{200B}b", "pa\u{2060}ss").unwrap_err();
    assert!(
        wrong.contains("servicenow.username: contains a zero-width space (U+200B) as character 2 of 3"),
        "{wrong}"
    );
    assert!(
        wrong.contains("servicenow.password: contains a word joiner (U+2060) as character 3 of 5"),
        "{wrong}"
    );
}

#[test]
fn impact_and_urgency_go_up_to_five() {
    let of = |impact, urgency| {
        let critical = Some(ImpactUrgencyDraft { impact, urgency });
        SettingsDraft { priorities: PrioritiesDraft { critical, ..PrioritiesDraft::default() }, ..draft() }
    };
    assert_eq!(parsed(&of(4, 5)).priorities.critical, ImpactUrgency::new(4, 5));
    let field = "servicenow.priorities.critical.urgency";
    assert_eq!(violations_of(&of(1, 6), Some("x")), [field]);
    assert_eq!(violations_of(&of(1, 0), Some("x")), [field]);
}

#[test]
fn links_use_public_address_if_set() {
    let mut public = draft();
    assert_eq!(parsed(&public).public.as_str(), "https://acme.service-now.com/");
    public.public_url = Some("https://help.acme.example/sp?id=x".to_owned());
    assert_eq!(parsed(&public).public.as_str(), "https://help.acme.example/");
    assert_eq!(public.public_url(), "https://help.acme.example");
}
