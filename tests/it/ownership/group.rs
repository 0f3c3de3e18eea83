//! Instances that share the shards by a consumer group: whatever happens to any of them, nothing is lost and nothing comes twice.

mod without_transactions;

use super::sharing::{LIMIT, SESSION, Shared, is_ready, opened, owned, owned_by};
use crate::harness::airship::oracle::{Expectation, Found, Repeats};
use crate::harness::airship::{Setup, count_log, stop};
use crate::harness::broker::{broker, private_broker};
use crate::harness::process::{self, Process};
use crate::harness::reader::{Isolation, read_all};
use std::ops::{Deref, DerefMut};
use tokio::time::Instant;

const SHARDS: u32 = 8;

/// What a member says of a shard that it has let go of in order.
const LET_GO: &str = "stopped; everything received is committed";

/// Events that come with each look at what is waited for.
const STEP: u64 = 5;

/// A stream of several shards, which members of a group share.
struct Group {
    stream: Shared,
    shards: u32,
}

impl Deref for Group {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.stream
    }
}

impl DerefMut for Group {
    fn deref_mut(&mut self) -> &mut Shared {
        &mut self.stream
    }
}

impl Group {
    #[track_caller]
    fn new(test: &str, events: u64) -> Self {
        Self::of(test, events, SHARDS)
    }

    #[track_caller]
    fn of(test: &str, events: u64, shards: u32) -> Self {
        let mut stream = Shared::new(events, STEP, |mock| Setup::new(test, mock));
        stream.setup.streams[0].shards = shards;
        Self { stream, shards }
    }

    /// Starts a member of this name.
    #[track_caller]
    fn start(&self, name: &str) -> Process {
        self.member(name, "").start()
    }

    /// Waits until the members have all shards among them, each once.
    #[track_caller]
    fn wait_shared(&self, members: &[&Process]) {
        self.stream.wait_shared(members, self.shards);
    }

    /// Makes what is left, waits until all of it is committed, stops the members and compares.
    #[track_caller]
    fn finish(&self, mut members: Vec<Process>) {
        self.release_all();
        self.wait_committed(broker(), self.shards);
        members.iter_mut().for_each(stop);
        check(&self.setup.expectation(&self.mock));
    }
}

#[track_caller]
fn check(expectation: &Expectation) {
    assert_eq!(expectation.check(), Found { records: expectation.len(), repeats: 0 });
}

#[test]
fn members_share_and_one_that_stops_hands_over() {
    let group = Group::new("group-share", 20_000);
    let mut first = group.start("a");
    group.wait_shared(&[&first]);
    assert_eq!(owned(&first), f64::from(SHARDS));
    let second = group.start("b");
    let third = group.start("c");
    group.wait("each to have some", || [&first, &second, &third].iter().all(|member| owned(member) >= 2.0));
    group.wait_shared(&[&first, &second, &third]);
    let stayed = |process: &Process| count_log(process, "\"revoked");
    assert!(stayed(&first) <= 6, "only what moves is revoked: {}", first.log().join("\n"));
    let before = owned(&second);
    stop(&mut first);
    group.wait_shared(&[&second, &third]);
    assert!(owned(&second) >= before, "what it had stays");
    assert_eq!(stayed(&second) + stayed(&third), 0, "a rebalance stops no shard that stays");
    group.finish(vec![second, third]);
}

#[test]
fn a_spare_is_ready_and_takes_over_from_the_dead() {
    let group = Group::new("group-dead", 10_000);
    let mut members: Vec<Process> = (0..SHARDS).map(|number| group.start(&format!("m{number}"))).collect();
    let spare = group.start("spare");
    group.wait("each shard to have an instance", || {
        let owned: Vec<f64> = members.iter().chain([&spare]).map(owned).collect();
        owned.iter().sum::<f64>() == f64::from(SHARDS) && owned.iter().all(|owned| *owned <= 1.0)
    });
    group.wait("all to be ready", || members.iter().chain([&spare]).all(is_ready));
    let idle = members.iter().chain([&spare]).filter(|member| owned(member) == 0.0).count();
    assert_eq!(idle, 1, "one more than there are shards");
    // The one that has nothing is not killed.
    let victim = members.iter().position(|member| owned(member) > 0.0).expect("a shard");
    let mut dead = members.remove(victim);
    dead.kill9();
    members.push(spare);
    group.wait("the spare to take over", || {
        owned_by(&members.iter().collect::<Vec<_>>()) == f64::from(SHARDS) && members.iter().all(is_ready)
    });
    group.finish(members);
}

