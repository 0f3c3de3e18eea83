//! The number of a stream's shards is changed by a later configuration, under input: nothing is lost and nothing comes twice,
//! whoever is killed in the middle of it.

use super::MISCONFIGURED;
use super::sharing::{LIMIT, Shared, is_ready, opened, owned};
use crate::harness::airship::{Setup, count_log, stop};
use crate::harness::broker::broker;
use crate::harness::expected::Expected;
use crate::harness::process::Process;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;
use std::ops::Deref;

const CHANGED: &str = "the number of shards is changed";
const INHERITED: &str = "the number of shards was changed: it begins";

/// Events that come with each look at what is waited for.
const STEP: u64 = 5;

/// One stream, of which each configuration says another number of shards.
struct Stream(Shared);

impl Deref for Stream {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Stream {
    #[track_caller]
    fn new(test: &str, events: u64) -> Self {
        Self(Shared::new(events, STEP, |mock| Setup::new(test, mock)))
    }

    /// A process without a group, with the configuration of this generation.
    fn alone(&self, generation: u64, shards: u32) -> Setup {
        let more = format!("generation = {generation}");
        with_shards(self.setup.clone().with(|settings| settings.more = more), shards)
    }

    /// A member of the group with the configuration of this generation.
    fn member(&self, name: &str, generation: u64, shards: u32) -> Setup {
        with_shards(self.0.member(name, &format!("generation = {generation}")), shards)
    }

