//! Who announced itself last, asked again and again.

use tokio::runtime::Handle;

use super::{Placement, read};
use crate::sink::SinkError;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::client::Clients;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::readback::Reader;

/// Looks into the placement record. Keeps its connections from one look to the next.
pub(crate) struct Watcher {
    config: Config,
    clients: Clients,
    /// None after a look that failed: a new one reads secrets and files again.
    reader: Option<Reader>,
}

impl Watcher {
    /// For the cluster of `config`. Connects with the first look.
    pub(crate) fn new(config: &Config, runtime: Handle) -> Self {
        Self { config: config.clone(), clients: Clients::new(config.clone(), runtime), reader: None }
    }

    /// What is recorded now; `None` where there is no record. Blocks.
    pub(crate) fn look(&mut self) -> Result<Option<Placement>, SinkError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::new(&self.clients, self.config.transaction_timeout)?,
        };
        let found = read(&reader, &StateTopics::new(&self.config.prefix))?;
        self.reader = Some(reader);
        Ok(found.map(|(record, _)| Placement { record }))
    }
}
