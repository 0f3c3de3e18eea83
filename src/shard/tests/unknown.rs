//! Events whose topic the sink does not know: what stops in front of one is told which topic that is, whatever is redacted, and
//! where telling does not help, the shard can be ended.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use super::*;
use crate::event::redact::{self, Action, Form, Rule};
use crate::model::secret::{Secret, SecretSource};

/// Longer than any machine needs for it; what does not end within this time never does.
const GENEROUS: Duration = Duration::from_secs(120);

/// A shard that is never told to end, of a stream with this redaction, if any.
fn shard(redaction: Option<Redaction>, cluster: &Arc<Mutex<Cluster>>) -> Shard<MemorySink> {
    let mut shard = open_with(pipeline_with(1000, redaction), cluster, 1000);
    shard.pauses = (Duration::ZERO, Duration::ZERO);
    shard.abandon = CancellationToken::new();
    shard
}

fn redaction(action: Action, path: &str, key_from: Form) -> Redaction {
    Redaction::open(&redact::Config {
        rules: vec![Rule { path: path.into(), action }],
        spelling: Spelling::default(),
        key_from,
        dead_letters: Form::default(),
    })
    .unwrap()
}

fn hash() -> Action {
    Action::Hash(SecretSource::Value(Secret::new("a key of redaction")))
}

/// Does something with a shard on a thread of its own, and waits for its end.
#[track_caller]
fn within_time<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (say, done) = channel();
    std::thread::spawn(move || say.send(act()).unwrap());
    done.recv_timeout(GENEROUS).expect("it goes round without end")
}

#[test]
fn a_value_that_is_hidden_and_cannot_be_read_holds_nothing_up() {
    for action in [Action::Drop, hash()] {
        let cluster = Arc::new(Mutex::new(Cluster { unknown: Some("t."), ..Cluster::default() }));
        let (open, close) = ("[".repeat(200), "]".repeat(200));
        let line = format!("{{\"id\":\"a\",\"type\":\"NEW\",\"offset\":\"1\",\"key\":{open}{close}}}");
        let mut shard = shard(Some(redaction(action, "key", Form::Redacted)), &cluster);
        within_time(move || {
            let (_input, output) = queue(1 << 20, Default::default(), Default::default());
            shard.take(lines(&format!("{line}\n")), false, &output).unwrap();
            shard.close(Closing::Now).unwrap();
        });
        let cluster = cluster.lock().unwrap();
        assert_eq!(cluster.prepared, [BTreeSet::from(["t.NEW".to_owned()])]);
        assert_eq!(cluster.records.len(), 1);
        assert_eq!(cluster.records[0].topic, "t.NEW");
    }
}

#[test]
fn no_topic_is_made_for_what_was_delivered_before() {
    let cluster = Arc::new(Mutex::new(Cluster { unknown: Some("t.NEW"), ..Cluster::default() }));
    let mut shard = shard(None, &cluster);
    let again = event(1).replace("\"T\"", "\"NEW\"");
    let other = event(2).replace("\"T\"", "\"NEWER\"");
    within_time(move || {
        let (_input, output) = queue(1 << 20, Default::default(), Default::default());
        shard.take(lines(&(event(1) + &again + &other)), false, &output).unwrap();
        shard.close(Closing::Now).unwrap();
    });
    let cluster = cluster.lock().unwrap();
    assert_eq!(cluster.prepared, [BTreeSet::from(["t.NEWER".to_owned()])]);
    let topics: Vec<&str> = cluster.records.iter().map(|kept| &*kept.topic).collect();
    assert_eq!(topics, ["t.T", "t.NEWER"]);
}

/// Has a shard end that goes round since preparing is of no use, once it did so a few times.
#[track_caller]
fn assert_ends(
    cluster: &Arc<Mutex<Cluster>>,
    mut shard: Shard<MemorySink>,
    act: impl FnOnce(&mut Shard<MemorySink>) -> Result<(), Exit> + Send + 'static,
) {
    let (abandon, health) = (shard.abandon.clone(), shard.metrics.health.clone());
    let prepared = Arc::clone(cluster);
    std::thread::spawn(move || {
        while prepared.lock().unwrap().prepared.len() < 3 {
            std::thread::yield_now();
        }
        abandon.cancel();
    });
    assert_eq!(within_time(move || act(&mut shard)), Err(Exit::Abandoned));
    let trouble = health.get().trouble.expect("the shard is in trouble");
    assert!(trouble.reason.contains(preparing::STILL_UNKNOWN), "{}", trouble.reason);
}

