//! Partitions that no member has, although the group is stable.
//!
//! A member that gives partitions back joins once more, so that others get them. If its process is killed in between and comes
//! back under its name, the group gives it what it had kept, and knows of nothing that is left to do: the rest would have no member
//! until somebody joins or leaves. So a member looks, after each change of what it has, whether all partitions have a member, and tells who has them.
//!
//! Invariants:
//! - A partition that is being given back is left alone: that takes no longer than `release_timeout`, and a member that stands
//!   still for longer than a session is none any more.
//! - One member acts and the others do not. They all see the same, at about the same time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::assignment::{Holders, Share, instance_id};
use super::{Change, GroupContext, Member};
use crate::model::errors::chain;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// Limit of one request. It is short, since the member hears nothing of the group meanwhile; its session goes on.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// What brokers call a group in which nothing is about to change.
const STABLE: &str = "Stable";

/// What was seen since the last change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Watch {
    /// When to look; `None` while nothing has changed since all was well.
    next: Option<Instant>,
    /// Partitions without a member in each look since this time.
    orphans: Option<(BTreeSet<i32>, Instant)>,
}

/// A stable group.
#[derive(Clone, PartialEq, Eq, Debug)]
struct View {
    partitions: BTreeSet<i32>,
    shares: Vec<Share>,
}

impl View {
    /// Partitions that no member has.
    fn orphans(&self) -> BTreeSet<i32> {
        let is_had = |partition: &i32| self.shares.iter().any(|share| share.partitions.contains(partition));
        self.partitions.iter().copied().filter(|partition| !is_had(partition)).collect()
    }

    /// Who has what.
    fn holders(&self) -> Holders {
        let held = self.shares.iter().filter_map(|Share { member_id, partitions }| {
            let name: Arc<str> = instance_id(member_id)?.into();
            Some(partitions.iter().map(move |partition| (*partition, Arc::clone(&name))))
        });
        held.flatten().collect()
    }

    /// The name of the member whose departure disturbs the least: the one with the fewest partitions, and of several the first.
    fn least(&self) -> Option<&str> {
        let least = self.shares.iter().min_by_key(|share| (share.partitions.len(), &share.member_id))?;
        instance_id(&least.member_id)
    }
}

impl Watch {
    /// What this member has was changed.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self { next: Some(now + LOOK), orphans: None };
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| now >= next)
    }

    /// Judges which partitions a look has found without a member; `None` where it can say nothing. Gives those that have had none
    /// for at least `patience`.
    fn judge(&mut self, found: Option<BTreeSet<i32>>, now: Instant, patience: Duration) -> BTreeSet<i32> {
        let (before, since) = self.orphans.take().unwrap_or_else(|| (BTreeSet::new(), now));
        self.next = Some(now + LOOK);
        let Some(found) = found else { return BTreeSet::new() };
        if found.is_empty() {
            self.next = None;
            return found;
        }
        let still: BTreeSet<i32> = before.intersection(&found).copied().collect();
        if still.is_empty() {
            self.orphans = Some((found, now));
            return still;
        }
        self.orphans = Some((still.clone(), since));
        if now.duration_since(since) < patience { BTreeSet::new() } else { still }
    }
}

impl Member {
    /// Whether this member is to leave and join again, so that partitions which have had no member for too long are handed out.
    /// Blocks for two short requests at most, now and then after a change.
    pub(super) fn finds_orphans(&self, consumer: &BaseConsumer<GroupContext>, watch: &mut Watch) -> bool {
        if !watch.is_due(Instant::now()) {
            return false;
        }
        let view = self.view(consumer).unwrap_or_else(|error| {
            debug!(reason = chain(&error), topic = self.topic, "cannot ask who has which partition");
            None
        });
        (self.owner)(Change::Held(view.as_ref().map(View::holders).unwrap_or_default()));
        let patience = self.group.release_timeout.saturating_add(self.group.session_timeout);
        let orphans = watch.judge(view.as_ref().map(View::orphans), Instant::now(), patience);
        let is_least = view.is_some_and(|view| view.least() == Some(&self.group.instance_id));
        if orphans.is_empty() || !is_least {
            return false;
        }
        warn!(
            partitions = ?orphans, topic = self.topic,
            "no member of the group has these partitions, as when one was killed that was giving them back; this one leaves and joins \
             again, which has them handed out"
        );
        true
    }

    /// The group as it is; `None` unless it is stable and all of it is known.
    fn view(&self, consumer: &BaseConsumer<GroupContext>) -> Result<Option<View>, KafkaError> {
        let client = consumer.client();
        let groups = client.fetch_group_list(Some(&self.topic), REQUEST_TIMEOUT)?;
        let Some(group) = groups.groups().iter().find(|group| group.state() == STABLE) else {
            return Ok(None);
        };
        let shares = Share::all(group, &self.topic);
        if shares.len() < group.members().len() {
            return Ok(None);
        }
        let metadata = client.fetch_metadata(Some(&self.topic), REQUEST_TIMEOUT)?;
        let topics = metadata.topics().iter().filter(|topic| topic.name() == self.topic);
        let partitions =
            topics.flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
        Ok(Some(View { partitions, shares }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "2b2ae2c9-0b8f-4b7e-8f25-0d4c5f0f1a11";

    fn set(partitions: &[i32]) -> BTreeSet<i32> {
        partitions.iter().copied().collect()
    }

    fn view(partitions: i32, shares: &[(&str, &[i32])]) -> View {
        let share = |(name, partitions): &(&str, &[i32])| Share {
            member_id: format!("{name}-{UUID}"),
            partitions: set(partitions),
        };
        View { partitions: (0..partitions).collect(), shares: shares.iter().map(share).collect() }
    }

    #[test]
    fn of_the_members_the_one_with_the_least_acts() {
        let seen = view(6, &[("c", &[0]), ("a", &[1, 3]), ("b", &[5])]);
        assert_eq!((seen.orphans(), seen.least()), (set(&[2, 4]), Some("b")));
        let held: Vec<_> =
            seen.holders().into_iter().map(|(partition, name)| format!("{name}{partition}")).collect();
        assert_eq!(held, ["c0", "a1", "a3", "b5"]);
        let seen = view(2, &[("a", &[0, 1]), ("z", &[])]);
        assert_eq!((seen.orphans(), seen.least()), (set(&[]), Some("z")));
        assert_eq!(view(1, &[]).least(), None);
    }

    #[test]
    fn what_has_no_member_for_long_is_an_orphan() {
        let (start, patience) = (Instant::now(), Duration::from_secs(20));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        assert!(!watch.is_due(at(100)), "nothing has changed");
        watch.begin(start);
        assert!(!watch.is_due(at(4)) && watch.is_due(at(5)));
        assert_eq!(watch.judge(Some(set(&[1, 2])), at(5), patience), set(&[]));
        assert_eq!(watch.judge(Some(set(&[2, 3])), at(24), patience), set(&[]));
        assert_eq!(watch.clone().judge(None, at(25), patience), set(&[]), "it is being handed out");
        assert_eq!(watch.clone().judge(Some(set(&[3])), at(25), patience), set(&[]), "others");
        assert_eq!(watch.judge(Some(set(&[2])), at(25), patience), set(&[2]));
        assert_eq!(watch.judge(Some(set(&[2])), at(30), patience), set(&[2]), "nobody has acted");
        watch.begin(at(31));
        assert_eq!(watch.judge(Some(set(&[2])), at(36), patience), set(&[]), "it was handed out anew");
        assert_eq!(watch.judge(Some(set(&[])), at(41), patience), set(&[]));
        assert!(!watch.is_due(at(100)), "all have a member");
    }
}
