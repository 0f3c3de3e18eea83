//! Kafka, as far as the protocol counts on it: one transactional id with its epoch, its transaction, and commits under way.
//!
//! What is taken for granted of it:
//! - An epoch that is not the latest can do nothing any more. Whoever initialises the id gets the next one.
//! - A transaction counts from the moment at which the coordinator has *decided* so. Readers see it later, when its markers are
//!   written; until then it hides what stands behind it. All records of a transaction become visible at once, since one
//!   partition is looked at in each place.
//! - Initialising aborts what is open, and waits for what is decided.
//! - A commit is a request: it may arrive late, when its sender has long given it up, or never. Its answer may be lost.

/// A transactional id; `R` is what a transaction of it writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Coordinator<R> {
    /// The epoch of the producer that may write.
    pub epoch: u8,
    /// The transaction that has not ended for its readers.
    pub transaction: Option<Transaction<R>>,
    /// The epochs of commits under way, in order.
    pub requests: Vec<u8>,
}

/// A transaction between its first record and its markers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transaction<R> {
    /// Whether it counts: only its markers are not written yet.
    pub decided: bool,
    /// What it wrote.
    pub records: R,
}

/// What became of a commit that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The transaction of this epoch counts.
    Committed(u8),
    /// This epoch is not the latest any more.
    Refused(u8),
    /// There is no transaction to commit.
    Void,
}

impl<R> Default for Coordinator<R> {
    fn default() -> Self {
        Self { epoch: 0, transaction: None, requests: Vec::new() }
    }
}

impl<R: Clone> Coordinator<R> {
    /// `init_transactions`: the epoch of the new producer; `None` while a decided transaction is not complete.
    pub fn fence(&mut self) -> Option<u8> {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.decided) {
            return None;
        }
        self.transaction = None;
        self.epoch += 1;
        Some(self.epoch)
    }

    /// Writes the records of a transaction and sends its commit on its way; tells whether the broker took them. `None` while the
    /// transaction before is not complete: the producer waits.
    ///
    /// A producer that stands still, or dies, between records and commit is one whose commit never arrives. One that aborts, and writes
    /// the same again, has changed nothing.
    pub fn write(&mut self, epoch: u8, records: R) -> Option<bool> {
        if epoch != self.epoch {
            return Some(false);
        }
        if self.decided().is_some() {
            return None;
        }
        self.transaction = Some(Transaction { decided: false, records });
        self.requests.push(epoch);
        Some(true)
    }

    /// Forgets commits that can do nothing any more and that nobody waits for.
    pub fn forget(&mut self, is_awaited: impl Fn(u8) -> bool) {
        let latest = self.epoch;
        self.requests.retain(|epoch| *epoch == latest || is_awaited(*epoch));
        self.requests.sort_unstable();
    }

    /// A commit under way arrives.
    pub fn arrive(&mut self, request: usize) -> Arrival {
        let epoch = self.requests.remove(request);
        if epoch != self.epoch {
            return Arrival::Refused(epoch);
        }
        match &mut self.transaction {
            Some(transaction) if !transaction.decided => {
                transaction.decided = true;
                Arrival::Committed(epoch)
            }
            _ => Arrival::Void,
        }
    }

    /// The markers are written: gives what readers see from now on.
    pub fn complete(&mut self) -> Option<R> {
        self.transaction.take_if(|transaction| transaction.decided).map(|transaction| transaction.records)
    }

    /// `transaction_timeout` is over: the broker aborts, and takes the epoch of the producer away.
    pub fn expire(&mut self) {
        if self.is_open() {
            self.transaction = None;
            self.epoch += 1;
        }
    }

    /// Whether a transaction could still be aborted.
    pub fn is_open(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| !transaction.decided)
    }

    /// What counts although no reader sees it yet.
    pub fn decided(&self) -> Option<&R> {
        self.transaction
            .as_ref()
            .filter(|transaction| transaction.decided)
            .map(|transaction| &transaction.records)
    }
}
