//! A thread of its own for the connections of a shard, which does not wake for each event of a trickle.
//!
//! A service flushes each event by itself. Woken each time, the thread would cost more than all that is done with the event, and nothing
//! is committed before a batch closes anyway. So where only a few bytes came since the thread last had nothing to do, it sleeps a
//! moment before it waits for more: the kernel keeps what arrives, and all of it is read at once. A connection that is being
//! opened brings no such bytes and is never held up, nor is one that brings many.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tracing::Instrument;

use crate::task;

/// How long what arrives may wait to be read: a small part of the default `commit.interval`.
const MOMENT: Duration = Duration::from_millis(5);

/// With so many bytes of a body or more between two waits there is enough to do.
const BUSY: usize = 32 << 10;

thread_local! {
    /// Bytes of bodies that came since this thread last had nothing to do.
    static CAME: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of a stream came, read by this thread.
pub(super) fn note(bytes: usize) {
    CAME.set(CAME.get().saturating_add(bytes));
}

/// Runs `connections` on a thread of this name, to its end.
///
/// # Errors
/// Where there can be no more threads or open files.
pub(crate) fn spawn(name: String, connections: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(rest).build()?;
    task::spawn_thread(name, move || {
        runtime.block_on(connections.instrument(tracing::debug_span!("task", name = "connections")));
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
    })
}

/// Called when nothing is left to do.
fn rest() {
    if let Some(moment) = pause_after(CAME.take()) {
        std::thread::sleep(moment);
    }
}

/// How long to sleep where so many bytes came.
fn pause_after(came: usize) -> Option<Duration> {
    (1..BUSY).contains(&came).then_some(MOMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trickle_is_held_up() {
        assert_eq!(pause_after(0), None, "a connection that is being opened");
        assert_eq!(pause_after(1), Some(MOMENT));
        assert_eq!(pause_after(BUSY - 1), Some(MOMENT));
        assert_eq!(pause_after(BUSY), None);
    }

    #[test]
    fn bytes_count_on_the_thread_that_read_them_until_it_rests() {
        let (done, result) = std::sync::mpsc::channel();
        note(3);
        spawn("pace".to_owned(), async move {
            note(1);
            note(2);
            let before = CAME.get();
            // Long enough for the thread to have nothing to do.
            tokio::time::sleep(Duration::from_millis(1)).await;
            done.send((before, CAME.get())).unwrap();
        })
        .unwrap();
        assert_eq!(result.recv().unwrap(), (3, 0));
        assert_eq!(CAME.take(), 3);
    }
}
