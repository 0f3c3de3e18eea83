//! librdkafka's calls that block, each with its limit and its trap. Knows nothing of batches and checkpoints.
//!
//! They are meant for a shard's own thread, never for the runtime's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;
use tracing::debug;

use crate::sink::kafka::client::Context;

/// How long the shard's thread sleeps while the producer's queue is full. The queue lasts for a multiple of it, and
/// many records then go in at once.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// How long it sleeps between looks for what a quick broker does soon: it acknowledges records in 5 to 15 ms. Longer pauses add to the
/// time until an event can be read, shorter ones wake the thread more often.
const SHORT_PAUSE: Duration = Duration::from_millis(3);

/// Records that linger longer than this are asked for, and again after twice the time, and so on. The default `linger.ms` is long over
/// by then, and asking wakes every thread of the producer.
const LINGERED: Duration = Duration::from_millis(10);

/// How long a connection is waited for before a transactional id is opened: librdkafka (2.12.1) looks for the id's coordinator right
/// away, and where no broker is connected just then, again only after 500 ms.
const CONNECTING: Duration = Duration::from_millis(300);

/// How long one question may take that makes a client connect.
const ASKING: Duration = Duration::from_millis(50);

/// With less time than this left a commit is given up, not resumed: where librdkafka (2.12.1) cannot even begin to resume
/// in time it forgets the call, and when the broker answers later it ends the whole process ("BUG: Invalid transaction
/// state transition").
const LEAST_RESUME: Duration = Duration::from_secs(1);

/// How long records may wait in a producer that is useless by its own account. Not given up at once: of several brokers one
/// may refuse the credentials for a moment, as when it starts.
const USELESS_PATIENCE: Duration = Duration::from_secs(1);

/// How long the reason of a failure may come after its consequences. It is on its way already.
const CAUSE_PATIENCE: Duration = Duration::from_secs(1);

/// The longest call, after which is looked whether another one makes sense. Far above [`LEAST_RESUME`].
const STEP: Duration = Duration::from_secs(10);

/// How long one poll may block while a transaction is being aborted.
const ABORT_POLL: Duration = Duration::from_millis(10);

/// Sends, waiting while the producer's queue is full: a slow Kafka stops the shard, and so the reading.
pub(in crate::sink) fn send(
    producer: &BaseProducer<Context>,
    mut record: BaseRecord<'_, [u8], [u8], usize>,
    limit: Duration,
) -> Result<(), KafkaError> {
    // The clock is read only when the queue is full. It holds what was acknowledged until that is looked at.
    let mut since = None;
    loop {
        match producer.send(record) {
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                if since.get_or_insert_with(Instant::now).elapsed() < patience(producer, limit) =>
            {
                record = back;
                if !serve(producer) {
                    thread::sleep(FULL_QUEUE_PAUSE);
                }
            }
            other => return other.map_err(|(error, _)| error),
        }
    }
}

/// Why not every record of a producer is known to be in Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sink) enum Unflushed {
    /// One failed at least; the producer's failures say why.
    Failed,
    /// The limit was over first.
    TimedOut,
}

/// Waits until every record is acknowledged, or one failed, or the limit is over. `flush` with a timeout would return up to 100 ms
/// late.
pub(in crate::sink) fn flush(producer: &BaseProducer<Context>, limit: Duration) -> Result<(), Unflushed> {
    let start = Instant::now();
    let mut asked_after = LINGERED;
    let failed = || producer.context().failures().are_some();
    while producer.in_flight_count() > 0 && !failed() {
        if start.elapsed() >= asked_after {
            // Ends the lingering of what is queued. A thread that comes to it only after this call has returned lingers on, so it is
            // said more than once.
            drop(producer.flush(Duration::ZERO));
            asked_after *= 2;
        }
        if start.elapsed() >= patience(producer, limit) {
            return Err(Unflushed::TimedOut);
        }
        pause(producer, SHORT_PAUSE);
    }
    if failed() { Err(Unflushed::Failed) } else { Ok(()) }
}

/// [`flush`] for who does not ask what became of which record: what went wrong, as an error of Kafka.
pub(in crate::sink) fn flush_all(
    producer: &BaseProducer<Context>,
    limit: Duration,
) -> Result<(), KafkaError> {
    let code = match flush(producer, limit) {
        Ok(()) => return Ok(()),
        Err(Unflushed::TimedOut) => RDKafkaErrorCode::MessageTimedOut,
        Err(Unflushed::Failed) => why_failed(producer),
    };
    Err(KafkaError::MessageProduction(code))
}

