//! Values that are written as a word or as a table, a few of them also as a switch or a number. An untagged enum of serde would say
//! of a mistake in the table only that no variant matches; here its error stays what it is, the key that it is about included.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};

/// A value that is a word or a table, and what else it says that it takes.
pub(super) trait WordOrTable: Sized {
    /// What is expected, for whoever wrote something else.
    const EXPECTED: &'static str;

    /// The table.
    type Table: for<'de> Deserialize<'de>;

    /// Of a word.
    fn of_word<E: Error>(word: &str) -> Result<Self, E>;

    /// Of a switch, which most are not.
    fn of_bool<E: Error>(switch: bool) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Bool(switch), &Self::EXPECTED))
    }

    /// Of a whole number, which most are not.
    fn of_integer<E: Error>(number: i64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Signed(number), &Self::EXPECTED))
    }

    /// Of any other number, which most are not.
    fn of_float<E: Error>(number: f64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Float(number), &Self::EXPECTED))
    }

    /// Of a table.
    fn of_table(table: Self::Table) -> Self;
}

/// Reads one.
pub(super) fn word_or_table<'de, T: WordOrTable, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(Either(PhantomData))
}

struct Either<T>(PhantomData<T>);

impl<'de, T: WordOrTable> Visitor<'de> for Either<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        T::of_word(word)
    }

    fn visit_bool<E: Error>(self, switch: bool) -> Result<T, E> {
        T::of_bool(switch)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::of_integer(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        T::of_float(number)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::Table::deserialize(MapAccessDeserializer::new(map)).map(T::of_table)
    }
}