/// A member that comes back under its name before its session expires has its shards again, and nobody else is disturbed.
#[test]
fn a_quick_restart_moves_nothing() {
    let group = Group::new("group-quick", 10_000);
    let mut first = group.start("a");
    let second = group.start("b");
    group.wait("both to have half", || owned(&first) == 4.0 && owned(&second) == 4.0);
    group.wait_shared(&[&first, &second]);
    // A member is ready as soon as it is given a shard.
    group.wait("the other one to have opened its own", || opened(&second) >= 4);
    let before = opened(&second);
    first.kill9();
    let first = group.start("a");
    group.wait_shared(&[&first, &second]);
    assert_eq!((owned(&first), owned(&second)), (4.0, 4.0));
    assert_eq!(opened(&second), before, "the other one noticed nothing");
    group.finish(vec![first, second]);
}

/// It is killed while it gives back what another member is to have, and comes back under its name before its session expires. The
/// group knows that it has given back and waits for it to say so, which nobody will do.
#[test]
fn what_a_killed_member_was_giving_back_is_not_forgotten() {
    let mut group = Group::new("group-giving", 20_000);
    // The group is not disturbed before shards have had the time to let go.
    group.setup.shutdown_timeout = "1s";
    // No session expires, however slow the machine is: the group would hand everything out anew.
    let member = |name: &str| {
        let lines = format!("ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"40s\"");
        group.setup.clone().with(|settings| settings.more = lines)
    };
    let mut first = member("a").start_with("revoking=1:pause");
    group.wait_shared(&[&first]);
    let second = member("b").start();
    group.wait("it to give shards back", || count_log(&first, "failpoint hit") > 0);
    first.kill9();
    let first = member("a").start();
    group.wait("both to have half", || owned(&first) == 4.0 && owned(&second) == 4.0);
    group.wait_shared(&[&first, &second]);
    let noticed = |member: &Process| count_log(member, "no member of the group has these partitions");
    assert_eq!((noticed(&first), noticed(&second)), (0, 1), "the one with the fewest has them handed out");
    group.finish(vec![first, second]);
}

/// A member that stood still for longer than its session wakes up to find its shards with others; what it still tries is fenced.
#[test]
fn one_that_stood_still_gives_way() {
    let group = Group::new("group-still", 10_000);
    let first = group.start("a");
    let second = group.start("b");
    group.wait("both to have half", || owned(&first) == 4.0 && owned(&second) == 4.0);
    first.sigstop();
    group.wait("the other one to have all", || owned(&second) == f64::from(SHARDS) && is_ready(&second));
    first.sigcont();
    group.wait("it to notice", || count_log(&first, "\"lost: it ends at once") > 0);
    group.wait_shared(&[&first, &second]);
    group.finish(vec![first, second]);
}

/// It wakes up to find both: that it is to stop, and that another member has its shards. It stops in order all the same.
#[test]
fn one_that_wakes_up_to_its_stop_ends_in_order() {
    let group = Group::new("group-wake", 10_000);
    let mut first = group.start("a");
    let second = group.start("b");
    group.wait("both to have half", || owned(&first) == 4.0 && owned(&second) == 4.0);
    first.sigstop();
    group.wait("the other one to have all", || owned(&second) == f64::from(SHARDS) && is_ready(&second));
    first.sigterm();
    first.sigcont();
    group.wait("its end", || first.exited().is_some());
    assert_eq!(first.wait_exit(LIMIT).code(), Some(0), "{}", first.log().join("\n"));
    group.finish(vec![second]);
}

/// Nobody else has their names, although the broker takes what they sent before for that of others: it answers late, and their
/// sessions expire meanwhile.
#[test]
fn a_broker_that_stood_still_for_longer_than_a_session_costs_no_member() {
    let mut broker = private_broker();
    let mut stream = Shared::new(20_000, STEP, |mock| Setup::at(&broker, "group-stall", mock));
    stream.setup.streams[0].shards = SHARDS;
    let mut members: Vec<Process> = ["a", "b"].map(|name| stream.member(name, "").start()).into();
    stream.wait_shared(&members.iter().collect::<Vec<_>>(), SHARDS);
    for _ in 0..3 {
        broker.pause();
        let since = Instant::now();
        stream.wait("their sessions to expire", || since.elapsed() > SESSION * 3 / 2);
        broker.resume();
        stream.wait_shared(&members.iter().collect::<Vec<_>>(), SHARDS);
    }
    for member in &mut members {
        assert_eq!(member.exited(), None, "{}", member.log().join("\n"));
    }
    stream.release_all();
    stream.wait_committed(&broker, SHARDS);
    members.iter_mut().for_each(stop);
    let found = stream.setup.expectation(&stream.mock).check_at(&broker, Repeats::Forbidden);
    assert_eq!(found.repeats, 0);
}

