//! Redaction by examples; `properties` compares it with a slow one that reads by serde_json.

use super::*;

mod oracle;
mod properties;

const KEY: &str = "a key of redaction";

fn secret() -> SecretSource {
    SecretSource::Value(Secret::new(KEY))
}

fn rules(rules: &[(&str, Action)]) -> Config {
    let rule = |(path, action): &(&str, Action)| Rule { path: (*path).to_owned(), action: action.clone() };
    Config {
        rules: rules.iter().map(rule).collect(),
        spelling: Spelling::default(),
        key_from: Form::default(),
        dead_letters: Form::default(),
    }
}

fn redactor(config: &Config) -> Redactor {
    let secrets: Vec<Secret> = config.secrets().map(|secret| secret.read().unwrap()).collect();
    Redactor::new(config, &secrets).unwrap()
}

/// The line redacted by these rules, or `None` where it is refused.
fn redacted(config: &Config, line: &[u8]) -> Option<Vec<u8>> {
    // What an earlier line left must not matter.
    let mut scratch = b"left over".to_vec();
    redactor(config).redact(line, &mut scratch).ok().map(<[u8]>::to_vec)
}

#[track_caller]
fn assert_redacted(config: &Config, line: &str, expected: &str) {
    let found = redacted(config, line.as_bytes()).map(|found| String::from_utf8(found).unwrap());
    assert_eq!(found.as_deref(), Some(expected), "{line}");
}

fn hash(text: &str) -> String {
    use base64::Engine as _;
    use hmac::Mac;
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap().chain_update(text).finalize();
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes())
}

#[test]
fn the_hash_is_that_of_rfc_4231() {
    let config = rules(&[("a", Action::Hash(SecretSource::Value(Secret::new("Jefe"))))]);
    assert_redacted(
        &config,
        r#"{"a":"what do ya want for nothing?"}"#,
        r#"{"a":"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM"}"#,
    );
}

