//! What a placement says, and what one instance knows of it by now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Placement;
use super::record::{Instance, Place, Record, Wanted, Who};
use crate::model::types::ShardId;

impl Placement {
    /// Where a shard has its state; `None` where a later configuration has cut its stream into another number than `shards`.
    pub(crate) fn place(&self, shard: &ShardId, shards: u32) -> Option<Place> {
        self.record.place_of(shard, shards)
    }

    /// Another instance than `own` that announced itself for one of these streams.
    pub fn other_instance(&self, streams: &[Wanted], own: &Instance) -> Option<&str> {
        let instances = streams.iter().filter_map(|wanted| self.record.instance(&wanted.stream));
        instances.into_iter().find(|instance| *instance != own.name())
    }

    /// Why a stream is left to others; `None` where it is not.
    pub fn why_superseded(&self, wanted: &Wanted) -> Option<String> {
        self.record.why_superseded(wanted).map(|superseded| superseded.to_string())
    }

    /// Whether a stream is recorded with another number of shards than a later configuration has, which is `wanted`.
    pub fn is_behind(&self, wanted: &Wanted) -> bool {
        self.record.is_behind(wanted)
    }

    /// Whether the members of the consumer group have announced themselves for a stream.
    pub fn is_shared(&self, stream: &str) -> bool {
        self.record.instance(stream) == Some(Instance::Group.name())
    }

    /// Whether a partition is that of a shard that nobody runs any more.
    pub fn is_past(&self, partition: i32) -> bool {
        self.record.is_past(partition)
    }

    /// How many partitions the state topics need for all that are known.
    pub fn partition_count(&self) -> i32 {
        self.record.partition_count()
    }

    /// Whether the shard was opened before this announcement, so that it should have a checkpoint.
    pub fn was_known(&self, shard: &ShardId, who: Who<'_>) -> bool {
        !self.record.is_new(&shard.stream, who)
    }
}

/// What is known of the placement; clones share it, so that whatever writes the record again writes what was read last.
#[derive(Clone, Debug)]
pub struct Latest(Arc<Mutex<Arc<Placement>>>);

impl Latest {
    /// Of an announcement.
    pub fn new(placement: Placement) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(placement))))
    }

    /// Of one who announced nothing and stands in no placement.
    pub(crate) fn none() -> Self {
        Self::new(Placement { record: Record::default() })
    }

    /// What is known now.
    pub fn get(&self) -> Arc<Placement> {
        Arc::clone(&self.lock())
    }

    /// Takes over what was found. What the members of the group have announced, and a record that was lost does not say any
    /// more, stays known.
    pub fn renew(&self, found: &Placement) {
        let mut known = self.lock();
        // An error says that the record was put together wrongly after a loss: it is no better than what is known.
        if let Ok(record) = found.record.restore(&known.record, Instance::Group.name())
            && record != known.record
        {
            *known = Arc::new(Placement { record });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Placement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::SourceId;
    use crate::sink::kafka::placement::record::{Record, Wanted, Who};

    fn wanted(stream: &str, start_anew: Option<&str>) -> Wanted {
        let source = SourceId { kind: "k".into(), name: "n".into(), host: "h".into() };
        Wanted {
            stream: stream.into(),
            shards: 2,
            source,
            generation: 0,
            start_anew: start_anew.map(Into::into),
            is_fixed: false,
        }
    }

    fn who(now_ms: i64) -> Who<'static> {
        Who { instance: &Instance::Group, process: "p", now_ms }
    }

    /// Whoever remembers the partitions of before would bring them back, and with them what was left behind.
    #[test]
    fn what_was_started_anew_since_is_what_is_written_again() {
        let first = Record::default().announce(&[wanted("a", None), wanted("b", None)], who(1)).unwrap();
        let known = Latest::new(Placement { record: first.clone() });
        let anew = first.announce(&[wanted("a", Some("word"))], who(2)).unwrap();
        assert_ne!(anew.streams["a"].partitions, first.streams["a"].partitions);
        known.renew(&Placement { record: anew.clone() });
        assert_eq!(known.get().record, anew);
        // A stale look changes nothing.
        known.renew(&Placement { record: first });
        assert_eq!(known.get().record.streams["a"], anew.streams["a"]);
        // The topic is lost, and somebody has brought back one of the streams.
        let mut partly = anew.clone();
        partly.streams.remove("a");
        known.renew(&Placement { record: partly });
        assert_eq!(known.get().record.streams, anew.streams);
    }
}
