//! The record is written again where its topic was lost under way.
//!
//! What this instance announced comes back whole, words and source included. Of streams that are not running only their
//! checkpoints tell, and those know less (see [`Record::of_checkpoints`](super::record::Record::of_checkpoints)).

use tokio::runtime::Handle;
use tracing::error;

use super::record::Instance;
use super::{Announcer, Placement, refused};
use crate::sink::SinkError;
use crate::sink::kafka::config::Config;

impl Placement {
    /// Writes again what `instance` announced, if the record does not know of it any more. Blocks.
    pub(in crate::sink) fn restore(
        &self,
        config: &Config,
        instance: &Instance,
        runtime: Handle,
    ) -> Result<(), SinkError> {
        let mut announcer = Announcer::new(config, runtime, *instance == Instance::Group);
        announcer.restore(self, instance.name()).map_err(|failed| match failed {
            // Another instance changes the record at this moment; it takes over nothing by that.
            SinkError::Fenced(reason) => SinkError::Unusable(reason),
            other => other,
        })
    }
}

impl Announcer {
    /// Fences other announcers, reads, decides, commits.
    fn restore(&mut self, own: &Placement, instance: &str) -> Result<(), SinkError> {
        self.topics.ensure(&self.wanted(&[], own.partition_count()))?;
        let producer = self.fenced()?;
        let reader = self.reader()?;
        let found = self.found(&reader)?;
        let record = found.restore(&own.record, instance).map_err(refused)?;
        if record == found {
            return Ok(());
        }
        error!(
            topic = self.state.shards,
            "the placement record was lost, as when its topic is deleted; what this instance announced is written again. The \
             streams that are not running now are known only from their checkpoints: start those without --start-anew, since a \
             word that was used before would have its effect once more"
        );
        self.write(&producer, &record)
    }
}
