//! `only` and `drop` of both kinds, and what of them is refused.

use super::{SMALL, errors, parse};

#[test]
fn words_and_fields_are_read() {
    let keys = r#"
        only = ["OPEN", { field = "body.\"a.b\"", is = ["x", "7"] }]
        drop = ["SEND", { name = "tests", field = "body.test", is = ["true"] }]
    "#;
    let config = parse(&format!("{SMALL}{keys}")).unwrap();
    let filters = &config.plan.streams[0].extract.filters;
    let rules: Vec<_> =
        filters.drop.iter().map(|rule| (&*rule.name, &*rule.when.field, &*rule.when.values)).collect();
    assert_eq!(
        rules,
        [("SEND", "type", &["SEND".to_owned()][..]), ("tests", "body.test", &["true".to_owned()])]
    );
    let only: Vec<_> =
        filters.only.iter().map(|when| (&*when.field, when.values.join(" "), when.ignore_case)).collect();
    assert_eq!(only, [("type", "OPEN".to_owned(), false), ("body.\"a.b\"", "x 7".to_owned(), false)]);
    assert_eq!(parse(&config.render()).unwrap().plan.streams[0].extract.filters, *filters);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let one = |keys: &str, at: &str, part: &str| {
        let found = errors(&format!("{SMALL}{keys}\n"));
        let right =
            found.len() == 1 && found[0].starts_with(&format!("stream[0].{at}: ")) && found[0].contains(part);
        assert!(right, "{keys}: {found:#?}");
    };
    one("drop = [\"bot\"]", "drop[0]", "event type in upper case");
    one("only = [\"open\"]", "only[0]", "event type in upper case");
    one("drop = [7]", "drop[0]", "expected a word or { name");
    one("drop = \"SEND\"", "drop", "expected a list");
    let rule = |rule: &str, at: &str, part: &str| {
        one(&format!("drop = [{{ {rule} }}]"), &format!("drop[0]{at}"), part)
    };
    rule("field = \"a\", is = [\"x\"]", ".name", "missing");
    rule("name = \"n\", is = [\"x\"]", ".field", "missing");
    rule("name = \"n\", field = \"a\"", ".is", "missing");
    rule("name = \"n\", field = \"a\", is = []", ".is", "must not be empty");
    rule("name = \"n\", field = \"a..b\", is = [\"x\"]", ".field", "expected member names");
    rule("name = \"a b\", field = \"a\", is = [\"x\"]", ".name", "expected 1 to 100 letters");
    rule("name = \"only\", field = \"a\", is = [\"x\"]", ".name", "choose another name");
    rule("name = \"n\", field = \"a\", is = [1]", ".is[0]", "expected a string");
    rule("name = \"n\", field = \"a\", feild = \"a\", is = [\"x\"]", ".feild", "did you mean `field`");
    one(
        "drop = [\"SEND\", { name = \"SEND\", field = \"a\", is = [\"x\"] }]",
        "drop[1]",
        "drop[0] has this name",
    );
    one("only = [{ name = \"n\", field = \"a\", is = [\"x\"] }]", "only[0].name", "has no effect");
    let redact = "redact = [{ path = \"body\", action = \"drop\" }]\n";
    for key in ["only", "drop"] {
        let name = if key == "drop" { "name = \"n\", " } else { "" };
        let rule = format!("{key} = [{{ {name}field = \"body.x\", is = [\"x\"] }}]");
        one(&format!("{redact}{rule}"), "redact[0].path", &format!("what `{key}` looks at"));
    }
}
