//! The one place that writes to standard output and standard error.
//!
//! Invariant: nothing here panics, as `println!` and `eprintln!` do when nobody reads any more or a disk is full. What was
//! asked for on standard output and cannot be written is an error of the command. Standard error takes what it can:
//! a line that it does not take is dropped and counted, since a log must not stop what it tells of. For the same reason the
//! log is written by a thread of its own, [`write_behind`]: a pipe that nobody reads blocks that thread alone.
//!
//! SIGPIPE stays ignored, as Rust's runtime leaves it: the default would end the process when any peer, a broker or a
//! service, goes away while it is written to.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::task;

mod queue;

use queue::{Kind, Piece, Queue};

/// Log that may wait to be written: some thousand lines.
const MOST_WAITING: usize = 1 << 20;

/// The name of the thread that writes.
const THREAD: &str = "log";

/// How long an ordered end waits for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why standard output did not take what a command had to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OutputError {
    /// Who reads it has gone, as `| head` does when it has enough: a normal end.
    #[error("standard output is closed")]
    Closed,
    /// Anything else, such as a full disk.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
}

/// Lines that standard error did not take. As global as standard error itself.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Standard error, for whoever writes to it.
static WRITER: Mutex<Writer> = Mutex::new(Writer { torn: false, told: 0, tells: false });

/// What waits for the thread that writes the log.
static WAITING: Queue = Queue::new(MOST_WAITING);

/// Whether there is such a thread.
static IS_BEHIND: AtomicBool = AtomicBool::new(false);

