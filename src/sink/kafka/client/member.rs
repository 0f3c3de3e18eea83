//! The client by which an instance takes part in the consumer group.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::{Clients, Context, TOKEN_POLL, await_token};
use crate::sink::SinkError;
use crate::sink::kafka::group::Group;

/// How soon new partitions of the topic are noticed, by whoever hands them out.
const METADATA_REFRESH: Duration = Duration::from_secs(5);

/// The least that librdkafka takes between two polls: longer than any release of shards.
const LONGEST_POLL: Duration = Duration::from_secs(300);

impl Clients {
    /// A member of the group named `name`, which is yet to subscribe.
    pub(crate) fn member<C>(
        &self,
        name: &str,
        group: &Group,
        context: impl FnOnce(Context) -> C,
    ) -> Result<BaseConsumer<C>, SinkError>
    where
        C: ConsumerContext + AsRef<Context>,
    {
        let (mut config, inner) = self.base(&[])?;
        let millis = |duration: Duration| duration.as_millis().to_string();
        config
            .set("group.id", name)
            .set("group.instance.id", &group.instance_id)
            // The one that brokers of all releases know, and with which the session's timeout is the client's to say.
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(group.session_timeout))
            .set("heartbeat.interval.ms", millis(group.heartbeat()))
            // While shards let go the client is not polled.
            .set("max.poll.interval.ms", millis(LONGEST_POLL.max(group.release_timeout * 2)))
            .set("topic.metadata.refresh.interval.ms", millis(METADATA_REFRESH))
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest");
        let consumer: BaseConsumer<C> = self.create(&config, context(inner))?;
        let own = consumer.client().context();
        await_token((**own).as_ref(), || drop(consumer.poll(TOKEN_POLL)))?;
        Ok(consumer)
    }
}
