//! What a campaign consists of. `proof/campaign` sets the variables.

use super::faults::{Kind, STEPS};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Faults of a run that nobody asks for more of.
const FAULTS: u32 = 10;

/// Somewhat longer than a session.
const AWAY: Duration = Duration::from_secs(9);

/// A campaign, but for what is struck.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub faults: u32,
    /// Says which faults, and when.
    pub seed: u64,
    pub kinds: Vec<Kind>,
    pub members: usize,
    pub shards: u32,
    /// Events that come with each look at what is waited for, which are some 10 ms apart.
    pub step: u64,
    pub commit_interval: &'static str,
    /// Where instances are killed, by the failpoints' names.
    pub steps: &'static [&'static str],
    /// How long an instance is away at most.
    pub away: Duration,
    /// No more faults after so long.
    pub limit: Duration,
    /// The rule that is broken on purpose.
    pub broken: Option<&'static str>,
}

impl Options {
    /// What the variables say.
    pub(super) fn from_env() -> Self {
        let kinds = std::env::var("TRIBUTARY_TEST_KINDS").unwrap_or_default();
        let kinds: Vec<Kind> = kinds.split(',').filter(|name| !name.is_empty()).map(Kind::named).collect();
        Self {
            faults: number("FAULTS", FAULTS),
            seed: number("SEED", rand::random::<u32>().into()),
            kinds: if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds },
            step: number("STEP", 2),
            ..Self::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: FAULTS,
            seed: rand::random::<u32>().into(),
            kinds: Kind::ALL.to_vec(),
            members: 3,
            shards: 8,
            step: 2,
            commit_interval: "50ms",
            steps: &STEPS,
            away: AWAY,
            limit: Duration::MAX,
            broken: None,
        }
    }
}

/// The number in `TRIBUTARY_TEST_<name>`.
pub(super) fn number<N: FromStr<Err: Display>>(name: &str, otherwise: N) -> N {
    let name = format!("TRIBUTARY_TEST_{name}");
    let Ok(text) = std::env::var(&name) else { return otherwise };
    text.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}