/// Writes pieces, and knows what became of those before.
struct Writer {
    /// Whether the last line was cut, so that the next one must begin with a line end of its own.
    torn: bool,
    /// Lines that were dropped and of which the log has told.
    told: u64,
    /// Whether a line that tells of some is on its way.
    tells: bool,
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// Writes a text and a line end to standard output.
pub(crate) fn print(text: impl Display) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// The same where the command's work is another one, which goes on without a reader.
pub(crate) fn mention(text: impl Display) {
    // Whether standard output takes it makes no difference here.
    drop(print(text));
}

/// Writes a text and a line end to standard error, if it takes them.
pub(crate) fn remark(text: impl Display) {
    log_line(format!("{text}\n").as_bytes());
}

/// Writes a line, its end included, to standard error, if it takes it.
pub(crate) fn log_line(line: &[u8]) {
    write(line, Kind::Line);
}

/// Draws on the terminal that standard error is. A drawing that it does not take is none that anybody misses.
pub(crate) fn draw(bytes: &[u8]) {
    write(bytes, Kind::Drawing);
}

fn write(bytes: &[u8], kind: Kind) {
    let piece = Piece { bytes: bytes.into(), kind };
    if is_log_thread() {
        // It panics, with the writer in its hands maybe: nobody else writes any more.
        append(&mut io::stderr(), &mut false, bytes);
    } else if IS_BEHIND.load(Ordering::Acquire) {
        if !WAITING.add(piece) && kind == Kind::Line {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    } else {
        let mut writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(&mut io::stderr(), &piece, &DROPPED);
    }
}

fn is_log_thread() -> bool {
    std::thread::current().name() == Some(THREAD)
}

/// Held by the thread that writes: when it ends, which would be a defect, everything is as before it.
struct Behind;

impl Drop for Behind {
    fn drop(&mut self) {
        IS_BEHIND.store(false, Ordering::Release);
    }
}

/// From now on a thread of its own writes to standard error, and nobody else waits for it. Where there can be no such thread
/// everything is as before. `tell` makes the line, its end included, that says how many lines are missing before it: whoever
/// leaves lines out of the log must not leave out this one.
pub(crate) fn write_behind(tell: impl Fn(u64) -> String + Send + 'static) {
    let started = task::spawn_thread(THREAD.into(), move || {
        let _behind = Behind;
        loop {
            let piece = WAITING.take();
            let mut writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
            let is_whole = writer.write(&mut io::stderr(), &piece, &DROPPED);
            if let Some(lines) = writer.untold(is_whole && WAITING.has_room(), &DROPPED) {
                // It waits behind what this thread has to write yet.
                writer.tells =
                    WAITING.add(Piece { bytes: tell(lines).into_bytes().into(), kind: Kind::Tells(lines) });
            }
            drop(writer);
            WAITING.written();
        }
    });
    IS_BEHIND.store(started.is_ok(), Ordering::Release);
}

/// Waits for what is still to be written to standard error, for a short time. Call it before the process ends.
pub(crate) fn flush() {
    if IS_BEHIND.load(Ordering::Acquire) && !is_log_thread() {
        // Where the time is not enough nobody is there to be told.
        WAITING.drain(LAST_WORDS);
    }
}

/// Lines that standard error did not take so far.
pub(crate) fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl Writer {
    /// Writes a piece, and notes what it means if not all of it was written; tells whether it was.
    fn write(&mut self, out: &mut impl Write, piece: &Piece, dropped: &AtomicU64) -> bool {
        let is_whole = append(out, &mut self.torn, &piece.bytes);
        match piece.kind {
            Kind::Line if !is_whole => drop(dropped.fetch_add(1, Ordering::Relaxed)),
            Kind::Tells(lines) => {
                self.told += if is_whole { lines } else { 0 };
                self.tells = false;
            }
            Kind::Line | Kind::Drawing => {}
        }
        is_whole
    }

    /// Lines that are missing and of which the log can tell now, if the output `takes` lines again.
    fn untold(&self, takes: bool, dropped: &AtomicU64) -> Option<u64> {
        let missed = dropped.load(Ordering::Relaxed) - self.told;
        (missed > 0 && takes && !self.tells).then_some(missed)
    }
}

/// Appends a line; tells whether all of it was written. A line that was cut stands alone: it must not spoil the next one.
fn append(out: &mut impl Write, torn: &mut bool, line: &[u8]) -> bool {
    if *torn {
        *torn = write_all(out, b"\n") == 0;
    }
    let written = if *torn { 0 } else { write_all(out, line) };
    *torn |= (1..line.len()).contains(&written);
    written == line.len()
}

/// How many bytes were written before there was an error.
fn write_all(out: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room left.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.holds.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_does_not_spoil_the_next_one() {
        let (mut disk, mut torn) = (Disk { room: 12, holds: Vec::new() }, false);
        let mut append = |disk: &mut Disk, line| append(disk, &mut torn, line);
        assert!(append(&mut disk, b"{\"a\":1}\n"));
        assert!(!append(&mut disk, b"{\"b\":2}\n"), "4 bytes of it");
        assert!(!append(&mut disk, b"{\"c\":3}\n"), "nothing");
        disk.room = 1;
        assert!(!append(&mut disk, b"{\"d\":4}\n"), "the line end alone");
        disk.room = 100;
        assert!(append(&mut disk, b"{\"e\":5}\n"));
        assert_eq!(disk.holds, b"{\"a\":1}\n{\"b\"\n{\"e\":5}\n");
    }

    fn line(text: &str) -> Piece {
        Piece { bytes: text.as_bytes().into(), kind: Kind::Line }
    }

    #[test]
    fn lines_that_were_dropped_are_told_of_once_where_they_are_missing() {
        let (mut writer, dropped) = (Writer { torn: false, told: 0, tells: false }, AtomicU64::new(0));
        let mut disk = Disk { room: 4, holds: Vec::new() };
        assert!(writer.write(&mut disk, &line("one\n"), &dropped));
        assert_eq!(writer.untold(true, &dropped), None);
        assert!(!writer.write(&mut disk, &line("two\n"), &dropped));
        assert_eq!(writer.untold(false, &dropped), None, "it would be dropped, too");
        dropped.fetch_add(5, Ordering::Relaxed);
        let drawing = Piece { kind: Kind::Drawing, ..line("a drawing") };
        assert!(!writer.write(&mut disk, &drawing, &dropped), "nobody misses it");
        disk.room = 100;
        assert!(writer.write(&mut disk, &line("three\n"), &dropped));
        assert_eq!(writer.untold(true, &dropped), Some(6));
        writer.tells = true;
        assert_eq!(writer.untold(true, &dropped), None, "it is being told");
        let told = Piece { kind: Kind::Tells(6), ..line("six are missing\n") };
        disk.room = 0;
        assert!(!writer.write(&mut disk, &told, &dropped));
        assert_eq!(writer.untold(true, &dropped), Some(6), "it was not told, and is no line that is missed");
        disk.room = 100;
        assert!(writer.write(&mut disk, &told, &dropped));
        assert_eq!(writer.untold(true, &dropped), None);
        assert_eq!(disk.holds, b"one\nthree\nsix are missing\n");
    }

    #[test]
    fn what_is_full_takes_nothing_and_blocks_nobody() {
        let queue = Queue::new(8);
        assert!(queue.add(line("four")) && queue.has_room());
        assert!(queue.add(line("more")) && !queue.has_room());
        assert!(!queue.add(line("!")));
        assert!(!queue.drain(Duration::ZERO), "nobody writes");
        assert_eq!(&*queue.take().bytes, b"four");
        assert!(queue.add(line("five")));
        assert_eq!(
            [queue.take(), queue.take()].map(|piece| piece.bytes),
            [line("more"), line("five")].map(|piece| piece.bytes)
        );
        assert!(!queue.drain(Duration::ZERO), "the last one is not written yet");
        queue.written();
        assert!(queue.drain(Duration::ZERO));
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        assert!(matches!(OutputError::from(io::Error::from(io::ErrorKind::BrokenPipe)), OutputError::Closed));
        let full = OutputError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, OutputError::Failed(_)));
    }
}
