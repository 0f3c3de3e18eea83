//! Where a stream is, in the way in which it resumes. Pure: no I/O, no clock.
//!
//! There are two of each: what is committed, and what the batch in progress makes of it.

use super::mark::{Mark, ReplayCounts};
use crate::event::dedupe::Extent;
use crate::model::letters::{Letter, MAX_RANGES, Replayed};
use crate::model::trail::{RecordMark, Trail};
use crate::model::types::{Position, Watermark};

/// Where a stream is.
#[derive(Clone, Debug)]
pub(crate) enum Cursor {
    /// The service is told where to resume: lines bear their offset, or records have one.
    InLine(InLine),
    /// The service keeps the position; ours says how far we got, and what a replay has to drop.
    Watermark(Marked),
    /// Dead letters are replayed, and not all of them.
    Letters(Picked),
}

/// Which dead letters were replayed.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    /// The topic in which they are.
    topic: String,
    replayed: Replayed,
    moved: bool,
}

/// The offset of the last line that had one, or the one after the last record.
#[derive(Clone, Debug)]
pub(crate) struct InLine {
    /// A buffer that is used again and again; empty for none since the last commit.
    offset: Vec<u8>,
    /// Records that were read, in all lives of the shard.
    read: Trail,
    /// Whether lines ought to have offsets. Otherwise those without one are not counted.
    expected: bool,
    /// Lines without an offset that can be sent back, since the last commit.
    unplaced: u64,
    /// Those since the last line with an offset. It goes on from batch to batch.
    unplaced_run: u64,
}

/// A watermark, and what is known of replays.
#[derive(Clone, Debug)]
pub(crate) struct Marked {
    mark: Mark,
    moved: bool,
}

impl Cursor {
    /// Of lines that bear offsets, if that is `expected` of them.
    pub(crate) fn in_line(expected: bool) -> Self {
        Self::InLine(InLine {
            offset: Vec::new(),
            read: Trail::default(),
            expected,
            unplaced: 0,
            unplaced_run: 0,
        })
    }

    /// Takes up which records were read before, as far as a checkpoint says.
    pub(crate) fn take_up(&mut self, position: Option<&Position>) {
        let Self::InLine(at) = self else { return };
        at.read = match position {
            Some(Position::Offset { read, .. }) => read.clone(),
            _ => Trail::default(),
        };
    }

    /// Of a service that keeps the position, as far as a checkpoint says where we were.
    pub(crate) fn watermark(position: Option<&Position>) -> Self {
        let watermark = match position {
            Some(Position::Watermark(watermark)) => *watermark,
            _ => Watermark::default(),
        };
        Self::Watermark(Marked { mark: Mark::at(watermark), moved: false })
    }

    /// Of dead letters in this topic, of which those were replayed.
    pub(crate) fn letters(topic: String, replayed: Replayed) -> Self {
        Self::Letters(Picked { topic, replayed, moved: false })
    }

    /// Whether there is room to note that a dead letter's event was delivered.
    pub(crate) fn has_room_for(&self, letter: &Letter) -> bool {
        let Self::Letters(at) = self else { return true };
        at.replayed.ranges_delivered() < MAX_RANGES || at.replayed.is_beside_delivered(&at.topic, letter)
    }

    /// A dead letter has passed, and its event was delivered or not. Tells whether there is room to note that.
    pub(crate) fn pass_letter(&mut self, letter: &Letter, is_delivered: bool) -> bool {
        let Self::Letters(at) = self else { return true };
        at.replayed.add(&at.topic, letter, is_delivered);
        at.moved = true;
        at.replayed.ranges_delivered() <= MAX_RANGES
    }

    /// A line has passed.
    pub(crate) fn pass_line(&mut self, offset: Option<&[u8]>) {
        let Self::InLine(at) = self else { return };
        match offset {
            Some(offset) => at.move_to(offset),
            None if at.expected => {
                at.unplaced += 1;
                at.unplaced_run += 1;
            }
            None => {}
        }
    }

