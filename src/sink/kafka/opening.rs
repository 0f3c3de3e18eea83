//! How a shard is taken over: fence, then read back, then claim, in this order, in one call.
//!
//! Invariant: the position that comes out was read after the fence, so nobody resumes unfenced; and the claim bears this
//! opening's name, so whoever is fenced can tell a takeover from a transaction that timed out.

use std::borrow::Cow;
use std::time::Duration;

use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;
use tracing::info;

use super::checking::Seen;
use super::{KafkaSink, Settings, blocking, trying};
use crate::clock::now_ms;
use crate::failpoint;
use crate::model::checkpoint::{Checkpoint, Hold};
use crate::sink::kafka::client::Sizes;
use crate::sink::kafka::placement;
use crate::sink::kafka::placement::record::{Instance, transactional_id};
use crate::sink::kafka::readback::{OpenTransactions, Reader};
use crate::sink::{Known, Opened, Reopened, Seed, SinkError};

/// Limit of `init_transactions`: long enough for a broker to finish a dead producer's transaction.
pub(super) const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a member of a group that was fenced waits for the claim of whoever did it: reading back comes before the claim.
const CLAIM_WAIT: Duration = Duration::from_secs(3);

/// Between two looks for it.
const CLAIM_LOOK: Duration = Duration::from_millis(100);

/// What an opening claimed its shard with.
#[derive(Default)]
pub(super) struct Claim {
    /// The sequence of the checkpoint that claimed it.
    pub(super) sequence: u64,
    /// The opening that wrote the one before.
    predecessor: Option<String>,
}

impl Claim {
    /// `owner` is about to claim the shard, which was left like this.
    fn note_predecessor(&mut self, owner: &str, left: Option<&Checkpoint>) {
        // A shard that is opened again may have its own checkpoint before it.
        if let Some(left) = left.filter(|left| left.owner != owner) {
            self.predecessor = Some(left.owner.clone());
        }
    }

    /// Whether a checkpoint is that of an opening which has claimed the shard of `owner`, whose claim this is. That opening goes on from a
    /// checkpoint of this one, be it the first. What the predecessor writes is none, however far its sequence is: without transactions
    /// it writes on until it hears that it has lost the shard.
    fn is_followed_by(&self, owner: &str, found: &Checkpoint) -> bool {
        found.owner != owner && !self.is_of_predecessor(found) && found.sequence > self.sequence
    }

    fn is_of_predecessor(&self, found: &Checkpoint) -> bool {
        self.predecessor.as_ref() == Some(&found.owner)
    }

    /// The sequence that a checkpoint takes to be the latest: that is the one with the highest. It is its own unless the predecessor
    /// got there first.
    fn latest_sequence(&self, own: u64, recent: &[Checkpoint]) -> u64 {
        let late = recent.iter().filter(|found| self.is_of_predecessor(found));
        late.map(|late| late.sequence + 1).fold(own, u64::max)
    }
}

impl KafkaSink {
    pub(super) fn key(&self) -> String {
        Checkpoint::key(&self.settings.shard)
    }

    /// Fences whoever had the shard, unless a later instance announced itself; gives the reader for what follows.
    pub(super) fn fence(&mut self) -> Result<Reader, SinkError> {
        self.producer = None;
        self.ensure_topics()?;
        let reader = self.reader()?;
        let Settings { config, shard, place, .. } = &self.settings;
        let mut id = transactional_id(&config.prefix, shard, place.cut);
        if failpoint::is_broken("fence") {
            id = format!("{id}.{}", self.owner);
        }
        self.sizes = self.fitting_sizes();
        let producer = self.clients.producer(&id, self.sizes)?;
        // Whoever had the shard may have written with transactions, whatever is asked of this one's events.
        let fencing = match self.transactional() {
            true => None,
            false => Some(self.clients.fencing().producer(&id, Sizes::default())?),
        };
        self.context = producer.client().context().as_ref().clone();
        // Asked as late as can be, so that a late comer does not throw out its rightful successor.
        if !self.is_replay() && !self.check_announced(&reader)? {
            let Settings { placement, config, instance, .. } = &self.settings;
            placement.get().restore(config, instance, self.runtime.clone())?;
            self.check_announced(&reader)?;
        }
        if self.settings.abandon.is_cancelled() {
            return Err(SinkError::Unusable("others may have the shard by now, so it is not opened".into()));
        }
        let fence = fencing.as_ref().unwrap_or(&producer);
        blocking::init(fence, &self.state().checkpoints, INIT_TIMEOUT)
            .map_err(|error| trying::cannot_open(&id, fence, &error))?;
        // Whoever announced itself before this fence is known by now, and whoever does it from now on fences this one.
        self.check_announced(&reader)?;
        self.producer = Some(producer);
        Ok(reader)
    }

