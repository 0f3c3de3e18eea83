//! Redaction of arbitrary JSON, in arbitrary spelling, against the oracle; and of arbitrary bytes.

use proptest::prelude::*;

use super::super::*;
use super::{oracle, redacted, rules, secret};

/// Names that rules are about, and others; a short list, so that they meet and repeat.
const NAMES: [&str; 7] = ["a", "b", "ip", "a.b", "é", "", "x"];

/// Sets of rules of which none covers another.
fn any_rules() -> impl Strategy<Value = Config> {
    let hash = || Action::Hash(secret());
    prop::sample::select(vec![
        rules(&[("a", hash())]),
        rules(&[("a", Action::Drop)]),
        rules(&[("ip", Action::Truncate)]),
        rules(&[("a.b", Action::Drop), ("a.ip", Action::Truncate), ("b", hash()), ("ip", Action::Truncate)]),
        rules(&[
            ("\"a.b\"", Action::Drop),
            ("a.a", hash()),
            ("x.a.b", Action::Drop),
            ("x.b", Action::Truncate),
        ]),
        rules(&[("é", hash()), ("a.é", Action::Drop), ("\"\".ip", Action::Truncate), ("b.b.b", hash())]),
    ])
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", "", " ", "\t ", "\n  ", "\r\n"])
}

/// A string's spelling: some letters as escapes.
fn spelled(text: String) -> impl Strategy<Value = String> {
    let spellings = prop::collection::vec(any::<prop::sample::Index>(), text.chars().count());
    spellings.prop_map(move |spellings| {
        let letter = |(c, how): (char, prop::sample::Index)| {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            match (how.index(6), c) {
                (0, _) => units.iter().map(|unit| format!("\\u{unit:04X}")).collect(),
                (_, '\n') => "\\n".to_owned(),
                (_, '"' | '\\') | (1, '/') => format!("\\{c}"),
                _ => c.to_string(),
            }
        };
        let letters: String = text.chars().zip(spellings).map(letter).collect();
        format!("\"{letters}\"")
    })
}

fn text() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
        any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).to_string()),
        any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(0x2002 << 112 | bits >> 16).to_string()),
        any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_ipv6_mapped().to_string()),
    ];
    prop_oneof![3 => address, 1 => Just(String::new()), 2 => "[a-z/,:{}\\[\\]é😀\n\"\\\\]{0,8}"]
}

/// JSON in any spelling.
fn json() -> impl Strategy<Value = String> {
    let numbers = vec!["0", "-0", "1.0e+05", "12345678901234567890123", "1E400", "0.10", "-7"];
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        prop::sample::select(numbers).prop_map(str::to_owned),
        text().prop_flat_map(spelled),
    ];
    leaf.prop_recursive(
        5,
        64,
        6,
        |inner| prop_oneof![2 => object(inner.clone()), 1 => items("[", "]", inner)],
    )
}

fn object(value: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let name = prop::sample::select(NAMES.to_vec()).prop_flat_map(|name| spelled(name.to_owned()));
    let member = (name, space(), space(), value)
        .prop_map(|(name, before, behind, value)| format!("{name}{before}:{behind}{value}"));
    items("{", "}", member)
}

fn items(
    open: &'static str,
    close: &'static str,
    item: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let item = (space(), item, space()).prop_map(|(before, item, behind)| format!("{before}{item}{behind}"));
    (space(), prop::collection::vec(item, 0..6)).prop_map(move |(empty, items)| {
        if items.is_empty() {
            format!("{open}{empty}{close}")
        } else {
            format!("{open}{}{close}", items.join(","))
        }
    })
}

fn line() -> impl Strategy<Value = String> {
    (space(), object(json().boxed()), space())
        .prop_map(|(before, line, behind)| format!("{before}{line}{behind}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_agrees_with_the_oracle(config in any_rules(), line in line()) {
        prop_assert!(is_json(line.as_bytes()), "{}", line);
        let expected = oracle::redact(&config, &line);
        let found = redacted(&config, line.as_bytes()).map(|found| String::from_utf8(found).unwrap());
        prop_assert_eq!(found.as_ref(), Some(&expected.line), "{}", line);
        prop_assert!(is_json(expected.line.as_bytes()), "{}", line);
    }

    #[test]
    fn all_other_bytes_stay_as_they_are(config in any_rules(), line in line()) {
        // Without what is redacted, the line and what is made of it are the same bytes.
        let found = String::from_utf8(redacted(&config, line.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(oracle::redact(&config, &line).rest, oracle::redact(&config, &found).rest);
    }

    #[test]
    fn lines_without_the_fields_are_untouched(line in line()) {
        let config = rules(&[("absent", Action::Drop), ("a.absent", Action::Truncate), ("x.\"a.b\".absent", Action::Hash(secret()))]);
        prop_assert_eq!(redacted(&config, line.as_bytes()), Some(line.into_bytes()));
    }

    #[test]
    fn nothing_that_is_broken_becomes_whole(
        config in any_rules(), line in line(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut line = line.into_bytes();
        let at = at.index(line.len());
        if cut { line.truncate(at) } else { line[at] = byte }
        match redacted(&config, &line) {
            Some(shown) => prop_assert_eq!(is_json(&shown), is_json(&line), "{}", line.escape_ascii()),
            None => prop_assert!(!is_json(&line) || !line.trim_ascii_start().starts_with(b"{"), "{}", line.escape_ascii()),
        }
    }

    #[test]
    fn any_bytes_are_redacted_or_refused_without_a_panic(line in prop::collection::vec(
        prop_oneof![prop::sample::select(b"{}[],:\"\\ ab1".to_vec()), any::<u8>()], 0..60,
    )) {
        let config = rules(&[("a", Action::Drop), ("b.a", Action::Truncate), ("b.b", Action::Hash(secret()))]);
        if let Some(shown) = redacted(&config, &line) {
            prop_assert_eq!(is_json(&shown), is_json(&line));
        }
    }
}
