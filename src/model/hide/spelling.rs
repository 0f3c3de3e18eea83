//! The letters that a text can be read as: as they stand, and as what escapes stand for.

/// Escapes inside escapes that are followed: a form's value in a JSON text in a JSON text.
const DEPTH: usize = 3;

/// What escapes begin with.
const BEGINS: [char; 4] = ['\\', '%', '&', '+'];

/// No escape is longer, those inside others included.
const LONGEST: usize = 128;

/// One way to read the text at some place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Reading {
    /// The letter that is read.
    pub(super) letter: char,
    /// Where the next one begins.
    pub(super) end: usize,
}

/// All readings at `at`.
pub(super) fn readings(text: &[char], at: usize) -> Vec<Reading> {
    read(text, at, DEPTH)
}

/// Whether a text whose end is missing may have gone on at `at` with any letter: it ends there, or an escape begins.
pub(super) fn is_open(text: &[char], at: usize) -> bool {
    text.get(at).is_none_or(|letter| BEGINS.contains(letter) && text.len() - at <= LONGEST)
}

fn read(text: &[char], at: usize, depth: usize) -> Vec<Reading> {
    let Some(letter) = text.get(at) else { return Vec::new() };
    let plain = Reading { letter: *letter, end: at + 1 };
    // Most letters begin no escape.
    if depth == 0 || !BEGINS.contains(letter) {
        return vec![plain];
    }
    let inner = read(text, at, depth - 1);
    let mut all = inner.clone();
    for Reading { letter, end } in inner {
        match letter {
            '\\' => all.extend(
                read(text, end, depth - 1).into_iter().filter_map(|next| backslash(text, next, depth - 1)),
            ),
            '%' => all.extend(percent(text, end, depth - 1)),
            '&' => all.extend(reference(text, end, depth - 1)),
            '+' => all.push(Reading { letter: ' ', end }),
            _ => {}
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What follows a backslash: those of JSON and of most languages.
fn backslash(text: &[char], next: Reading, depth: usize) -> Option<Reading> {
    let Reading { letter, end } = next;
    let letter = match letter {
        '"' | '\'' | '\\' | '/' => letter,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'x' => return number(text, end, 2, depth).and_then(|(code, end)| reading(code, end)),
        'u' => return utf16(text, end, depth),
        _ => return None,
    };
    Some(Reading { letter, end })
}

/// Four digits, or eight with another `\u` between them.
fn utf16(text: &[char], at: usize, depth: usize) -> Option<Reading> {
    let (high, end) = number(text, at, 4, depth)?;
    if !(0xd800..0xdc00).contains(&high) {
        return reading(high, end);
    }
    let follows =
        |end| after(text, end, '\\', depth).flat_map(|end| after(text, end, 'u', depth)).collect::<Vec<_>>();
    // A backslash that begins an escape of its own is no second half.
    let low = |end| number(text, end, 4, depth).filter(|(low, _)| (0xdc00..0xe000).contains(low));
    let (low, end) = follows(end).into_iter().find_map(low)?;
    reading(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), end)
}

/// The bytes of one letter in UTF-8, a `%` before each; that of the first one is read already.
fn percent(text: &[char], at: usize, depth: usize) -> Option<Reading> {
    let (first, mut end) = number(text, at, 2, depth)?;
    let more = match first {
        0x00..0x80 => return reading(first, end),
        0xc0..0xe0 => 1,
        0xe0..0xf0 => 2,
        0xf0..0xf8 => 3,
        _ => return None,
    };
    let mut code = first & (0x3f >> more);
    for _ in 0..more {
        // A `%` that stands for itself is no byte of this letter.
        let byte = |end| number(text, end, 2, depth).filter(|(byte, _)| (0x80..0xc0).contains(byte));
        let (byte, next) = after(text, end, '%', depth).find_map(byte)?;
        (code, end) = ((code << 6) | (byte & 0x3f), next);
    }
    reading(code, end)
}

/// HTML's, by number or by the names that escaping uses.
fn reference(text: &[char], at: usize, depth: usize) -> Option<Reading> {
    const NAMES: [(&str, char); 5] = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
    let (mut name, mut end) = (String::new(), at);
    loop {
        // Letters of a name begin no escape, so they have one reading.
        let next = read(text, end, depth)
            .into_iter()
            .find(|next| next.letter.is_ascii_alphanumeric() || "#;".contains(next.letter))?;
        end = next.end;
        if next.letter == ';' {
            break;
        }
        name.push(next.letter);
        if name.len() > "#x10ffff".len() {
            return None;
        }
    }
    if let Some((_, letter)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(Reading { letter: *letter, end });
    }
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    reading(code.ok()?, end)
}

fn reading(code: u32, end: usize) -> Option<Reading> {
    char::from_u32(code).map(|letter| Reading { letter, end })
}

/// So many hexadecimal digits.
fn number(text: &[char], at: usize, digits: usize, depth: usize) -> Option<(u32, usize)> {
    let (mut number, mut end) = (0, at);
    for _ in 0..digits {
        let digit = |next: Reading| Some((next.letter.to_digit(16)?, next.end));
        let (digit, next) = read(text, end, depth).into_iter().find_map(digit)?;
        (number, end) = (number << 4 | digit, next);
    }
    Some((number, end))
}

/// Where it may go on after this letter.
fn after(text: &[char], at: usize, letter: char, depth: usize) -> impl Iterator<Item = usize> {
    read(text, at, depth).into_iter().filter(move |next| next.letter == letter).map(|next| next.end)
}
