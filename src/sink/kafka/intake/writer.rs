//! Writes what was received to intake topics, and says when all of a request is acknowledged.
//!
//! Invariants:
//! - A request is told that it is stored only after every record of it was acknowledged by all replicas in sync.
//! - What waits is bounded by the producer's queue; when that is full, nothing waits for room.
//! - A producer that Kafka refuses, or that has met a fatal error, is replaced by one that reads the secrets again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::LENGTH_HEADER;
use crate::model::block::OVERSIZE_HEAD;
use crate::sink::kafka::client::beside::{Beside, Hears};
use crate::sink::kafka::client::{BATCH_BYTES, Clients, with_causes};
use crate::sink::kafka::config::Config;
use crate::sink::kafka::delivery::{Meaning, failure_code, meaning};
use crate::sink::kafka::topics::{Topics, Wanted};
use crate::sink::{SinkError, Topic};

/// How often it is looked whether the producer has to be replaced.
const LOOK: Duration = Duration::from_millis(200);

/// First and longest pause before Kafka is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// What a record has in its batch besides its value, bytes at most.
const AROUND: usize = 512;

/// One record to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece<'a> {
    /// The partition.
    pub partition: i32,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Why what was received is not stored, or not known to be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotStored {
    /// The queue is full.
    #[error("too much waits for Kafka")]
    Busy,
    /// Kafka cannot be written to.
    #[error("{0}")]
    Away(String),
}

/// Writes to the intake topics of this process's streams. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Writer {
    clients: Clients,
    config: Config,
    runtime: Handle,
    wanted: Arc<[Wanted]>,
    state: Arc<RwLock<State>>,
}

enum State {
    Away(String),
    Ready(Arc<Producing>),
}

/// A producer, and what the topics take.
struct Producing {
    producer: ThreadedProducer<WriterContext>,
    limits: BTreeMap<String, usize>,
}

/// The acknowledgements of one request's records.
pub(crate) struct Pending {
    /// Records that are not settled yet, and one for whoever still adds some.
    left: AtomicUsize,
    failed: Mutex<Option<Code>>,
    done: Mutex<Option<oneshot::Sender<Option<Code>>>>,
}

/// Tells when all of a request is settled.
pub(crate) struct Receipt(oneshot::Receiver<Option<Code>>);

impl Writer {
    /// A writer that is yet to [`run`](Self::run).
    pub(crate) fn new(config: Config, wanted: Vec<Wanted>, runtime: Handle) -> Self {
        let clients = Clients::new(config.clone(), runtime.clone());
        let state = State::Away("the intake topics have not been looked at yet".into());
        Self { clients, config, runtime, wanted: wanted.into(), state: Arc::new(RwLock::new(state)) }
    }

    /// Keeps topics and producer in order until it is told to stop. Blocks.
    pub(crate) fn run(&self, stop: &CancellationToken) {
        let mut topics = Topics::new(self.clients.clone(), self.runtime.clone(), &self.config);
        let mut pause = PAUSES.0;
        while !stop.is_cancelled() {
            match self.prepare(&mut topics) {
                Ok(producing) => {
                    let producing = Arc::new(producing);
                    self.set(State::Ready(Arc::clone(&producing)));
                    info!("ready to store what is received");
                    pause = PAUSES.0;
                    let why = self.watch(&producing, stop);
                    self.set(State::Away(why));
                }
                Err(error) => {
                    warn!(reason = %error, "cannot store what is received; trying again");
                    self.set(State::Away(error.to_string()));
                }
            }
            topics.forget_all();
            topics.renew_clients();
            self.sleep(pause, stop);
            pause = (pause * 2).min(PAUSES.1);
        }
        self.set(State::Away("stopped".into()));
    }

