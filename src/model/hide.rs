//! What others say, fit to be shown: on one line, bounded, and without our secrets in any spelling.
//!
//! Invariants:
//! - secrets are taken out last, from the text as it would be printed: whatever unescapes or cuts it comes before;
//! - of a secret no piece of [`PIECE`] characters is shown, and of a text whose end is missing no beginning of one at all.
//!
//! A spelling is one that a service could echo: JSON's escapes, percent-encoding, HTML's references, each of them inside
//! another, in either case of letters; and base64 in both alphabets, of the secret or of more that it stands in.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::secret::{HIDDEN, Secret};

mod spelling;

use spelling::Reading;

/// Bytes of a text of others that are shown.
pub(crate) const MAX_QUOTED: usize = 512;

/// So many characters of a secret in a row are one too many. Fewer are met by chance, and tell nothing of a good secret.
pub(crate) const PIECE: usize = 6;

/// Letters of base64 beside what of them is known to stand for the secret: they tell some bits of its ends.
const BASE64_EDGE: usize = 2;

/// Takes secrets out of texts.
#[derive(Clone, Default)]
pub(crate) struct Hider {
    needles: Arc<[Needle]>,
}

/// What is looked for.
struct Needle {
    letters: Vec<char>,
    /// Where in it a letter stands.
    places: HashMap<char, Vec<usize>>,
    base64: bool,
}

impl fmt::Debug for Hider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Hider {
    /// For these secrets.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let needles = secrets.into_iter().filter(|secret| !secret.expose().is_empty()).flat_map(|secret| {
            let plain = Needle::new(secret.expose().chars(), false);
            std::iter::once(plain).chain(encoded(secret.expose().as_bytes()))
        });
        Self { needles: needles.collect() }
    }

    /// What may be shown of the beginning of a text, or of a `whole` one.
    pub(crate) fn quote(&self, text: &str, whole: bool) -> String {
        // What is left out to make it one line may have stood inside a secret, or between the parts of one.
        let mut quoted = self.hide(&printable(&self.without(text, whole)));
        quoted.truncate(quoted.floor_char_boundary(MAX_QUOTED));
        quoted
    }

    /// A whole text without the secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.without(text, true)
    }

    fn without(&self, text: &str, whole: bool) -> String {
        let letters: Vec<char> = text.chars().collect();
        let is_open = |at| !whole && spelling::is_open(&letters, at);
        let readings: Vec<_> = (0..letters.len()).map(|at| spelling::readings(&letters, at)).collect();
        let mut shown = vec![true; letters.len()];
        for needle in self.needles.iter() {
            for at in 0..letters.len() {
                for found in needle.found(&readings, at, is_open) {
                    let found = if needle.base64 { widened(&letters, found) } else { found };
                    shown[found].fill(false);
                }
            }
        }
        let mut result = String::with_capacity(text.len());
        for (at, letter) in letters.iter().enumerate() {
            if shown[at] {
                result.push(*letter);
            } else if at == 0 || shown[at - 1] {
                result.push_str(HIDDEN);
            }
        }
        result
    }
}

/// The letters of base64 that stand for a secret alone, wherever in what is encoded it stands: a group of them is three bytes.
fn encoded(secret: &[u8]) -> impl Iterator<Item = Needle> {
    (0..3_usize).filter_map(move |before| {
        let bytes = [&[0; 2][..before.min(2)], secret].concat();
        let text = BASE64_STANDARD_NO_PAD.encode(&bytes);
        let whole = bytes.len() * 8 / 6;
        let letters = text.get((before * 8).div_ceil(6)..whole)?;
        // Shorter ones are met by chance.
        (letters.len() >= PIECE).then(|| Needle::new(letters.chars(), true))
    })
}

impl Needle {
    fn new(letters: impl Iterator<Item = char>, base64: bool) -> Self {
        let mut needle = Self { letters: letters.collect(), places: HashMap::new(), base64 };
        for (place, letter) in needle.letters.iter().enumerate() {
            needle.places.entry(same(*letter, base64)).or_default().push(place);
        }
        needle
    }

    /// The parts of the text from `at` on that are too much of this. Where it `is_open` the rest of it may have followed.
    fn found(
        &self,
        readings: &[Vec<Reading>],
        at: usize,
        is_open: impl Fn(usize) -> bool,
    ) -> Vec<Range<usize>> {
        let mut begins: Vec<usize> = readings[at]
            .iter()
            .filter_map(|reading| self.places.get(&same(reading.letter, self.base64)))
            .flatten()
            .copied()
            .collect();
        begins.sort_unstable();
        begins.dedup();
        let enough = PIECE.min(self.letters.len());
        let too_much = |place: usize| {
            let (count, end) = self.follow(readings, at, place);
            match place == 0 && is_open(end) {
                true => Some(at..readings.len()),
                false => (count >= enough).then_some(at..end),
            }
        };
        begins.into_iter().filter_map(too_much).collect()
    }

    /// How many letters from `place` on the text spells from `at` on, and where they end.
    fn follow(&self, readings: &[Vec<Reading>], at: usize, place: usize) -> (usize, usize) {
        let (mut count, mut ends) = (0, vec![at]);
        for letter in &self.letters[place..] {
            let wanted = same(*letter, self.base64);
            let mut next: Vec<usize> = ends
                .iter()
                .filter_map(|end| readings.get(*end))
                .flatten()
                .filter(|reading| same(reading.letter, self.base64) == wanted)
                .map(|reading| reading.end)
                .collect();
            if next.is_empty() {
                break;
            }
            next.sort_unstable();
            next.dedup();
            (count, ends) = (count + 1, next);
        }
        (count, ends.into_iter().max().unwrap_or(at))
    }
}

/// The same for letters that count as one.
fn same(letter: char, base64: bool) -> char {
    match letter {
        '-' if base64 => '+',
        '_' if base64 => '/',
        _ if base64 => letter,
        _ => letter.to_ascii_lowercase(),
    }
}

fn widened(letters: &[char], found: Range<usize>) -> Range<usize> {
    let is_base64 = |letter: &&char| letter.is_ascii_alphanumeric() || "+/-_=".contains(**letter);
    let before = letters[..found.start].iter().rev().take(BASE64_EDGE).take_while(is_base64).count();
    let after = letters[found.end..].iter().take(2 * BASE64_EDGE).take_while(is_base64).count();
    found.start - before..found.end + after
}

/// One line of printable characters; markup is left as it is.
pub(crate) fn printable(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), "")
}

#[cfg(test)]
mod tests;
