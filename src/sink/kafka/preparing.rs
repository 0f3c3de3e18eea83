//! Topics that events name: looked up and created together, between transactions; and a producer that fits them.

use std::collections::BTreeSet;

use super::KafkaSink;
use crate::sink::SinkError;
use crate::sink::kafka::client::{BATCH_BYTES, Sizes};
use crate::sink::kafka::placement::record::Instance;
use crate::sink::kafka::topics::Wanted;

/// Batches are not cut to less: every event has more, so each is alone in its batch then.
pub(super) const LEAST_BATCH_BYTES: usize = 32;

impl KafkaSink {
    /// Topics that must be there for the shard to work at all.
    pub(super) fn required_topics(&self) -> Vec<Wanted> {
        let (state, config) = (self.state(), &self.settings.config);
        let state = if self.is_replay() {
            vec![state.wanted_replays(config)]
        } else {
            let [checkpoints, ids] = state.wanted(config, self.settings.placement.get().partition_count());
            vec![checkpoints, ids, state.wanted_shards(config, self.shared_partitions())]
        };
        let spec = self.settings.topic_spec;
        let events = self.settings.topics.iter().map(|name| Wanted::event(name, spec));
        let dead_letters = Wanted::event(&self.settings.dead_letter_topic, Default::default());
        state.into_iter().chain(events).chain([dead_letters]).collect()
    }

    /// Partitions of the topic that the consumer group hands out.
    fn shared_partitions(&self) -> i32 {
        if self.settings.instance == Instance::Group {
            self.settings.placement.get().partition_count()
        } else {
            1
        }
    }

    /// Has those looked up again with the next fence, and made again where they were deleted under way; topics that events
    /// name stay known.
    pub(super) fn forget_required_topics(&mut self) {
        self.required_topics().iter().for_each(|topic| self.topics.forget(&topic.name));
    }

    /// Finds or creates topics that events name.
    pub(super) fn prepare_topics(&mut self, names: &BTreeSet<String>) -> Result<(), SinkError> {
        let spec = self.settings.topic_spec;
        let required = self.required_topics();
        let is_required = |name: &str| required.iter().any(|topic| topic.name == name);
        let others: Vec<Wanted> =
            names.iter().filter(|name| !is_required(name)).map(|name| Wanted::event(name, spec)).collect();
        self.topics.ensure(&required)?;
        self.topics.look_up(&others)?;
        if self.fitting_sizes().batch_bytes < self.sizes.batch_bytes {
            return Err(SinkError::Outgrown("a topic takes smaller batches than the others".into()));
        }
        Ok(())
    }

    /// What a producer must be like for the topics that are known, and for what is to be found out with it.
    pub(super) fn fitting_sizes(&self) -> Sizes {
        let batch_bytes = if self.isolating { LEAST_BATCH_BYTES } else { self.whole_batch_bytes() };
        Sizes { batch_bytes, queue_bytes: self.learnt.queue_bytes }
    }

    /// A produce batch must not exceed what its topic takes.
    pub(super) fn whole_batch_bytes(&self) -> usize {
        let limit = self.topics.smallest_limit().unwrap_or(BATCH_BYTES);
        limit.min(self.learnt.batch_bytes).max(LEAST_BATCH_BYTES)
    }
}
