//! A serde `Deserializer` over figment values that keeps to the types as written.
//!
//! figment's own takes a number for an enum's variant and a list for a struct; a configuration so written is
//! a mistake, and the JSON Schema says so. Errors are figment's, which keep the path and the kind of each
//! problem.

use figment::Error;
use figment::error::Kind;
use figment::value::Value;
use serde::Deserializer;
use serde::de::{self, IntoDeserializer, Visitor};

/// A value that is being read.
pub(super) struct Node<'v>(pub(super) &'v Value);

impl Node<'_> {
    fn unexpected(&self, expected: &dyn de::Expected) -> Error {
        Kind::InvalidType(self.0.to_actual(), expected.to_string()).into()
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(_, text) => visitor.visit_str(text),
            Value::Char(_, char) => visitor.visit_char(*char),
            Value::Bool(_, bool) => visitor.visit_bool(*bool),
            Value::Num(_, number) => number.deserialize_any(visitor),
            Value::Empty(..) => visitor.visit_unit(),
            Value::Dict(_, dict) => visitor.visit_map(Entries { entries: dict.iter(), current: None }),
            Value::Array(_, list) => visitor.visit_seq(Items { items: list.iter().enumerate() }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if matches!(self.0, Value::Dict(..)) {
            self.deserialize_any(visitor)
        } else {
            Err(self.unexpected(&visitor))
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(_, text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(self.unexpected(&"a string")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Entries<'v> {
    entries: std::collections::btree_map::Iter<'v, String, Value>,
    current: Option<(&'v String, &'v Value)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(key.as_str().into_deserializer()).map(Some).map_err(|error| below(key, error))
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Node(value)).map_err(|error| below(key, error))
    }
}

struct Items<'v> {
    items: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Node(item)).map(Some).map_err(|error| below(&index.to_string(), error))
    }
}

fn below(key: &str, mut error: Error) -> Error {
    error.path.insert(0, key.to_owned());
    error
}
