//! Which member of the group has which partition, as its coordinator says. Only for show: no decision rests on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupList;
use tokio::runtime::Handle;

use super::assignment::{Share, instance_id};
use crate::sink::SinkError;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::client::{Clients, Context, close_beside, explain};
use crate::sink::kafka::config::Config;

/// Limit of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long a client is heard before a request.
const HEARD: Duration = Duration::from_millis(20);

/// The instance id of the member that has a partition.
pub(crate) type Holders = BTreeMap<i32, Arc<str>>;

/// Asks for the members of the group. Keeps its connections from one request to the next.
pub(crate) struct Census {
    clients: Clients,
    group: String,
    /// None after a request that failed: a new one reads secrets and files again.
    client: Option<BaseConsumer<Context>>,
}

impl Census {
    /// For the cluster of `config`. Connects with the first request.
    pub(crate) fn new(config: &Config, runtime: Handle) -> Self {
        let group = StateTopics::new(&config.prefix).shards;
        Self { clients: Clients::new(config.clone(), runtime), group, client: None }
    }

    /// Who has what now; nothing while the members agree on it anew. Blocks.
    pub(crate) fn holders(&mut self) -> Result<Holders, SinkError> {
        let list = self.members()?;
        let shares = list.groups().iter().flat_map(|group| Share::all(group, &self.group));
        let held = shares.filter_map(|Share { member_id, partitions }| {
            let name: Arc<str> = instance_id(&member_id)?.into();
            Some(partitions.into_iter().map(move |partition| (partition, Arc::clone(&name))))
        });
        Ok(held.flatten().collect())
    }

    /// The members now. Blocks.
    pub(super) fn members(&mut self) -> Result<GroupList, SinkError> {
        let consumer = match self.client.take() {
            Some(consumer) => consumer,
            None => self.clients.consumer(true)?,
        };
        // Its log would pile up, and its token expire.
        drop(consumer.poll(HEARD));
        match consumer.client().fetch_group_list(Some(&self.group), REQUEST_TIMEOUT) {
            Ok(list) => {
                self.client = Some(consumer);
                Ok(list)
            }
            Err(error) => {
                let reason = explain(&consumer, &error);
                close_beside(consumer);
                Err(SinkError::Unusable(format!(
                    "cannot ask for the members of group {}: {reason}",
                    self.group
                )))
            }
        }
    }
}
