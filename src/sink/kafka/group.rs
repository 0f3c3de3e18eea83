//! The consumer group whose members share the shards: who owns partition *i* of `<prefix>.shards` is to run the shard that has
//! partition *i* of the state topics.
//!
//! Invariants:
//! - The group says who *should* run a shard. Who *may* write to it is decided by the fence alone.
//! - Before a partition is given back in order, its shard has let go, or the time for it is over.
//! - Nothing is read from the topic, and no offset is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::StateTopics;
use super::client::beside::{Beside, Hears};
use super::client::{Clients, Context, close_beside, with_causes};
use super::config::Config;
use super::placement::Latest;
use super::placement::record::Instance;
use crate::failpoint;
use crate::sink::SinkError;

mod assignment;
mod namesake;
mod orphans;
mod seat;

pub(crate) use assignment::Holders;
use orphans::Watch;
pub use seat::{Seat, Sitting};

/// How soon a stop is noticed.
const STEP: Duration = Duration::from_millis(100);

/// How long a member sleeps between looks for what the group has to say. A poll that waits would use up the core in its last
/// millisecond.
const LOOK: Duration = Duration::from_millis(25);

/// How long a member that leaves waits until its partitions are taken from it.
const LEAVING: Duration = Duration::from_secs(2);

/// The kind of line by which librdkafka says that the session has expired. A member without a shard learns it in no other way.
const EXPIRED: &str = "SESSTMOUT";

/// Before the next attempt when there is no client.
const PAUSE: Duration = Duration::from_secs(2);

/// How a process takes part in the group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// `group.instance.id`: the name under which a quick restart is the same member.
    pub instance_id: String,
    /// `session.timeout.ms`: after this a member that says nothing is taken for dead.
    pub session_timeout: Duration,
    /// The longest that the giving back of a shard may take.
    pub release_timeout: Duration,
}

impl Group {
    /// Between two signs of life. The others learn of a rebalance with the answer to theirs, so it is short.
    pub(crate) fn heartbeat(&self) -> Duration {
        (self.session_timeout / 12).clamp(Duration::from_millis(100), Duration::from_secs(1))
    }
}

/// What the group says of partitions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// They are this member's.
    Assigned(Vec<i32>),
    /// They are to be given back, and the call returns when their shards have let go.
    Revoked(Vec<i32>),
    /// Others may have them already.
    Lost(Vec<i32>),
    /// The members have these; nothing while they agree on it anew.
    Held(Holders),
}

/// How a membership ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// It was told to.
    Told,
    /// Another process of the same instance id joined.
    Replaced,
}

/// What a member does after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reaction {
    /// It goes on; librdkafka tries again.
    Stays,
    /// It makes sure of the topic.
    Restores,
    /// It joins with another client, which has the secrets and files as they are by then.
    JoinsAnew,
    /// It gives its shards back and leaves, and then joins.
    Leaves,
    /// It finds out whether its seat is another process's.
    Doubts,
}

type Owner = dyn Fn(Change) + Send + Sync;

/// Takes part in the group.
pub(crate) struct Member {
    config: Config,
    group: Group,
    topic: String,
    placement: Latest,
    runtime: Handle,
    clients: Clients,
    seat: Seat,
    owner: Arc<Owner>,
}

impl Member {
    /// Not a member yet. `owner` is called from the thread that runs it.
    pub(crate) fn new(
        config: &Config,
        group: &Group,
        placement: Latest,
        runtime: Handle,
        seat: Seat,
        owner: impl Fn(Change) + Send + Sync + 'static,
    ) -> Self {
        Self {
            config: config.clone(),
            group: group.clone(),
            topic: StateTopics::new(&config.prefix).shards,
            placement,
            clients: Clients::new(config.clone(), runtime.clone()),
            runtime,
            seat,
            owner: Arc::new(owner),
        }
    }

