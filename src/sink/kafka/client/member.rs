//! The client by which an instance takes part in the consumer group.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::{Clients, Context, TOKEN_POLL, await_token, statistics};
use crate::sink::SinkError;
use crate::sink::kafka::group::Group;

/// How soon new partitions of the topic are noticed, by whoever hands them out.
const METADATA_REFRESH: Duration = Duration::from_secs(5);

/// Time between two polls of the client, unless a release of shards or the session may take longer: librdkafka's default.
const USUAL_POLL: Duration = Duration::from_secs(300);

/// The longest that librdkafka takes.
const LONGEST_POLL: Duration = Duration::from_secs(86_400);

/// How long a member may not poll: while shards let go it does not. librdkafka refuses less than the session's timeout.
fn poll_limit(group: &Group) -> Duration {
    let release = group.release_timeout.saturating_mul(2);
    USUAL_POLL.max(release).max(group.session_timeout).min(LONGEST_POLL)
}

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
            .set("max.poll.interval.ms", millis(poll_limit(group)))
            .set("topic.metadata.refresh.interval.ms", millis(METADATA_REFRESH))
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest");
        statistics::watch(&mut config);
        let consumer: BaseConsumer<C> = self.create(&config, context(inner))?;
        let own = consumer.client().context();
        await_token((**own).as_ref(), || drop(consumer.poll(TOKEN_POLL)))?;
        Ok(consumer)
    }

    /// A consumer that asks what a group has committed, and does not join it.
    pub(crate) fn group_reader(&self, name: &str) -> Result<BaseConsumer<Context>, SinkError> {
        let (mut config, context) = self.consumer_config(true)?;
        config.set("group.id", name);
        let consumer: BaseConsumer<Context> = self.create(&config, context)?;
        await_token(consumer.client().context(), || drop(consumer.poll(TOKEN_POLL)))?;
        Ok(consumer)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientContext;
    use tokio::runtime::Handle;

    use super::*;

    struct Alone(Context);

    impl ClientContext for Alone {}

    impl ConsumerContext for Alone {}

    impl AsRef<Context> for Alone {
        fn as_ref(&self) -> &Context {
            &self.0
        }
    }

    #[tokio::test]
    async fn librdkafka_takes_whatever_the_configuration_takes() {
        let toml = r#"
            kafka = { bootstrap_servers = "localhost:1" }
            stream = [{ name = "s", kind = "airship", app_key = "app", auth = { bearer = { env = "TOKEN" } } }]
        "#;
        let clients = Clients::new(crate::config::parse(toml).unwrap().plan.kafka, Handle::current());
        let (hour, year) = (Duration::from_secs(3_600), Duration::from_secs(365 * 86_400));
        for (session_timeout, release_timeout) in [
            (Duration::from_secs(1), Duration::from_secs(1)),
            (hour, Duration::from_secs(20)),
            (Duration::from_secs(10), year),
        ] {
            let group = Group { instance_id: "a".into(), session_timeout, release_timeout };
            assert!(clients.member("g", &group, Alone).is_ok(), "{group:?}");
        }
    }
}
