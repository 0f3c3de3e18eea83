//! The search of one model: every state that can be reached, breadth first.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// How far a model is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// What takes seconds, for the tests.
    Short,
    /// What takes a minute.
    Full,
    /// What takes a while and some gigabytes.
    Deep,
}

/// A model that can say in words what it does.
pub trait Told: Model {
    /// What a state has come to, in a line.
    fn outcome(&self, state: &Self::State) -> String;
}

/// A way that something is done wrongly, to see that the search would find it.
pub struct Wrong<M> {
    /// The model with this fault in it.
    pub model: M,
    /// What is wrong, in words.
    pub fault: &'static str,
    /// The property that does not hold then.
    pub breaks: &'static str,
}

/// One model, right and wrong.
pub struct Subject<M> {
    /// What it is about.
    pub name: String,
    /// As the connector does it.
    pub right: M,
    /// As it must not be done.
    pub wrong: Vec<Wrong<M>>,
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Steps to the farthest of them.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// What was asked of the model, and what was found of each.
    pub answers: Vec<Answer>,
}

/// What was found of one property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The property.
    pub property: &'static str,
    /// Whether it has to hold in all states; otherwise in one at least.
    pub always: bool,
    /// The way to a state in which it does not hold, or does.
    pub way: Option<Way>,
}

/// Steps from the beginning to a state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// In words.
    pub steps: Vec<String>,
    /// What they came to.
    pub outcome: String,
}

impl Answer {
    /// Whether it is as it should be.
    pub fn is_good(&self) -> bool {
        self.always == self.way.is_none()
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "{number:>3}. {step}")?;
        }
        write!(f, "     So: {}", self.outcome)
    }
}

/// Searches all states.
pub fn search<M>(model: M) -> Found
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + fmt::Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + fmt::Debug + Send + Sync,
{
    run(model, HasDiscoveries::All, None)
}

/// Searches for the shortest way to break one property; `None` where there is none.
pub fn shortest<M>(model: M, property: &'static str) -> (Found, Option<Way>)
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + fmt::Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + fmt::Debug + Send + Sync,
{
    let way = |found: &Found| {
        found.answers.iter().find(|answer| answer.property == property).and_then(|answer| answer.way.clone())
    };
    let until = || HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let found = run(model.clone(), until(), None);
    let mut best = way(&found);
    // The library goes on to the end of a block of states and reports the last find in it, not the first.
    while let Some(steps) = best.as_ref().map(|way| way.steps.len()) {
        match way(&run(model.clone(), until(), Some(steps + 1))) {
            Some(shorter) if shorter.steps.len() < steps => best = Some(shorter),
            _ => break,
        }
    }
    (found, best)
}

#[expect(clippy::disallowed_types, reason = "how long a search takes is a matter of the real clock")]
fn run<M>(model: M, until: HasDiscoveries, depth: Option<usize>) -> Found
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + fmt::Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + fmt::Debug + Send + Sync,
{
    let begun = std::time::Instant::now();
    let builder = model.clone().checker().finish_when(until);
    let builder = match depth {
        Some(depth) => builder.target_max_depth(depth),
        None => builder,
    };
    let checker = builder.spawn_bfs().join();
    let answers = model
        .properties()
        .into_iter()
        .map(|property| Answer {
            property: property.name,
            always: property.expectation == Expectation::Always,
            way: checker.discovery(property.name).map(|path| Way {
                outcome: model.outcome(path.last_state()),
                steps: path.into_actions().iter().map(|action| model.format_action(action)).collect(),
            }),
        })
        .collect();
    Found {
        states: checker.unique_state_count(),
        // The library counts states.
        depth: checker.max_depth().saturating_sub(1),
        took: begun.elapsed(),
        answers,
    }
}