    /// Joins, and stays a member until `stop`. Blocks. What fails is tried again.
    pub(crate) fn run(&self, stop: &CancellationToken) -> Left {
        let mut joined: Option<BaseConsumer<GroupContext>> = None;
        let mut restore_at: Option<Instant> = None;
        let mut watch = Watch::default();
        while !stop.is_cancelled() {
            if restore_at.is_some_and(|at| Instant::now() >= at) {
                // librdkafka says only once that the topic is gone, so a failure has to be remembered here.
                restore_at = (!self.restore()).then(|| Instant::now() + PAUSE);
            }
            if self.seat.is_idle() {
                if let Some(consumer) = joined.take() {
                    self.leave(consumer);
                }
                self.seat.rests();
                std::thread::sleep(STEP);
                continue;
            }
            let Some(consumer) = &joined else {
                (joined, watch) = (self.join(stop), Watch::default());
                continue;
            };
            failpoint::pass("group_member");
            if consumer.context().hears.has_changed.swap(false, Ordering::AcqRel) {
                watch.begin(Instant::now());
            }
            std::thread::sleep(LOOK);
            let reaction = match consumer.poll(Duration::ZERO) {
                Some(Err(failed)) => self.heed(&failed, consumer),
                _ if consumer.context().own.has_lost_brokers() => {
                    let reason = consumer.context().own.why_useless().unwrap_or_default();
                    warn!(
                        reason,
                        topic = self.topic,
                        "the consumer group that shares the shards; joining anew"
                    );
                    self.seat.loses(format!("consumer group {}: {reason}", self.topic));
                    Reaction::JoinsAnew
                }
                _ if self.finds_orphans(consumer, &mut watch) => Reaction::Leaves,
                _ => Reaction::Stays,
            };
            match reaction {
                Reaction::Stays => {}
                Reaction::Restores => restore_at = Some(Instant::now()),
                Reaction::JoinsAnew => joined = None,
                Reaction::Leaves => {
                    self.seat.loses("left the group, to have all shards handed out anew");
                    if let Some(consumer) = joined.take() {
                        self.leave(consumer);
                    }
                }
                Reaction::Doubts => {
                    if let Some(fenced) = joined.take() {
                        self.give_up(fenced);
                    }
                    if self.has_namesake(stop) {
                        error!(
                            instance_id = self.group.instance_id,
                            "another process with this instance_id has joined the group; each needs an instance_id of its own"
                        );
                        return Left::Replaced;
                    }
                }
            }
        }
        if let Some(consumer) = joined {
            self.leave(consumer);
        }
        Left::Told
    }

    /// What a failure means for the membership.
    fn heed(&self, failed: &KafkaError, consumer: &BaseConsumer<GroupContext>) -> Reaction {
        if failed.rdkafka_error_code() == Some(Code::FencedInstanceId) {
            return Reaction::Doubts;
        }
        let reason = with_causes(failed.to_string(), &consumer.context().own);
        let advice = advice(failed);
        warn!(reason, topic = self.topic, "the consumer group that shares the shards{advice}");
        let reason = format!("consumer group {}: {reason}{advice}", self.topic);
        self.seat.fails(reason.clone());
        if consumer.client().fatal_error().is_some() || consumer.context().own.was_refused() {
            self.seat.loses(reason);
            return Reaction::JoinsAnew;
        }
        match failed.rdkafka_error_code() {
            Some(Code::UnknownTopicOrPartition) => Reaction::Restores,
            _ => Reaction::Stays,
        }
    }

    fn join(&self, stop: &CancellationToken) -> Option<BaseConsumer<GroupContext>> {
        let context = |own| {
            let is_given_up = AtomicBool::new(false);
            let (seat, owner) = (self.seat.clone(), Arc::clone(&self.owner));
            let hears = Membership { seat, owner, has_changed: AtomicBool::new(false), is_given_up };
            Beside { own, hears }
        };
        let joined = self.clients.member(&self.topic, &self.group, context).and_then(|consumer| {
            let subscribed = consumer.subscribe(&[&self.topic]);
            subscribed.map_err(|error| SinkError::Unusable(format!("cannot join the group: {error}")))?;
            Ok(consumer)
        });
        match joined {
            Ok(consumer) => Some(consumer),
            Err(failed) => {
                warn!(reason = %failed, topic = self.topic, "cannot join the consumer group; trying again");
                self.seat.fails(failed.to_string());
                sleep(PAUSE, stop);
                None
            }
        }
    }

