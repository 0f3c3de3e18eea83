//! What is left out, and why.

use super::*;

/// Looks at fields of hits, and leaves out whatever is not called a bot.
pub(super) fn any() -> Filters {
    Filters {
        drop: vec![rule("excluded", "exclude.value", &["yes"])],
        only: vec![condition("bot", &["<Bot>"])],
    }
}

fn condition(field: &str, values: &[&str]) -> Condition {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Condition { field: field.into(), values, ignore_case: false }
}

fn rule(name: &str, field: &str, values: &[&str]) -> Rule {
    Rule { name: name.into(), when: condition(field, values) }
}

/// What becomes of an event with these members; `None` if it stays.
#[track_caller]
fn reason(filters: &Filters, members: &str) -> Option<String> {
    let config = Config { filters: filters.clone(), ..config() };
    let line = format!(r#"{{"id":"1","offset":"7","processed":"1970-01-01T00:00:05Z",{members}}}"#);
    match Extractor::new(&config).unwrap().extract(line.as_bytes()) {
        Ok(Line::Event(_)) => None,
        Ok(Line::Filtered { reason, processed_ms, offset }) => {
            assert_eq!((processed_ms, offset.as_deref()), (Some(5000), Some(&b"7"[..])));
            Some(filters.reasons()[reason].to_string())
        }
        other => panic!("{members}: {other:?}"),
    }
}

#[test]
fn what_is_no_event_is_nothing_to_leave_out() {
    let config = Config { filters: any(), ..config() };
    let extractor = Extractor::new(&config).unwrap();
    for line in [r#"{"offset":"7","events":[{"id":"1"}]}"#, r#"{"exclude":{"value":"yes"},"offset":"7"}"#] {
        let found = extractor.extract(line.as_bytes());
        assert!(matches!(found, Err(ExtractError::NoId { offset: Some(_) })), "{line}: {found:?}");
    }
}

#[test]
fn the_first_rule_that_takes_an_event_is_the_reason() {
    let drop = vec![rule("sends", "type", &["SEND"]), rule("tests", "body.x", &["a", "", "7", "-1", "true"])];
    let filters = Filters { drop, only: Vec::new() };
    for (members, expected) in [
        (r#""type":"SEND""#, Some("sends")),
        (r#""type":"SEND","body":{"x":"a"}"#, Some("sends")),
        (r#""type":"send""#, None),
        (r#""type":"S\u0045ND""#, Some("sends")),
        (r#""type":"OPEN","body":{"x":"a"}"#, Some("tests")),
        (r#""body":{"x":""}"#, Some("tests")),
        (r#""body":{"x":7}"#, Some("tests")),
        (r#""body":{"x":-1}"#, Some("tests")),
        (r#""body":{"x":true}"#, Some("tests")),
        (r#""body":{"x":false}"#, None),
        (r#""body":{"x":7.0}"#, None),
        (r#""body":{"x":null}"#, None),
        (r#""body":{"x":["a"]}"#, None),
        (r#""body":{"x":{"x":"a"}}"#, None),
        (r#""body":{"x":"a","x":"b"}"#, None),
        (r#""x":"a""#, None),
    ] {
        assert_eq!(reason(&filters, members).as_deref(), expected, "{members}");
    }
}

#[test]
fn only_what_one_condition_takes_stays() {
    let only = vec![condition("type", &["OPEN", "CLOSE"]), condition("body.x", &["a"])];
    let filters = Filters { drop: vec![rule("b", "body.y", &["b"])], only };
    for (members, expected) in [
        (r#""type":"OPEN""#, None),
        (r#""type":"CLOSE""#, None),
        (r#""type":"SEND""#, Some("only")),
        (r#""type":"SEND","body":{"x":"a"}"#, None),
        (r#""body":{}"#, Some("only")),
        (r#""type":"OPEN","body":{"y":"b"}"#, Some("b")),
        (r#""type":"SEND","body":{"y":"b"}"#, Some("b")),
    ] {
        assert_eq!(reason(&filters, members).as_deref(), expected, "{members}");
    }
    assert_eq!(Filters::default().reasons(), []);
    assert_eq!(reason(&Filters::default(), r#""type":"OPEN""#), None);
}
