//! Another redaction, slow and of another make: serde_json says where each value ends, and what comes out is put together from
//! the pieces that are kept.

use serde::de::IgnoredAny;

use super::super::{Action, Config};
use super::hash;

/// The redacted line, and what is left of the line without what is redacted.
pub(super) struct Redacted {
    pub(super) line: String,
    pub(super) rest: String,
}

/// What is wanted of a value: the names that lead on from here, each with the action at the end.
type Wanted<'c> = Vec<(Vec<String>, &'c Action)>;

pub(super) fn redact(config: &Config, line: &str) -> Redacted {
    let wanted = config.rules.iter().map(|rule| (names(&rule.path), &rule.action)).collect();
    value(line.trim(), &wanted).map_or_else(
        || panic!("nothing redacts a whole line"),
        |redacted| {
            let around = |text: &str| line.replacen(line.trim(), text, 1);
            Redacted { line: around(&redacted.line), rest: around(&redacted.rest) }
        },
    )
}

/// Paths of tests have quotes around names with dots, and no dots otherwise but between names.
fn names(path: &str) -> Vec<String> {
    let (mut names, mut quoted) = (vec![String::new()], false);
    for c in path.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => names.push(String::new()),
            c => names.last_mut().unwrap().push(c),
        }
    }
    names
}

/// A value redacted; `None` if it is taken out.
fn value(text: &str, wanted: &Wanted<'_>) -> Option<Redacted> {
    let same = || Some(Redacted { line: text.to_owned(), rest: text.to_owned() });
    let action = wanted.iter().find(|(names, _)| names.is_empty()).map(|(_, action)| *action);
    match (action, &text[..1]) {
        _ if wanted.is_empty() => same(),
        (Some(Action::Drop), _) => None,
        (Some(_), _) if text == "null" => same(),
        (Some(Action::Hash(_)), _) if text == "\"\"" => same(),
        (None | Some(Action::Hash(_) | Action::Truncate), "[") => {
            Some(list(text, |element| value(element, wanted)))
        }
        (Some(Action::Hash(_)), _) => {
            let text: String = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
            Some(Redacted { line: format!("\"{}\"", hash(&text)), rest: String::new() })
        }
        (Some(Action::Truncate), _) => {
            let text: String = serde_json::from_str(text).ok()?;
            Some(Redacted { line: format!("\"{}\"", truncated(&text)?), rest: String::new() })
        }
        (None, "{") => Some(list(text, |member| {
            let mut names = serde_json::Deserializer::from_str(member).into_iter::<String>();
            let name = names.next().unwrap().unwrap();
            let colon = names.byte_offset() + member[names.byte_offset()..].find(':').unwrap() + 1;
            let at = colon + member[colon..].find(|c: char| !c.is_ascii_whitespace()).unwrap();
            let below = wanted.iter().filter(|(names, _)| names.first() == Some(&name));
            let below = below.map(|(names, action)| (names[1..].to_vec(), *action)).collect();
            let Redacted { line, rest } = value(&member[at..], &below)?;
            let before = &member[..at];
            Some(Redacted { line: format!("{before}{line}"), rest: format!("{before}{rest}") })
        })),
        (None, _) => same(),
    }
}

/// An object or an array, each item of which becomes what `item` says.
fn list(text: &str, item: impl Fn(&str) -> Option<Redacted>) -> Redacted {
    // The white space before an item, and the item.
    let mut items: Vec<(&str, &str)> = Vec::new();
    let mut gaps = Vec::new();
    let mut rest = &text[1..text.len() - 1];
    while !rest.trim().is_empty() {
        let start = rest.find(|c: char| !c.is_ascii_whitespace()).unwrap();
        let end = start + length(&rest[start..]);
        items.push((&rest[..start], &rest[start..end]));
        let comma = rest[end..].find(',').map_or(rest.len(), |at| end + at);
        gaps.push(&rest[end..comma]);
        rest = rest.get(comma + 1..).unwrap_or_default();
    }
    if items.is_empty() {
        return Redacted { line: text.to_owned(), rest: text.to_owned() };
    }
    let (mut line, mut left) = (text[..1].to_owned(), text[..1].to_owned());
    let (mut has_kept, last) = (false, items.len() - 1);
    line += items[0].0;
    left += items[0].0;
    for (n, ((before, text), gap)) in items.into_iter().zip(gaps).enumerate() {
        if let Some(redacted) = item(text) {
            let separator = if has_kept { format!(",{before}") } else { String::new() };
            line += &format!("{separator}{}{gap}", redacted.line);
            left += &format!("{separator}{}{gap}", redacted.rest);
            has_kept = true;
        } else if has_kept || n == last {
            line += gap;
            left += gap;
        }
    }
    line += &text[text.len() - 1..];
    left += &text[text.len() - 1..];
    Redacted { line, rest: left }
}

/// Bytes of the item at the beginning: a value, or a name, a colon and a value.
fn length(text: &str) -> usize {
    let end = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        values.next().unwrap().unwrap();
        values.byte_offset()
    };
    let first = end(text);
    let behind = text[first..].trim_start();
    match behind.strip_prefix(':') {
        Some(value) => {
            let skipped = value.len() - value.trim_start().len();
            text.len() - value.len() + skipped + end(value.trim_start())
        }
        None => first,
    }
}

/// By its text alone.
fn truncated(text: &str) -> Option<String> {
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return text.rsplit_once('.').map(|(start, _)| format!("{start}.0"));
    }
    let address: std::net::Ipv6Addr = text.parse().ok()?;
    if let [0, 0, 0, 0, 0, 0xffff, a, b] = address.segments() {
        return Some(format!("::ffff:{}.{}.{}.0", a >> 8, a & 255, b >> 8));
    }
    let [a, b, c, ..] = address.segments();
    let c = if a == 0x2002 { c & 0xff00 } else { c };
    Some(std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string())
}
