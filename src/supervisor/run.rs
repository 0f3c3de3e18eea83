//! Shards at work: each is started, started again when it ends unasked, and drained within a bounded time.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::mpsc as guard;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::starter::{Orders, Starter};
use super::verdict::{self, Consequence, Ending, Streak, Tally};
use super::{Ended, StreamChange};
use crate::sink::kafka::group::{Holders, Seat};
use crate::sink::kafka::placement::{Latest, Placement};
use crate::{shard, task};

mod sharing;

/// The least pause before a shared shard that was fenced is opened again: longer than the group needs to tell that it is
/// another instance's now, which would otherwise be fenced in turn.
const FENCED_PAUSE: Duration = Duration::from_secs(3);

const GIVES_UP: &str = "this process gives up all of its shards; run one instance for a set of streams";

/// Shards at work.
pub(super) struct Run {
    pub(super) slots: Vec<Slot>,
    pub(super) drain: CancellationToken,
    abandon: CancellationToken,
    shutdown_timeout: Duration,
    placement: Latest,
    /// This instance's seat in the consumer group that says which shards are its own. Without one all are.
    seat: Option<Seat>,
    /// Looks in a row at a placement record that is behind this configuration.
    ahead: u32,
    /// The partitions that the group has given to this instance.
    owned: BTreeSet<i32>,
    happened: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    tally: Tally,
}

/// One shard, and what is remembered of its ends.
pub(super) struct Slot {
    pub(super) starter: Starter,
    streak: Streak,
    started: Instant,
    pub(super) at: At,
    /// Whether this instance is to run it.
    is_ours: bool,
    /// Why it is left to others, if it is.
    superseded: Option<String>,
    /// Whoever waits until it has let go: dropped then.
    awaited: Vec<Released>,
}

/// Held for as long as a shard has not let go.
pub(super) type Released = guard::Sender<Infallible>;

/// What a shard does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// Nothing.
    Rest,
    /// It has a thread.
    Work,
    /// It waits for its next start.
    Pause,
}

/// What happens to a shard, by its number.
pub(super) enum Event {
    /// It ended.
    Ended(usize, Ending),
    /// The pause before it is opened again is over.
    Due(usize),
    /// An instance of this name announced itself for one of the streams.
    TakenOver(String),
    /// The shards of these numbers are this instance's from now on.
    Assigned(Vec<i32>),
    /// They are to let go, in order.
    Revoked(Vec<i32>, Released),
    /// They are to end at once: others may have them already.
    Lost(Vec<i32>),
    /// Another process has taken this one's name in the group.
    Replaced,
    /// Nothing is heard of the group any more, and why.
    Unseated(String),
    /// This is what the placement record says.
    Recorded(Placement),
    /// The members of the group that have the partitions now, as far as that is known.
    Held(Holders),
}

impl Run {
    pub(super) fn new(
        starters: Vec<Starter>,
        drain: CancellationToken,
        shutdown_timeout: Duration,
        placement: Latest,
        seat: Option<Seat>,
    ) -> Self {
        let slots = starters.into_iter().map(|starter| Slot {
            superseded: starter.why_superseded(),
            starter,
            streak: Streak::default(),
            started: Instant::now(),
            at: At::Rest,
            is_ours: seat.is_none(),
            awaited: Vec::new(),
        });
        Self {
            slots: slots.collect(),
            drain,
            abandon: CancellationToken::new(),
            shutdown_timeout,
            placement,
            seat,
            ahead: 0,
            owned: BTreeSet::new(),
            happened: mpsc::unbounded_channel(),
            tally: Tally::default(),
        }
    }

    fn is_shared(&self) -> bool {
        self.seat.is_some()
    }

    /// Where others say what happens.
    pub(super) fn events(&self) -> mpsc::UnboundedSender<Event> {
        self.happened.0.clone()
    }

    /// Starts all shards that are this instance's from the beginning.
    pub(super) fn begin(&mut self) {
        self.take_seat();
        for number in 0..self.slots.len() {
            self.go_on(number);
        }
    }

    /// Starts a shard that rests, if it is this instance's.
    fn go_on(&mut self, number: usize) {
        let slot = &mut self.slots[number];
        if self.drain.is_cancelled() || slot.at != At::Rest {
            return;
        }
        let health = &slot.starter.figures.shard.health;
        match (&slot.superseded, slot.is_ours) {
            (Some(reason), _) => health.superseded(reason),
            (None, true) => self.start(number),
            (None, false) => health.standby(),
        }
    }

