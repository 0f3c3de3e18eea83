//! The configured paths as a tree, walked along with serde_json's parser: one pass, unknown members skipped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{self, Fields};
use super::{ConfigError, MAX_FIELDS};
use crate::event::paths::{Node, Spelling};
use crate::model::errors::without_text;

/// Paths under construction; equal paths share a slot.
pub(super) struct Paths {
    paths: Vec<Vec<String>>,
    spelling: Spelling,
}

/// The root of the configured paths.
#[derive(Debug)]
pub(super) struct Tree {
    root: Node<Slots>,
}

/// Where values go.
#[derive(Debug, Default)]
struct Slots {
    /// That of the member itself.
    own: Option<usize>,
    /// Every one at or below it.
    all: Vec<usize>,
}

impl Paths {
    pub(super) fn new(spelling: Spelling) -> Self {
        Self { paths: Vec::new(), spelling }
    }

    pub(super) fn slot(&mut self, path: &str) -> Result<usize, ConfigError> {
        let path = self.spelling.names(path)?;
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
            let mut node: &mut Node<Slots> = &mut root;
            node.wanted.all.push(slot);
            for name in path {
                node = node.child_mut(name, self.spelling);
                node.wanted.all.push(slot);
            }
            node.wanted.own = Some(slot);
        }
        Ok(Tree { root })
    }
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
    node: &'n Node<Slots>,
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
                    self.fields.clear(&node.wanted.all);
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
    node: &'n Node<Slots>,
}

impl<'n, 'a> DeserializeSeed<'a> for Member<'n> {
    type Value = Option<&'n Node<Slots>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'n> Visitor<'_> for Member<'n> {
    type Value = Option<&'n Node<Slots>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.node.child(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        self.visit_bytes(name.as_bytes())
    }
}

/// Visits a wanted member's value, whatever its type.
struct Value<'n, 'f, 'a> {
    node: &'n Node<Slots>,
    fields: &'f mut Fields<'a>,
}

impl<'a> Value<'_, '_, 'a> {
    fn set(self, value: fields::Value<'a>) {
        if let Some(slot) = self.node.wanted.own {
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

    fn visit_bool<E>(self, switch: bool) -> Result<(), E> {
        self.set(fields::Value::Bool(switch));
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
        if let Some(slot) = self.node.wanted.own {
            self.fields.set(slot, fields::Value::Unusable);
        }
        Object { node: self.node, fields: self.fields }.visit_map(map)
    }
}
