//! Three instances and eight shards under constant input, while one fault after the other hits one of them.
//!
//! `tests/campaign` runs it at length. `TRIBUTARY_TEST_FAULTS` and `TRIBUTARY_TEST_SEED` say how many faults, and which.

use super::sharing::{LIMIT, Shared, owned, owned_by};
use crate::harness::airship::oracle::{Found, Repeats};
use crate::harness::airship::{Setup, check_shards, count_log};
use crate::harness::broker::{PrivateBroker, Way, broker_with_ways};
use crate::harness::process::Process;
use crate::harness::reader::{Isolation, read_all};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const SHARDS: u32 = 8;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Faults of a run that nobody asks for more of.
const FAULTS: u32 = 10;

/// Events that come with each look at what is waited for, which are some 10 ms apart.
const STEP: u64 = 2;

/// Events that there may be for each fault.
const EVENTS_PER_FAULT: u64 = 8_000;

/// What happens to an instance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    /// SIGKILL, and it is started again.
    Killed,
    /// SIGTERM, and it is started again.
    Stopped,
    /// SIGSTOP for longer than its session, then SIGCONT.
    StoodStill,
    /// Its way to Kafka carries nothing for longer than its session.
    CutOff,
}

const ALL: [Fault; 4] = [Fault::Killed, Fault::Stopped, Fault::StoodStill, Fault::CutOff];

/// The instances, what they read and where they write.
struct Campaign {
    broker: PrivateBroker,
    ways: Vec<Way>,
    stream: Shared,
    members: Vec<Process>,
    random: SmallRng,
    /// Writes that a fence has refused.
    fenced: usize,
}

impl Campaign {
    #[track_caller]
    fn new(faults: u32, seed: u64) -> Self {
        let events = EVENTS_PER_FAULT * u64::from(faults + 2);
        let (broker, ways) = broker_with_ways(NAMES.len());
        let mut stream = Shared::new(events, STEP, |mock| Setup::at(&broker, "campaign", mock));
        stream.setup.streams[0].shards = SHARDS;
        let random = SmallRng::seed_from_u64(seed);
        let mut campaign = Self { broker, ways, stream, members: Vec::new(), random, fenced: 0 };
        campaign.members = (0..NAMES.len()).map(|number| campaign.start(number)).collect();
        campaign
    }

    #[track_caller]
    fn start(&self, number: usize) -> Process {
        let bootstrap = self.ways[number].address().to_owned();
        self.stream.member(NAMES[number], "").with(|settings| settings.bootstrap = bootstrap).start()
    }

    /// Waits, and lets events come meanwhile.
    #[track_caller]
    fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        self.stream.wait(what, holds);
    }

    fn pass(&self, time: Duration) {
        let since = Instant::now();
        self.wait("time to pass", || since.elapsed() >= time);
    }

    /// The members other than `except`.
    fn others(&self, except: Option<usize>) -> Vec<&Process> {
        let others = self.members.iter().enumerate().filter(|(number, _)| Some(*number) != except);
        others.map(|(_, member)| member).collect()
    }

    #[track_caller]
    fn wait_shared(&self, except: Option<usize>) {
        self.stream.wait_shared(&self.others(except), SHARDS);
    }

    /// Has a fault hit a member, and asserts that it did.
    #[track_caller]
    fn strike(&mut self, fault: Fault) {
        let number = self.random.random_range(0..NAMES.len());
        // Sometimes it is back before the others have noticed.
        let away = Duration::from_millis(self.random.random_range(0..9_000));
        println!("{fault:?} {} for {away:?}", NAMES[number]);
        if matches!(fault, Fault::StoodStill | Fault::CutOff) {
            // One that was started a moment ago, or was struck just now, has nothing to lose yet, and the others have all.
            self.wait("the member to have a shard", || {
                // Asked once: it may lose them between two questions.
                let own = owned(&self.members[number]);
                own > 0.0 && own + owned_by(&self.others(Some(number))) == f64::from(SHARDS)
            });
        }
        match fault {
            Fault::Killed => {
                self.members[number].kill9();
                self.replace(number, away);
            }
            Fault::Stopped => {
                self.members[number].sigterm();
                self.wait_end(number);
                self.replace(number, away);
            }
            Fault::StoodStill => {
                self.members[number].sigstop();
                self.wait_shared(Some(number));
                let noticed = self.noticed(number);
                self.members[number].sigcont();
                self.wait("the member to notice", || self.noticed(number) > noticed);
            }
            Fault::CutOff => {
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

    #[track_caller]
    fn wait_end(&mut self, number: usize) {
        let member = &mut self.members[number];
        self.stream.wait("the end of a member", || member.exited().is_some());
        assert_eq!(member.wait_exit(LIMIT).code(), Some(0), "{}", member.log().join("\n"));
    }

    fn replace(&mut self, number: usize, away: Duration) {
        self.pass(away);
        self.count(number);
        self.members[number] = self.start(number);
    }

    /// By a word of the group, whichever comes first, or by a fence.
    fn noticed(&self, number: usize) -> usize {
        let words = ["lost: it ends at once", "revoked: what is queued", "fenced: another instance"];
        words.map(|word| count_log(&self.members[number], word)).iter().sum()
    }

    fn count(&mut self, number: usize) {
        check_shards(&self.members[number].log());
        self.fenced += count_log(&self.members[number], "fenced: another instance");
    }

    /// Everything that is left comes, the members stop, and what lies in Kafka is compared.
    #[track_caller]
    fn finish(mut self, hits: &BTreeMap<Fault, u32>) {
        self.wait_shared(None);
        self.stream.wait_committed(&self.broker, SHARDS);
        let lines = self.stream.setup.expectation_of(&self.stream.mock, self.stream.made());
        for number in 0..NAMES.len() {
            self.members[number].sigterm();
            let status = self.members[number].wait_exit(LIMIT);
            assert_eq!(status.code(), Some(0), "{}", self.members[number].log().join("\n"));
            self.count(number);
        }
        let found = lines.check_at(&self.broker, Repeats::Forbidden);
        assert_eq!(found, Found { records: lines.len(), repeats: 0 });
        let uncommitted = read_all(&self.broker, self.stream.setup.topic(), Isolation::Uncommitted).len();
        println!(
            "{hits:?}: {} events, none lost, none twice; {} records of transactions that were not committed; {} fenced writers",
            lines.len(),
            uncommitted - lines.len(),
            self.fenced
        );
    }
}

/// Shards that a process says are its own.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn whatever_hits_an_instance_nothing_is_lost_and_nothing_comes_twice() {
    let faults = number("TRIBUTARY_TEST_FAULTS", FAULTS.into()) as u32;
    let seed = number("TRIBUTARY_TEST_SEED", rand::random::<u32>().into());
    println!("{faults} faults with TRIBUTARY_TEST_SEED={seed}");
    let mut campaign = Campaign::new(faults, seed);
    campaign.wait_shared(None);
    let mut hits = BTreeMap::new();
    for turn in 0..faults {
        // Each kind as often as the others, in an order of chance.
        let mut fault = ALL[turn as usize % ALL.len()];
        if campaign.random.random_bool(0.3) {
            fault = ALL[campaign.random.random_range(0..ALL.len())];
        }
        *hits.entry(fault).or_insert(0) += 1;
        campaign.strike(fault);
        // Sometimes the next fault comes before the last one is over.
        if campaign.random.random_bool(0.6) {
            campaign.wait_shared(None);
        }
        let pause = Duration::from_millis(campaign.random.random_range(0..2_000));
        campaign.pass(pause);
    }
    campaign.finish(&hits);
}
