//! The byte-bounded queue between a reader and the thread that owns the producer.
//!
//! Invariant: the bytes waiting never exceed the limit by more than one block; when it is full the reader waits,
//! so the network pushes back and memory stays bounded.
//!
//! A trickle would wake the shard's thread for each event. While a batch is open nothing is committed before it closes, so the
//! thread may wait until enough has come together ([`Output::gather`]); what may not wait rings a bell.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::model::block::Block;

mod bell;
mod due;

use bell::{Bell, LastRing};
pub(crate) use due::Due;

/// So many bytes are worth waking the shard's thread for; of a small queue it is half.
const WORTH_WAKING: u32 = 256 << 10;

/// What a reader hands over.
#[derive(Debug)]
pub enum Item {
    /// Lines.
    Block {
        /// The lines.
        block: Block,
        /// Whether it is the first after a connect that goes on somewhere: the place to look for a gap.
        resumed: bool,
        /// The span of the connection that it came by, where that is traced.
        connection: Option<SpanContext>,
    },
    /// Something that is no line, in its place among them.
    Note(Note),
}

/// What readers of a stream tell whose position the service keeps.
#[derive(Debug)]
pub enum Note {
    /// A connection is over: what was sent on it and did not arrive is lost, unless a replay brings it back.
    Lost {
        /// How it ended.
        how: Loss,
        /// Whether a replay follows.
        replay_owed: bool,
    },
    /// Every connection is closed, and the next one reads from the oldest event held.
    ReplayBegins {
        /// Milliseconds since the Unix epoch.
        at_ms: i64,
        /// Told when the note is committed: the latest received time among the events delivered by then.
        committed: oneshot::Sender<Option<i64>>,
    },
    /// The replay has caught up with what was delivered before it.
    CaughtUp {
        /// Told what it came to.
        outcome: oneshot::Sender<CaughtUp>,
    },
    /// The replay is over.
    ReplayDone {
        /// Whether another one is owed: it had no effect, or lost something itself.
        replay_owed: bool,
    },
    /// The service refused the position for good, and the stream begins anew.
    PositionGivenUp,
    /// A replay that was owed will not come: the service's position was moved to the end on purpose.
    GivenUp,
    /// All connections are closed, and nothing was on its way any more. A reader that fails never says so.
    Drained,
}

/// How a connection ended on which something may have been lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It broke off.
    BrokeOff,
    /// We ended it, or gave its request up, since nothing came for too long. Behind a proxy or with a short limit TCP does not notice that the
    /// service's end is gone.
    Silence,
    /// The connection broke after the request was sent and before it was answered: the service may have begun to send.
    Unanswered,
}

/// What a replay achieved, told once it has caught up with what was delivered before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaughtUp {
    /// Whether the service really went back: whether what it sent was known.
    pub went_back: bool,
    /// Whether anything came from before what was delivered last. It would be missing without the replay.
    pub brought_back: bool,
}

/// The reader's end.
#[derive(Clone, Debug)]
pub struct Input {
    sender: Sender<(Item, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    limit: u32,
    /// Below the sender, so that it goes after that one.
    bell: LastRing,
    /// Bytes waiting. Kept up to date here, since the shard's end sees nothing while it waits for Kafka.
    waiting: Gauge,
}

/// The shard's end.
#[derive(Debug)]
pub struct Output {
    receiver: Receiver<(Item, OwnedSemaphorePermit)>,
    /// What was looked at and not taken yet; it still counts as waiting.
    seen: RefCell<VecDeque<(Item, OwnedSemaphorePermit)>>,
    room: Arc<Semaphore>,
    limit: u32,
    bell: Arc<Bell>,
    due: Due,
    connections: Gauge,
}

/// What a wait brought.
#[derive(Debug)]
pub enum Received {
    /// A block.
    Item(Item),
    /// Nothing within the time.
    Timeout,
    /// The reader is gone and nothing is left.
    Closed,
}

/// The shard's end is gone.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the shard stopped taking lines")]
pub struct Closed;

/// A queue for `limit` bytes of lines, which tells `waiting` how many wait. `connections` says how many are open.
pub(crate) fn queue(limit: usize, waiting: Gauge, connections: Gauge) -> (Input, Output) {
    let (sender, receiver) = channel();
    let limit = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
    let (room, bell) = (Arc::new(Semaphore::new(limit as usize)), Arc::<Bell>::default());
    let input = Input { sender, room: Arc::clone(&room), limit, bell: LastRing::new(&bell), waiting };
    (
        input,
        Output { receiver, seen: RefCell::default(), room, limit, bell, due: Due::default(), connections },
    )
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Block { block, .. } => block.held(),
            Self::Note(_) => 0,
        }
    }
}

