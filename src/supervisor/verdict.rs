//! What the end of a shard means for itself, for the others and for the process: pure decisions.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::Ended;
use crate::shard::Exit;

/// First and longest pause before a shard that ended unasked is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A shard that ran for so long before it ended is reopened after the first, shortest pause again.
const LONG_RUN: Duration = Duration::from_secs(600);

/// How the thread of a shard ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// In a way that it knows of.
    Exit(Exit),
    /// By a panic, which is a defect.
    Panicked,
    /// The system gave it no thread.
    NoThread,
}

/// What follows from an ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Consequence {
    /// It has ended for good.
    Done,
    /// It is opened again after a pause.
    Restart,
    /// It has ended for good, and all others are told to stop.
    EndAll,
}

/// What follows from `ending`; `asked` tells whether the shard was told to stop, `is_shared` whether the consumer group says who
/// runs it: a fence is then no reason to end, since the group decides.
pub(super) fn consequence(ending: &Ending, asked: bool, is_shared: bool) -> Consequence {
    match ending {
        Ending::Exit(Exit::Misconfigured) => Consequence::EndAll,
        Ending::Exit(Exit::Fenced) if !is_shared => Consequence::EndAll,
        // What was not committed comes again after the next start, whatever the reason.
        _ if asked => Consequence::Done,
        Ending::Exit(Exit::Stopped | Exit::Overtaken | Exit::Abandoned | Exit::Fenced)
        | Ending::Panicked
        | Ending::NoThread => Consequence::Restart,
    }
}

/// Whether an ending at the stop of the process says something of that stop: a shard that another member of the group has by now
/// does not, however it ended here.
pub(super) fn counts(ending: &Ending, is_ours: bool, is_shared: bool) -> bool {
    is_ours && !(is_shared && *ending == Ending::Exit(Exit::Fenced))
}

impl Ending {
    /// Runs a shard to its end.
    pub(super) fn of(run: impl FnOnce() -> Exit) -> Self {
        // After a panic nothing of the shard is used but its counters, so a broken invariant does no harm.
        catch_unwind(AssertUnwindSafe(run)).map_or(Self::Panicked, Self::Exit)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exit(Exit::Stopped) => "its reader ended, or takes no lines any more",
            Self::Exit(Exit::Fenced) => "another instance has taken over",
            Self::Exit(Exit::Overtaken) => "another opening wrote in between",
            Self::Exit(Exit::Misconfigured) => "it can never work as it is configured",
            Self::Exit(Exit::Abandoned) => "it gave up",
            Self::Panicked => "it panicked, which is a defect: please report the message above",
            Self::NoThread => "there is no thread for it",
        })
    }
}

/// Unasked ends of one shard in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streak {
    length: u32,
}

impl Streak {
    /// Whether the last end was not one of several in a row.
    pub(super) fn is_single(self) -> bool {
        self.length == 1
    }

    /// The pause after one more end of a shard that `ran` for so long; `random` is uniform in 0..1.
    pub(super) fn pause(&mut self, ran: Duration, random: f64) -> Duration {
        let (first, longest) = PAUSES;
        self.length = if ran >= LONG_RUN { 1 } else { self.length.saturating_add(1) };
        let doubled = first.saturating_mul(2u32.saturating_pow(self.length - 1)).min(longest);
        // Shards that end together are not opened together.
        doubled.mul_f64(1.0 - 0.2 * random.clamp(0.0, 1.0))
    }
}

/// How shards have ended for good.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    fenced: bool,
    misconfigured: bool,
    timed_out: bool,
}

impl Tally {
    /// A shard has ended for good.
    pub(super) fn count(&mut self, ending: &Ending) {
        match ending {
            Ending::Exit(Exit::Stopped) => {}
            Ending::Exit(Exit::Fenced) => self.fenced = true,
            Ending::Exit(Exit::Misconfigured) => self.misconfigured = true,
            // It was told to stop, and ended before it had committed everything.
            Ending::Exit(Exit::Overtaken | Exit::Abandoned) | Ending::Panicked | Ending::NoThread => {
                self.timed_out = true;
            }
        }
    }

