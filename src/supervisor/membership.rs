//! This process's place in the consumer group, which says which shards it is to run, and who has the others.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::run::Event;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::group::{Change, Group, Left, Member, Seat};
use crate::sink::kafka::placement::Latest;
use crate::task;

/// How long leaving may take: when Kafka is away, nobody hears of it.
const LEAVING: Duration = Duration::from_secs(5);

/// A member of the group, on a thread of its own.
pub(super) struct Membership {
    stop: CancellationToken,
    left: oneshot::Receiver<()>,
}

impl Membership {
    /// Joins; what the group says becomes events.
    pub(super) fn join(
        config: &Config,
        group: &Group,
        placement: &Latest,
        seat: &Seat,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let (stop, (say, left)) = (CancellationToken::new(), oneshot::channel());
        let (release_timeout, changes) = (group.release_timeout, events.clone());
        let tell = move |change| tell(change, &changes, release_timeout);
        let member = Member::new(config, group, placement.clone(), Handle::current(), seat.clone(), tell);
        let (told, failed) = (stop.clone(), events.clone());
        let started = task::spawn_thread("group".into(), move || {
            // After a panic nothing of the member is used any more.
            match catch_unwind(AssertUnwindSafe(|| member.run(&told))) {
                Ok(Left::Told) => {}
                Ok(Left::Replaced) => drop(events.send(Event::Replaced)),
                Err(_) => drop(events.send(Event::Unseated("its thread panicked, which is a defect".into()))),
            }
            drop(say);
        });
        if let Err(error) = started {
            drop(failed.send(Event::Unseated(format!("there is no thread for it: {error}"))));
        }
        Self { stop, left }
    }

    /// Leaves, so that others are given the shards at once.
    pub(super) async fn leave(self) {
        self.stop.cancel();
        // An error says that the thread is done.
        if tokio::time::timeout(LEAVING, self.left).await.is_err() {
            warn!(
                "the consumer group did not hear of the departure; it will notice when the session expires"
            );
        }
    }
}

/// Passes on what the group says. Where shards are to let go, waits until they have.
fn tell(change: Change, events: &mpsc::UnboundedSender<Event>, release_timeout: Duration) {
    // Nobody listens any more only when the process is ending, with all shards at rest.
    match change {
        Change::Assigned(partitions) => drop(events.send(Event::Assigned(partitions))),
        Change::Lost(partitions) => drop(events.send(Event::Lost(partitions))),
        Change::Held(holders) => drop(events.send(Event::Held(holders))),
        Change::Revoked(partitions) => {
            let (guard, released) = channel::<Infallible>();
            drop(events.send(Event::Revoked(partitions.clone(), guard)));
            if released.recv_timeout(release_timeout) == Err(RecvTimeoutError::Timeout) {
                warn!("shards have not let go within shutdown.timeout; they are ended at once");
                drop(events.send(Event::Lost(partitions)));
            }
        }
    }
}
