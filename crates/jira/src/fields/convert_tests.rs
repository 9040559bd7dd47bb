use super::*;

fn field(kind: FieldKind, is_list: bool, allowed: Option<&[(&str, &str)]>) -> Field {
    let offered = |(id, label): &(&str, &str)| Allowed {
        id: (*id).to_owned(),
        label: (*label).to_owned(),
        is_disabled: label.starts_with("Old"),
        children: vec![],
    };
    let allowed = allowed.map(|allowed| allowed.iter().map(offered).collect());
    Field { kind, is_list, allowed, ..Field::assumed("customfield_1") }
}

fn converted(field: &Field, given: &GivenValue, api: Api) -> Result<Value, String> {
    let user = |email: &str| match email {
        "known@b.example" => UserId::Found("712020:7".to_owned()),
        "absent@b.example" => UserId::Absent("no such user".to_owned()),
        _ => UserId::Unknown,
    };
    convert(field, given, &Known { api, user: &user }).map_err(|refusal| match refusal {
        Refusal::Wrong(what) => what,
        Refusal::UnknownUser(email) => format!("unknown {email}"),
    })
}

fn text(field: &Field, text: &str) -> Result<Value, String> {
    converted(field, &GivenValue::Text(text.to_owned()), Api::V3)
}

fn given(field: &Field, value: Value) -> Result<Value, String> {
    converted(field, &GivenValue::Json(value), Api::V3)
}

#[test]
fn text_becomes_the_value_of_each_type() {
    let colors: Option<&[_]> = Some(&[("1", "Red"), ("2", "Light blue, pale"), ("3", "Old green")]);
    let table = [
        (field(FieldKind::Text, false, None), "a\nb", json!("a b")),
        (field(FieldKind::Url, false, None), "https://a.example/x", json!("https://a.example/x")),
        (field(FieldKind::Number, false, None), "3.5", json!(3.5)),
        (field(FieldKind::Number, false, None), "42", json!(42)),
        (field(FieldKind::Date, false, None), "2026-11-29", json!("2026-11-29")),
        (field(FieldKind::Date, false, None), "2026-11-29T23:00:00-05:00", json!("2026-11-30")),
        (
            field(FieldKind::DateTime, false, None),
            "2026-11-29T14:39:00Z",
            json!("2026-11-29T14:39:00.000+0000"),
        ),
        (field(FieldKind::DateTime, false, None), "2026-11-29", json!("2026-11-29T00:00:00.000+0000")),
        (field(FieldKind::Option, false, colors), "red", json!({ "id": "1" })),
        (field(FieldKind::Option, false, colors), "2", json!({ "id": "2" })),
        (field(FieldKind::Option, false, None), "red", json!({ "value": "red" })),
        (field(FieldKind::Option, true, colors), "Light blue, pale", json!([{ "id": "2" }])),
        (
            field(FieldKind::Option, true, colors),
            "Light blue, pale\nRed",
            json!([{ "id": "2" }, { "id": "1" }]),
        ),
        (field(FieldKind::Named, true, None), "Net, Web", json!([{ "name": "Net" }, { "name": "Web" }])),
        (field(FieldKind::User, false, None), "known@b.example", json!({ "accountId": "712020:7" })),
        (field(FieldKind::User, false, None), "712020:9", json!({ "accountId": "712020:9" })),
        (field(FieldKind::Group, false, None), "soc", json!({ "name": "soc" })),
        (field(FieldKind::Label, true, None), "a b,c", json!(["a", "b", "c"])),
        (field(FieldKind::Sprint, false, None), "37", json!(37)),
        (field(FieldKind::EpicLink, false, None), "SEC-1", json!("SEC-1")),
        (field(FieldKind::Issue, false, None), "SEC-1", json!({ "key": "SEC-1" })),
        (field(FieldKind::Issue, false, None), "10001", json!({ "id": "10001" })),
        (field(FieldKind::Team, false, None), "36885b3c", json!("36885b3c")),
        (field(FieldKind::Any, false, None), "{\"key\": 1}", json!({ "key": 1 })),
        (field(FieldKind::Any, false, None), "plain", json!("plain")),
    ];
    for (field, given, expected) in table {
        assert_eq!(text(&field, given), Ok(expected), "{:?} {given}", field.kind);
    }
}