/// Why a record failed. Where the producer itself has failed, as one that was fenced, its records are only given up for that.
fn why_failed(producer: &BaseProducer<Context>) -> RDKafkaErrorCode {
    if let Some((code, _)) = producer.client().fatal_error() {
        return code;
    }
    await_cause(producer);
    producer.context().failures().take().cause.map_or(RDKafkaErrorCode::Fail, |cause| cause.code)
}

/// Fences whoever had the transactional id, resuming the call while librdkafka says that it may be resumed: a client that has lost its
/// brokers would not be answered however long it waits.
/// `topic` is one that the client may ask for, only so that it connects.
pub(in crate::sink) fn init(
    producer: &BaseProducer<Context>,
    topic: &str,
    limit: Duration,
) -> Result<(), KafkaError> {
    // If this fails, so does the call, which says why.
    let start = Instant::now();
    while !is_connected(producer, topic) && start.elapsed() < limit.min(CONNECTING) {
        thread::sleep(SHORT_PAUSE);
    }
    resume(producer, limit, |time| producer.init_transactions(time))
}

/// Commits, resuming the call while librdkafka says that it may be resumed.
pub(in crate::sink) fn commit(producer: &BaseProducer<Context>, limit: Duration) -> Result<(), KafkaError> {
    resume(producer, limit, |time| producer.commit_transaction(time))
}

/// Whether a broker answers that is known by its id. The connection by which a client learns the ids, which has none itself, is given up
/// for those to the brokers that it has learnt.
fn is_connected(producer: &BaseProducer<Context>, topic: &str) -> bool {
    let answer = producer.client().fetch_metadata(Some(topic), ASKING);
    answer.is_ok_and(|metadata| metadata.orig_broker_id() >= 0)
}

/// Calls until it is done, the limit is over, or the producer turns out to be useless.
fn resume(
    producer: &BaseProducer<Context>,
    limit: Duration,
    call: impl Fn(Duration) -> Result<(), KafkaError>,
) -> Result<(), KafkaError> {
    let deadline = Instant::now() + limit;
    let mut left = limit;
    loop {
        let outcome = call(left.min(STEP));
        // The call serves no events, and one of them may say that the producer is useless.
        serve(producer);
        match outcome {
            Err(KafkaError::Transaction(error))
                if error.is_retriable()
                    && Instant::now() + LEAST_RESUME < deadline
                    && producer.context().why_useless().is_none() =>
            {
                debug!(reason = error.string(), "the call is resumed");
                left = deadline.saturating_duration_since(Instant::now()).max(LEAST_RESUME);
            }
            other => return other,
        }
    }
}

/// Aborts. That waits for the reports of all records, which librdkafka leaves to somebody else to poll: without a thread
/// that does, it takes all of its time and fails whenever a record was on its way.
pub(in crate::sink) fn abort(producer: &BaseProducer<Context>, limit: Duration) -> Result<(), KafkaError> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let poll = || {
            while !done.load(Ordering::Acquire) {
                producer.poll(ABORT_POLL);
            }
        };
        // Without a thread it only takes longer.
        drop(thread::Builder::new().name("abort".to_owned()).spawn_scoped(scope, poll));
        let result = resume(producer, limit, |time| producer.abort_transaction(time));
        done.store(true, Ordering::Release);
        result
    })
}

/// Waits for the report that says why: those of records that were only given up for it may come first.
pub(super) fn await_cause(producer: &BaseProducer<Context>) {
    let start = Instant::now();
    while !producer.context().failures().have_cause() && start.elapsed() < CAUSE_PATIENCE {
        pause(producer, SHORT_PAUSE);
    }
}

fn patience(producer: &BaseProducer<Context>, limit: Duration) -> Duration {
    if producer.context().why_useless().is_some() { limit.min(USELESS_PATIENCE) } else { limit }
}

/// Serves the client's events, of which a poll serves one, as many as there are now; tells whether records were reported. A poll with
/// a timeout would use up the core in its last millisecond, since what is left of the timeout is rounded down to 0.
pub(super) fn serve(producer: &BaseProducer<Context>) -> bool {
    let begun_with = producer.in_flight_count();
    let mut left = begun_with;
    loop {
        producer.poll(Duration::ZERO);
        let before = std::mem::replace(&mut left, producer.in_flight_count());
        if left >= before {
            return left < begun_with;
        }
    }
}

/// Serves the client's events, then sleeps.
fn pause(producer: &BaseProducer<Context>, time: Duration) {
    serve(producer);
    thread::sleep(time);
}
