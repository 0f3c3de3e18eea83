//! Lists of headers.

use super::{SMALL, errors, parse};
use crate::sink::kafka::config::{EventHeader, EventHeaders};

#[test]
fn a_list_names_single_static_and_field_headers() {
    let keys = r#"headers = ["ce_id", { name = "env", value = "" }, { name = "os", field = "device.attributes.os" }, "ce_type"]"#;
    let config = parse(&format!("{SMALL}{keys}\n")).unwrap();
    let stream = &config.plan.streams[0];
    let expected = [
        EventHeader::Standard("ce_id"),
        EventHeader::Static { name: "env".into(), value: String::new() },
        EventHeader::Field { name: "os".into() },
        EventHeader::Standard("ce_type"),
    ];
    assert_eq!(stream.headers, EventHeaders::List(expected.to_vec()));
    assert_eq!(stream.extract.header_fields, ["device.attributes.os"]);
    assert_eq!(parse(&config.render()).unwrap().effective, config.effective);
    let empty = parse(&format!("{SMALL}headers = []\n")).unwrap();
    assert_eq!(empty.plan.streams[0].headers, EventHeaders::List(Vec::new()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (list, at, part) in [
        ("\"ce_idd\"", "headers[0]", "did you mean `ce_id`?"),
        ("7", "headers[0]", "expected a name such as"),
        ("{ name = \"a\" }", "headers[0]", "exactly one of the keys `value` and `field`"),
        ("{ name = \"a\", value = \"b\", field = \"c\" }", "headers[0]", "exactly one of"),
        ("{ value = \"b\" }", "headers[0].name", "missing"),
        ("{ name = \"a b\", value = \"b\" }", "headers[0].name", "visible ASCII"),
        ("{ name = \"\", value = \"b\" }", "headers[0].name", "visible ASCII"),
        ("{ name = \"a\", field = \"b..c\" }", "headers[0].field", "expected member names"),
        ("{ name = \"a\", feild = \"b\", value = \"c\" }", "headers[0].feild", "did you mean `field`?"),
        (
            "\"ce_id\", { name = \"ce_id\", value = \"b\" }",
            "headers[1]",
            "there is a header \"ce_id\" before it",
        ),
    ] {
        let found = errors(&format!("{SMALL}headers = [{list}]\n"));
        let right =
            found.len() == 1 && found[0].starts_with(&format!("stream[0].{at}: ")) && found[0].contains(part);
        assert!(right, "{list}: {found:#?}");
    }
}
