//! What happens in a campaign, and what happens to an instance.

use super::super::TAKEN_OVER;
use super::super::sharing::{opened, owned};
use super::options::Ownership;
use super::outside::Loss;
use super::{Campaign, LIMIT, Member};
use crate::harness::airship::count_log;
use rand::RngExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// Where an instance may be killed, by the failpoints' names. Those of a commit are passed in openings as well.
pub(super) const STEPS: [&str; 6] =
    ["after_begin", "mid_batch", "before_checkpoint", "after_checkpoint", "before_commit", "after_commit"];

/// How long an instance that woke up does not hear that its shards are not its own any more, unless a fence tells.
const DEAF: Duration = Duration::from_secs(6);

/// How long one waits for it to open a shard again.
const OPENS_WITHIN: Duration = Duration::from_secs(20);

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// SIGKILL, and it is started again.
    Killed,
    /// It is started again, killed at one of the steps of a batch or of an opening, and started again.
    KilledAtStep,
    /// SIGTERM, and it is started again.
    Stopped,
    /// SIGSTOP for longer than its session, then SIGCONT.
    StoodStill,
    /// The same, and it does not hear what the group says when it wakes up: nothing but the fence keeps it from writing.
    StoodStillDeaf,
    /// Its way to Kafka carries nothing for longer than its session.
    CutOff,
    /// The broker answers nothing for seconds.
    BrokerStoodStill,
    /// One of three brokers is killed, stopped, or stands still.
    BrokerLost,
    /// One of three brokers, each on a machine of its own, reaches nobody and is reached by nobody.
    BrokerCutOff,
    /// All are started again with another configuration, with another number of shards.
    Reconfigured,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Killed,
        Self::KilledAtStep,
        Self::Stopped,
        Self::StoodStill,
        Self::StoodStillDeaf,
        Self::CutOff,
        Self::BrokerStoodStill,
        Self::BrokerLost,
        Self::BrokerCutOff,
        Self::Reconfigured,
    ];

    #[track_caller]
    pub(super) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|kind| format!("{kind:?}") == name);
        found.unwrap_or_else(|| panic!("no kind of faults {name}; there are {:?}", Self::ALL))
    }
}

impl Campaign {
    /// Has a fault hit a member, and asserts that it did.
    #[track_caller]
    pub(super) fn strike(&mut self, kind: Kind) {
        let number = self.random.random_range(0..self.members.len());
        // Sometimes it is back before the others have noticed.
        let away = self.random.random_range(Duration::ZERO..=self.options.away);
        println!("{:7.1} s  {kind:?} {} for {away:?}", self.since.elapsed().as_secs_f64(), self.name(number));
        match kind {
            Kind::Killed => {
                self.members[number].kill9();
                self.replace(number, away, "");
            }
            Kind::KilledAtStep => self.kill_at_step(number, away),
            Kind::Stopped => {
                self.members[number].sigterm();
                self.wait_end(number);
                self.replace(number, away, "");
            }
            Kind::StoodStill | Kind::CutOff if self.options.ownership == Ownership::Static => {
                self.take_over(kind, away / 4);
            }
            Kind::StoodStill => {
                let number = self.wait_busy(number);
                self.members[number].sigstop();
                self.wait_shared(Some(number));
                let noticed = self.noticed(number);
                self.members[number].sigcont();
                self.wait("the member to notice", || self.noticed(number) > noticed);
            }
            Kind::StoodStillDeaf => self.stand_still_deaf(number),
            Kind::CutOff => {
                let number = self.wait_busy(number);
                let noticed = self.noticed(number);
                self.place.way(number).cut();
                // The stream still flows into it, and nothing of it may ever be seen.
                self.wait_shared(Some(number));
                self.pass(away / 4);
                // It may have noticed by its own clock already.
                self.place.way(number).mend();
                self.wait("the member to notice", || self.noticed(number) > noticed);
            }
            Kind::BrokerStoodStill => self.freeze_broker(),
            Kind::BrokerLost => self.lose_broker(&[Loss::Killed, Loss::Stopped, Loss::StoodStill]),
            Kind::BrokerCutOff => self.lose_broker(&[Loss::CutOff]),
            Kind::Reconfigured => self.reconfigure(),
        }
    }

