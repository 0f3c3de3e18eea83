//! A topic's template: text, and fields in braces whose values stand in it, such as `airship.{type}` or
//! `adobe.{reportSuite:snake}.{evars.evars.eVar5}`.
//!
//! Invariant: what comes out of any values is a legal topic name, if it is one with a letter in place of each field.

use crate::event::paths;
use crate::model::topic::{MAX_TOPIC_LENGTH, fold, is_name_byte};

/// A topic's name, or what makes one of an event's fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
    fields: Vec<String>,
}

/// A part of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// The value of this one of the fields.
    Value(usize, Form),
}

/// What a value becomes besides a legal part of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    AsItIs,
    /// In lower case.
    Lower,
    /// In lower case, with one `_` between words: `FirstOpen`, `first-open` and `FIRST_OPEN` become `first_open`.
    Snake,
}

/// Why a topic is no template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace that nothing closes.
    #[error("`{{` without its `}}`")]
    Unclosed,
    /// What is in the braces is no path.
    #[error("expected member names with dots between them in the braces")]
    Path,
    /// A form that is none.
    #[error("`{0}` is no form of a value: known are `lower` and `snake`, as in `{{type:snake}}`")]
    Form(String),
}

impl Template {
    /// Reads a configured topic.
    pub fn parse(topic: &str) -> Result<Self, TemplateError> {
        let (mut pieces, mut fields): (Vec<Piece>, Vec<String>) = (Vec::new(), Vec::new());
        let mut rest = topic;
        while let Some((before, behind)) = rest.split_once('{') {
            pieces.push(Piece::Text(before.to_owned()));
            let (inside, after) = close(behind).ok_or(TemplateError::Unclosed)?;
            let (path, form) = form(inside)?;
            if paths::parse(path).is_err() || bare(path).any(|(_, letter)| letter == '{') {
                return Err(TemplateError::Path);
            }
            let known = fields.iter().position(|known| known == path);
            pieces.push(Piece::Value(known.unwrap_or(fields.len()), form));
            if known.is_none() {
                fields.push(path.to_owned());
            }
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self { text: topic.to_owned(), pieces, fields })
    }

    /// A name, whatever is in it.
    pub fn fixed(topic: &str) -> Self {
        let text = topic.to_owned();
        Self { pieces: vec![Piece::Text(text.clone())], text, fields: Vec::new() }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a name as it stands.
    pub fn is_fixed(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields that it names, each once.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// What it becomes with a letter for each field: any value is at least so long.
    pub fn sample(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(..) => "T".to_owned(),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// Whether the same values make two names of the two of which Kafka takes only one.
    pub fn collides(&self, other: &Self) -> bool {
        let alike = |(one, two): (&Piece, &Piece)| match (one, two) {
            (Piece::Text(one), Piece::Text(two)) => fold(one) == fold(two),
            (Piece::Value(one, form), Piece::Value(two, other_form)) => {
                self.fields[*one] == other.fields[*two] && form == other_form
            }
            _ => false,
        };
        self.text != other.text
            && self.pieces.len() == other.pieces.len()
            && self.pieces.iter().zip(&other.pieces).all(alike)
    }

    /// Puts the name for these values of the fields into `name`, with `_` for what a name may not hold. Fails with the first
    /// field that has no value.
    pub(super) fn fill<'v>(
        &self,
        value: impl Fn(usize) -> Option<&'v [u8]>,
        name: &mut String,
    ) -> Result<(), usize> {
        name.clear();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Value(field, form) => form.push(value(*field).ok_or(*field)?, name),
            }
        }
        name.truncate(MAX_TOPIC_LENGTH);
        if matches!(name.as_str(), "." | "..") {
            *name = name.replace('.', "_");
        }
        Ok(())
    }
}

impl Form {
    /// No further than a topic's name goes: a value may be as long as an event.
    fn push(self, value: &[u8], name: &mut String) {
        let value = &value[..value.len().min(MAX_TOPIC_LENGTH)];
        let legal = |byte: &u8| if is_name_byte(*byte) { char::from(*byte) } else { '_' };
        match self {
            Self::AsItIs => name.extend(value.iter().map(legal)),
            Self::Lower => name.extend(value.iter().map(|byte| legal(byte).to_ascii_lowercase())),
            Self::Snake => push_snake(value, name),
        }
    }
}

/// A word begins behind what is neither letter nor digit, with a capital behind a small letter or a digit, and with the last
/// one of several capitals before a small letter.
fn push_snake(value: &[u8], name: &mut String) {
    let at = |n: usize| value.get(n).copied().unwrap_or_default();
    for (n, byte) in value.iter().enumerate() {
        let before = n.checked_sub(1).map(at);
        let is_in_word = before.is_some_and(|before| before.is_ascii_alphanumeric());
        if !byte.is_ascii_alphanumeric() {
            if n == 0 || is_in_word {
                name.push('_');
            }
            continue;
        }
        let begins = before.is_some_and(|before| {
            before.is_ascii_lowercase() || before.is_ascii_digit() || at(n + 1).is_ascii_lowercase()
        });
        if byte.is_ascii_uppercase() && is_in_word && begins {
            name.push('_');
        }
        name.push(char::from(byte.to_ascii_lowercase()));
    }
}

/// Cuts at the brace that closes; those in a quoted name do not.
fn close(text: &str) -> Option<(&str, &str)> {
    let end = bare(text).find(|(_, letter)| *letter == '}')?.0;
    Some((&text[..end], &text[end + 1..]))
}

