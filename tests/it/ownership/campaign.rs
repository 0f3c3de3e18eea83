//! Several instances that share the shards of a stream under constant input, while one fault after the other hits one of them; and
//! the oracle that looks after each fault whether anything was lost, came twice or out of order, or had two writers.
//!
//! `proof/campaign` runs it at length; [`options`] says what can be chosen. [`broken`] shows that the oracle would notice.

mod broken;
mod faults;
mod judge;
mod options;
mod outside;
mod place;
mod writers;

use super::sharing::{LIMIT, Shared};
use crate::harness::airship::{Setup, check_shards, count_log};
use crate::harness::process::{self, Process};
use crate::harness::wait::poll;
use faults::Kind;
use judge::Judge;
use options::{Options, Ownership};
use place::Place;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;
use writers::Writers;

/// Events that there may be for each fault, for each that comes with a look.
const EVENTS_PER_FAULT: u64 = 4_000;

/// Of which there are events.
const MOST_FAULTS: u32 = 2_000;

/// The instances, what they read and where they write.
struct Campaign {
    options: Options,
    place: Place,
    /// Of the configuration.
    generation: u64,
    stream: Shared,
    members: Vec<Member>,
    random: SmallRng,
    since: Instant,
    judge: Judge,
    writers: Writers,
    /// Writes that a fence has refused.
    fenced: usize,
    hits: BTreeMap<Kind, u32>,
}

/// An instance.
struct Member {
    process: Process,
    /// Its way to Kafka.
    way: usize,
    /// Has the file that lets a failpoint go on.
    dir: TempDir,
}

impl Deref for Member {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Member {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Member {
    fn go(&self) -> PathBuf {
        self.dir.path().join("go")
    }
}

impl Campaign {
    /// With ways that can be cut only if that is among the faults.
    #[track_caller]
    fn new(options: Options) -> Self {
        println!("{options:?}");
        let events =
            EVENTS_PER_FAULT * options.step * u64::from(options.faults.saturating_add(2).min(MOST_FAULTS));
        let place = Place::of(&options);
        let at = place.broker();
        let mut stream = Shared::new(events, options.step, |mock| Setup::at(at, "campaign", mock));
        stream.setup.streams[0].shards = options.shards;
        stream.setup.commit_interval = options.commit_interval;
        stream.setup.transaction_timeout = options.transaction_timeout;
        let (judge, writers) = {
            let log = stream.mock.log();
            (Judge::new(&stream.setup, log), Writers::new(&stream.setup, log))
        };
        let random = SmallRng::seed_from_u64(options.seed);
        let (since, members, hits) = (Instant::now(), Vec::new(), BTreeMap::new());
        let mut campaign = Self {
            options,
            place,
            generation: 0,
            stream,
            members,
            random,
            since,
            judge,
            writers,
            fenced: 0,
            hits,
        };
        let members = 0..campaign.options.members;
        campaign.members = members.map(|number| campaign.start(number, number, "")).collect();
        campaign
    }

    fn name(&self, number: usize) -> char {
        char::from(b'a' + u8::try_from(number).expect("a few"))
    }

    #[track_caller]
    fn start(&self, number: usize, way: usize, failpoints: &str) -> Member {
        let generation = format!("generation = {}", self.generation);
        let mut setup = match self.options.ownership {
            Ownership::Group => self.stream.member(&self.name(number).to_string(), &generation),
            Ownership::Static => self.stream.setup.clone().with(|settings| settings.more = generation),
        };
        setup.bootstrap = self.place.bootstrap(way);
        let dir = tempfile::tempdir().expect("a directory");
        let go = dir.path().join("go");
        let variables = [
            ("TRIBUTARY_FAILPOINTS", failpoints),
            ("TRIBUTARY_FAILPOINT_GO", go.to_str().expect("text")),
            ("TRIBUTARY_FAILPOINT_BROKEN", self.options.broken.unwrap_or_default()),
        ];
        Member { process: process::tributary(&setup.toml(), &variables), way, dir }
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
        others.map(|(_, member)| &member.process).collect()
    }

    #[track_caller]
    fn wait_shared(&self, except: Option<usize>) {
        self.stream.wait_shared(&self.others(except), self.options.shards);
    }

