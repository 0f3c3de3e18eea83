//! A thread of its own for the connections of a shard, which does not wake for each event of a trickle.
//!
//! A service flushes each event by itself. Woken each time, the thread would cost more than all that is done with the event, and nothing
//! is committed before a batch closes anyway. So where only a few bytes came since the thread last had nothing to do, it sleeps
//! before it waits for more: the kernel keeps what arrives, and all of it is read at once. While the shard lets a batch gather, it
//! sleeps until just before that one closes, so hardly anything of it comes later by this. A connection that is being opened brings
//! no such bytes and is not held up, but for others of the same shard; nor is one that brings many.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::Instant;
use tracing::Instrument;

use super::queue::Due;
use crate::task;

/// How long what arrives may wait to be read while no batch gathers: a small part of the default `commit.interval`.
const MOMENT: Duration = Duration::from_millis(5);

/// The longest sleep: whatever else the thread has to do waits for so long.
const LONGEST: Duration = Duration::from_millis(50);

/// So long before a batch closes what came is read, to be in it.
const MARGIN: Duration = Duration::from_millis(3);

/// With so many bytes of a body or more between two waits there is enough to do. Far less than a socket holds.
const BUSY: usize = 32 << 10;

thread_local! {
    /// Bytes of bodies that came since this thread last had nothing to do.
    static CAME: Cell<usize> = const { Cell::new(0) };
    /// When that was.
    static RESTED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Bytes of a stream came, read by this thread.
pub(super) fn note(bytes: usize) {
    CAME.set(CAME.get().saturating_add(bytes));
}

/// Runs `connections`, which bring what is `due`, on a thread of this name, to its end.
///
/// # Errors
/// Where there can be no more threads or open files.
pub(crate) fn spawn(
    name: String,
    due: Due,
    connections: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(move || rest(&due)).build()?;
    task::spawn_thread(name, move || {
        runtime.block_on(connections.instrument(tracing::debug_span!("task", name = "connections")));
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
    })
}

/// Called when nothing is left to do.
fn rest(due: &Due) {
    let now = Instant::now();
    let since = RESTED.replace(Some(now)).map_or(Duration::ZERO, |rested| now - rested);
    if let Some(pause) = pause_after(CAME.take(), since, || due.left(now)) {
        std::thread::sleep(pause);
    }
}

/// How long to sleep where so many bytes came in so much time, and a batch closes in what is `left`.
fn pause_after(came: usize, since: Duration, left: impl FnOnce() -> Option<Duration>) -> Option<Duration> {
    if !(1..BUSY).contains(&came) {
        return None;
    }
    let until_due = left().and_then(|left| left.checked_sub(MARGIN)).map(|left| left.min(LONGEST));
    // What comes in that time at the pace of now.
    let fits = |pause: &Duration| came as u128 * pause.as_nanos() < BUSY as u128 * since.as_nanos();
    Some(until_due.filter(fits).map_or(MOMENT, |pause| pause.max(MOMENT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trickle_is_held_up() {
        let pause = |came| pause_after(came, MOMENT, || None);
        assert_eq!(pause(0), None, "a connection that is being opened");
        assert_eq!(pause(1), Some(MOMENT));
        assert_eq!(pause(BUSY - 1), Some(MOMENT));
        assert_eq!(pause(BUSY), None);
    }

    #[test]
    fn what_gathers_is_read_just_before_its_batch_closes() {
        let ms = Duration::from_millis;
        let pause = |came, left| pause_after(came, ms(10), || Some(ms(left))).unwrap();
        assert_eq!(pause(600, 40), ms(37));
        assert_eq!(pause(600, 5000), LONGEST);
        for left in [0, 3, 7] {
            assert_eq!(pause(600, left), MOMENT, "it is too late for that one");
        }
        // More would come than there is room for.
        assert_eq!(pause(BUSY / 5 - 1, 53), LONGEST);
        assert_eq!(pause(BUSY / 5 + 1, 53), MOMENT);
        assert_eq!(
            pause_after(1, Duration::ZERO, || Some(ms(50))),
            Some(MOMENT),
            "the pace is not known yet"
        );
    }

    #[test]
    fn bytes_count_on_the_thread_that_read_them_until_it_rests() {
        let (done, result) = std::sync::mpsc::channel();
        note(3);
        spawn("pace".to_owned(), Due::default(), async move {
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
