//! What a shard commits with each batch: where to resume, and enough to notice a takeover or a gap.
//!
//! Invariant: a checkpoint moves only by a [`Delta`] that names the sequence it was built on; a delta built on
//! anything else is refused and changes nothing. Knows nothing of Kafka.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::errors::without_text;
use super::types::{Dated, Position, ShardId, Watermark};

/// The latest version that this program knows. Older versions are read, newer ones refused.
pub const VERSION: u32 = 4;

/// The version of checkpoints of streams whose number of shards was never changed, which releases read that know of no change.
const UNCUT: u32 = 3;

/// The highest sequence that is read. Nobody commits so often, and above it there is room for more commits than anybody makes.
pub(crate) const LAST_SEQUENCE: u64 = u64::MAX / 2;

/// Totals since the shard's first checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Lines taken from the service, blank ones and position updates not counted.
    pub received: u64,
    /// Events written to their topics.
    pub delivered: u64,
    /// Events dropped because their id was in the window.
    pub duplicates: u64,
    /// Lines written to the dead-letter topic.
    pub dead_letters: u64,
    /// Events left out since the stream drops their sort, such as bots.
    pub filtered: u64,
}

/// Which ids of the journal a restart needs. All ids of a shard are numbered in the order of their commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ids {
    /// The number of the oldest one that is needed.
    pub oldest: u64,
    /// How many there are in all, which is the number of the next one.
    pub written: u64,
    /// When the oldest one was written to the journal, by our clock, milliseconds since the Unix epoch: where to look first.
    pub since_ms: i64,
}

/// Whether somebody holds a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Its owner holds it, or ended without letting go.
    #[default]
    Held,
    /// Its owner stopped and let go of it, although something may have been on its way from the service.
    Released,
    /// Its owner let go of it when everything that was on its way had been taken: a stop in order.
    Drained,
}

/// A shard's checkpoint. In Kafka it is JSON, keyed by the shard's `<stream>/<index>`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Format version.
    pub version: u32,
    /// Rises by one with each checkpoint; the highest wins.
    pub sequence: u64,
    /// The opening of the sink that wrote it; another value than one's own means that another took over.
    pub owner: String,
    /// The instance that holds the shard with it, for whoever looks; `None` in what older releases wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Number of shards the stream was cut into.
    pub shards: u32,
    /// How often the number of shards had been changed by then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u32,
    /// The latest configuration that had announced this number of shards when the shard was opened.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u64,
    /// Where to resume; `None` until the first line with a position.
    pub position: Option<Position>,
    /// How old the position is, milliseconds since the Unix epoch: when the service processed the event that stands there or,
    /// where lines without such a time moved it, when that was committed. `None` in what older releases wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_ms: Option<i64>,
    /// When the service processed the last committed event, milliseconds since the Unix epoch.
    pub processed_ms: Option<i64>,
    /// When this was written, milliseconds since the Unix epoch.
    pub committed_ms: i64,
    /// Whether its owner has let go of the shard with it. Versions 1 and 2 said it with two flags.
    #[serde(default)]
    pub hold: Hold,
    /// Totals up to here.
    pub totals: Totals,
    /// How long the shard has run in all its lives, milliseconds: while it was connected and Kafka took what it wrote.
    #[serde(default)]
    pub ran_ms: u64,
    /// Which ids a restart needs; `None` in checkpoints of version 1.
    #[serde(default)]
    pub ids: Option<Ids>,
}

/// The step from one checkpoint to the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// Sequence of the checkpoint it was built on.
    pub from: u64,
    /// The new position; `None` leaves it.
    pub to: Option<Position>,
    /// Processing time of the last event; `None` leaves it.
    pub processed_ms: Option<i64>,
    /// What the batch adds to the totals.
    pub added: Totals,
    /// How long the shard has run by now, milliseconds.
    pub ran_ms: u64,
    /// Which ids are needed after it.
    pub ids: Ids,
    /// Whether the shard is let go of with it.
    pub hold: Hold,
}

/// A delta that was built on another checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the delta was built on checkpoint {from}, but the checkpoint is {current}")]
pub struct Misfit {
    /// What the delta names.
    pub from: u64,
    /// What the checkpoint is.
    pub current: u64,
}

/// Why stored bytes are no checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not the JSON of a checkpoint.
    #[error("not a checkpoint")]
    Malformed(#[from] serde_json::Error),
    /// Written by a later release.
    #[error("checkpoint version {0} was written by a later release; this one reads up to {VERSION}")]
    Newer(u32),
    /// Its sequence is beyond what so many commits could reach.
    #[error("its sequence is {0}, and none of ours is above {LAST_SEQUENCE}")]
    BeyondReach(u64),
}

/// What every version has, so that other JSON is not taken for a checkpoint of a later one. The version decides how the
/// rest is read.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
    #[serde(rename = "sequence")]
    _sequence: u64,
    #[serde(rename = "owner")]
    _owner: String,
}

/// The first version that has [`Hold`].
const HOLD_VERSION: u32 = 3;

/// What stood in its place.
#[derive(Deserialize)]
struct Flags {
    #[serde(default)]
    clean: bool,
    #[serde(default)]
    released: bool,
}

impl Checkpoint {
    /// The state of a shard that has none yet.
    pub fn initial(owner: impl Into<String>, shards: u32, now_ms: i64) -> Self {
        Self {
            version: UNCUT,
            sequence: 0,
            owner: owner.into(),
            instance: None,
            shards,
            cut: 0,
            generation: 0,
            position: None,
            position_ms: None,
            processed_ms: None,
            committed_ms: now_ms,
            hold: Hold::Held,
            totals: Totals::default(),
            ran_ms: 0,
            ids: Some(Ids { since_ms: now_ms, ..Ids::default() }),
        }
    }

