//! Whatever is redacted is gone from what comes out, all else is as it was, and doing it twice does no more than doing it once.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::extract::is_called;
use super::json::Json;
use super::{Input, is_json};
use crate::event::paths::{self, Spelling};
use crate::event::redact::{Action, Config, Form, Redactor, Rule};
use crate::model::secret::{Secret, SecretSource};

const KEY: &str = "a key of redaction";

/// What is done to the members at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Drop,
    Hash,
    Truncate,
}

/// Sets of rules of which none covers another.
const RULES: [&[(&str, Act)]; 5] = [
    &[("a", Act::Drop), ("b", Act::Hash), ("ip", Act::Truncate)],
    &[("a.b", Act::Drop), ("a.ip", Act::Truncate), ("b.a", Act::Hash), ("ip", Act::Truncate)],
    &[("\"a.b\"", Act::Hash), ("a.a.a", Act::Drop), ("\"\".ip", Act::Truncate), ("é", Act::Drop)],
    &[("device.named_user_id", Act::Hash), ("user.contact_id", Act::Drop), ("body.ip", Act::Truncate)],
    &[
        ("ip", Act::Truncate),
        ("evars.evars.eVar5", Act::Drop),
        ("evars.evars.eVar1", Act::Hash),
        ("pageURL", Act::Drop),
    ],
];

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let rules = RULES[usize::from(input.byte()) % RULES.len()];
    let (config, line) = (config(rules, Spelling { ignore_evar_case: input.flag() }), input.rest);
    let secrets: Vec<Secret> = config.secrets().map(|_| Secret::new(KEY)).collect();
    let redactor = Redactor::new(&config, &secrets).unwrap();
    let mut scratch = Vec::new();
    let Ok(shown) = redactor.redact(line, &mut scratch).map(<[u8]>::to_vec) else {
        let is_object = is_json(line) && line.trim_ascii_start().starts_with(b"{");
        assert!(!is_object, "an object is redacted and not refused");
        return;
    };
    assert_eq!(is_json(&shown), is_json(line), "what comes out is JSON exactly if the line is");
    if !rules.iter().any(|(_, act)| *act == Act::Hash) || shown == line {
        let again = redactor.redact(&shown, &mut scratch);
        assert_eq!(again, Ok(&*shown), "once is enough");
    }
    let Some(json) = Json::read(line) else { return };
    let wanted = rules.iter().map(|(path, act)| (paths::parse(path).unwrap(), *act)).collect();
    let found = Json::read(&shown).unwrap();
    let rules = Rules { is_called: is_called(config.spelling) };
    assert!(rules.agree(Some(&json), Some(&found), &wanted), "{json:?} became {found:?}");
}

fn config(rules: &[(&str, Act)], spelling: Spelling) -> Config {
    let rule = |(path, act): &(&str, Act)| {
        let action = match act {
            Act::Drop => Action::Drop,
            Act::Hash => Action::Hash(SecretSource::Value(Secret::new(KEY))),
            Act::Truncate => Action::Truncate,
        };
        Rule { path: (*path).to_owned(), action }
    };
    Config {
        rules: rules.iter().map(rule).collect(),
        spelling,
        key_from: Form::default(),
        dead_letters: Form::default(),
    }
}

/// The names that lead on from here, each with what is done at the end.
type Wanted = Vec<(Vec<String>, Act)>;

struct Rules {
    is_called: fn(&str, &str) -> bool,
}