#[test]
fn a_member_goes_with_one_comma() {
    let config = rules(&[("b", Action::Drop)]);
    for (line, expected) in [
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"c":3}"#),
        (r#"{"b":2,"c":3}"#, r#"{"c":3}"#),
        (r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        (r#"{"b":2}"#, "{}"),
        (r#"{ "b" : 2 }"#, "{  }"),
        (r#"{"b":1,"b":2,"a":3,"b":4,"b":5,"c":6,"b":7}"#, r#"{"a":3,"c":6}"#),
        (r#"{ "a": 1, "b": 2 }"#, r#"{ "a": 1 }"#),
        (r#"{ "b": 1, "a": 2 }"#, r#"{ "a": 2 }"#),
        ("{\n  \"b\": [1, {}],\n  \"a\": 2\n}", "{\n  \"a\": 2\n}"),
        ("{\n  \"a\": 2,\n  \"b\": [1, {}]\n}", "{\n  \"a\": 2\n}"),
        (r#"{"a":1 , "b":2 , "c":3}"#, r#"{"a":1  , "c":3}"#),
        (r#"{"\u0062":1,"a":{"b":2}}"#, r#"{"a":{"b":2}}"#),
    ] {
        assert_redacted(&config, line, expected);
    }
}

#[test]
fn a_hash_takes_the_text_or_the_bytes() {
    let config = rules(&[("a", Action::Hash(secret()))]);
    for (value, hashed) in [
        (r#""ab c""#, "ab c"),
        (r#""\u0061b\u0020c""#, "ab c"),
        (r#""\ud83d\ude00\/\"""#, "😀/\""),
        ("42", "42"),
        (r#""42""#, "42"),
        ("4.20e+1", "4.20e+1"),
        ("true", "true"),
        (r#"{ "x" : [1,2] }"#, r#"{ "x" : [1,2] }"#),
        ("{}", "{}"),
    ] {
        assert_redacted(
            &config,
            &format!(r#"{{"a":{value},"b":1}}"#),
            &format!(r#"{{"a":"{}","b":1}}"#, hash(hashed)),
        );
    }
    let (x, y, o) = (hash("x"), hash("y"), hash(r#"{"z":1}"#));
    assert_redacted(
        &config,
        r#"{"a":["x",[ "y",{"z":1}],null, []]}"#,
        &format!(r#"{{"a":["{x}",[ "{y}","{o}"],null, []]}}"#),
    );
    for empty in ["null", r#""""#, "[]", r#"[null,""]"#] {
        let line = format!(r#"{{"a":{empty}}}"#);
        assert_redacted(&config, &line, &line);
    }
}

#[test]
fn an_address_loses_its_end_and_what_is_none_goes() {
    let config = rules(&[("ip", Action::Truncate)]);
    for (value, expected) in [
        (r#""198.51.100.24""#, Some(r#""198.51.100.0""#)),
        (r#""198.51.100.0""#, Some(r#""198.51.100.0""#)),
        (r#""\u0031.2.3.4""#, Some(r#""1.2.3.0""#)),
        (r#""2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff""#, Some(r#""2001:db8:aaaa::""#)),
        (r#""::1""#, Some(r#""::""#)),
        (r#""::ffff:198.51.100.24""#, Some(r#""::ffff:198.51.100.0""#)),
        // 6to4: the IPv4 address stands right behind the prefix.
        (r#""2002:c633:6418::1""#, Some(r#""2002:c633:6400::""#)),
        (r#""2002:c633:64ff:aaaa::""#, Some(r#""2002:c633:6400::""#)),
        // In all others it lies, wholly or by its end, in what is taken away: IPv4-compatible, translated, Teredo.
        (r#""::198.51.100.24""#, Some(r#""::""#)),
        (r#""::ffff:0:198.51.100.24""#, Some(r#""::""#)),
        (r#""64:ff9b::198.51.100.24""#, Some(r#""64:ff9b::""#)),
        (r#""64:ff9b:1:c633:64:1800::""#, Some(r#""64:ff9b:1::""#)),
        (r#""2001:0:c633:6418:8000:63bf:3fff:fdd2""#, Some(r#""2001:0:c633::""#)),
        (r#""2001:db8:aaaa:0:0:5efe:198.51.100.24""#, Some(r#""2001:db8:aaaa::""#)),
        ("null", Some("null")),
        (r#"["1.2.3.4", "x", "::1"]"#, Some(r#"["1.2.3.0", "::"]"#)),
        (r#"["x"]"#, Some("[]")),
        (r#""""#, None),
        (r#""198.51.100.24:443""#, None),
        (r#""198.51.100.024""#, None),
        (r#""198.51.100""#, None),
        (r#"" 1.2.3.4""#, None),
        (r#""1.2.3.4, 5.6.7.8""#, None),
        (r#""fe80::1%eth0""#, None),
        (r#""someone@example.com""#, None),
        ("3325256728", None),
        ("true", None),
        (r#"{"v4":"1.2.3.4"}"#, None),
    ] {
        let line = format!(r#"{{"x":1,"ip":{value}}}"#);
        let expected = expected.map_or(r#"{"x":1}"#.to_owned(), |ip| format!(r#"{{"x":1,"ip":{ip}}}"#));
        assert_redacted(&config, &line, &expected);
    }
}

#[test]
fn arrays_on_the_way_are_gone_through() {
    let config = rules(&[("a.b", Action::Drop), ("\"a.b\".c", Action::Drop)]);
    for (line, expected) in [
        (r#"{"a":[{"b":1},{"c":2,"b":3},[[{"b":4}]],5,"b"]}"#, r#"{"a":[{},{"c":2},[[{}]],5,"b"]}"#),
        (r#"{"a":{"a":{"b":1},"b":2}}"#, r#"{"a":{"a":{"b":1}}}"#),
        (r#"{"a.b":{"c":1,"b":2},"a":{"b":{"c":1}}}"#, r#"{"a.b":{"b":2},"a":{}}"#),
        (r#"{"a":"b","b":1,"a.b":[]}"#, r#"{"a":"b","b":1,"a.b":[]}"#),
        (r#"[{"a":{"b":1}}, [{"a":{"b":2}}], [], {}]"#, r#"[{"a":{}}, [{"a":{}}], [], {}]"#),
    ] {
        assert_redacted(&config, line, expected);
    }
}

#[test]
fn names_that_drift_in_case_are_the_same_where_it_is_said() {
    let exact = rules(&[("evars.evars.eVar5", Action::Drop)]);
    let adobe = Config { spelling: Spelling { ignore_evar_case: true }, ..exact.clone() };
    let line = r#"{"evars":{"evars":{"eVar5":1,"evar5":2,"eVar55":3}}}"#;
    assert_redacted(&adobe, line, r#"{"evars":{"evars":{"eVar55":3}}}"#);
    assert_redacted(&exact, line, r#"{"evars":{"evars":{"evar5":2,"eVar55":3}}}"#);
}

#[test]
fn broken_text_is_no_hindrance() {
    let config = rules(&[("a", Action::Hash(secret())), ("d", Action::Drop)]);
    let line = b"{\"x\":\"caf\xc3\",\"d\":\"\xff\\ud83d\",\"a\":\"k\",\"y\":\"\\ud83d\",\"\xfe\":1}";
    let expected =
        [b"{\"x\":\"caf\xc3\",\"a\":\"", hash("k").as_bytes(), b"\",\"y\":\"\\ud83d\",\"\xfe\":1}"].concat();
    assert_eq!(redacted(&config, line), Some(expected));
    // They have a hash, and different ones have different hashes.
    let hashes: Vec<_> =
        [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xfe\"}", br#"{"a":"\ud83d"}"#, br#"{"a":"\ud83e"}"#]
            .map(|line| redacted(&config, line).unwrap())
            .into();
    assert!(
        hashes.iter().all(|line| line.len() == hash("").len() + 8 && !line.contains(&b'\\')),
        "{hashes:?}"
    );
    assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn what_is_untouched_is_not_copied() {
    let config = rules(&[("a.b", Action::Drop), ("ip", Action::Truncate)]);
    let redactor = redactor(&config);
    for line in [r#"{"a":1,"b":{"ip":"1.2.3.4"}}"#, "{}", " [ ] ", r#"{"ip":null}"#] {
        let mut scratch = Vec::new();
        let shown = redactor.redact(line.as_bytes(), &mut scratch).unwrap();
        assert!(std::ptr::eq(shown, line.as_bytes()), "{line}");
        assert_eq!(scratch.capacity(), 0, "{line}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let named = "\"\\u0001\"";
    let config = rules(&[("a", Action::Drop), (named, Action::Drop), ("h", Action::Hash(secret()))]);
    assert_redacted(&config, r#"{"\u0001":1}"#, "{}");
    for line in [
        "",
        " ",
        "x",
        "1",
        "null",
        r#""a""#,
        "[1]",
        r#"["a"]"#,
        r#"[{},"a"]"#,
        "{",
        "}",
        "[",
        "]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1"#,
        r#"{"a":1}}"#,
        r#"{"a":1} x"#,
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"x":1,,"a":1}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"x":[1,{"a":2}"#,
        r#"{"x":"a"#,
        "{\"x\":\"a\\",
        r#"{x:1}"#,
        r#"{"x":1]"#,
        "[{}",
        "\u{feff}{}",
        r#"[{"a":1},]"#,
        // What would be taken out is looked at, so that nothing that is broken becomes whole.
        r#"{"a":tru}"#,
        r#"{"a":01}"#,
        r#"{"a":"\q"}"#,
        "{\"a\":\"\u{1}\"}",
        "{\"\u{1}\":1}",
        "{\"x\":0,\"\u{1}\":1}",
        "{\"\u{1}\":\"1.2.3.4\"}",
        r#"{"a":[1,]}"#,
        r#"{"a":{"b" 1}}"#,
        r#"{"a":[}}"#,
        r#"{"h":nul}"#,
        r#"{"h":"\u00g0"}"#,
        r#"{"h":[1,,2]}"#,
        r#"{"h":1.}"#,
    ] {
        assert_eq!(redacted(&config, line.as_bytes()), None, "{line}");
    }
}

#[test]
fn depth_is_bounded_and_what_is_deeper_goes() {
    let deep = |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
    let config = rules(&[("a.b", Action::Drop), ("h", Action::Hash(secret()))]);
    let within =
        |name: &str, levels: usize, inner: &str| format!(r#"{{"x":1,"{name}":{}}}"#, deep(levels, inner));
    assert_redacted(&config, &within("a", 100, r#"{"b":1}"#), &within("a", 100, "{}"));
    assert_redacted(&config, &within("h", 100, "1"), &within("h", 100, &format!("\"{}\"", hash("1"))));
    // Everything beyond the limit is gone, and so is the secret in it.
    for levels in [pass::MAX_DEPTH, pass::MAX_DEPTH + 1, 200, 100_000] {
        for (name, inner) in [("a", r#"{"b":"secret"}"#), ("h", r#""secret""#)] {
            let shown = redacted(&config, within(name, levels, inner).as_bytes()).unwrap();
            let shown = String::from_utf8(shown).unwrap();
            assert!(is_json(shown.as_bytes()) && !shown.contains("secret"), "{levels} {shown}");
        }
    }
    // Where nothing is to be redacted there is no limit.
    let line = within("x", 100_000, r#""any""#);
    assert_redacted(&config, &line, &line);
    let many = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(redacted(&config, many.as_bytes()), None);
    assert_eq!(redacted(&config, "[".repeat(1 << 20).as_bytes()), None);
}

#[test]
fn a_rule_that_hashes_has_a_secret() {
    let config = rules(&[("a", Action::Drop), ("b", Action::Hash(secret()))]);
    assert_eq!(Redactor::new(&config, &[]).unwrap_err(), ConfigError::NoSecret("b".into()));
    let bad = rules(&[("a..b", Action::Drop)]);
    assert_eq!(Redactor::new(&bad, &[]).unwrap_err(), ConfigError::Path(PathError("a..b".into())));
    assert!(!format!("{:?}", redactor(&config)).contains(KEY));
}
