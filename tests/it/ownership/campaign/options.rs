//! What a campaign consists of. `proof/campaign` sets the variables.

use super::faults::{Kind, STEPS};
use crate::harness::asked::number;
use std::path::PathBuf;
use std::time::Duration;

/// Faults of a run that nobody asks for more of, and how long they go on at most.
const FAULTS: u32 = 10;
const SHORT: Duration = Duration::from_secs(40);

/// Who says which instance has which shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ownership {
    /// A consumer group.
    Group,
    /// Nobody: one instance has all, until another one is started.
    Static,
}

impl Ownership {
    /// The faults that there are without any that need other brokers.
    fn kinds(self) -> Vec<Kind> {
        let is_one = |kind: &Kind| !matches!(kind, Kind::BrokerLost | Kind::BrokerCutOff);
        let is_static = |kind: &Kind| *kind != Kind::StoodStillDeaf;
        Kind::ALL.into_iter().filter(is_one).filter(|kind| self == Self::Group || is_static(kind)).collect()
    }
}

/// Somewhat longer than a session.
const AWAY: Duration = Duration::from_secs(9);

/// A campaign, but for what is struck.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub ownership: Ownership,
    pub faults: u32,
    /// Says which faults, and when.
    pub seed: u64,
    pub kinds: Vec<Kind>,
    pub members: usize,
    pub shards: u32,
    /// Events that come with each look at what is waited for, which are some 10 ms apart.
    pub step: u64,
    pub commit_interval: &'static str,
    pub transaction_timeout: &'static str,
    /// Where instances are killed, by the failpoints' names.
    pub steps: &'static [&'static str],
    /// How long an instance is away at most.
    pub away: Duration,
    /// Whether one that woke up does not even hear what the group says when a fence has told it, until it has opened a shard again.
    pub stays_deaf: bool,
    /// No more faults after so long.
    pub limit: Duration,
    /// The rule that is broken on purpose.
    pub broken: Option<&'static str>,
    /// A program that has other consumers read at the end.
    pub consumers: Option<PathBuf>,
}

impl Options {
    /// What the variables say.
    pub(super) fn from_env() -> Self {
        let kinds = std::env::var("TRIBUTARY_TEST_KINDS").unwrap_or_default();
        let kinds: Vec<Kind> = kinds.split(',').filter(|name| !name.is_empty()).map(Kind::named).collect();
        let ownership = match std::env::var("TRIBUTARY_TEST_OWNERSHIP").as_deref() {
            Ok("static") => Ownership::Static,
            Ok("group") | Err(_) => Ownership::Group,
            Ok(other) => panic!("no ownership {other}: group or static"),
        };
        let base = Self { ownership, ..Self::default() };
        let kinds = match number("BROKERS", 1) {
            _ if !kinds.is_empty() => kinds,
            1 => ownership.kinds(),
            // What needs ways to one broker is left out.
            _ => {
                let needs_ways = |kind: &Kind| matches!(kind, Kind::CutOff | Kind::BrokerStoodStill);
                let rest = ownership.kinds().into_iter().filter(|kind| !needs_ways(kind));
                // As often as all others together.
                rest.flat_map(|kind| [kind, Kind::BrokerLost]).collect()
            }
        };
        let is_short = std::env::var_os("TRIBUTARY_TEST_FAULTS").is_none();
        Self {
            faults: number("FAULTS", FAULTS),
            limit: if is_short { SHORT } else { base.limit },
            seed: number("SEED", rand::random::<u32>().into()),
            kinds,
            members: if ownership == Ownership::Static { 1 } else { base.members },
            step: number("STEP", base.step),
            away: Duration::from_secs(number("AWAY", base.away.as_secs())),
            consumers: std::env::var_os("TRIBUTARY_TEST_CONSUMERS").map(PathBuf::from),
            ..base
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: FAULTS,
            seed: rand::random::<u32>().into(),
            kinds: Ownership::Group.kinds(),
            ownership: Ownership::Group,
            members: 3,
            shards: 8,
            step: 2,
            commit_interval: "50ms",
            // What an instance leaves open must end by the fence of the next one.
            transaction_timeout: "10m",
            steps: &STEPS,
            away: AWAY,
            stays_deaf: false,
            limit: Duration::MAX,
            broken: None,
            consumers: None,
        }
    }
}