    /// A record has passed that stood there.
    pub(crate) fn pass_record(&mut self, mark: RecordMark) {
        if let Self::InLine(at) = self {
            at.move_to(itoa::Buffer::new().format(mark.next()).as_bytes());
            at.read.pass(mark);
        }
    }

    /// Something has passed that is no line of the stream; where it has an offset all the same, that counts.
    pub(crate) fn pass_garbage(&mut self, offset: Option<&[u8]>) {
        if let (Self::InLine(at), Some(offset)) = (self, offset) {
            at.move_to(offset);
        }
    }

    /// An event has passed that the service processed at `processed_ms`; `clock_ms` is our clock. Gives the time that the
    /// stream has come to: in a replay it does not go back.
    pub(crate) fn pass_event(&mut self, processed_ms: i64, clock_ms: i64) -> Option<i64> {
        match self {
            Self::InLine(_) | Self::Letters(_) => Some(processed_ms),
            Self::Watermark(at) => {
                at.moved = true;
                at.mark.pass(processed_ms, clock_ms);
                at.mark.watermark.received_ms
            }
        }
    }

    /// Whether it has moved since the last commit.
    pub(crate) fn has_moved(&self) -> bool {
        match self {
            Self::InLine(at) => !at.offset.is_empty(),
            Self::Watermark(at) => at.moved,
            Self::Letters(at) => at.moved,
        }
    }

    /// The position to commit; `extent` says which ids the window knows then. `None` keeps the committed position.
    pub(crate) fn position(&self, extent: Extent) -> Option<Position> {
        match self {
            Self::InLine(at) if at.offset.is_empty() => None,
            Self::InLine(at) => Some(Position::Offset {
                offset: String::from_utf8_lossy(&at.offset).into_owned(),
                read: at.read.clone(),
            }),
            Self::Watermark(at) => Some(Position::Watermark(at.mark.after(extent))),
            Self::Letters(at) => at.moved.then(|| Position::Letters(at.replayed.clone())),
        }
    }

    /// The latest received time so far, where the service keeps the position.
    pub(crate) fn received_ms(&self) -> Option<i64> {
        self.mark().and_then(|mark| mark.watermark.received_ms)
    }

    /// It is committed, and the window knows all ids after `forgotten_ms`: the next batch begins.
    pub(crate) fn commit(&mut self, forgotten_ms: Option<i64>) {
        match self {
            Self::InLine(at) => {
                at.offset.clear();
                at.unplaced = 0;
            }
            Self::Watermark(at) => {
                at.moved = false;
                at.mark.watermark.forgotten_ms = forgotten_ms;
            }
            Self::Letters(at) => at.moved = false,
        }
    }

    /// Lines since the last commit without an offset that can be sent back.
    pub(crate) fn unplaced(&self) -> u64 {
        if let Self::InLine(at) = self { at.unplaced } else { 0 }
    }

    /// Lines without an offset since the last one that had any.
    pub(crate) fn unplaced_run(&self) -> u64 {
        if let Self::InLine(at) = self { at.unplaced_run } else { 0 }
    }

    /// Whether ids are needed however old they are.
    pub(crate) fn needs_old_ids(&self) -> bool {
        self.mark().is_some_and(Mark::needs_old_ids)
    }

    /// What replays have brought.
    pub(crate) fn replay_counts(&self) -> ReplayCounts {
        self.mark().map(|mark| mark.counts).unwrap_or_default()
    }

    /// What is known of replays, where the service keeps the position.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        match self {
            Self::InLine(_) | Self::Letters(_) => None,
            Self::Watermark(at) => Some(&at.mark),
        }
    }

    /// The same, for what an event changes in it.
    pub(crate) fn mark_mut(&mut self) -> Option<&mut Mark> {
        match self {
            Self::InLine(_) | Self::Letters(_) => None,
            Self::Watermark(at) => Some(&mut at.mark),
        }
    }

    /// Changes it outside of what events do, so that it has to be committed; does nothing, and gives `None`, where lines bear
    /// the offsets.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Mark) -> T,
        forgotten_ms: Option<i64>,
    ) -> Option<T> {
        let Self::Watermark(at) = self else { return None };
        at.moved = true;
        let result = change(&mut at.mark);
        at.mark.watermark.forgotten_ms = forgotten_ms;
        Some(result)
    }
}

