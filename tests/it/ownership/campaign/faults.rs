//! What happens to an instance in a campaign.

use super::super::sharing::{owned, owned_by};
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

/// What happens to an instance.
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
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Killed,
        Self::KilledAtStep,
        Self::Stopped,
        Self::StoodStill,
        Self::StoodStillDeaf,
        Self::CutOff,
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
        if matches!(kind, Kind::StoodStill | Kind::CutOff) {
            self.wait_busy(number);
        }
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
            Kind::StoodStill => {
                self.members[number].sigstop();
                self.wait_shared(Some(number));
                let noticed = self.noticed(number);
                self.members[number].sigcont();
                self.wait("the member to notice", || self.noticed(number) > noticed);
            }
            Kind::StoodStillDeaf => self.stand_still_deaf(number),
            Kind::CutOff => {
                let noticed = self.noticed(number);
                self.ways[number].cut();
                // The stream still flows into it, and nothing of it may ever be seen.
                self.wait_shared(Some(number));
                self.pass(away / 4);
                // It may have noticed by its own clock already.
                self.ways[number].mend();
                self.wait("the member to notice", || self.noticed(number) > noticed);
            }
        }
    }

    /// Waits until a member has shards and the others have the rest: one that was started a moment ago, or was struck just now, has
    /// nothing to lose yet.
    #[track_caller]
    fn wait_busy(&self, number: usize) {
        self.wait("the member to have a shard", || {
            // Asked once: it may lose them between two questions.
            let own = owned(&self.members[number]);
            own > 0.0 && own + owned_by(&self.others(Some(number))) == f64::from(self.options.shards)
        });
    }

    #[track_caller]
    fn kill_at_step(&mut self, number: usize, away: Duration) {
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
        let noticed = self.noticed(number);
        self.members[number].sigcont();
        let since = Instant::now();
        self.wait("the fence", || self.noticed(number) > noticed || !busy || since.elapsed() > DEAF);
        std::fs::write(self.members[number].go(), "").expect("a file");
        self.wait("it to hear again", || self.noticed(number) > noticed || !busy);
    }

    fn is_hit(&self, number: usize) -> bool {
        count_log(&self.members[number], "failpoint hit") > 0
    }

    #[track_caller]
    fn wait_end(&mut self, number: usize) {
        let member: &mut Member = &mut self.members[number];
        self.stream.wait("the end of a member", || member.exited().is_some());
        assert_eq!(member.wait_exit(LIMIT).code(), Some(0), "{}", member.log().join("\n"));
    }

    fn replace(&mut self, number: usize, away: Duration, failpoints: &str) {
        self.pass(away);
        self.count(number);
        self.members[number] = self.start(number, failpoints);
    }

    /// By a word of the group, whichever comes first, or by a fence.
    fn noticed(&self, number: usize) -> usize {
        let words = ["lost: it ends at once", "revoked: what is queued", "fenced: another instance"];
        words.map(|word| count_log(&self.members[number], word)).iter().sum()
    }
}
