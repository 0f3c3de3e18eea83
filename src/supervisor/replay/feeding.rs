//! The reader of a replay: it takes the chosen letters from the dead-letter topic, up to where that ended when the replay began.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::judging::{Judge, Obstacle, Verdict};
use crate::model::block::{Block, RecordsBuilder};
use crate::model::letters::{MAX_RANGES, Replayed};
use crate::sink::SinkError;
use crate::sink::kafka::readback::{Letter, Letters, Span};
use crate::source::queue::{Closed, Input, Item};

/// Bytes of one block: the shard's thread is woken once for each.
const BLOCK_BYTES: usize = 256 << 10;

/// Letters of one block.
const BLOCK_LETTERS: usize = 4_096;

/// How often it is told how far the reading has come.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// What was found in the topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Letters of the stream that were taken up.
    pub taken: u64,
    /// Those that were replayed before.
    pub replayed_before: u64,
    /// Those that are not among those that are asked for.
    pub not_chosen: u64,
    /// Those that cannot be replayed, and why.
    pub kept: BTreeMap<Obstacle, u64>,
    /// Letters of other streams.
    pub other_streams: u64,
    /// Offsets behind the beginning of a transaction that was open: what is committed there is for the next replay.
    pub hidden: u64,
    /// Whether as many were taken as were asked for at most, so that the rest was not looked at.
    pub limited: bool,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// Why the reading ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// Kafka cannot be read.
    #[error("the dead letters cannot be read")]
    Kafka(#[from] SinkError),
    /// What was replayed is in too many pieces.
    #[error(
        "what was replayed would be in more than {MAX_RANGES} pieces, which is more than its record has room for: replay without \
         --reason, --since, --until and --limit, so that no letters are left out in between, or wait until the topic's retention \
         has deleted the oldest"
    )]
    TooManyRanges,
    /// The topic was deleted and made again meanwhile.
    #[error("the dead-letter topic was made again while it was read; replay once more")]
    Changed,
    /// The thread that reads them is gone.
    #[error("the thread that reads the dead letters ended by a defect")]
    Lost,
    /// Nobody takes the letters any more.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Takes letters out of their topic.
pub(super) struct Feeder<'a> {
    pub(super) letters: &'a Letters,
    pub(super) topic: &'a str,
    pub(super) judge: &'a Judge,
    /// What was replayed before, and what is taken up now.
    pub(super) replayed: Replayed,
    /// Where they go; `None` where they are only counted.
    pub(super) input: Option<(Input, Handle)>,
    pub(super) stop: &'a CancellationToken,
    pub(super) tell: &'a dyn Fn(&Tally),
}

/// Letters on their way, and what was found so far.
struct Work {
    builder: RecordsBuilder,
    tally: Tally,
    told: Instant,
}

impl Feeder<'_> {
    /// Takes the letters of these spans. Blocks.
    pub(super) fn feed(mut self, spans: &[Span]) -> (Tally, Result<(), FeedError>) {
        let mut work =
            Work { builder: RecordsBuilder::default(), tally: Tally::default(), told: Instant::now() };
        let fed = self.feed_all(spans, &mut work);
        // What was taken up before an error is replayed all the same.
        let flushed = self.hand_over(&mut work);
        (work.tally, fed.and(flushed))
    }

    fn feed_all(&mut self, spans: &[Span], work: &mut Work) -> Result<(), FeedError> {
        let (letters, mut fed) = (self.letters, Ok(()));
        for span in spans {
            // Retention may have gone on meanwhile.
            let span = letters.as_of_now(span)?;
            let mut from = span.from;
            work.tally.hidden += span.hidden;
            letters.read(&span, |letter| {
                fed = self.take(letter, &mut from, work);
                if fed.is_err() || work.tally.limited || work.tally.stopped {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            std::mem::replace(&mut fed, Ok(()))?;
            if work.tally.limited || work.tally.stopped {
                break;
            }
        }
        Ok(())
    }

    /// Takes one letter. `from` is the offset after the one before it that was replayed or may be.
    fn take(&mut self, letter: &Letter<'_>, from: &mut i64, work: &mut Work) -> Result<(), FeedError> {
        let tally = &mut work.tally;
        if self.stop.is_cancelled() {
            tally.stopped = true;
            return Ok(());
        }
        if letter.offset < *from {
            return Err(FeedError::Changed);
        }
        let verdict = self.judge.judge(letter, *from, self.replayed.of(self.topic, letter.partition));
        let may_be_passed_over = match &verdict {
            Verdict::OtherStream => true,
            Verdict::Kept(obstacle) => !obstacle.may_go(),
            Verdict::ReplayedBefore | Verdict::NotChosen | Verdict::Taken(_) => false,
        };
        if !may_be_passed_over {
            *from = letter.offset.saturating_add(1);
        }
        match verdict {
            Verdict::OtherStream => tally.other_streams += 1,
            Verdict::ReplayedBefore => tally.replayed_before += 1,
            Verdict::NotChosen => tally.not_chosen += 1,
            Verdict::Kept(obstacle) => *tally.kept.entry(obstacle).or_default() += 1,
            Verdict::Taken(_) if self.judge.choice.limit.is_some_and(|limit| tally.taken >= limit) => {
                tally.limited = true;
            }
            Verdict::Taken(taken) => {
                self.replayed.add(self.topic, &taken, false);
                if self.replayed.ranges_done() > MAX_RANGES {
                    return Err(FeedError::TooManyRanges);
                }
                tally.taken += 1;
                work.builder.push_letter(letter.value, taken);
                if work.builder.len() >= BLOCK_BYTES || work.builder.count() >= BLOCK_LETTERS {
                    self.hand_over(work)?;
                }
            }
        }
        if work.told.elapsed() >= TELL_INTERVAL {
            work.told = Instant::now();
            (self.tell)(&work.tally);
        }
        Ok(())
    }

    fn hand_over(&self, work: &mut Work) -> Result<(), FeedError> {
        let builder = std::mem::take(&mut work.builder);
        let Some((input, runtime)) = self.input.as_ref().filter(|_| !builder.is_empty()) else {
            return Ok(());
        };
        let block = Block::Records(builder.build());
        Ok(runtime.block_on(input.send(Item::Block { block, resumed: false, connection: None }))?)
    }
}