impl InLine {
    fn move_to(&mut self, offset: &[u8]) {
        self.offset.clear();
        self.offset.extend_from_slice(offset);
        self.unplaced_run = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent { oldest: 0, next: 0, since_ms: 0, forgotten_ms: None };

    #[test]
    fn an_offset_moves_it_and_a_line_without_one_is_counted() {
        let mut cursor = Cursor::in_line(true);
        assert!(!cursor.has_moved() && cursor.position(EXTENT).is_none());
        cursor.pass_line(None);
        cursor.pass_line(Some(b"a"));
        cursor.pass_line(None);
        cursor.pass_garbage(None);
        assert_eq!(cursor.position(EXTENT), Some(Position::offset("a")));
        assert_eq!((cursor.unplaced(), cursor.unplaced_run()), (2, 1));
        cursor.commit(None);
        assert_eq!((cursor.has_moved(), cursor.unplaced(), cursor.unplaced_run()), (false, 0, 1));
        cursor.pass_garbage(Some(b"b"));
        assert_eq!((cursor.has_moved(), cursor.unplaced_run()), (true, 0));
        let mut unexpected = Cursor::in_line(false);
        unexpected.pass_line(None);
        assert_eq!((unexpected.unplaced(), unexpected.needs_old_ids()), (0, false));
        assert_eq!(unexpected.change(Mark::owe_replay, None), None, "there are no replays");
    }

    #[test]
    fn records_are_remembered_beyond_a_commit() {
        let mark = |offset| RecordMark { offset, timestamp_ms: 500 + offset };
        let read = |offsets: &[i64]| {
            let mut read = Trail::default();
            offsets.iter().for_each(|offset| read.pass(mark(*offset)));
            read
        };
        let mut cursor = Cursor::in_line(false);
        cursor.take_up(Some(&Position::Offset { offset: "7".into(), read: read(&[4, 6]) }));
        assert!(!cursor.has_moved() && cursor.position(EXTENT).is_none(), "nothing was read yet");
        cursor.pass_record(mark(7));
        let position = Position::Offset { offset: "8".into(), read: read(&[4, 6, 7]) };
        assert_eq!(cursor.position(EXTENT), Some(position));
        cursor.commit(None);
        cursor.pass_record(mark(8));
        let position = Position::Offset { offset: "9".into(), read: read(&[4, 6, 7, 8]) };
        assert_eq!(cursor.position(EXTENT), Some(position));
        cursor.take_up(Some(&Position::offset("3")));
        cursor.pass_record(mark(3));
        let position = Position::Offset { offset: "4".into(), read: read(&[3]) };
        assert_eq!(cursor.position(EXTENT), Some(position), "somebody had set it");
    }

    #[test]
    fn a_watermark_moves_with_the_events_times_and_not_with_lines() {
        let mut cursor = Cursor::watermark(Some(&Position::offset("of another service")));
        cursor.pass_line(Some(b"a"));
        assert!(!cursor.has_moved() && cursor.received_ms().is_none());
        assert_eq!(cursor.pass_event(5_000, 6_000), Some(5_000));
        assert_eq!(cursor.pass_event(4_000, 6_000), Some(5_000), "it does not go back");
        assert!(cursor.has_moved());
        cursor.commit(Some(1_000));
        assert!(!cursor.has_moved());
        let Some(Position::Watermark(mark)) = cursor.position(EXTENT) else { panic!() };
        assert_eq!(mark.received_ms, Some(5_000));
        let again = Cursor::watermark(Some(&Position::Watermark(mark)));
        assert_eq!(again.received_ms(), Some(5_000));
        assert!(cursor.change(Mark::owe_replay, Some(1_000)).is_some());
        assert!(cursor.has_moved() && cursor.needs_old_ids(), "it is to be committed");
    }
}
