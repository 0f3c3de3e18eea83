//! The one place that writes to standard output and standard error.
//!
//! Invariant: nothing here panics, as `println!` and `eprintln!` do when nobody reads any more or a disk is full. What was
//! asked for on standard output and cannot be written is an error of the command. Standard error takes what it can:
//! a line that it does not take is dropped and counted, since a log must not stop what it tells of.
//!
//! SIGPIPE stays ignored, as Rust's runtime leaves it: the default would end the process when any peer, a broker or a
//! service, goes away while it is written to.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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

/// Whether the last line was cut, so that the next one must begin with a line end of its own.
static TORN: Mutex<bool> = Mutex::new(false);

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
    let mut torn = TORN.lock().unwrap_or_else(PoisonError::into_inner);
    if !append(&mut io::stderr(), &mut torn, line) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lines that standard error did not take so far.
pub(crate) fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
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

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        assert!(matches!(OutputError::from(io::Error::from(io::ErrorKind::BrokenPipe)), OutputError::Closed));
        let full = OutputError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, OutputError::Failed(_)));
    }
}
