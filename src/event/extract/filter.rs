//! Which events a stream leaves out, by what single fields hold.
//!
//! A field that is absent, null, an array or an object holds none of any texts. An integer holds its decimal text, a boolean `true` or
//! `false`.

use std::sync::Arc;

use super::ConfigError;
use super::fields::Fields;
use super::tree::Paths;

/// What events are counted as that no condition of `only` takes.
pub const ONLY: &str = "only";

/// Which events are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filters {
    /// Those that one of these takes.
    pub drop: Vec<Rule>,
    /// If there are any, those that none of these takes.
    pub only: Vec<Condition>,
}

/// A condition, and what it is called where events are counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its name; no other rule of the stream has it, and none is called [`ONLY`].
    pub name: Arc<str>,
    /// Which events it takes.
    pub when: Condition,
}

/// Takes an event whose field holds one of some texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The field.
    pub field: String,
    /// The texts.
    pub values: Vec<String>,
    /// Whether they are the same in any ASCII case.
    pub ignore_case: bool,
}

impl Filters {
    /// What left-out events are counted as, in the order of the numbers that [`super::Line::Filtered`] tells.
    pub fn reasons(&self) -> Vec<Arc<str>> {
        let only = (!self.only.is_empty()).then(|| ONLY.into());
        self.drop.iter().map(|rule| Arc::clone(&rule.name)).chain(only).collect()
    }
}

/// The same with the slots of the fields.
#[derive(Debug)]
pub(super) struct Filter {
    drop: Vec<Test>,
    only: Vec<Test>,
}

#[derive(Debug)]
struct Test {
    slot: usize,
    values: Vec<String>,
    ignore_case: bool,
}

impl Filter {
    pub(super) fn new(filters: &Filters, paths: &mut Paths) -> Result<Self, ConfigError> {
        let mut test = |condition: &Condition| {
            let Condition { field, values, ignore_case } = condition;
            Ok(Test { slot: paths.slot(field)?, values: values.clone(), ignore_case: *ignore_case })
        };
        let drop = filters.drop.iter().map(|rule| test(&rule.when)).collect::<Result<_, ConfigError>>()?;
        let only = filters.only.iter().map(test).collect::<Result<_, _>>()?;
        Ok(Self { drop, only })
    }

    /// How many reasons there are.
    pub(super) fn reasons(&self) -> usize {
        self.drop.len() + usize::from(!self.only.is_empty())
    }

    /// The reason for which the event is left out, if it is.
    pub(super) fn reason(&self, fields: &Fields<'_>) -> Option<usize> {
        let dropped = self.drop.iter().position(|test| test.takes(fields));
        let is_taken = || self.only.is_empty() || self.only.iter().any(|test| test.takes(fields));
        dropped.or_else(|| (!is_taken()).then_some(self.drop.len()))
    }
}

impl Test {
    fn takes(&self, fields: &Fields<'_>) -> bool {
        let Some(found) = fields.get(self.slot).and_then(|value| value.word()) else { return false };
        let is = |wanted: &String| match self.ignore_case {
            true => found.eq_ignore_ascii_case(wanted.as_bytes()),
            false => *found == *wanted.as_bytes(),
        };
        self.values.iter().any(is)
    }
}