#[test]
fn a_shard_ends_though_topics_stay_unknown() {
    let cluster = || {
        Arc::new(Mutex::new(Cluster { unknown: Some("t."), prepares_nothing: true, ..Cluster::default() }))
    };
    let taking = cluster();
    assert_ends(&taking, shard(None, &taking), |shard| {
        let (_input, output) = queue(1 << 20, Default::default(), Default::default());
        shard.take(lines(&event(1)), false, &output)
    });
    let closing = cluster();
    assert_ends(&closing, shard(None, &closing), |shard| {
        shard.backlog.push_back(lines(&event(1)));
        shard.close(Closing::Last)
    });
    // Known when the batch was made, and no more when it has to be made again.
    let again = Arc::new(Mutex::new(Cluster { faults: [Fault::TopicsGone].into(), ..Cluster::default() }));
    let known = Arc::clone(&again);
    assert_ends(&again, shard(None, &again), move |shard| {
        let (_input, output) = queue(1 << 20, Default::default(), Default::default());
        shard.take(lines(&event(1)), false, &output)?;
        {
            let mut cluster = known.lock().unwrap();
            (cluster.unknown, cluster.prepares_nothing) = (Some("t."), true);
        }
        shard.close(Closing::Now)
    });
    assert!(again.lock().unwrap().faults.is_empty(), "the fault hit");
}

/// A value in any state: one that cannot be read where it is wanted, broken text, and what is sound.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(
        [
            &b"1E400"[..],
            b"-1e999",
            b"1e5",
            b"12345678901234567890123",
            b"\"\"",
            b"\"x\"",
            b"\"\\ud83d\"",
            b"\"\xff\"",
            b"\"\\u00g0\"",
            b"\"1970-01-01T00:00:07Z\"",
            b"null",
            b"tru",
            b"true",
            b"[1E400]",
            b"[]",
            b"{\"key\":1E400}",
            b"{}",
        ]
        .map(<[u8]>::to_vec)
        .to_vec(),
    )
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let names = ["id", "type", "type", "offset", "key", "key", "occurred", "processed", "bot", "x"];
    let member = (prop::sample::select(names.to_vec()), value());
    let types = prop::sample::select(vec!["A", "B", "C"]);
    let begins = (0..1000u32, types).prop_map(|(n, kind)| format!(r#"{{"id":"{n}","type":"{kind}""#));
    (begins, prop::collection::vec(member, 0..4), prop::sample::select(vec!["}\n", "}\r\n", "\n"])).prop_map(
        |(begins, members, ends)| {
            let mut line = begins.into_bytes();
            for (name, value) in members {
                line.extend_from_slice(format!(r#","{name}":"#).as_bytes());
                line.extend_from_slice(&value);
            }
            line.extend_from_slice(ends.as_bytes());
            line
        },
    )
}

fn any_redaction() -> impl Strategy<Value = Option<(Action, &'static str, Form)>> {
    let actions = prop::sample::select(vec![Action::Drop, hash(), Action::Truncate]);
    let paths = prop::sample::select(vec!["key", "occurred", "x", "key.key"]);
    let forms = prop::sample::select(vec![Form::Redacted, Form::Received]);
    prop::option::weighted(0.9, (actions, paths, forms))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_stops_the_event_path_is_among_what_is_prepared(
        redacted in any_redaction(),
        text in prop::collection::vec(line(), 1..6),
    ) {
        let redaction = redacted.map(|(action, path, key_from)| redaction(action, path, key_from));
        let mut pipeline = pipeline_with(1000, redaction);
        let cluster = Arc::new(Mutex::new(Cluster { unknown: Some("t."), ..Cluster::default() }));
        let mut sink = MemorySink::new(Arc::clone(&cluster));
        let mut left = Some(Block::Lines(text.concat().into()));
        let mut stopped = false;
        while let Some(block) = left.take() {
            let taken = pipeline.process(&block, usize::MAX, &mut sink).unwrap();
            let stops = taken.stop.is_some();
            prop_assert!(!(stopped && stops && taken.bytes == 0), "{:?} {:?}", readable(&text), block);
            stopped = stops;
            if stopped {
                let mut unknown = BTreeSet::new();
                pipeline.unknown_topics(&block, &sink, &mut unknown);
                prop_assert!(!unknown.is_empty(), "{:?}", readable(&text));
                // Preparing is done between two batches.
                sink.abort().unwrap();
                pipeline.roll_back();
                sink.prepare(&unknown).unwrap();
                left = if taken.bytes > 0 { block.cut_at(taken.lines, taken.bytes).1 } else { Some(block) };
            }
        }
    }
}

/// The lines, for people.
fn readable(text: &[Vec<u8>]) -> Vec<String> {
    text.iter().map(|line| line.escape_ascii().to_string()).collect()
}
