//! `/api/status/events`: snapshots as server-sent events, made once for all who look.
//!
//! Invariants: a snapshot is made once a second at most, and only while somebody looks; no more than [`MOST`] look at a time; who
//! reads slowly misses snapshots, and holds up nobody.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// Between two snapshots.
const INTERVAL: Duration = Duration::from_secs(1);

/// More than people who look at one process; with them there is still room for probes among the connections.
const MOST: usize = 16;

/// Who looks. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Viewers {
    latest: Arc<watch::Sender<Bytes>>,
    wanted: Arc<Notify>,
    room: Arc<Semaphore>,
}

/// A place among those who look, and what was seen there.
struct Place {
    latest: watch::Receiver<Bytes>,
    _room: OwnedSemaphorePermit,
}

impl Default for Viewers {
    fn default() -> Self {
        let (latest, _) = watch::channel(Bytes::new());
        Self { latest: Arc::new(latest), wanted: Arc::default(), room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Viewers {
    /// The snapshots from now on for one more, as the body of an answer; nothing if too many look already.
    pub(super) fn join(&self) -> Option<impl Stream<Item = Result<Bytes, Infallible>> + use<>> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let place = Place { latest: self.latest.subscribe(), _room: room };
        self.wanted.notify_one();
        Some(stream::unfold(place, async |mut place| {
            place.latest.changed().await.ok()?;
            let event = place.latest.borrow_and_update().clone();
            Some((Ok(event), place))
        }))
    }

    /// Has snapshots made for as long as this is polled, while somebody looks. `snapshot` gives JSON on one line; it is told whether
    /// nobody looked before.
    pub(super) async fn serve(self, mut snapshot: impl FnMut(bool) -> String) {
        let mut is_first = true;
        loop {
            if self.latest.receiver_count() == 0 {
                is_first = true;
                self.wanted.notified().await;
                continue;
            }
            let event = format!("data: {}\n\n", snapshot(is_first));
            is_first = false;
            self.latest.send_replace(event.into());
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::StreamExt as _;
    use tokio::runtime::Handle;
    use tokio::time::Instant;

    use super::*;
    use crate::task;

    /// Viewers, and for each snapshot that was made whether it was a first one.
    fn begin() -> (Viewers, Arc<Mutex<Vec<bool>>>) {
        let (viewers, made) = (Viewers::default(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&made);
        let serving = viewers.clone().serve(move |is_first| {
            let mut noted = noted.lock().unwrap();
            noted.push(is_first);
            noted.len().to_string()
        });
        drop(task::spawn(&Handle::current(), "snapshots", serving));
        (viewers, made)
    }

    #[tokio::test(start_paused = true)]
    async fn all_share_one_snapshot_a_second_and_none_is_made_for_nobody() {
        let (viewers, made) = begin();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(made.lock().unwrap().len(), 0, "nobody looks");
        let begun = Instant::now();
        let (mut one, mut other) = (Box::pin(viewers.join().unwrap()), Box::pin(viewers.join().unwrap()));
        for number in 1..=3 {
            let seen = (one.next().await.unwrap().unwrap(), other.next().await.unwrap().unwrap());
            assert_eq!(seen.0, format!("data: {number}\n\n"));
            assert_eq!(seen.0, seen.1);
        }
        assert_eq!(begun.elapsed().as_secs(), 2, "the first one comes at once");
        drop((one, other));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(*made.lock().unwrap(), [true, false, false], "nobody looks any more");
        let mut late = Box::pin(viewers.join().unwrap());
        assert_eq!(late.next().await.unwrap().unwrap(), "data: 4\n\n", "none from before");
        assert_eq!(made.lock().unwrap().last(), Some(&true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_misses_snapshots_and_too_many_are_turned_away() {
        let (viewers, _) = begin();
        let mut places: Vec<_> = (0..MOST).map(|_| Box::pin(viewers.join().unwrap())).collect();
        assert!(viewers.join().is_none());
        drop(places.pop());
        assert!(viewers.join().is_some());
        tokio::time::sleep(Duration::from_millis(9_500)).await;
        assert_eq!(places[0].next().await.unwrap().unwrap(), "data: 10\n\n");
    }
}