    /// Another instance announced itself.
    pub(super) fn take_over(&mut self) {
        self.fenced = true;
    }

    /// The time to stop is over.
    pub(super) fn time_out(&mut self) {
        self.timed_out = true;
    }

    /// How the run ended.
    pub(super) fn verdict(self) -> Ended {
        if self.misconfigured {
            Ended::Misconfigured
        } else if self.fenced {
            Ended::Fenced
        } else if self.timed_out {
            Ended::TimedOut
        } else {
            Ended::Stopped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Ending; 7] = [
        Ending::Exit(Exit::Stopped),
        Ending::Exit(Exit::Overtaken),
        Ending::Exit(Exit::Abandoned),
        Ending::Panicked,
        Ending::NoThread,
        Ending::Exit(Exit::Fenced),
        Ending::Exit(Exit::Misconfigured),
    ];

    #[test]
    fn every_end_has_its_consequence() {
        let unasked = ALL.map(|ending| consequence(&ending, false, false));
        let asked = ALL.map(|ending| consequence(&ending, true, false));
        let (restart, done, end_all) = (Consequence::Restart, Consequence::Done, Consequence::EndAll);
        assert_eq!(unasked, [restart, restart, restart, restart, restart, end_all, end_all]);
        assert_eq!(asked, [done, done, done, done, done, end_all, end_all]);
        let shared = [false, true].map(|asked| ALL.map(|ending| consequence(&ending, asked, true)));
        assert_eq!(shared[0], [restart, restart, restart, restart, restart, restart, end_all]);
        assert_eq!(shared[1], [done, done, done, done, done, done, end_all]);
    }

    #[test]
    fn what_others_have_by_now_says_nothing_of_a_stop() {
        let (fenced, abandoned) = (Ending::Exit(Exit::Fenced), Ending::Exit(Exit::Abandoned));
        assert!(counts(&abandoned, true, true) && !counts(&abandoned, false, true), "one that was lost");
        assert!(!counts(&fenced, true, true), "it was about to be lost");
        assert!(counts(&fenced, true, false));
    }

    #[test]
    fn the_verdict_names_what_the_operator_has_to_know() {
        let verdict = |endings: &[Ending]| {
            let mut tally = Tally::default();
            endings.iter().for_each(|ending| tally.count(ending));
            tally.verdict()
        };
        let [stopped, overtaken, abandoned, panicked, no_thread, fenced, misconfigured] = ALL;
        assert_eq!(verdict(&[stopped, stopped]), Ended::Stopped);
        for left_behind in [overtaken, abandoned, panicked, no_thread] {
            assert_eq!(verdict(&[stopped, left_behind]), Ended::TimedOut);
        }
        assert_eq!(verdict(&[abandoned, fenced, stopped]), Ended::Fenced, "one is enough");
        assert_eq!(verdict(&[fenced, misconfigured]), Ended::Misconfigured);
    }

    #[test]
    fn a_panic_is_an_ending() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let ending = Ending::of(|| panic!("on purpose"));
        std::panic::set_hook(hook);
        assert_eq!(ending, Ending::Panicked);
        assert_eq!(Ending::of(|| Exit::Stopped), Ending::Exit(Exit::Stopped));
    }

    #[test]
    fn pauses_grow_until_a_shard_has_run_for_long() {
        let mut streak = Streak::default();
        let pauses: Vec<_> = (0..8).map(|_| streak.pause(Duration::ZERO, 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(streak.pause(LONG_RUN, 0.0), Duration::from_secs(1));
        assert_eq!(
            streak.pause(Duration::ZERO, 1.0),
            Duration::from_millis(1600),
            "not all at the same moment"
        );
    }
}