/// Cuts the form off at its colon; those in a quoted name are none.
fn form(inside: &str) -> Result<(&str, Form), TemplateError> {
    let Some((colon, _)) = bare(inside).filter(|(_, letter)| *letter == ':').last() else {
        return Ok((inside, Form::AsItIs));
    };
    let form = match &inside[colon + 1..] {
        "lower" => Form::Lower,
        "snake" => Form::Snake,
        other => return Err(TemplateError::Form(other.to_owned())),
    };
    Ok((&inside[..colon], form))
}

/// The letters outside of JSON strings, with their places.
fn bare(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.char_indices().filter(move |(_, letter)| {
        let was_escaped = std::mem::replace(&mut is_escaped, false);
        match letter {
            '"' if !was_escaped => is_quoted = !is_quoted,
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            _ => {}
        }
        !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(topic: &str, values: &[&str]) -> Result<String, usize> {
        let (template, mut name) = (Template::parse(topic).unwrap(), "left over".to_owned());
        let value = |n: usize| values.get(n).map(|value| value.as_bytes());
        template.fill(value, &mut name).map(|()| name)
    }

    #[test]
    fn fields_stand_anywhere_and_several_times() {
        for (topic, fields, values, name) in [
            ("t", &[][..], &[][..], "t"),
            ("{type}", &["type"], &["OPEN"], "OPEN"),
            ("a.{evars.evars.eVar5}.x", &["evars.evars.eVar5"], &["v"], "a.v.x"),
            ("{a}{b}", &["a", "b"], &["1", "2"], "12"),
            ("{a}-{b}.{a:lower}", &["a", "b"], &["X", "Y"], "X-Y.x"),
            (r#"x.{body."first.name":lower}"#, &[r#"body."first.name""#], &["Ada"], "x.ada"),
            (r#"{"a}b:c"."\"}"}z"#, &[r#""a}b:c"."\"}""#], &["v"], "vz"),
            (r#"{"a:lower"}"#, &[r#""a:lower""#], &["V"], "V"),
            (r#"{a."b{c"}"#, &[r#"a."b{c""#], &["V"], "V"),
        ] {
            let template = Template::parse(topic).unwrap();
            assert_eq!(
                (template.fields(), template.as_str()),
                (&*fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>(), topic)
            );
            assert_eq!(template.is_fixed(), fields.is_empty());
            assert_eq!(fill(topic, values).as_deref(), Ok(name), "{topic}");
        }
        assert_eq!(fill("{a}.{b}.{c}", &["1"]), Err(1), "the first that is absent");
        assert_eq!(Template::parse("a.{b}c{d:snake}").unwrap().sample(), "a.TcT");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (topic, error) in [
            ("a.{b", TemplateError::Unclosed),
            (r#"a.{"b}"#, TemplateError::Unclosed),
            ("a.{}", TemplateError::Path),
            ("a.{:lower}", TemplateError::Path),
            ("a.{b..c}", TemplateError::Path),
            ("a.{{b}}", TemplateError::Path),
            ("a.{b.{c}", TemplateError::Path),
            ("a.{b:upper}", TemplateError::Form("upper".into())),
            ("a.{b:}", TemplateError::Form(String::new())),
            ("a.{b: lower}", TemplateError::Form(" lower".into())),
        ] {
            assert_eq!(Template::parse(topic), Err(error), "{topic}");
        }
    }

    #[test]
    fn values_are_made_legal() {
        for (value, as_it_is, lower, snake) in [
            ("OPEN", "OPEN", "open", "open"),
            ("FIRST_OPEN", "FIRST_OPEN", "first_open", "first_open"),
            ("FirstOpen", "FirstOpen", "firstopen", "first_open"),
            ("HTTPServer2Go", "HTTPServer2Go", "httpserver2go", "http_server2_go"),
            ("eVar5", "eVar5", "evar5", "e_var5"),
            ("a - b..c", "a_-_b..c", "a_-_b..c", "a_b_c"),
            ("caf\u{e9}/x y", "caf___x_y", "caf___x_y", "caf_x_y"),
            ("--", "--", "--", "_"),
            ("_A", "_A", "_a", "_a"),
            ("..", "__", "__", "_"),
        ] {
            assert_eq!(fill("{a}", &[value]).as_deref(), Ok(as_it_is), "{value}");
            assert_eq!(fill("{a:lower}", &[value]).as_deref(), Ok(lower), "{value}");
            assert_eq!(fill("{a:snake}", &[value]).as_deref(), Ok(snake), "{value}");
        }
        for form in ["", ":lower", ":snake"] {
            let (template, mut name) = (Template::parse(&format!("a.{{b{form}}}")).unwrap(), String::new());
            template.fill(|_| Some(&[b'X'; 1 << 20]), &mut name).unwrap();
            assert_eq!(name.len(), MAX_TOPIC_LENGTH, "{form}");
            assert!(name.capacity() <= 4 * MAX_TOPIC_LENGTH, "{form}: {}", name.capacity());
        }
    }

    #[test]
    fn templates_collide_that_differ_in_points_alone() {
        for (one, other, collides) in [
            ("a.{type}", "a_{type}", true),
            ("a.{type}.b{x}", "a.{type}_b{x}", true),
            ("a.{type}", "a.{type}", false),
            ("a.{type}", "b_{type}", false),
            ("a.{type}", "a_{type:lower}", false),
            ("a.{type}", "a_{other}", false),
            ("a.{type}", "a_b", false),
        ] {
            let [one, other] = [one, other].map(|topic| Template::parse(topic).unwrap());
            assert_eq!(
                (one.collides(&other), other.collides(&one)),
                (collides, collides),
                "{one:?} {other:?}"
            );
        }
    }
}