    /// The same of a shard of this cut of its stream, by this generation.
    pub fn of_cut(self, cut: u32, generation: u64) -> Self {
        Self { version: version(cut), cut, generation, ..self }
    }

    /// The checkpoint after `delta`, written at `now_ms`.
    pub fn after(&self, delta: &Delta, now_ms: i64) -> Result<Self, Misfit> {
        if delta.from != self.sequence {
            return Err(Misfit { from: delta.from, current: self.sequence });
        }
        Ok(Self {
            version: version(self.cut),
            sequence: self.sequence + 1,
            owner: self.owner.clone(),
            instance: self.instance.clone(),
            shards: self.shards,
            cut: self.cut,
            generation: self.generation,
            position: delta.to.clone().or_else(|| self.position.clone()),
            position_ms: match delta.to {
                Some(_) => Some(delta.processed_ms.unwrap_or(now_ms)),
                None => self.position_ms,
            },
            processed_ms: delta.processed_ms.or(self.processed_ms),
            committed_ms: now_ms,
            hold: delta.hold,
            totals: self.totals.plus(delta.added),
            ran_ms: delta.ran_ms,
            ids: Some(delta.ids),
        })
    }

    /// How old the position is, milliseconds since the Unix epoch; `None` without one.
    pub fn position_dated_ms(&self) -> Option<i64> {
        self.position.as_ref().map(|_| self.position_ms.or(self.processed_ms).unwrap_or(self.committed_ms))
    }

    /// Whether the progress of `other` is what this one stands at. Sequences do not tell: a claim that another
    /// opening wrote takes the sequence that a lost commit would have had.
    pub fn carries(&self, other: &Self) -> bool {
        (&self.position, self.totals, self.committed_ms)
            == (&other.position, other.totals, other.committed_ms)
    }

    /// The first checkpoint of a new opening by `owner`, of this instance: one step on, with everything else as it was. Its times
    /// stay, since they date the position and not the claim.
    pub fn claimed_by(self, owner: &str, instance: Option<&str>) -> Self {
        Self {
            version: version(self.cut),
            sequence: self.sequence + 1,
            owner: owner.to_owned(),
            instance: instance.map(str::to_owned),
            hold: Hold::Held,
            ..self
        }
    }

    /// The step to a position that somebody says, at `now_ms`; `None` is where a stream begins that has none. How old it is, nobody
    /// knows.
    pub fn moved_to(self, position: Option<Position>, now_ms: i64) -> Self {
        Self { position, position_ms: None, processed_ms: None, committed_ms: now_ms, ..self }
    }

    /// Knowing no ids any more: what was delivered may be delivered again.
    pub fn without_ids(self) -> Self {
        let written = self.ids.map_or(0, |ids| ids.written);
        let ids = Ids { oldest: written, written, since_ms: self.committed_ms };
        Self { ids: Some(ids), ..self }
    }

    /// The latest received time among the events delivered, where the service keeps the position.
    pub fn received_ms(&self) -> Option<i64> {
        match &self.position {
            Some(Position::Watermark(mark)) => mark.received_ms,
            _ => None,
        }
    }

    /// The date of the ids that are committed with it.
    pub fn dated(&self) -> Dated {
        Dated { committed_ms: self.committed_ms, ran_ms: self.ran_ms, received_ms: self.received_ms() }
    }

    /// When the oldest ids were committed that a restart needs: where in the journal to look for them first. `window` is
    /// for checkpoints of version 1, which do not say it.
    pub fn ids_since_ms(&self, window: Duration) -> i64 {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        match (self.ids, &self.position) {
            (Some(ids), _) => ids.since_ms,
            (None, Some(Position::Watermark(Watermark { ids_since_ms: Some(since_ms), .. }))) => *since_ms,
            (None, _) => self.committed_ms.saturating_sub(window_ms),
        }
    }

    /// The key of a shard's checkpoints and journal records.
    pub fn key(shard: &ShardId) -> String {
        shard.to_string()
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        // The type holds nothing that JSON cannot: no maps with other keys than text, no failing Serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Versioned { version, .. } = serde_json::from_slice(bytes).map_err(without_text)?;
        if version > VERSION {
            return Err(DecodeError::Newer(version));
        }
        let mut checkpoint: Self = serde_json::from_slice(bytes).map_err(without_text)?;
        if version < HOLD_VERSION {
            let flags: Flags = serde_json::from_slice(bytes).map_err(without_text)?;
            checkpoint.hold = flags.hold();
        }
        if checkpoint.sequence > LAST_SEQUENCE {
            return Err(DecodeError::BeyondReach(checkpoint.sequence));
        }
        Ok(checkpoint)
    }
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

fn version(cut: u32) -> u32 {
    if cut > 0 { VERSION } else { UNCUT }
}

impl Flags {
    fn hold(&self) -> Hold {
        match (self.clean, self.released) {
            (true, _) => Hold::Drained,
            (false, true) => Hold::Released,
            (false, false) => Hold::Held,
        }
    }
}

impl Totals {
    /// The sum, member by member, up to what a member can hold.
    pub fn plus(self, other: Self) -> Self {
        Self {
            received: self.received.saturating_add(other.received),
            delivered: self.delivered.saturating_add(other.delivered),
            duplicates: self.duplicates.saturating_add(other.duplicates),
            dead_letters: self.dead_letters.saturating_add(other.dead_letters),
            filtered: self.filtered.saturating_add(other.filtered),
        }
    }
}

#[cfg(test)]
mod tests;