impl Rules {
    /// Whether `shown` is what becomes of `value`. What is taken out is `None`.
    fn agree(&self, value: Option<&Json>, shown: Option<&Json>, wanted: &Wanted) -> bool {
        let Some(value) = value else { return shown.is_none() };
        let act = wanted.iter().find(|(names, _)| names.is_empty()).map(|(_, act)| *act);
        match (act, value) {
            _ if wanted.is_empty() => shown == Some(value),
            (Some(Act::Drop), _) => shown.is_none(),
            (Some(_), Json::Null) => shown == Some(value),
            (_, Json::Array(items)) => match shown {
                Some(Json::Array(found)) => {
                    self.all_agree(items.iter().map(|item| (item, wanted.clone())), found.iter())
                }
                _ => false,
            },
            (Some(Act::Hash), Json::Text(text)) => {
                shown == Some(&Json::Text(if text.is_empty() { String::new() } else { hash(text) }))
            }
            // Of anything else the bytes are hashed as they are written.
            (Some(Act::Hash), _) => matches!(shown, Some(Json::Text(text)) if text.len() == hash("").len()),
            (Some(Act::Truncate), Json::Text(text)) => match (text.parse(), shown) {
                (Ok(address), Some(Json::Text(shown))) => is_truncated(address, shown),
                (Err(_), None) => true,
                _ => false,
            },
            (Some(Act::Truncate), _) => shown.is_none(),
            (None, Json::Object(members)) => match shown {
                Some(Json::Object(found)) => {
                    let kept: Vec<_> = members
                        .iter()
                        .filter(|(name, value)| !self.goes(value, &self.below(wanted, name)))
                        .collect();
                    kept.len() == found.len()
                        && kept.iter().zip(found).all(|((name, value), (other, shown))| {
                            name == other && self.agree(Some(value), Some(shown), &self.below(wanted, name))
                        })
                }
                _ => false,
            },
            (None, _) => shown == Some(value),
        }
    }

    fn all_agree<'j>(
        &self,
        items: impl Iterator<Item = (&'j Json, Wanted)>,
        mut found: impl Iterator<Item = &'j Json>,
    ) -> bool {
        for (item, wanted) in items {
            if !self.goes(item, &wanted) && !self.agree(Some(item), found.next(), &wanted) {
                return false;
            }
        }
        found.next().is_none()
    }

    /// Whether a value is taken out.
    fn goes(&self, value: &Json, wanted: &Wanted) -> bool {
        let act = wanted.iter().find(|(names, _)| names.is_empty()).map(|(_, act)| *act);
        match (act, value) {
            (Some(Act::Drop), _) => true,
            (Some(Act::Truncate), Json::Text(text)) => text.parse::<IpAddr>().is_err(),
            (Some(Act::Truncate), value) => !matches!(value, Json::Null | Json::Array(_)),
            _ => false,
        }
    }

    /// What is wanted below a member of this name.
    fn below(&self, wanted: &Wanted, name: &str) -> Wanted {
        let below = wanted
            .iter()
            .filter(|(names, _)| names.first().is_some_and(|wanted| (self.is_called)(wanted, name)));
        below.map(|(names, act)| (names[1..].to_vec(), *act)).collect()
    }
}

fn hash(text: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap().chain_update(text).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes())
}

/// Whether this is an address without its end: the last of four bytes, or all but the first six of sixteen.
fn is_truncated(address: IpAddr, shown: &str) -> bool {
    let begins_alike =
        |a: &[u8], b: &[u8], count| a[..count] == b[..count] && b[count..].iter().all(|byte| *byte == 0);
    match (address, shown.parse()) {
        (IpAddr::V4(was), Ok(IpAddr::V4(shown))) => begins_alike(&was.octets(), &shown.octets(), 3),
        (IpAddr::V6(was), Ok(IpAddr::V6(shown))) => {
            let mapped = |address: std::net::Ipv6Addr| {
                address.to_ipv4_mapped().map(|address: Ipv4Addr| address.octets())
            };
            match (mapped(was), mapped(shown)) {
                (Some(was), Some(shown)) => begins_alike(&was, &shown, 3),
                // Of 6to4 the sixth byte is the last one of an IPv4 address.
                _ if was.segments()[0] == 0x2002 => begins_alike(&was.octets(), &shown.octets(), 5),
                _ => begins_alike(&was.octets(), &shown.octets(), 6),
            }
        }
        _ => false,
    }
}
