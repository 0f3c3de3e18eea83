//! A placement record that says something else than an instance believes: it went back, it leaves shards behind, or it has shards
//! that the configuration lacks.

use super::sharing::{Shared, is_ready, opened, owned};
use super::{Scene, TAKEN_OVER, service, start_changed};
use crate::harness::airship::{LIMIT, STREAM, Setup, count_log, stop};
use crate::harness::broker::broker;
use crate::harness::expected::Expected;
use crate::harness::process::Process;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// Events that come with each look at what is waited for.
const STEP: u64 = 5;

fn with_shards(mut setup: Setup, shards: u32) -> Setup {
    setup.streams[0].shards = shards;
    setup
}

/// As after its topic was restored from a copy: the members that are ahead of it end, and announce themselves again when they are
/// started again. Their shards go on where they are.
#[test]
fn a_record_that_went_back_is_announced_again() {
    let stream = Shared::new(10_000, STEP, |mock| Setup::new("record-back", mock));
    let member = |name: &str, generation: u64, shards| {
        with_shards(stream.member(name, &format!("generation = {generation}")), shards).start()
    };
    let topic = format!("{}.shards", stream.setup.prefix);
    let mut a = member("a", 1, 2);
    // A member is ready as soon as it is given a shard.
    stream.wait("both to be opened", || opened(&a) == 2);
    let record = read_all(broker(), &topic, Isolation::Committed).pop().expect("a record");
    stop(&mut a);

    let mut c = member("c", 2, 3);
    stream.wait_shared(&[&c], 3);
    let enough = (stream.made() + 300).min(stream.events);
    stream.wait("the new ones to deliver something", || stream.made() >= enough);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    let (key, text) = (record.key.clone().expect("a key"), record.text().to_owned());
    let back = BaseRecord::to(&topic).key(&key).payload(&text).partition(record.partition);
    producer.send(back).map_err(|(error, _)| error).expect("queued");
    producer.flush(LIMIT).expect("written");

    stream.wait("it to notice", || c.exited().is_some());
    assert_eq!(c.wait_exit(LIMIT).code(), Some(TAKEN_OVER), "{}", c.log().join("\n"));
    assert_eq!(count_log(&c, "of an earlier configuration"), 1);
    let mut c = member("c", 2, 3);
    stream.wait_shared(&[&c], 3);
    stream.release_all();
    let expected = Expected::all(stream.mock.log());
    let read = || read_all(broker(), stream.setup.topic(), Isolation::Committed);
    wait_until(LIMIT, "all events", || read().len() as u64 >= expected.len());
    stop(&mut c);
    expected.check(&read());
}

/// Nobody opens these shards any more, so nobody else would end who still has them.
#[test]
fn what_is_left_behind_on_purpose_is_fenced() {
    let stream = Shared::new(1_000, STEP, |mock| Setup::new("record-left", mock));
    let mut two = with_shards(stream.setup.clone(), 2).start();
    stream.wait_shared(&[&two], 2);
    stop(&mut two);

    let id = format!("{}.{STREAM}.1", stream.setup.prefix);
    let left: BaseProducer = broker().client(&[("transactional.id", &id)]).create().expect("a producer");
    left.init_transactions(LIMIT).expect("a fence");
    left.begin_transaction().expect("a transaction");
    let record = BaseRecord::to(stream.setup.topic()).key("late").payload("late");
    left.send(record).map_err(|(error, _)| error).expect("queued");

    let mut one = start_changed(&stream.setup, |text| text, &["--start-anew", &format!("{STREAM}=word")]);
    one.wait_for_log("\"opened\"", LIMIT);
    let refused = left.commit_transaction(LIMIT).expect_err("it was left behind");
    let code = refused.rdkafka_error_code();
    assert!(matches!(code, Some(Code::Fenced | Code::ProducerFenced)), "{refused}");
    stop(&mut one);
}

/// A rolling change that adds a stream: those who do not know it yet can be given it.
#[test]
fn a_shard_that_the_configuration_lacks_stands_still_and_shows() {
    let scene = Scene::new("record-lacks", 2, service(400, 100.0));
    let member = |name: &str, streams: usize| -> Process {
        let more = format!("ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"6s\"");
        let streams = scene.setup.streams[..streams].to_vec();
        Setup { streams, ..scene.setup.clone() }.with(|settings| settings.more = more).start()
    };
    let mut both = member("a", 2);
    wait_until(LIMIT, "both streams", || opened(&both) == 2);
    let mut one = member("b", 1);
    wait_until(LIMIT, "the spare", || is_ready(&one));
    stop(&mut both);
    wait_until(LIMIT, "it to have both", || one.get("/ready").body.contains("\"unknown_partitions\":[1]"));
    let page = one.get("/ready");
    assert_eq!(page.status, 200, "what it can run, it runs: {}", page.body);
    one.wait_for_log("was given shards that its configuration does not have", LIMIT);
    wait_until(LIMIT, "it to run what it can", || opened(&one) == 1);

    let mut both = member("a", 2);
    let found = || opened(&one) + opened(&both);
    wait_until(LIMIT, "somebody to run each", || found() >= 2 && is_ready(&both));
    stop(&mut one);
    wait_until(LIMIT, "both streams again", || owned(&both) == 2.0 && is_ready(&both));
    stop(&mut both);
}