    /// Why nothing can be stored; `None` when it can.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Away(why) => Some(why.clone()),
            State::Ready(_) => None,
        }
    }

    /// Begins to store the records of one request, of each `longest` bytes at most. Of a longer one only the head is kept, with
    /// its length. After an error some of them may be stored.
    pub(crate) fn store<'a>(
        &self,
        topic: &str,
        longest: usize,
        pieces: impl IntoIterator<Item = Piece<'a>>,
    ) -> Result<Receipt, NotStored> {
        let producing = match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Away(why) => return Err(NotStored::Away(why.clone())),
            State::Ready(producing) => Arc::clone(producing),
        };
        let limit = producing.limits.get(topic).map_or(usize::MAX, |limit| limit.saturating_sub(AROUND));
        let longest = longest.min(limit);
        let (done, receipt) = oneshot::channel();
        let pending = Arc::new(Pending {
            left: AtomicUsize::new(1),
            failed: Mutex::new(None),
            done: Mutex::new(Some(done)),
        });
        for Piece { partition, bytes } in pieces {
            let length = bytes.len().to_string();
            let is_whole = bytes.len() <= longest;
            let kept = if is_whole { bytes } else { &bytes[..OVERSIZE_HEAD.min(longest)] };
            pending.left.fetch_add(1, Ordering::AcqRel);
            let record: BaseRecord<'_, (), [u8], Arc<Pending>> =
                BaseRecord::with_opaque_to(topic, Arc::clone(&pending)).payload(kept).partition(partition);
            let record = if is_whole {
                record
            } else {
                let header = Header { key: LENGTH_HEADER, value: Some(&length) };
                record.headers(OwnedHeaders::new().insert(header))
            };
            if let Err((error, _)) = producing.producer.send(record) {
                let full = error.rdkafka_error_code() == Some(Code::QueueFull);
                return Err(if full { NotStored::Busy } else { NotStored::Away(error.to_string()) });
            }
        }
        pending.settle(None);
        Ok(Receipt(receipt))
    }

    fn prepare(&self, topics: &mut Topics) -> Result<Producing, SinkError> {
        topics.ensure(&self.wanted)?;
        let limit_of = |topic: &Wanted| match topics.get(&topic.name) {
            Topic::Takes(accepts) => accepts.max_bytes,
            _ => BATCH_BYTES,
        };
        let limits = self.wanted.iter().map(|topic| (topic.name.clone(), limit_of(topic))).collect();
        let batch_bytes = topics.smallest_limit().unwrap_or(BATCH_BYTES).min(BATCH_BYTES);
        let context = |own| Beside { own, hears: Deliveries { is_changed: AtomicBool::new(false) } };
        let producer = self.clients.intake_producer(batch_bytes, context)?;
        Ok(Producing { producer, limits })
    }

    /// Waits until the producer cannot be used any more; why.
    fn watch(&self, producing: &Producing, stop: &CancellationToken) -> String {
        let context = producing.producer.client().context();
        loop {
            if stop.is_cancelled() {
                return "stopped".into();
            }
            if let Some((code, reason)) = producing.producer.client().fatal_error() {
                return format!("the producer met a fatal error: {code}: {reason}");
            }
            if let Some(reason) = context.own.why_useless() {
                return with_causes(reason.into(), &context.own);
            }
            if context.hears.is_changed.load(Ordering::Acquire) {
                return "an intake topic is gone, or takes less than it did".into();
            }
            self.sleep(LOOK, stop);
        }
    }

    fn set(&self, state: State) {
        let before =
            std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), state);
        // A producer takes a moment to end, for which nobody has to wait.
        drop(before);
    }

    fn sleep(&self, pause: Duration, stop: &CancellationToken) {
        self.runtime.block_on(async { drop(tokio::time::timeout(pause, stop.cancelled()).await) });
    }
}

impl Receipt {
    /// Waits until every record is acknowledged, or one is known not to be.
    pub(crate) async fn settled(self) -> Result<(), NotStored> {
        match self.0.await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(NotStored::Away(match meaning(code) {
                Meaning::Operator(advice) => format!("Kafka did not take it: {code}; {advice}"),
                _ => format!("Kafka did not take it: {code}"),
            })),
            Err(_) => Err(NotStored::Away("the producer is gone".into())),
        }
    }
}

impl Pending {
    fn settle(&self, failed: Option<Code>) {
        if let Some(code) = failed {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
            if done.is_some_and(|done| done.send(failed).is_err()) {
                debug!("nobody waits for a request any more");
            }
        }
    }
}

/// What the producer tells.
pub(crate) struct Deliveries {
    /// Whether a topic is not what it was when the producer was made.
    is_changed: AtomicBool,
}

type WriterContext = Beside<Deliveries>;

impl Hears for Deliveries {}

impl ProducerContext for WriterContext {
    type DeliveryOpaque = Arc<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Arc<Pending>) {
        let failed = failure_code(result);
        let (Ok(message) | Err((_, message))) = result;
        match failed {
            None => self.own.note_accepted(),
            Some(code) if matches!(meaning(code), Meaning::NoTopic | Meaning::TooLarge) => {
                warn!(topic = message.topic(), reason = %code, "an intake topic does not take what was received");
                self.hears.is_changed.store(true, Ordering::Release);
            }
            Some(_) => {}
        }
        pending.settle(failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_settled_with_its_last_record_and_fails_with_any() {
        let settle = |outcomes: &[Option<Code>]| {
            let (done, mut receipt) = oneshot::channel();
            let left = AtomicUsize::new(outcomes.len());
            let pending = Pending { left, failed: Mutex::new(None), done: Mutex::new(Some(done)) };
            for (number, outcome) in outcomes.iter().enumerate() {
                assert!(receipt.try_recv().is_err(), "settled after {number} of {}", outcomes.len());
                pending.settle(*outcome);
            }
            receipt.try_recv().unwrap()
        };
        assert_eq!(settle(&[None]), None);
        assert_eq!(settle(&[None, None, None]), None);
        let (gone, slow) = (Code::UnknownTopic, Code::MessageTimedOut);
        assert_eq!(settle(&[None, Some(gone), None, Some(slow)]), Some(gone));
    }
}