    /// Makes what is left, waits until all of it is there, stops the members and compares.
    #[track_caller]
    fn finish(&self, members: Vec<Process>) {
        self.release_all();
        let expected = Expected::all(self.mock.log());
        let read = || read_all(broker(), self.setup.topic(), Isolation::Committed);
        wait_until(LIMIT, "all events", || read().len() as u64 >= expected.len());
        for mut member in members {
            stop(&mut member);
        }
        expected.check(&read());
    }
}

fn with_shards(mut setup: Setup, shards: u32) -> Setup {
    setup.streams[0].shards = shards;
    setup
}

/// 2, then 5, then 1, with somebody killed in the middle of each change.
#[test]
fn members_of_a_later_configuration_cut_it_anew() {
    let stream = Stream::new("cuts-members", 20_000);
    let start = |name, generation, shards| stream.member(name, generation, shards).start();
    let (mut a, mut b) = (start("a", 1, 2), start("b", 1, 2));
    stream.wait_shared(&[&a, &b], 2);
    stream.wait("something to be there", || stream.made() > 500);

    // The first one to say so dies in its announcement; it is dead before anything was changed, or after.
    let mut first = stream.member("c", 2, 5).start_with("before_placement=1:pause");
    stream.wait("the announcement", || count_log(&first, CHANGED) == 1);
    first.kill9();
    stream.wait_shared(&[&a, &b], 2);
    // The second one dies in the first transaction of a new shard.
    let mut second = stream.member("c", 2, 5).start_with("before_commit=1:pause");
    stream.wait("a new shard to begin", || count_log(&second, INHERITED) > 0);
    second.kill9();
    a.kill9();
    let c = start("c", 2, 5);
    stream.wait_shared(&[&c], 5);
    stream.wait("the other one to see it", || b.get("/ready").body.contains("\"superseded\""));
    let page = b.get("/ready");
    assert_eq!(page.status, 200, "a rollout must not find two that are not ready: {}", page.body);
    assert!(page.body.contains("configuration generation 2; this one is of generation 1"), "{}", page.body);
    assert_eq!(owned(&b), 0.0);
    let a = start("a", 2, 5);
    stream.wait_shared(&[&a, &c], 5);
    stream.wait("both to have some", || owned(&a) > 0.0 && owned(&c) > 0.0);
    stop(&mut b);

    // Before each of the five was opened, so that what lies two cuts back is needed as well.
    let mut d = stream.member("d", 3, 3).start();
    stream.wait("the change", || count_log(&d, INHERITED) > 0);
    d.kill9();
    let e = start("e", 4, 1);
    stream.wait_shared(&[&e], 1);
    stream.wait("the others to let go", || owned(&a) + owned(&c) == 0.0);
    let late = stream.made() + 1_000;
    stream.wait("some more events", || stream.made() >= late.min(stream.events));
    stream.finish(vec![a, c, e]);
}

/// Whoever had both numbers at once would have two truths.
#[test]
fn the_same_generation_with_other_numbers_is_refused() {
    let stream = Stream::new("cuts-refused", 2_000);
    let first = stream.member("a", 1, 2).start();
    stream.wait_shared(&[&first], 2);
    let mut second = stream.member("b", 1, 3).start();
    stream.wait("it to be refused", || second.exited().is_some());
    assert_eq!(second.wait_exit(LIMIT).code(), Some(MISCONFIGURED));
    let log = second.log().join("\n");
    assert!(log.contains("Set a higher generation to cut it anew"), "{log}");
    stream.wait_shared(&[&first], 2);
    stream.finish(vec![first]);
}

/// One process after the other, without a group; and the old one is taken over by the new one.
#[test]
fn a_process_alone_cuts_it_anew() {
    let stream = Stream::new("cuts-alone", 8_000);
    let alone = |generation: u64, shards| stream.alone(generation, shards).start();
    let mut two = alone(0, 2);
    stream.wait_shared(&[&two], 2);
    stream.wait("something to be there", || stream.made() > 300);
    let three = alone(1, 3);
    stream.wait("the old one to give up", || two.exited().is_some());
    assert_eq!(two.wait_exit(LIMIT).code(), Some(super::TAKEN_OVER));
    stream.wait_shared(&[&three], 3);
    let mut late = alone(0, 2);
    stream.wait("an earlier configuration to be refused", || late.exited().is_some());
    assert_eq!(late.wait_exit(LIMIT).code(), Some(MISCONFIGURED));
    let mut three = three;
    stop(&mut three);
    let one = alone(2, 1);
    stream.wait_shared(&[&one], 1);
    stream.finish(vec![one]);
}

/// Without transactions nothing fences the old ones, so some may come twice; none is lost.
#[test]
fn without_transactions_nothing_is_lost() {
    let mut stream = Stream::new("cuts-least", 8_000);
    stream.0.setup.delivery = "at_least_once";
    let a = stream.member("a", 1, 2).start();
    stream.wait_shared(&[&a], 2);
    stream.wait("something to be there", || stream.made() > 500);
    let b = stream.member("b", 2, 3).start();
    stream.wait_shared(&[&b], 3);
    stream.wait("the old one to let go", || owned(&a) == 0.0);
    stream.release_all();
    let expected = Expected::all(stream.mock.log());
    let ids = || {
        let messages = read_all(broker(), stream.setup.topic(), Isolation::Committed);
        let ids = messages.iter().filter_map(|message| message.header("ce_id").map(str::to_owned));
        ids.collect::<std::collections::BTreeSet<String>>()
    };
    wait_until(LIMIT, "all events", || ids().len() as u64 >= expected.len());
    for mut member in [a, b] {
        stop(&mut member);
    }
}

/// It has delivered nothing, so the new shards begin where it would have begun.
#[test]
fn a_shard_that_was_never_opened_is_not_forgotten() {
    let stream = Stream::new("cuts-unopened", 6_000);
    let mut two = stream.alone(0, 2).start_with("before_commit=1:pause");
    let delivered = |process: &Process| process.metrics().sum("tributary_events_delivered_total", &[]);
    stream.wait("one shard to deliver, and the other one to hang", || delivered(&two) > 200.0);
    assert_eq!(opened(&two), 1, "{}", two.log().join("\n"));
    two.kill9();
    let three = stream.alone(1, 3).start();
    stream.wait("the new ones", || count_log(&three, INHERITED) == 3);
    stream.finish(vec![three]);
}

/// One after the other gets another configuration, with another number of shards, as a Deployment does it: a new one first, and an
/// old one goes when that is ready.
#[test]
fn a_rollout_never_has_two_that_are_not_ready() {
    let stream = Stream::new("cuts-rollout", 20_000);
    let start = |name: &str, generation, shards| stream.member(name, generation, shards).start();
    let mut old: Vec<Process> = ["a", "b", "c"].map(|name| start(name, 1, 4)).into();
    stream.wait_shared(&old.iter().collect::<Vec<_>>(), 4);
    let mut new: Vec<Process> = Vec::new();
    let unready =
        |members: &mut dyn Iterator<Item = &Process>| members.filter(|member| !is_ready(member)).count();
    for name in ["d", "e", "f"] {
        new.push(start(name, 2, 6));
        // A pod that was never ready is none that is missing.
        let (latest, others) = new.split_last().expect("at least one");
        stream.wait("the new one to be ready", || {
            let missing = unready(&mut old.iter().chain(others));
            assert!(missing <= 1, "{missing} at once");
            is_ready(latest)
        });
        let mut gone = old.remove(0);
        gone.sigterm();
        stream.wait("an old one to go", || {
            let missing = unready(&mut old.iter().chain(&new));
            assert!(missing <= 1, "{missing} at once");
            gone.exited().is_some()
        });
        assert_eq!(gone.wait_exit(LIMIT).code(), Some(0), "{}", gone.log().join("\n"));
    }
    stream.wait_shared(&new.iter().collect::<Vec<_>>(), 6);
    stream.finish(new);
}