    /// Without a group: the only instance stands still, or its way to Kafka is cut, and another one is started in its place. When it
    /// is back it has to give up.
    #[track_caller]
    fn take_over(&mut self, kind: Kind, away: Duration) {
        let way = self.members[0].way;
        match kind {
            Kind::CutOff => self.place.way(way).cut(),
            _ => self.members[0].sigstop(),
        }
        let next = self.start(0, 1 - way, "");
        let mut old = std::mem::replace(&mut self.members[0], next);
        self.wait_shared(None);
        self.pass(away);
        match kind {
            Kind::CutOff => self.place.way(way).mend(),
            _ => old.sigcont(),
        }
        self.wait("the old one to give up", || old.exited().is_some());
        assert_eq!(old.wait_exit(LIMIT).code(), Some(TAKEN_OVER), "{}", old.log().join("\n"));
        self.count(&old);
    }

    /// Waits until a member has shards and the others have the rest, and gives its number: one that was started a moment ago, or was
    /// struck just now, has nothing to lose yet. It is the member of this number if that has any.
    #[track_caller]
    fn wait_busy(&self, number: usize) -> usize {
        let mut found = None;
        self.wait("a member to have a shard", || {
            // Asked once: it may lose them between two questions.
            let own: Vec<f64> = self.members.iter().map(|member| owned(member)).collect();
            let count = own.len();
            found = (number..number + count).map(|number| number % count).find(|number| own[*number] > 0.0);
            own.iter().sum::<f64>() == f64::from(self.options.shards)
        });
        found.expect("waited for")
    }

    #[track_caller]
    fn kill_at_step(&mut self, number: usize, away: Duration) {
        // One without a shard passes no step. After other numbers of shards some members may have nothing but partitions of those before.
        let number = self.wait_busy(number);
        let steps = self.options.steps;
        let step = steps[self.random.random_range(0..steps.len())];
        // The first passes are those of openings.
        let passes = self.random.random_range(1..=40);
        self.members[number].kill9();
        self.replace(number, Duration::ZERO, &format!("{step}={passes}:pause"));
        self.wait(&format!("{step} to be passed {passes} times"), || self.is_hit(number));
        self.members[number].kill9();
        println!("           at the {passes}. {step}");
        self.replace(number, away, "");
    }

    #[track_caller]
    fn stand_still_deaf(&mut self, number: usize) {
        self.members[number].kill9();
        // Some seconds on, when it has its shards.
        let looks = self.random.random_range(40..=70);
        self.replace(number, Duration::ZERO, &format!("group_member={looks}:hold"));
        self.wait("it to become deaf", || self.is_hit(number));
        let busy = owned(&self.members[number]) > 0.0;
        self.members[number].sigstop();
        self.wait_shared(Some(number));
        let (noticed, opened_before) = (self.noticed(number), opened(&self.members[number]));
        self.members[number].sigcont();
        let since = Instant::now();
        self.wait("the fence", || self.noticed(number) > noticed || !busy || since.elapsed() > DEAF);
        let has_opened = || opened(&self.members[number]) > opened_before;
        if self.options.stays_deaf && busy {
            self.wait("it to open a shard again", || has_opened() || since.elapsed() > OPENS_WITHIN);
            self.pass(DEAF / 6);
        }
        std::fs::write(self.members[number].go(), "").expect("a file");
        self.wait("it to hear again", || self.noticed(number) > noticed || !busy);
    }

    fn is_hit(&self, number: usize) -> bool {
        count_log(&self.members[number], "failpoint hit") > 0
    }

    #[track_caller]
    pub(super) fn wait_end(&mut self, number: usize) {
        let member: &mut Member = &mut self.members[number];
        self.stream.wait("the end of a member", || member.exited().is_some());
        assert_eq!(member.wait_exit(LIMIT).code(), Some(0), "{}", member.log().join("\n"));
    }

    pub(super) fn replace(&mut self, number: usize, away: Duration, failpoints: &str) {
        self.pass(away);
        let way = self.members[number].way;
        let next = self.start(number, way, failpoints);
        let old = std::mem::replace(&mut self.members[number], next);
        self.count(&old);
    }

    /// By a word of the group, whichever comes first, or by a fence.
    fn noticed(&self, number: usize) -> usize {
        let words = ["lost: it ends at once", "revoked: what is queued", "fenced: another instance"];
        words.map(|word| count_log(&self.members[number], word)).iter().sum()
    }
}
