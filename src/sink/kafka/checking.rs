//! Whether a shard's state is still in Kafka: a state topic may be deleted under way, and another shard may have made it
//! again before this one writes the next time.
//!
//! Without a look at where the partitions end there would be no sign: a producer goes on writing to a topic that was made
//! again.

use std::time::Duration;

use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode as Code;
use tracing::debug;

use super::{KafkaSink, blocking};
use crate::sink::SinkError;

/// Limit for an answer. The shard stands still meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Before a partition that ends too early or seems to be gone is looked at again: a new leader learns late that it is one,
/// and how far its partition goes.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// First and last offset of a partition.
type Ends = (i64, i64);

/// What a partition cannot fall short of: the first offset that was seen last, and the end that was seen last with what was
/// written since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Least {
    low: i64,
    high: i64,
    /// Markers of the latest transaction, which come after its commit was acknowledged.
    due: i64,
}

/// How far the shard's partitions of the state topics go at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    checkpoints: Least,
    ids: Least,
    /// Whether the ids were made again since the shard was opened: what was written before is not in there, even though the
    /// latest are.
    pub(super) ids_lost: bool,
}

impl Seen {
    /// Notes a commit that wrote so many records of ids, and a checkpoint. A transaction has a marker in each partition that it
    /// wrote to. Without them a partition that was made again would soon be as long as its predecessor is known to have been.
    pub(super) fn committed(&mut self, ids: usize, is_transaction: bool) {
        let markers = i64::from(is_transaction);
        self.checkpoints.wrote(1, markers);
        self.ids.wrote(i64::try_from(ids).unwrap_or_default(), markers);
    }
}

impl Least {
    /// Whether a partition with these ends is another one than before.
    fn is_missed(self, (low, high): Ends) -> bool {
        low < self.low || high < self.high
    }

    /// A commit wrote so many records. By the time that a transaction is committed, the markers of the one before are there.
    fn wrote(&mut self, records: i64, markers: i64) {
        self.high += self.due + records;
        self.due = if records > 0 { markers } else { 0 };
    }

    fn note(&mut self, (low, high): Ends) {
        // What is due may be there already.
        *self = Self { low, high, due: 0 };
    }
}

impl KafkaSink {
    /// Looks whether the shard's partitions of the state topics are there and go as far as they did.
    pub(super) fn check_state(&mut self) -> Result<(), SinkError> {
        // While nothing is written nobody else serves its events.
        blocking::serve(self.producer()?);
        if self.context.has_lost_brokers() {
            self.check_client()?;
        }
        let Seen { checkpoints, ids, .. } = self.seen;
        let mut looked = self.look();
        let is_missed = |(first, second): (Ends, Ends)| checkpoints.is_missed(first) || ids.is_missed(second);
        if looked.as_ref().map_or(true, |found| found.is_some_and(is_missed)) {
            std::thread::sleep(SETTLE_PAUSE);
            looked = self.look();
        }
        let Some(found) = looked? else { return Ok(()) };
        debug!(shard = self.key(), ?found, least = ?(checkpoints, ids), "looked whether the state is there");
        self.seen.checkpoints.note(found.0);
        self.seen.ids.note(found.1);
        self.seen.ids_lost |= ids.is_missed(found.1);
        let state = self.state();
        let topic = match (checkpoints.is_missed(found.0), self.seen.ids_lost) {
            (false, false) => return Ok(()),
            (true, _) => state.checkpoints,
            (false, true) => state.ids,
        };
        Err(SinkError::OutcomeUnknown(format!(
            "{topic} partition {} ends before what was written to it: the topic was deleted and made again, or its latest \
             records were deleted",
            self.settings.place.partition
        )))
    }

    /// The ends of the shard's checkpoints and of its ids; `None` where Kafka does not say.
    fn look(&self) -> Result<Option<(Ends, Ends)>, SinkError> {
        let state = self.state();
        let ids = if self.is_replay() { Some(Ends::default()) } else { self.ends(&state.ids)? };
        Ok(self.ends(&state.checkpoints)?.zip(ids))
    }

    fn ends(&self, topic: &str) -> Result<Option<Ends>, SinkError> {
        let partition = self.settings.place.partition;
        let ends = self.producer()?.client().fetch_watermarks(topic, partition, REQUEST_TIMEOUT);
        match ends.map_err(|error| (error.rdkafka_error_code(), error)) {
            Ok(ends) => Ok(Some(ends)),
            Err((
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition),
                error,
            )) => Err(SinkError::OutcomeUnknown(format!("{topic} partition {partition} is gone: {error}"))),
            // Whether Kafka can be reached is watched elsewhere.
            Err((_, error)) => {
                debug!(topic, partition, %error, "cannot look whether the shard's state is there");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_goes_back_is_another_one() {
        let at = |low, high| Least { low, high, due: 0 };
        assert!(!at(0, 0).is_missed((0, 0)), "nothing was written");
        assert!(!at(0, 0).is_missed((0, 10)));
        assert!(!at(0, 10).is_missed((5, 10)), "the oldest records were deleted, as always");
        assert!(!at(5, 10).is_missed((10, 10)), "all of them");
        assert!(at(10, 10).is_missed((0, 2)), "made again");
        assert!(at(5, 10).is_missed((0, 12)), "made again, and further already");
    }

    #[test]
    fn what_was_committed_since_the_last_look_is_missed_too() {
        let mut seen = Seen::default();
        seen.committed(0, false);
        seen.committed(3, false);
        assert_eq!((seen.checkpoints.high, seen.ids.high), (2, 3));
        assert!(seen.ids.is_missed((0, 0)) && !seen.ids.is_missed((0, 3)));
    }

    #[test]
    fn one_that_was_made_again_is_missed_however_much_it_has_by_now() {
        for (before, since) in [(1, 1), (1, 1_000), (20, 600), (600, 20)] {
            let mut seen = Seen::default();
            (0..before).for_each(|_| seen.committed(1, true));
            assert!(!seen.ids.is_missed((0, 2 * before - 1)), "the last marker may come later");
            (0..since).for_each(|_| seen.committed(1, true));
            assert!(!seen.ids.is_missed((0, 2 * (before + since) - 1)), "nothing was lost");
            let found = (0, 2 * since);
            assert!(seen.ids.is_missed(found) && seen.checkpoints.is_missed(found), "{before} {since}");
        }
    }

    #[test]
    fn a_transaction_without_ids_leaves_no_marker_among_them() {
        let mut seen = Seen::default();
        seen.committed(2, true);
        seen.committed(0, true);
        seen.committed(0, true);
        assert!(!seen.ids.is_missed((0, 3)) && seen.ids.is_missed((0, 2)));
        assert!(!seen.checkpoints.is_missed((0, 5)) && seen.checkpoints.is_missed((0, 4)));
        seen.ids.note((0, 3));
        seen.committed(0, true);
        assert!(!seen.ids.is_missed((0, 3)), "a marker counts once");
    }
}