    /// Starts a shard in a thread of its own, which always says how it ended.
    fn start(&mut self, number: usize) {
        let slot = &mut self.slots[number];
        (slot.started, slot.at) = (Instant::now(), At::Work);
        slot.starter.orders = Orders { stop: self.drain.child_token(), abandon: self.abandon.child_token() };
        let starter = slot.starter.clone();
        // A reset that was asked for on the command line is made once, and not again when the shard restarts.
        if let Some(source) = slot.starter.stream.service_mut() {
            source.service.forget_reset();
        }
        let events = self.happened.0.clone();
        let name = format!("shard-{}", slot.starter.figures.id);
        let started = task::spawn_thread(name, move || {
            let ending = Ending::of(|| starter.run());
            // Nobody listens any more only when the process is ending.
            drop(events.send(Event::Ended(number, ending)));
        });
        if let Err(error) = started {
            error!(shard = %slot.starter.figures.id, %error, "cannot start a thread for the shard");
            drop(self.happened.0.send(Event::Ended(number, Ending::NoThread)));
        }
    }

    /// Until every shard has ended for good.
    pub(super) async fn supervise(&mut self, changes: &mut mpsc::UnboundedReceiver<StreamChange>) -> Ended {
        let mut deadline = None;
        while !(self.drain.is_cancelled() && self.slots.iter().all(|slot| slot.at == At::Rest)) {
            let timed_out = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.happened.1.recv() => match event {
                    Some(event) => self.heed(event),
                    // `Run` holds a sender itself, so the channel never closes.
                    None => break,
                },
                Some(change) = changes.recv() => self.change(&change),
                () = self.drain.cancelled(), if deadline.is_none() => {
                    info!(timeout_s = self.shutdown_timeout.as_secs(), "stopping: committing what is queued");
                    deadline = Some(Instant::now() + self.shutdown_timeout);
                }
                () = timed_out => {
                    warn!("shutdown.timeout is over; what is not committed comes again after the next start");
                    self.abandon.cancel();
                    self.tally.time_out();
                    break;
                }
            }
        }
        self.tally.verdict()
    }

    fn heed(&mut self, event: Event) {
        match event {
            Event::Ended(number, ending) => self.ended(number, ending),
            Event::Due(number) => {
                self.slots[number].at = At::Rest;
                self.go_on(number);
            }
            Event::Assigned(partitions) => self.assign(&partitions),
            Event::Revoked(partitions, released) => self.release(&partitions, Some(&released)),
            Event::Lost(partitions) => self.release(&partitions, None),
            Event::Replaced => {
                self.tally.take_over();
                self.drain.cancel();
            }
            Event::Unseated(reason) => {
                // Others have the shards once the session expires, and nobody here would know.
                error!(
                    reason,
                    "the member of the consumer group has ended; this process ends, to be started again"
                );
                self.tally.time_out();
                self.drain.cancel();
            }
            Event::Recorded(placement) => self.place_anew(&placement),
            Event::Held(holders) => self.tell_holders(&holders),
            Event::TakenOver(instance) => {
                error!(instance, "{GIVES_UP}");
                self.tally.take_over();
                self.drain.cancel();
            }
        }
    }

    fn ended(&mut self, number: usize, ending: Ending) {
        let is_shared = self.is_shared();
        let slot = &mut self.slots[number];
        slot.at = At::Rest;
        slot.awaited.clear();
        let id = &slot.starter.figures.id;
        if slot.is_ours {
            slot.starter.figures.shard.health.ended(ending.to_string());
        }
        let is_told = slot.starter.orders.stop.is_cancelled();
        match verdict::consequence(&ending, is_told, is_shared) {
            Consequence::Done if self.drain.is_cancelled() => {
                if verdict::counts(&ending, slot.is_ours, is_shared) {
                    self.tally.count(&ending);
                }
            }
            // Given back to the group, which may have returned it meanwhile.
            Consequence::Done => self.go_on(number),
            Consequence::EndAll => {
                match ending {
                    Ending::Exit(shard::Exit::Fenced) => error!(shard = %id, reason = %ending, "{GIVES_UP}"),
                    _ => error!(shard = %id, reason = %ending, "this process ends"),
                }
                self.tally.count(&ending);
                self.drain.cancel();
            }
            Consequence::Restart => {
                let pause = slot.streak.pause(slot.started.elapsed(), rand::random());
                let is_fenced = ending == Ending::Exit(shard::Exit::Fenced);
                let pause = if is_fenced { pause.max(FENCED_PAUSE) } else { pause };
                if is_fenced && slot.streak.is_single() {
                    // Routine where members come and go, or a later configuration cuts the stream anew.
                    let health = &slot.starter.figures.shard.health;
                    health.standby();
                    health.assigned();
                    health.opening(slot.starter.plan.batch.interval);
                }
                error!(
                    shard = %id, reason = %ending, pause_ms = pause.as_millis() as u64,
                    "the shard ended unasked; it is opened again, the others run on"
                );
                slot.starter.figures.shard.restarts.inc();
                slot.at = At::Pause;
                let (events, drain) = (self.happened.0.clone(), self.drain.clone());
                drop(task::spawn(&Handle::current(), "restart", async move {
                    tokio::select! {
                        () = drain.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    drop(events.send(Event::Due(number)));
                }));
            }
        }
    }
}
