//! SIGHUP: what is applied while streams run, what is refused, and that nothing is lost or written twice by it.

use crate::harness::airship::{Mock, Setup, service, stop, stream_keys};
use crate::harness::broker::broker;
use crate::harness::process::Process;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::{GENEROUS, wait_until};
use std::collections::BTreeMap;
use std::fs;
use tributary_mock::airship::Config;

const EVENTS: u64 = 400;

/// Writes another configuration, and has it read.
#[track_caller]
fn reload(process: &Process, toml: &str) {
    fs::write(process.dir().join("tributary.toml"), toml).expect("the configuration is written");
    process.sighup();
}

#[track_caller]
fn wait_outcome(process: &Process, outcome: &str, count: f64) {
    wait_until(GENEROUS, format_args!("{count} {outcome}"), || {
        process.metrics().sum("tributary_config_reloads_total", &[&format!("outcome=\"{outcome}\"")]) == count
    });
}

/// How often each id is in a topic.
fn ids(topic: &str) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for record in read_all(broker(), topic, Isolation::Committed) {
        let event: serde_json::Value =
            serde_json::from_slice(record.value.as_deref().expect("a value")).expect("JSON");
        *ids.entry(event["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    ids
}

#[test]
fn the_log_says_more_from_now_on() {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new("reload-log", &mock);
    let text = setup.toml();
    let with = |filter: &str| format!("log = {{ filter = \"{filter}\" }}\n{text}");
    let mut running = crate::harness::process::tributary(&with("warn"), &[]);
    setup.progress().wait_received(EVENTS);
    assert!(!running.log().iter().any(|line| line.contains("\"level\":\"INFO\"")), "{:#?}", running.log());
    reload(&running, &with("info"));
    let line = running.wait_for_log("read again and applied", GENEROUS);
    assert!(line.contains("log.filter"), "{line}");
    // What means nothing is refused, and the filter stays.
    reload(&running, &with("inof"));
    running.wait_for_log("log.filter: \\\"inof\\\" is no log filter", GENEROUS);
    wait_outcome(&running, "invalid", 1.0);
    stop(&mut running);
    setup.expectation(&mock).check();
}

/// What came before the reload is there in full, what came after it as the new filter says, each once.
#[track_caller]
fn check_filter(name: &str, more: &str) {
    let half = EVENTS / 2;
    let mock = Mock::start(Config { hold_at: Some(half), ..service(EVENTS) });
    let setup = Setup::new(name, &mock).with(|settings| settings.more = more.to_owned());
    let text = setup.toml();
    let mut running = crate::harness::process::tributary(&text, &[]);
    setup.progress().wait_received(half);
    reload(
        &running,
        &format!(
            "{text}\nonly = [\"OPEN\"]\ndrop = [{{ name = \"never\", field = \"no.such.field\", is = [\"x\"] }}]\n"
        ),
    );
    running.wait_for_log("goes on with the new filters", GENEROUS);
    wait_outcome(&running, "applied", 1.0);
    mock.release(EVENTS);
    setup.progress().wait_received(EVENTS);
    // What is committed is counted a moment later.
    let left_out = || running.metrics().sum("tributary_events_filtered_total", &[]);
    wait_until(GENEROUS, "events to be left out", || left_out() > 0.0);
    stop(&mut running);
    let log = mock.log();
    let mut expected = BTreeMap::new();
    for (position, line) in log.expected(0..EVENTS).enumerate() {
        let event: serde_json::Value = serde_json::from_slice(&line.line).expect("JSON");
        if (position as u64) < half || event["type"] == "OPEN" {
            expected.insert(event["id"].as_str().expect("an id").to_owned(), 1);
        }
    }
    assert!((half as usize..EVENTS as usize).contains(&expected.len()), "{}", expected.len());
    assert_eq!(ids(setup.topic()), expected);
}

#[test]
fn another_filter_holds_from_one_batch_to_the_next() {
    check_filter("reload-filter", "");
}

/// Its shard stays with it.
#[test]
fn a_member_of_a_group_takes_another_filter_too() {
    check_filter("reload-group", "ownership = \"group\"\ninstance_id = \"one\"");
}

#[test]
fn a_new_stream_begins_beside_those_that_run() {
    let (one, two) = (Mock::start(service(EVENTS)), Mock::start(service(EVENTS)));
    let setup = Setup::new("reload-stream", &one);
    let text = setup.toml();
    let mut running = crate::harness::process::tributary(&text, &[]);
    setup.progress().wait_received(EVENTS);
    let topic = format!("{}.second", setup.prefix);
    let second =
        format!("[[stream]]\n{}", stream_keys("second", &format!("{}/api/events/", two.url()), &topic));
    reload(&running, &format!("{text}\n{second}"));
    running.wait_for_log("new stream second", GENEROUS);
    wait_until(GENEROUS, "the second stream", || {
        running.metrics().sum("tributary_events_delivered_total", &["stream=\"second\""]) >= EVENTS as f64
    });
    wait_until(GENEROUS, "ready", || running.get("/ready").status == 200);
    assert!(running.get("/ready").body.contains("second"), "{}", running.get("/ready").body);
    let gaps = running.metrics().sum("tributary_possible_gaps_total", &[]);
    assert_eq!(gaps, 0.0, "nothing of a new stream can be missing; {:#?}", running.log());
    // Its filter can be changed, too, and it goes when the process goes.
    reload(&running, &format!("{text}\n{second}\nonly = [\"OPEN\"]\n"));
    running.wait_for_log("goes on with the new filters", GENEROUS);
    stop(&mut running);
    setup.expectation(&one).check();
    let found = ids(&topic);
    assert_eq!((found.len() as u64, found.values().max()), (EVENTS, Some(&1)));
    // The next start has both, and nothing comes twice.
    let mut again = crate::harness::process::tributary(&format!("{text}\n{second}"), &[]);
    wait_until(GENEROUS, "ready", || again.get("/ready").status == 200);
    stop(&mut again);
    assert_eq!(ids(&topic), found);
}

/// Neither the file before, in which it stood as it cannot run, nor its figures are in the way of the mended one.
#[test]
fn a_new_stream_that_cannot_run_is_mended_by_another_reload() {
    let (one, two) = (Mock::start(service(EVENTS)), Mock::start(service(EVENTS)));
    let setup = Setup::new("reload-mended", &one);
    let text = setup.toml();
    let topic = format!("{}.second", setup.prefix);
    let keys = stream_keys("second", &format!("{}/api/events/", two.url()), &topic);
    let with = |keys: &str| format!("{text}\n[[stream]]\n{keys}");
    let mut before = crate::harness::process::tributary(&with(&keys), &[]);
    setup.progress().wait_received(EVENTS);
    stop(&mut before);
    let mut running = crate::harness::process::tributary(&text, &[]);
    wait_until(GENEROUS, "ready", || running.get("/ready").status == 200);
    // What Kafka knows of the stream belongs to another source.
    let wrong = with(&keys.replace("app_key = \"key\"", "app_key = \"other\""));
    let fail = |count: usize| {
        reload(&running, &wrong);
        wait_until(GENEROUS, format_args!("end {count}"), || {
            let log = running.log();
            log.iter().filter(|line| line.contains("a stream that was added does not run")).count() == count
        });
        assert_eq!(running.get("/ready").status, 503, "{}", running.get("/ready").body);
    };
    fail(1);
    fail(2);
    reload(&running, &text);
    wait_outcome(&running, "applied", 3.0);
    assert_eq!(running.get("/ready").status, 200, "it is wanted no more");
    fail(3);
    reload(&running, &with(&keys));
    wait_until(GENEROUS, "ready", || running.get("/ready").status == 200);
    let page = running.get("/metrics").body;
    let is_of_it = |line: &&str| line.starts_with("tributary_connected{") && line.contains("\"second\"");
    assert_eq!(page.lines().filter(is_of_it).count(), 1, "its figures are those of the latest run alone");
    stop(&mut running);
    let found = ids(&topic);
    assert_eq!((found.len() as u64, found.values().max()), (EVENTS, Some(&1)));
}

/// Kafka that does not answer is played by a failpoint that never ends.
#[test]
fn a_stop_does_not_wait_for_a_reload() {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new("reload-stop", &mock);
    let text = setup.toml();
    // The first announcement is that of the start.
    let failpoints = [("TRIBUTARY_FAILPOINTS", "before_placement=2:pause")];
    let mut running = crate::harness::process::tributary(&text, &failpoints);
    setup.progress().wait_received(EVENTS);
    let keys = stream_keys("second", &format!("{}/api/events/", mock.url()), setup.topic());
    reload(&running, &format!("{text}\n[[stream]]\n{keys}"));
    running.wait_for_log("failpoint hit", GENEROUS);
    stop(&mut running);
    running.wait_for_log("told to stop while the configuration was read again", GENEROUS);
    setup.expectation(&mock).check();
}

#[test]
fn what_takes_a_restart_is_refused_as_a_whole_and_a_broken_file_stops_nothing() {
    let half = EVENTS / 2;
    let mock = Mock::start(Config { hold_at: Some(half), ..service(EVENTS) });
    let setup = Setup::new("reload-refused", &mock);
    let text = setup.toml();
    let mut running = crate::harness::process::tributary(&text, &[]);
    setup.progress().wait_received(half);
    // The filter alone would be applied.
    reload(&running, &format!("generation = 7\n{text}\nonly = [\"OPEN\"]\n"));
    let line = running.wait_for_log("not applied, not even in part", GENEROUS);
    assert!(line.contains("generation: this takes a restart"), "{line}");
    wait_outcome(&running, "refused", 1.0);
    reload(&running, "this is no TOML");
    running.wait_for_log("has errors; what ran before runs on", GENEROUS);
    wait_outcome(&running, "invalid", 1.0);
    let before = running.metrics().sum("tributary_config_last_good_timestamp_seconds", &[]);
    assert!(before > 0.0);
    mock.release(EVENTS);
    setup.progress().wait_received(EVENTS);
    assert_eq!(running.metrics().sum("tributary_shard_restarts_total", &[]), 0.0);
    stop(&mut running);
    setup.expectation(&mock).check();
}