impl Input {
    /// Waits for room, then hands the block over.
    pub async fn send(&self, item: Item) -> Result<(), Closed> {
        // A block above the whole limit waits for all of it, and then goes through alone.
        let bytes = u32::try_from(item.bytes()).unwrap_or(u32::MAX).min(self.limit);
        if self.room.available_permits() < bytes as usize {
            self.bell.ring();
        }
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Closed)?;
        let may_wait = matches!(item, Item::Block { resumed: false, .. });
        self.sender.send((item, permit)).map_err(|_| Closed)?;
        let used = used(&self.room, self.limit);
        self.waiting.set(used as i64);
        if !may_wait || used >= WORTH_WAKING.min(self.limit / 2) as usize {
            self.bell.ring();
        }
        Ok(())
    }
}

impl Output {
    /// Waits for a block, at most `timeout`.
    pub fn receive(&self, timeout: Duration) -> Received {
        if let Some((item, _permit)) = self.seen.borrow_mut().pop_front() {
            return Received::Item(item);
        }
        match self.receiver.recv_timeout(timeout) {
            Ok((item, _permit)) => Received::Item(item),
            Err(RecvTimeoutError::Timeout) => Received::Timeout,
            Err(RecvTimeoutError::Disconnected) => Received::Closed,
        }
    }

    /// The same, where blocks may wait for `timeout`: it is woken when many bytes wait, or what may not.
    pub fn gather(&self, timeout: Duration) -> Received {
        if let Some((item, _permit)) = self.seen.borrow_mut().pop_front() {
            return Received::Item(item);
        }
        let taken = self.receiver.try_recv().or_else(|error| match error {
            TryRecvError::Disconnected => Err(error),
            TryRecvError::Empty => {
                self.due.set(Some(timeout));
                self.bell.wait(timeout);
                self.due.set(None);
                self.receiver.try_recv()
            }
        });
        match taken {
            Ok((item, _permit)) => Received::Item(item),
            Err(TryRecvError::Empty) => Received::Timeout,
            Err(TryRecvError::Disconnected) => Received::Closed,
        }
    }

    /// Tells when what gathers will be taken.
    pub(crate) fn due(&self) -> Due {
        self.due.clone()
    }

    /// What waits now, oldest first, each taken when it is asked for.
    pub fn waiting(&self) -> impl Iterator<Item = Item> {
        let count = self.fetch();
        let next = || self.seen.borrow_mut().pop_front();
        std::iter::from_fn(next).take(count).map(|(item, _permit)| item)
    }

    /// Whether the reader has a connection open.
    pub fn is_connected(&self) -> bool {
        self.connections.get() > 0
    }

    /// Shows the blocks that wait, oldest first, and leaves them there.
    pub fn look(&self, mut see: impl FnMut(&Block)) {
        self.fetch();
        for (item, _) in self.seen.borrow().iter() {
            if let Item::Block { block, .. } = item {
                see(block);
            }
        }
    }

    /// Has what waits here, and tells how many they are.
    fn fetch(&self) -> usize {
        let mut seen = self.seen.borrow_mut();
        seen.extend(self.receiver.try_iter());
        seen.len()
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        used(&self.room, self.limit)
    }
}

fn used(room: &Semaphore, limit: u32) -> usize {
    limit as usize - room.available_permits().min(limit as usize)
}