    /// Makes the topic again where it was deleted: without it nobody would be given a shard any more. Tells whether it is there.
    fn restore(&self) -> bool {
        let restored = self.placement.get().restore(&self.config, &Instance::Group, self.runtime.clone());
        if let Err(failed) = &restored {
            warn!(reason = %failed, topic = self.topic, "cannot make the topic of the shards again; trying again");
        }
        restored.is_ok()
    }

    /// Lets go of a client that the group has fenced, and of its shards: whoever is the member now has them.
    fn give_up(&self, fenced: BaseConsumer<GroupContext>) {
        self.seat.loses("the group has a member of this instance_id, which another client joined as");
        if let Ok(held) = fenced.assignment() {
            (self.owner)(Change::Lost(numbers(&held)));
        }
        fenced.context().hears.is_given_up.store(true, Ordering::Release);
        close_beside(fenced);
    }

    /// Leaves at once, so that the others need not wait for the session to expire: closing alone would keep the seat, since
    /// a member with an instance id may be about to come back.
    fn leave(&self, consumer: BaseConsumer<GroupContext>) {
        consumer.unsubscribe();
        let until = Instant::now() + LEAVING;
        while Instant::now() < until && consumer.assignment().is_ok_and(|left| left.count() > 0) {
            drop(consumer.poll(STEP));
        }
        // Waits for the answer to its departure.
        drop(consumer);
        info!(instance_id = self.group.instance_id, "left the consumer group");
    }
}

/// Sleeps, unless it is told to stop.
fn sleep(pause: Duration, stop: &CancellationToken) {
    let until = Instant::now() + pause;
    while !stop.is_cancelled() && Instant::now() < until {
        std::thread::sleep(STEP);
    }
}

/// What an operator can do.
fn advice(failed: &KafkaError) -> &'static str {
    match failed.rdkafka_error_code() {
        Some(Code::GroupAuthorizationFailed) => "; it takes READ on the group of this name",
        Some(Code::TopicAuthorizationFailed) => "; it takes READ on the topic of this name",
        Some(Code::InvalidSessionTimeout) => {
            "; the brokers take no such session_timeout: see their group.min.session.timeout.ms and \
             group.max.session.timeout.ms"
        }
        Some(Code::InconsistentGroupProtocol) => {
            "; consumers that are no instances of Tributary are members of this group: take them out, or set another \
             state.prefix"
        }
        _ => "",
    }
}

/// What the member's client tells.
pub(crate) struct Membership {
    seat: Seat,
    owner: Arc<Owner>,
    /// Whether what it has was changed, and nobody has asked yet.
    has_changed: AtomicBool,
    /// Whether nothing that it is told concerns the shards any more: its successor may have them.
    is_given_up: AtomicBool,
}

type GroupContext = Beside<Membership>;

impl Hears for Membership {
    fn log(&self, facility: &str) {
        if facility == EXPIRED {
            self.seat.loses("the session with the group has expired");
        }
    }

    fn statistics(&self, own: &Context) {
        if failpoint::pass("member_lost_brokers").is_some() {
            own.note_lost_brokers();
        }
    }
}

impl ConsumerContext for GroupContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            _ if self.hears.is_given_up.load(Ordering::Acquire) => {}
            Rebalance::Assign(_) => {}
            Rebalance::Revoke(taken) if consumer.assignment_lost() => {
                self.hears.seat.loses("the group took this member for dead, and gave its shards to others");
                (self.hears.owner)(Change::Lost(numbers(taken)));
            }
            Rebalance::Revoke(taken) => {
                failpoint::pass("revoking");
                (self.hears.owner)(Change::Revoked(numbers(taken)));
            }
            Rebalance::Error(error) => self.hears.seat.fails(error.to_string()),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(given) = rebalance else { return };
        if self.hears.is_given_up.load(Ordering::Acquire) {
            return;
        }
        // The placement record is read by others, and at other times.
        if let Err(error) = consumer.pause(given) {
            warn!(%error, "the topic of the shards is read although nothing is wanted of it");
        }
        self.hears.has_changed.store(true, Ordering::Release);
        self.hears.seat.joins();
        (self.hears.owner)(Change::Assigned(numbers(given)));
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(|element| element.partition()).collect()
}