    /// Makes sure of the topics. If that fails, still asks whether a later instance took over, since they may be gone for good.
    fn ensure_topics(&mut self) -> Result<(), SinkError> {
        let ensured = self.topics.ensure(&self.required_topics());
        ensured.map_err(|error| match self.ask_announced() {
            Err(fenced @ SinkError::Fenced(_)) => fenced,
            _ => error,
        })
    }

    /// [`Self::check_announced`], with a reader of its own.
    fn ask_announced(&self) -> Result<bool, SinkError> {
        self.check_announced(&self.reader()?)
    }

    /// Whether a checkpoint may be written, and how.
    ///
    /// Without transactions (nothing fences) a checkpoint that lets go of the shard may be written only by the instance that
    /// announced itself last: after a successor's claim it would say that the shard is free, and that nothing was lost.
    /// With transactions the successor's fence comes before its claim, so what an earlier instance still commits is true.
    ///
    /// Members of a group have announced themselves under one name, so there the claim itself is looked for. It need not be the
    /// latest checkpoint: whoever stood still writes what it held before it hears that others have its shards.
    pub(super) fn check_release<'a>(
        &self,
        checkpoint: &'a Checkpoint,
    ) -> Result<Cow<'a, Checkpoint>, SinkError> {
        if self.transactional() || checkpoint.hold == Hold::Held {
            return Ok(Cow::Borrowed(checkpoint));
        }
        let reader = self.reader()?;
        self.check_announced(&reader)?;
        if self.settings.instance != Instance::Group {
            return Ok(Cow::Borrowed(checkpoint));
        }
        let (state, partition) = (self.state(), self.settings.place.partition);
        let recent = reader.recent_checkpoints(&state.checkpoints, partition, &self.key())?;
        let claim = recent.iter().rfind(|found| self.claim.is_followed_by(&self.owner, found));
        may_let_go(claim, self.settings.abandon.is_cancelled())?;
        let sequence = self.claim.latest_sequence(checkpoint.sequence, &recent);
        Ok(Cow::Owned(Checkpoint { sequence, ..checkpoint.clone() }))
    }

    pub(super) fn reader(&self) -> Result<Reader, SinkError> {
        Reader::new(&self.clients, self.settings.config.transaction_timeout + INIT_TIMEOUT)
    }

    /// Refuses to go on where a later instance announced itself for the stream: that one is the rightful successor, whoever
    /// has the fence. Tells whether the record knows of this one; otherwise it was lost.
    fn check_announced(&self, reader: &Reader) -> Result<bool, SinkError> {
        if self.is_replay() {
            return Ok(true);
        }
        let stream = &self.settings.shard.stream;
        match placement::standing(reader, &self.state(), &self.settings.shard)? {
            Some((instance, _)) if instance != self.settings.instance.name() => {
                Err(SinkError::Fenced(format!("instance {instance} announced itself for stream {stream}")))
            }
            Some((_, partition)) if partition != Some(self.settings.place.partition) => {
                Err(SinkError::Fenced(format!("stream {stream} was placed anew by another instance")))
            }
            announced => Ok(announced.is_some()),
        }
    }

    /// Writes a checkpoint under this opening's name, so that every later opening can see that it came after.
    pub(super) fn claim(&mut self, found: Option<Checkpoint>) -> Result<Checkpoint, SinkError> {
        self.claim.note_predecessor(&self.owner, found.as_ref());
        let claimed = match found {
            None => self.fresh(),
            Some(found) => {
                let Settings { place, holder, .. } = &self.settings;
                found.of_cut(place.cut, place.generation).claimed_by(&self.owner, Some(holder))
            }
        };
        if !failpoint::is_broken("claim") {
            self.begin_batch()?;
            self.commit_batch(&mut std::iter::empty(), &claimed)?;
        }
        (self.claim.sequence, self.claims_from) = (claimed.sequence, claimed.sequence + 1);
        self.report_opened(&claimed);
        Ok(claimed)
    }

    /// The first checkpoint of a shard that begins with nothing.
    pub(super) fn fresh(&self) -> Checkpoint {
        let Settings { place, holder, .. } = &self.settings;
        let initial = Checkpoint::initial(&self.owner, place.shards, now_ms());
        Checkpoint { instance: Some(holder.clone()), ..initial.of_cut(place.cut, place.generation) }
    }

    pub(super) fn report_opened(&self, claimed: &Checkpoint) {
        info!(
            shard = self.key(),
            sequence = claimed.sequence,
            position = claimed.position.as_ref().map(tracing::field::display),
            "opened"
        );
    }

    /// A fenced producer was taken over by a later instance, or timed out by the broker, or met a predecessor that has not
    /// noticed yet that its time is over. An instance announces itself before it fences, so the placement record tells:
    /// only where nobody announced itself since may the shard be opened again.
    pub(super) fn diagnose(&self, code: Code, reason: &str) -> SinkError {
        if !matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) {
            return SinkError::OutcomeUnknown(format!("the producer failed: {reason}"));
        }
        match self.ask_announced() {
            Ok(_) if self.is_replay() && self.is_claimed_by_another() => {
                SinkError::Fenced(format!("a later replay of this stream was started: {reason}"))
            }
            // The group says who is to have the shard; whether it is still this instance is for the supervisor to wait for.
            Ok(_) if self.settings.instance == Instance::Group && self.is_claimed_by_another() => {
                SinkError::Fenced(format!("another member of the group opened the shard: {reason}"))
            }
            Ok(_) => SinkError::OutcomeUnknown(format!(
                "the broker ended the transaction, or an earlier instance opened the shard again: {reason}"
            )),
            Err(fenced @ SinkError::Fenced(_)) => fenced,
            Err(error) => SinkError::OutcomeUnknown(format!("{reason}; {error}")),
        }
    }

    /// Waits whether another opening claims the shard. Members have announced themselves under one name, so only a claim tells a
    /// takeover from a transaction that the broker ended.
    fn is_claimed_by_another(&self) -> bool {
        let until = Instant::now() + CLAIM_WAIT;
        let (state, partition, key) = (self.state(), self.settings.place.partition, self.key());
        let claimed = |reader: &Reader| {
            let open = OpenTransactions::PassOver;
            let found = reader.checkpoint(&state.checkpoints, partition, &key, open);
            let is_claim =
                |found: Checkpoint| found.owner != self.owner && found.sequence >= self.claims_from;
            found.map(|found| found.is_some_and(is_claim))
        };
        // An opening asks again, and decides.
        let Ok(reader) = self.reader() else { return false };
        if failpoint::is_broken("owner") {
            return false;
        }
        loop {
            match claimed(&reader) {
                Ok(false) if Instant::now() < until => std::thread::sleep(CLAIM_LOOK),
                Ok(claimed) => return claimed,
                Err(_) => return false,
            }
        }
    }

    pub(super) fn open_shard(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError> {
        let reader = self.fence()?;
        let (state, partition) = (self.state(), self.settings.place.partition);
        let found =
            reader.checkpoint(&state.checkpoints, partition, &self.key(), OpenTransactions::WaitFor)?;
        self.claims_from = found.as_ref().map_or(0, |found| found.sequence + 1);
        let has_all_ids = match &found {
            Some(found) => self.read_ids(&reader, found, seed)?,
            None => {
                // Without transactions the ids may have been written and the checkpoint not.
                if self.transactional() || self.settings.place.before.is_empty() {
                    self.check_is_new(&reader)?;
                }
                if let Some(mut inherited) = self.inherit(&reader, seed)? {
                    let checkpoint = self.claim_inheritance(&mut inherited)?;
                    self.settings.was_known = true;
                    let has_all_ids = inherited.has_all_ids;
                    return Ok(Opened { checkpoint, left: None, has_all_ids, checkpoint_missing: false });
                }
                true
            }
        };
        let checkpoint_missing = found.is_none() && self.settings.was_known;
        // A claim of this very opening may have landed although its answer was lost; it says nothing of the last stop.
        let claimed_before = found.as_ref().is_some_and(|found| found.owner == self.owner);
        if !claimed_before {
            self.left = found.as_ref().map(|found| found.hold);
        }
        let left = self.left;
        let checkpoint = self.claim(found)?;
        self.settings.was_known = true;
        Ok(Opened { checkpoint, left, has_all_ids, checkpoint_missing })
    }

    pub(super) fn reopen_shard(&mut self, known: Known<'_>) -> Result<Reopened, SinkError> {
        self.forget_required_topics();
        // What they have from before may be what failed: secrets that were rotated since, brokers that are no more.
        self.topics.renew_clients();
        let reader = self.fence()?;
        let (state, partition) = (self.state(), self.settings.place.partition);
        let found =
            reader.checkpoint(&state.checkpoints, partition, &self.key(), OpenTransactions::WaitFor)?;
        // One that is older than what we committed is what is left of a topic that lost its end.
        let last = known.last.sequence;
        if let Some(found) =
            found.as_ref().filter(|found| found.owner != self.owner && found.sequence >= last)
            && !failpoint::is_broken("owner")
        {
            // Whoever it was, position and ids have moved on without us.
            let (sequence, owner) = (found.sequence, found.owner.clone());
            self.producer = None;
            return Err(SinkError::Overtaken(format!("opening {owner} wrote checkpoint {sequence}")));
        }
        let (stands, lost) = self.make_good(&reader, found, known)?;
        let checkpoint = self.claim(Some(stands))?;
        if lost.any() {
            // What is there now begins anew.
            self.seen = Seen::default();
        }
        Ok(Reopened { checkpoint, journal_lost: lost.journal })
    }
}