impl Drop for Output {
    fn drop(&mut self) {
        // A reader that waits for room must not wait for ever.
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::*;

    fn item(bytes: usize) -> Item {
        Item::Block { block: Block::Lines(Bytes::from(vec![b'x'; bytes])), resumed: false, connection: None }
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_reader_wait() {
        let waiting = Gauge::default();
        let (input, output) = queue(100, waiting.clone(), Gauge::default());
        input.send(item(60)).await.unwrap();
        assert_eq!((output.bytes(), waiting.get()), (60, 60));
        let mut blocked = Box::pin(input.send(item(60)));
        assert!((&mut blocked).now_or_never().is_none());
        assert!(matches!(output.receive(Duration::ZERO), Received::Item(_)));
        blocked.await.unwrap();
        assert!(matches!(output.receive(Duration::ZERO), Received::Item(_)));
        input.send(item(5000)).await.unwrap();
        assert_eq!(output.bytes(), 100, "a block above the limit takes all of it");
    }

    #[tokio::test]
    async fn what_is_looked_at_still_waits_in_its_order() {
        let (input, output) = queue(100, Gauge::default(), Gauge::default());
        for bytes in [10, 20] {
            input.send(item(bytes)).await.unwrap();
        }
        let mut seen = Vec::new();
        output.look(|block| seen.push(block.len()));
        input.send(item(30)).await.unwrap();
        output.look(|block| seen.push(block.len()));
        assert_eq!((seen, output.bytes()), (vec![10, 20, 10, 20, 30], 60));
        for bytes in [10, 20, 30] {
            let Received::Item(Item::Block { block, .. }) = output.receive(Duration::ZERO) else { panic!() };
            assert_eq!(block.len(), bytes);
        }
        assert_eq!(output.bytes(), 0);
        assert!(matches!(output.receive(Duration::ZERO), Received::Timeout));
    }

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_trickle_is_gathered_and_what_may_not_wait_is_not() {
        let gathered = |output: &Output| match output.gather(LONG) {
            Received::Item(Item::Block { block, .. }) => block.len(),
            other => panic!("{other:?}"),
        };
        let (input, output) = queue(100, Gauge::default(), Gauge::default());
        input.send(item(10)).await.unwrap();
        assert_eq!(gathered(&output), 10, "what is there is not waited for");
        input.send(item(10)).await.unwrap();
        assert_eq!(gathered(&output), 10);
        assert!(matches!(output.gather(Duration::from_millis(1)), Received::Timeout));
        let taken = std::thread::spawn(move || {
            let taken = (gathered(&output), gathered(&output), output.gather(LONG));
            (taken, output)
        });
        input.send(item(10)).await.unwrap();
        input.send(item(60)).await.unwrap();
        input.send(Item::Note(Note::GivenUp)).await.unwrap();
        let (taken, output) = taken.join().unwrap();
        assert!(matches!(taken, (10, 60, Received::Item(Item::Note(Note::GivenUp)))), "{taken:?}");
        let taken = std::thread::spawn(move || output.gather(LONG));
        drop(input);
        assert!(matches!(taken.join().unwrap(), Received::Closed));
    }

    #[tokio::test]
    async fn it_is_known_when_what_gathers_is_taken() {
        let (input, output) = queue(100, Gauge::default(), Gauge::default());
        let due = output.due();
        let left = || due.left(tokio::time::Instant::now());
        assert_eq!(left(), None);
        let taken = std::thread::spawn(move || drop(output.gather(LONG)));
        while left().is_none() {
            std::thread::yield_now();
        }
        assert!(left().is_some_and(|left| left <= LONG));
        drop(input);
        taken.join().unwrap();
        assert_eq!(left(), None, "nothing gathers any more");
    }

    #[tokio::test]
    async fn both_ends_notice_the_other_going() {
        let (input, output) = queue(10, Gauge::default(), Gauge::default());
        assert!(matches!(output.receive(Duration::ZERO), Received::Timeout));
        input.send(item(10)).await.unwrap();
        let mut blocked = Box::pin(input.send(item(1)));
        assert!((&mut blocked).now_or_never().is_none());
        drop(output);
        assert!(blocked.await.is_err());
        let (input, output) = queue(10, Gauge::default(), Gauge::default());
        input.send(item(1)).await.unwrap();
        drop(input);
        assert!(matches!(output.receive(Duration::ZERO), Received::Item(_)));
        assert!(matches!(output.receive(Duration::ZERO), Received::Closed));
    }
}