    fn count(&mut self, ended: &Process) {
        check_shards(&ended.log());
        self.fenced += count_log(ended, "fenced: another instance");
    }

    /// The faults, one after the other; the oracle looks after each.
    #[track_caller]
    fn run(&mut self) {
        self.wait_shared(None);
        self.pass(Duration::from_millis(500));
        let kinds = self.options.kinds.clone();
        let first = self.random.random_range(0..kinds.len());
        for turn in 0..self.options.faults as usize {
            // One at least, however slow the machine is.
            if turn > 0 && self.since.elapsed() >= self.options.limit {
                break;
            }
            // Each kind as often as the others, in an order of chance.
            let mut kind = kinds[(first + turn) % kinds.len()];
            if self.random.random_bool(0.3) {
                kind = kinds[self.random.random_range(0..kinds.len())];
            }
            self.upset_service();
            *self.hits.entry(kind).or_insert(0) += 1;
            self.strike(kind);
            // Sometimes the next fault comes before the last one is over.
            if self.random.random_bool(0.6) {
                self.wait_shared(None);
                self.settle();
            }
            let pause = Duration::from_millis(self.random.random_range(0..2_000));
            self.pass(pause);
            self.look();
        }
        self.wait_shared(None);
        self.settle();
    }

    /// Judges what is committed by now.
    #[track_caller]
    fn look(&mut self) {
        let broker = self.place.broker();
        self.judge.look(broker);
        self.writers.look(broker);
    }

    /// Waits until all that came so far is committed, and judges whether it is complete.
    #[track_caller]
    fn settle(&mut self) {
        let lines = self.stream.made();
        let last = self.judge.last_lines(self.options.shards, lines);
        let (broker, writers, judge) = (self.place.broker(), &mut self.writers, &mut self.judge);
        // No more comes meanwhile, else it would never be complete.
        let settled = poll(LIMIT, || {
            writers.look(broker);
            let is_committed = last.iter().all(|(shard, line)| writers.has_reached(*shard, *line));
            if is_committed {
                judge.look(broker);
            }
            (is_committed && judge.has_seen_all(broker)).then_some(())
        });
        if settled.is_none() {
            println!("{}; {}", self.writers.tell_behind(broker, &last), self.judge.tell_behind(broker));
            for member in &self.members {
                println!("{}", member.get("/api/status").body);
            }
            panic!("waited {LIMIT:?} in vain for everything to be committed");
        }
        self.judge.check_complete(lines);
        let (said, there) = (self.writers.delivered(), self.judge.records());
        assert_eq!(said, there, "MISCOUNTED: the checkpoints say that {said} events were delivered");
    }

    /// Other consumers see the same events as the oracle, each once.
    #[track_caller]
    fn ask_other_consumers(&self) {
        let Some(program) = &self.options.consumers else { return };
        let events = self.judge.records().to_string();
        let arguments = [self.place.broker().bootstrap(), self.stream.setup.topic(), &events];
        let status = Command::new(program).args(arguments).status();
        assert!(status.expect("the program of consumers").success(), "other consumers see other events");
    }

    /// The members stop, and what lies in Kafka is compared once more.
    #[track_caller]
    fn finish(mut self) {
        for mut member in std::mem::take(&mut self.members) {
            member.sigterm();
            let status = member.wait_exit(LIMIT);
            assert_eq!(status.code(), Some(0), "{}", member.log().join("\n"));
            self.count(&member);
        }
        self.look();
        self.judge.check_complete(self.stream.made());
        self.ask_other_consumers();
        println!(
            "{:?} in {:.0} s with seed {}: {} events, none lost, none twice, all in order; {} records of transactions that were not \
             committed; {} fenced writers; faults of the service: {:?}",
            self.hits,
            self.since.elapsed().as_secs_f64(),
            self.options.seed,
            self.judge.records(),
            self.judge.uncommitted(),
            self.fenced,
            self.stream.mock.stats().faults
        );
    }
}

#[test]
fn whatever_hits_an_instance_nothing_is_lost_and_nothing_comes_twice() {
    let mut campaign = Campaign::new(Options::from_env());
    campaign.run();
    campaign.finish();
}