/// Whether a member of a group may say that it has let go of its shard in order: not after the claim of another one, nor once it is told
/// to end at once, since then the claim may come at any moment.
fn may_let_go(claim: Option<&Checkpoint>, is_abandoned: bool) -> Result<(), SinkError> {
    match claim {
        Some(claim) => Err(SinkError::Overtaken(format!("opening {} has claimed the shard", claim.owner))),
        None if is_abandoned => {
            Err(SinkError::Overtaken("the group has given the shard to another member".into()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_predecessor_still_writes_is_no_claim() {
        let of = |owner, sequence| Checkpoint { sequence, ..Checkpoint::initial(owner, 1, 0) };
        let mut claim = Claim { sequence: 14, predecessor: None };
        claim.note_predecessor("own", Some(&of("before", 13)));
        // Opened again, behind its own.
        claim.note_predecessor("own", Some(&of("own", 14)));
        for (owner, sequence, is_claim) in [
            ("before", 14, false),
            ("before", 15, false),
            ("own", 15, false),
            ("next", 14, false),
            ("next", 15, true),
            ("next", 90, true),
        ] {
            assert_eq!(claim.is_followed_by("own", &of(owner, sequence)), is_claim, "{owner} {sequence}");
        }
        let recent = [of("before", 13), of("own", 14), of("before", 17), of("own", 15), of("before", 16)];
        assert_eq!(claim.latest_sequence(16, &recent), 18, "beyond all that the predecessor wrote");
        assert_eq!(claim.latest_sequence(20, &recent), 20);
        assert_eq!(claim.latest_sequence(16, &[of("own", 15)]), 16);
    }

    /// A successor would take the shard for free, and what was in flight for delivered.
    #[test]
    fn who_is_told_to_end_at_once_does_not_say_that_it_stopped_in_order() {
        let claim = Checkpoint::initial("other", 1, 0);
        assert!(may_let_go(None, false).is_ok());
        for (claim, is_abandoned, says) in [
            (None, true, "given the shard to another member"),
            (Some(&claim), false, "opening other has claimed"),
            (Some(&claim), true, "opening other has claimed"),
        ] {
            let error = may_let_go(claim, is_abandoned).unwrap_err();
            assert!(matches!(&error, SinkError::Overtaken(why) if why.contains(says)), "{error}");
        }
    }
}
