//! The configured paths as a tree, walked along with serde_json's parser: one pass, unknown members skipped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{self, Fields};
use super::{ConfigError, MAX_FIELDS};
use crate::model::errors::without_text;

/// The beginning of names that may be matched in any ASCII case.
const EVAR: &str = "evar";

/// Paths under construction; equal paths share a slot.
pub(super) struct Paths {
    paths: Vec<String>,
    ignore_evar_case: bool,
}

/// The root of the configured paths.
#[derive(Debug)]
pub(super) struct Tree {
    root: Node,
}

/// A member name and what is wanted of its value.
#[derive(Debug, Default)]
struct Node {
    name: Vec<u8>,
    /// Whether the name is the same in any ASCII case.
    any_case: bool,
    /// Where its value goes.
    slot: Option<usize>,
    /// What is wanted inside it when it is an object.
    children: Vec<Node>,
    /// A bit for each kind of name among them, see [`kind`]: most members are unwanted, and one look tells.
    kinds: u64,
    /// Every slot at or below this node.
    slots: Vec<usize>,
}

impl Paths {
    pub(super) fn new(ignore_evar_case: bool) -> Self {
        Self { paths: Vec::new(), ignore_evar_case }
    }

    pub(super) fn slot(&mut self, path: &str) -> Result<usize, ConfigError> {
        if path.split('.').any(str::is_empty) {
            return Err(ConfigError::EmptyPart(path.to_owned()));
        }
        let same = |part: &str| if self.any_case(part) { part.to_ascii_lowercase() } else { part.to_owned() };
        let path = path.split('.').map(same).collect::<Vec<_>>().join(".");
        Ok(self.paths.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.paths.push(path);
            self.paths.len() - 1
        }))
    }

    pub(super) fn build(self) -> Result<Tree, ConfigError> {
        if self.paths.len() > MAX_FIELDS {
            return Err(ConfigError::TooManyFields(self.paths.len()));
        }
        let mut root = Node::default();
        for (slot, path) in self.paths.iter().enumerate() {
            root.insert(path.split('.').map(|part| (part, self.any_case(part))), slot);
        }
        Ok(Tree { root })
    }

    fn any_case(&self, part: &str) -> bool {
        let start = part.as_bytes().get(..EVAR.len());
        self.ignore_evar_case && start.is_some_and(|start| start.eq_ignore_ascii_case(EVAR.as_bytes()))
    }
}

impl Node {
    /// Adds a path of names, each with whether it is the same in any case.
    fn insert<'p>(&mut self, mut path: impl Iterator<Item = (&'p str, bool)>, slot: usize) {
        self.slots.push(slot);
        let Some((name, any_case)) = path.next() else {
            self.slot = Some(slot);
            return;
        };
        let place = self.children.iter().position(|child| child.name == name.as_bytes());
        self.kinds |= kind(name.as_bytes());
        let place = place.unwrap_or_else(|| {
            self.children.push(Node { name: name.as_bytes().to_vec(), any_case, ..Node::default() });
            self.children.len() - 1
        });
        self.children[place].insert(path, slot);
    }

    fn is_called(&self, name: &[u8]) -> bool {
        if self.any_case { self.name.eq_ignore_ascii_case(name) } else { self.name == name }
    }
}

/// One of 64 kinds of names, by length and first letter in whatever case.
fn kind(name: &[u8]) -> u64 {
    let first = name.first().map_or(0, |first| usize::from(first & 0x1f));
    1 << ((name.len() + 13 * first) % 64)
}

impl Tree {
    /// Takes the wanted values from one JSON object that is the whole of `line`.
    pub(super) fn take<'a>(&self, line: &'a [u8]) -> serde_json::Result<Fields<'a>> {
        let mut fields = Fields::default();
        let mut json = serde_json::Deserializer::from_slice(line);
        let taken = json.deserialize_map(Object { node: &self.root, fields: &mut fields });
        taken.map_err(without_text)?;
        json.end()?;
        Ok(fields)
    }
}

/// Visits the members of an object.
struct Object<'n, 'f, 'a> {
    node: &'n Node,
    fields: &'f mut Fields<'a>,
}

impl<'a> Visitor<'a> for Object<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Member { node: self.node })? {
            match child {
                Some(node) => {
                    self.fields.clear(&node.slots);
                    map.next_value_seed(Value { node, fields: self.fields })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Looks a member name up among a node's children, as raw bytes: a name that is not UTF-8 is merely unknown.
struct Member<'n> {
    node: &'n Node,
}

impl<'n, 'a> DeserializeSeed<'a> for Member<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'n> Visitor<'_> for Member<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        if self.node.kinds & kind(name) == 0 {
            return Ok(None);
        }
        Ok(self.node.children.iter().find(|child| child.is_called(name)))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        self.visit_bytes(name.as_bytes())
    }
}

/// Visits a wanted member's value, whatever its type.
struct Value<'n, 'f, 'a> {
    node: &'n Node,
    fields: &'f mut Fields<'a>,
}

impl<'a> Value<'_, '_, 'a> {
    fn set(self, value: fields::Value<'a>) {
        if let Some(slot) = self.node.slot {
            self.fields.set(slot, value);
        }
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.set(fields::Value::Borrowed(text.as_bytes()));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.set(fields::Value::Owned(text.as_bytes().into()));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.set(fields::Value::Unsigned(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.set(fields::Value::Negative(number));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.set(fields::Value::Unusable);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.set(fields::Value::of_float(number));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.set(fields::Value::Unusable);
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<(), A::Error> {
        if let Some(slot) = self.node.slot {
            self.fields.set(slot, fields::Value::Unusable);
        }
        Object { node: self.node, fields: self.fields }.visit_map(map)
    }
}
