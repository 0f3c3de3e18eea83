//! Redaction from end to end: what lies in Kafka, on standard output and in the log, judged by another redaction, which parses.

mod adobe;
mod airship;
mod letters;
mod secrets;

use crate::harness::reader::Message;
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::net::IpAddr;

/// What hashes are made with, where a test says nothing else.
pub(crate) const KEY: &str = "4bc71c7a0f1f4f8e9a0d5d0d7c3f2b61";

/// What is done to a member.
#[derive(Clone, Copy)]
enum Action {
    Drop,
    Hash(&'static str),
    Truncate,
}

/// What is done to what; paths are lists of names.
type Rules<'r> = &'r [(&'r [&'r str], Action)];

/// The hash of a text's bytes, broken ones as they came.
pub(crate) fn hash(key: &str, text: &str) -> String {
    let bytes = |letter: char| match u32::from(letter).checked_sub(BROKEN).map(u8::try_from) {
        Some(Ok(byte)) => vec![byte],
        _ => letter.to_string().into_bytes(),
    };
    let text: Vec<u8> = text.chars().flat_map(bytes).collect();
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key").chain_update(text).finalize();
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes())
}

/// The event as it has to lie in the topic; what was taken out of it goes to `hidden`.
fn redacted(mut event: Value, rules: Rules<'_>, hidden: &mut Vec<String>) -> Value {
    for (path, action) in rules {
        apply(&mut event, path, *action, hidden);
    }
    event
}

/// Tells whether the value stays.
fn apply(value: &mut Value, path: &[&str], action: Action, hidden: &mut Vec<String>) -> bool {
    match (value, path) {
        (Value::Object(members), [name, rest @ ..]) => {
            let wanted = |known: &str| {
                let is_evar = name.starts_with("eVar") && known.starts_with("evar");
                known == *name || (is_evar && known.eq_ignore_ascii_case(name))
            };
            let names: Vec<String> = members.keys().filter(|known| wanted(known)).cloned().collect();
            for name in names {
                if !apply(&mut members[&name], rest, action, hidden) {
                    members.remove(&name);
                }
            }
            true
        }
        (value, []) if matches!(action, Action::Drop) => {
            hidden.extend(value.as_str().map(str::to_owned));
            false
        }
        (Value::Array(items), path) => {
            items.retain_mut(|item| apply(item, path, action, hidden));
            true
        }
        (Value::Null, []) => true,
        (value, []) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match action {
                Action::Hash(_) if text.is_empty() => return true,
                Action::Hash(key) => *value = hash(key, &text).into(),
                _ => match truncated(&text) {
                    // It had lost its end before.
                    Some(address) if address == text => return true,
                    Some(address) => *value = address.into(),
                    None => return false,
                },
            }
            hidden.push(text);
            true
        }
        _ => true,
    }
}

fn truncated(text: &str) -> Option<String> {
    match text.parse().ok()? {
        IpAddr::V4(_) => text.rsplit_once('.').map(|(start, _)| format!("{start}.0")),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Some(std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string())
        }
    }
}

/// What stands for a byte that is not UTF-8: a letter that no event holds. A service may cut text inside a character.
const BROKEN: u32 = 0xf700;

/// An event.
#[track_caller]
fn parsed(line: &[u8]) -> Value {
    let letter = |byte: &u8| char::from_u32(BROKEN + u32::from(*byte)).expect("a private letter");
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        chunk.valid().chars().chain(chunk.invalid().iter().map(letter)).collect::<String>()
    };
    let text: String = line.utf8_chunks().map(chunk).collect();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The value at names that lead through objects alone.
fn at<'v>(event: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(event, |value, name| value.get(name))
}

/// Nothing of what was hidden is in the records' values, keys or headers.
#[track_caller]
fn assert_hidden(hidden: &[String], what: &str, messages: &[Message]) {
    for message in messages {
        let headers = message.headers.iter().map(|(_, value)| value);
        for bytes in message.key.iter().chain(&message.value).chain(headers) {
            assert_no_text(hidden, what, &String::from_utf8_lossy(bytes));
        }
    }
}

#[track_caller]
fn assert_no_text(hidden: &[String], what: &str, text: &str) {
    // Short ones are found anywhere.
    for hidden in hidden.iter().filter(|hidden| hidden.len() > 7) {
        assert!(!text.contains(hidden.as_str()), "{what} shows {hidden}: {text}");
    }
}