#[test]
fn rich_text_is_adf_on_cloud_and_wiki_on_data_center() {
    let field = field(FieldKind::RichText, false, None);
    let value = GivenValue::Text("*a*\nb".to_owned());
    assert_eq!(converted(&field, &value, Api::V3).unwrap()["type"], "doc");
    let wiki = converted(&field, &value, Api::V2).unwrap();
    assert!(wiki.as_str().unwrap().contains("*a*\nb"), "{wiki}");
    let user = GivenValue::Text("jdoe".to_owned());
    assert_eq!(
        converted(&super::Field { kind: FieldKind::User, ..field }, &user, Api::V2),
        Ok(json!({ "name": "jdoe" }))
    );
}

#[test]
fn wrong_text_is_named_with_what_fits() {
    let colors: Option<&[_]> = Some(&[("1", "Red"), ("2", "Blue"), ("3", "Old green")]);
    let table = [
        (field(FieldKind::Number, false, None), "three", "takes a number"),
        (field(FieldKind::Number, false, None), "NaN", "takes a number"),
        (field(FieldKind::Date, false, None), "09/Jun/19", "takes a date such as 2026-11-29"),
        (field(FieldKind::DateTime, false, None), "soon", "takes a time"),
        (field(FieldKind::Url, false, None), "javascript:alert(1)", "takes an absolute URL"),
        (field(FieldKind::Option, false, colors), "Bleu", "takes no value \"Bleu\"; nearest: Blue, Red"),
        (field(FieldKind::Option, false, colors), "old green", "is disabled"),
        (field(FieldKind::Option, true, colors), "Red, pink", "takes no value \"pink\""),
        (field(FieldKind::Option, false, Some(&[])), "x", "Jira offers none"),
        (field(FieldKind::Sprint, false, None), "Sprint 4", "takes the number of a sprint"),
        (field(FieldKind::User, false, None), "absent@b.example", "no such user"),
        (field(FieldKind::User, false, None), "new@b.example", "unknown new@b.example"),
    ];
    for (field, given, expected) in table {
        let wrong = text(&field, given).unwrap_err();
        assert!(wrong.contains(expected), "{:?} {given}: {wrong}", field.kind);
    }
}

#[test]
fn cascading_choice_is_checked_at_both_levels() {
    let mut field = field(FieldKind::Cascading, false, Some(&[("1", "Europe")]));
    let child =
        Allowed { id: "11".to_owned(), label: "Paris".to_owned(), is_disabled: false, children: vec![] };
    field.allowed.as_mut().unwrap()[0].children.push(child);
    assert_eq!(text(&field, "Europe > Paris"), Ok(json!({ "id": "1", "child": { "id": "11" } })));
    assert_eq!(text(&field, "europe"), Ok(json!({ "id": "1" })));
    assert!(text(&field, "Europe > Rome").unwrap_err().contains("nearest: Paris"));
    field.allowed = None;
    assert_eq!(text(&field, "A > B"), Ok(json!({ "value": "A", "child": { "value": "B" } })));
}

#[test]
fn json_is_sent_as_it_is_if_its_form_fits() {
    let colors: Option<&[_]> = Some(&[("1", "Red")]);
    let fitting = [
        (field(FieldKind::Option, false, colors), json!({ "id": "1" })),
        (field(FieldKind::Option, false, colors), json!({ "value": "Red" })),
        (field(FieldKind::Option, true, colors), json!([{ "value": "Red" }])),
        (field(FieldKind::User, false, None), json!({ "accountId": "1" })),
        (field(FieldKind::Number, false, None), json!(3.5)),
        (field(FieldKind::Any, false, None), json!([{ "workspaceId": "w" }])),
        (field(FieldKind::Option, false, colors), Value::Null),
    ];
    for (field, value) in fitting {
        assert_eq!(given(&field, value.clone()), Ok(value), "{:?}", field.kind);
    }
    assert_eq!(given(&field(FieldKind::Option, true, colors), json!(["red"])), Ok(json!([{ "id": "1" }])));
    let wrong = [
        (field(FieldKind::Option, false, colors), json!({ "id": "9" }), "takes no value \"9\"; nearest: Red"),
        (field(FieldKind::Option, false, colors), json!([1]), "{\"value\": …}"),
        (field(FieldKind::Option, true, colors), json!({ "id": "1" }), "takes a list"),
        (field(FieldKind::Text, false, None), json!(3), "takes a text, not a number"),
        (field(FieldKind::RichText, false, None), json!({ "type": "paragraph" }), "an ADF document"),
    ];
    for (field, value, expected) in wrong {
        let refusal = given(&field, value).unwrap_err();
        assert!(refusal.contains(expected), "{:?}: {refusal}", field.kind);
    }
}
