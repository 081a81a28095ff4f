//! Tests of the settings schema and of values against it.

use super::*;
use proptest::prelude::*;

fn spec(name: &str, kind: SettingKind) -> SettingSpec {
    SettingSpec {
        name: name.into(),
        label: "A label".into(),
        help: String::new(),
        required: false,
        kind,
    }
}

fn text(max_len: u32) -> SettingKind {
    SettingKind::Text { max_len, default: None }
}

fn number(min: f64, max: f64, step: Option<f64>, default: Option<f64>) -> SettingKind {
    SettingKind::Number { min, max, step, unit: "V".into(), default }
}

fn integer(min: i64, max: i64, default: Option<i64>) -> SettingKind {
    SettingKind::Integer { min, max, unit: "s".into(), default }
}

fn choice(default: Option<&str>) -> SettingKind {
    let entry = |value: &str| Choice { value: value.into(), label: value.to_uppercase() };
    SettingKind::Choice {
        choices: vec![entry("v1"), entry("v2c")],
        default: default.map(str::to_owned),
    }
}

/// A schema with one setting of each kind.
fn schema() -> Vec<SettingSpec> {
    let required = |spec| SettingSpec { required: true, ..spec };
    vec![
        required(spec("host", text(20))),
        spec("low-v", number(10.5, 30.0, Some(0.1), None)),
        spec("period-s", integer(1, 60, Some(5))),
        spec("quiet", SettingKind::Switch { default: false }),
        spec("version", choice(Some("v2c"))),
        spec("community", SettingKind::Secret { max_len: 16 }),
    ]
}

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_schema_goes_both_ways_and_reads_well_in_toml_style_json() {
    let json = serde_json::to_string(&schema()).unwrap();
    assert_eq!(serde_json::from_str::<Vec<SettingSpec>>(&json).unwrap(), schema());
    assert!(json.contains(r#""kind":{"switch":{"default":false}}"#), "{json}");
    for wrong in [
        r#"{"name":"a","label":"A","kind":{"switch":{"default":true,"extra":1}}}"#,
        r#"{"name":"a","label":"A","kind":{"switch":{}}}"#,
        r#"{"name":"a","label":"A","kind":{"knob":{}}}"#,
        r#"{"name":"a","label":"A","kind":{"secret":{"max_len":9}},"admin":true}"#,
    ] {
        assert!(serde_json::from_str::<SettingSpec>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn defaults_are_filled_in_and_secrets_are_not_repeated() {
    let values = check_settings(
        &schema(),
        &given(&[
            ("host", "ups.example"),
            ("low-v", "21.3"),
            ("community", "hunter2"),
            ("quiet", ""),
        ]),
    )
    .unwrap();
    let expected: BTreeMap<String, SettingValue> = [
        ("host", SettingValue::Text("ups.example".into())),
        ("low-v", SettingValue::Number(21.3)),
        ("period-s", SettingValue::Number(5.0)),
        ("quiet", SettingValue::Flag(false)),
        ("version", SettingValue::Text("v2c".into())),
        ("community", SettingValue::Secret),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    assert_eq!(values, expected);
    assert!(!format!("{values:?}").contains("hunter2"));
    let few = check_settings(&schema(), &given(&[("host", "a")])).unwrap();
    assert!(!few.contains_key("low-v") && !few.contains_key("community"));
}

#[test]
fn each_wrong_value_says_what_is_allowed() {
    let cases: [(&str, &str, &str); 15] = [
        ("port", "1", "no setting \"port\"; the plugin has: host, low-v"),
        ("host", "", "\"host\" is missing"),
        ("host", "a-name-that-is-too-long", "has 23 bytes; 1 to 20"),
        ("host", "a\u{202e}b", "one line of visible characters"),
        ("low-v", "21,3", "a number such as 10.5, not \"21,3\""),
        ("low-v", "inf", "must be a number"),
        ("low-v", "1e1", "must be a number"),
        ("low-v", "31", "must be 10.5 to 30 V, not 31"),
        ("low-v", "21.35", "steps of 0.1 from 10.5; 21.35 lies between"),
        ("period-s", "1.5", "a number such as 1"),
        ("period-s", "99999999999999999999", "a number such as 1"),
        ("period-s", "0", "must be 1 to 60 s, not 0"),
        ("quiet", "yes", "must be true or false, not \"yes\""),
        ("version", "v3", "must be one of v1, v2c"),
        ("community", "hunter2-hunter2-hunter2", "has 23 bytes; 1 to 16"),
    ];
    for (name, value, expected) in cases {
        let mut given = given(&[("host", "a")]);
        given.insert(name.into(), value.into());
        let error = check_settings(&schema(), &given).unwrap_err().to_string();
        assert!(error.contains(expected), "{name} = {value:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn each_broken_schema_is_named() {
    let one = |kind| vec![spec("a", kind)];
    let with = |change: fn(&mut SettingSpec)| {
        let mut spec = spec("a", SettingKind::Switch { default: true });
        change(&mut spec);
        vec![spec]
    };
    let cases: Vec<(&str, Vec<SettingSpec>)> = vec![
        ("settings", vec![spec("a", text(1)); 2]),
        ("settings", vec![spec("a", text(1)); 65]),
        ("settings.name", with(|s| s.name = "../a".into())),
        ("settings.label", with(|s| s.label.clear())),
        ("settings.help", with(|s| s.help = "a\u{200b}b".into())),
        ("settings.help", with(|s| s.help = "a".repeat(1001))),
        ("settings.required", with(|s| s.required = true)),
        ("settings.max_len", one(text(0))),
        ("settings.max_len", one(SettingKind::Secret { max_len: 1001 })),
        ("settings.min", one(number(2.0, 1.0, None, None))),
        ("settings.min", one(number(f64::NAN, 1.0, None, None))),
        ("settings.min", one(number(0.0, 1e13, None, None))),
        ("settings.step", one(number(0.0, 1.0, Some(0.0), None))),
        ("settings.step", one(number(0.0, 1.0, Some(f64::NAN), None))),
        ("settings.default", one(number(0.0, 1.0, Some(0.5), Some(0.7)))),
        ("settings.default", one(number(0.0, 1.0, None, Some(f64::NAN)))),
        ("settings.min", one(integer(0, i64::MAX, None))),
        ("settings.default", one(integer(0, 5, Some(6)))),
        ("settings.choices", one(SettingKind::Choice { choices: Vec::new(), default: None })),
        ("settings.default", one(choice(Some("v3")))),
        ("settings.default", one(SettingKind::Text { max_len: 1, default: Some("ab".into()) })),
    ];
    check_schema(&schema()).unwrap();
    check_schema(&with(|s| s.help = "First line.\nSecond line.".into())).unwrap();
    for (at, (name, specs)) in cases.into_iter().enumerate() {
        match check_schema(&specs) {
            Err(ManifestError::Field { field, .. }) => assert_eq!(field, name, "case {at}"),
            other => panic!("case {at}, {name}: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>(), name in 0..6usize) {
        let spec = &schema()[name];
        if let Ok(value) = spec.parse(&text) {
            // What was accepted is accepted again in the spelling given to the plugin.
            if value != SettingValue::Secret {
                prop_assert_eq!(spec.parse(&value.to_string()), Ok(value));
            }
        }
    }

    #[test]
    fn every_number_in_range_passes(value in 10.5f64..=30.0) {
        let spec = spec("a", number(10.5, 30.0, None, None));
        prop_assert_eq!(spec.parse(&value.to_string()), Ok(SettingValue::Number(value)));
    }
}