#[test]
fn two_of_one_name_are_one_too_many() {
    let group = Group::new("group-name", 2_000);
    let mut first = group.start("a");
    group.wait_shared(&[&first]);
    let second = group.start("a");
    group.wait("the first to give up", || first.exited().is_some());
    assert_eq!(first.wait_exit(LIMIT).code(), Some(super::TAKEN_OVER), "{}", first.log().join("\n"));
    assert!(count_log(&first, "another process with this instance_id") == 1);
    group.wait_shared(&[&second]);
    group.finish(vec![second]);
}

/// The topic that hands out the shards is deleted under them: it is made again, and so is the record in it.
#[test]
fn the_topic_of_the_shards_is_made_again() {
    let group = Group::new("group-topic", 10_000);
    let first = group.start("a");
    let second = group.start("b");
    group.wait("both to have half", || owned(&first) == 4.0 && owned(&second) == 4.0);
    group.wait_shared(&[&first, &second]);
    broker().delete_topic(&format!("{}.shards", group.setup.prefix));
    group.wait("it to be noticed", || {
        [&first, &second].iter().any(|member| count_log(member, "the placement record was lost") > 0)
    });
    group.wait_shared(&[&first, &second]);
    group.finish(vec![first, second]);
}

/// All start at the same moment on a cluster that knows nothing.
#[test]
fn members_that_start_at_once_agree() {
    let group = Group::new("group-race", 5_000);
    let members: Vec<Process> = ["a", "b", "c"].map(|name| group.start(name)).into();
    group.wait_shared(&members.iter().collect::<Vec<_>>());
    for member in &members {
        assert_eq!(member.metrics().sum("tributary_possible_gaps_total", &[]), 0.0, "nothing was lost");
    }
    group.finish(members);
}

/// Nobody else has claimed the shard, so it was the broker that ended the transaction: the batch is kept, and goes on.
#[test]
fn a_transaction_that_timed_out_is_no_takeover() {
    let mut group = Group::of("group-timeout", 2_000, 1);
    group.setup.transaction_timeout = "1s";
    let mut member = group.member("a", "").start_with("before_commit=5:stall");
    group.wait("the transaction to time out", || count_log(&member, "the broker ended the transaction") > 0);
    group.release_all();
    group.wait_committed(broker(), 1);
    assert_eq!(count_log(&member, "\"connected\""), 1, "the stream goes on: {}", member.log().join("\n"));
    stop(&mut member);
    check(&group.setup.expectation(&group.mock));
}

/// Others have its shards once its session expires, and it would not know.
#[test]
fn one_that_hears_nothing_of_the_group_any_more_ends() {
    let group = Group::new("group-deaf", 2_000);
    let mut member = group.member("a", "").start_with("group_member=40:panic");
    group.wait("its end", || member.exited().is_some());
    assert_eq!(member.wait_exit(LIMIT).code(), Some(5), "{}", member.log().join("\n"));
    assert!(count_log(&member, "the member of the consumer group has ended") == 1);
    assert_eq!(count_log(&member, LET_GO), SHARDS as usize, "what is queued is committed");
    let next = group.start("a");
    group.wait_shared(&[&next]);
    group.finish(vec![next]);
}

/// Shards that hang are not waited for longer than `shutdown.timeout`; what they still try is refused.
#[test]
fn a_release_has_its_time() {
    let mut group = Group::of("group-hang", 4_000, 2);
    group.setup.shutdown_timeout = "2s";
    let dir = tempfile::tempdir().expect("a directory");
    let go = dir.path().join("go");
    let lines = "ownership = \"group\"\ninstance_id = \"a\"\nsession_timeout = \"30s\"".to_owned();
    let setup = group.setup.clone().with(|settings| settings.more = lines);
    // One shard cannot pass the second while it hangs in the first.
    let failpoints = [
        ("TRIBUTARY_FAILPOINTS", "before_checkpoint=30:hold;before_commit=31:hold"),
        ("TRIBUTARY_FAILPOINT_GO", go.to_str().expect("text")),
    ];
    let first = process::tributary(&setup.toml(), &failpoints);
    group.wait("both to hang", || count_log(&first, "failpoint hit") == 2);
    let second = group.start("b");
    group.wait("the release to take too long", || {
        count_log(&first, "have not let go within shutdown.timeout") > 0
    });
    group.wait("the other one to have one", || opened(&second) > 0 && is_ready(&second));
    std::fs::write(&go, "").expect("a file");
    group.wait_shared(&[&first, &second]);
    group.finish(vec![first, second]);
}
