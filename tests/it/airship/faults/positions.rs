//! Where a stream is resumed: what counts as an offset, and when a position is given up.

use super::bodies::{event, scripted, stream};
use super::refusals::{EVENTS, HALF, half_way, status};
use crate::harness::airship::scenes::{Expected, Scene, Setup, all_at_once, held};
use crate::harness::airship::{Mock, service, stop};
use crate::harness::broker::broker;
use crate::harness::listener::Listener;
use crate::harness::wait::{self, GENEROUS};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tributary_mock::airship::{Armed, Config, Epoch, ErrorBody, Fault, OffsetStyle, OnBadOffset};

const DAY_MS: u128 = 86_400_000;

/// Where the service's memory begins when the position has expired.
const OLDEST: u64 = 1_500;

/// Delivers half, then lets the position expire while the connector is away. The events are of so many days ago.
#[track_caller]
fn expired(name: &str, on_expired: &str, days: u128) -> Scene {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let epoch = Epoch::At(u64::try_from(now_ms - days * DAY_MS).expect("after 1970"));
    // Without updates of the position, which are of now.
    let keep_alive = Duration::ZERO;
    let config = Config { expired: OnBadOffset::Reject, epoch, keep_alive, ..held(EVENTS, HALF) };
    // Events keep their time, and Kafka deletes old ones.
    let keys = format!("on_expired_position = {on_expired:?}\nretention = \"30days\"");
    let scene = half_way(Setup::new(name, config).stream(&keys));
    scene.interrupt([Armed::now(status(503, ErrorBody::Json)).times(0)]);
    scene.wait_mock("a refused connect", |stats| stats.statuses.contains_key(&503));
    scene.mock.release(EVENTS);
    scene.mock.expire(OLDEST);
    scene.mock.disarm();
    scene
}

#[test]
fn an_expired_position_begins_anew_and_says_so() {
    let scene = expired("expired", "earliest", 8);
    let expected = Expected::of(&scene.mock_log(), [0..HALF, OLDEST..EVENTS]);
    scene.wait_delivered(expected.len());
    assert_eq!(scene.metric("tributary_positions_abandoned_total"), 1.0);
    let gaps = |labels: &[&str]| scene.process.metrics().sum("tributary_possible_gaps_total", labels);
    assert_eq!(gaps(&["reason=\"position_given_up\""]), 1.0);
    assert_eq!(scene.reconnects("position_rejected"), 3.0);
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.statuses[&400], 3);
    let warning = ended.lines("the service no longer accepts the position");
    let told = ["\"level\":\"WARN\"", "possible gap", "the rest comes again"];
    assert!(matches!(warning[..], [line] if told.iter().all(|part| line.contains(part))), "{warning:?}");
}

#[test]
fn an_expired_position_may_wait_for_an_operator() {
    stays("expired-stop", "stop", 8, "run --start-anew STREAM=WORD");
}

/// It may exceed the service's 100 GB, which the service says again and again for minutes, or a proxy may say so.
#[test]
fn a_position_that_cannot_be_old_is_not_given_up_at_once() {
    stays("refused-young", "earliest", 0, "once the service itself has refused it for 10 minutes");
}

#[track_caller]
fn stays(name: &str, on_expired: &str, days: u128, advice: &str) {
    let mut scene = expired(name, on_expired, days);
    scene.wait_mock("many refusals", |stats| stats.statuses.get(&400).is_some_and(|count| *count >= 6));
    wait::wait_until(GENEROUS, "not ready", || scene.process.get("/ready").status == 503);
    assert_eq!(scene.metric("tributary_positions_abandoned_total"), 0.0);
    let delivered = scene.mock_log().distinct(HALF) as f64;
    assert_eq!(scene.metric("tributary_events_delivered_total"), delivered, "nothing is skipped");
    let log = scene.process.log();
    let loud =
        log.iter().filter(|line| line.contains("\"level\":\"ERROR\"") && line.contains("older than what"));
    let loud: Vec<_> = loud.collect();
    assert!(loud.len() >= 3 && loud.iter().all(|line| line.contains(advice)), "{log:#?}");
    let ready = scene.process.get("/ready").body;
    assert!(ready.contains(advice), "{ready}");
    scene.stop();
}

/// The position is old enough to be given up, but it is not what is refused: so is the request without it.
#[test]
fn a_position_is_taken_back_when_it_was_not_what_was_refused() {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let epoch = Epoch::At(u64::try_from(now_ms - 8 * DAY_MS).expect("after 1970"));
    let config = Config { duplicate_every: 0, epoch, keep_alive: Duration::ZERO, ..held(EVENTS, HALF) };
    let keys = "on_expired_position = \"latest\"\nretention = \"30days\"";
    let scene = half_way(Setup::new("acquitted", config).stream(keys));
    let refused = |times| Armed::now(status(400, ErrorBody::Html)).times(times);
    // A page with status 200 is no stream that begins anew.
    scene.interrupt([refused(3), Armed::now(status(200, ErrorBody::Html)), refused(2)]);
    scene.mock.release(EVENTS);
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(EVENTS);
    assert_eq!(scene.reconnects("position_rejected"), 4.0);
    assert_eq!(scene.reconnects("bad_body"), 1.0, "a page without the position");
    assert_eq!(scene.reconnects("rejected"), 1.0, "once without the position");
    assert_eq!(scene.metric("tributary_positions_abandoned_total"), 0.0);
    let gaps =
        scene.process.metrics().sum("tributary_possible_gaps_total", &["reason=\"position_given_up\""]);
    assert_eq!(gaps, 0.0);
    let ended = scene.finish(broker(), &expected);
    assert_eq!(ended.stats.statuses[&400], 5);
    assert_eq!(ended.lines("the position is kept, nothing was given up").len(), 1);
}

/// The window of ids is far smaller than what the service holds: beginning anew would bring nearly all of it twice.
#[test]
fn three_refusals_of_a_proxy_give_up_no_fresh_position() {
    for body in [ErrorBody::Html, ErrorBody::Text, ErrorBody::Json] {
        let config = Config { duplicate_every: 0, ..held(EVENTS, HALF) };
        let scene = half_way(Setup::new("proxy-400", config).top("dedupe = { max_ids = 100 }"));
        scene.interrupt([Armed::now(status(400, body)).times(4)]);
        scene.mock.release(EVENTS);
        let expected = Expected::all(&scene.mock_log());
        scene.wait_delivered(EVENTS);
        assert_eq!(scene.reconnects("position_rejected"), 4.0);
        assert_eq!(scene.metric("tributary_positions_abandoned_total"), 0.0);
        let resumed = scene.mock.log().offset(HALF - 1);
        let ended = scene.finish(broker(), &expected);
        assert_eq!(ended.stats.statuses[&400], 4);
        let asked: Vec<_> = ended.stats.requests.iter().skip(1).map(|seen| seen.body.as_str()).collect();
        assert!(asked.len() == 5 && asked.iter().all(|body| body.contains(&resumed)), "{asked:#?}");
    }
}

/// Numbers, against the documents: the same position for a reconnect as for a restart.
#[test]
fn offsets_that_are_numbers_resume_like_others() {
    const ALL: u64 = 3_000;
    let faults = vec![Armed::after(400, Fault::Eof {}).times(3)];
    let config = Config {
        offsets: OffsetStyle::Number,
        faults,
        hold_at: Some(2_000),
        malformed: OnBadOffset::Reject,
        ..service(ALL)
    };
    let mock = Mock::start(config);
    let mut setup = crate::harness::airship::Setup::new("number-offsets", &mock);
    // Too small to hide what comes again.
    setup.max_ids = 50;
    let mut process = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(2_000);
    stop(&mut process);
    let mut process = setup.start();
    wait::wait_until(GENEROUS, "a stream", || mock.open_streams() == 1);
    mock.disconnect(Fault::Eof {});
    wait::wait_until(GENEROUS, "its end", || mock.stats().faults["eof"] == 4);
    mock.release(ALL);
    progress.wait_received(ALL);
    stop(&mut process);
    let found = setup.expectation(&mock).check();
    assert_eq!((found.records, found.repeats), (ALL as usize, 0));
    let asked: Vec<_> = mock.stats().requests.iter().map(|seen| seen.body.clone()).collect();
    assert!(asked.len() >= 6 && asked[0].contains("EARLIEST"), "{asked:#?}");
    assert!(asked[1..].iter().all(|body| body.contains("resume_offset")), "{asked:#?}");
    let last = progress
        .wait_for("a drained checkpoint", |checkpoint| checkpoint.is_drained() && checkpoint.received == ALL);
    assert_eq!(last.offset, Some(mock.log().offset(ALL - 1)));
}

#[test]
fn what_is_no_offset_moves_nothing() {
    let lines =
        [event(10, "\"77\""), event(11, "\"\""), event(12, "null"), event(13, "1.5"), event(14, "\" \"")];
    let body = stream(200, "", format!("{}\n", lines.join("\n")).as_bytes());
    let scene = scripted("no-offset", "", move |number, _| (number == 0).then(|| body.clone()));
    scene.0.wait_delivered(8);
    let requests = scene.1.heard();
    assert!(requests[0].body.contains("EARLIEST"), "{requests:#?}");
    assert!(requests[1].body.contains("\"resume_offset\":\"77\""), "{requests:#?}");
    assert_eq!(scene.0.metric("tributary_events_without_position_total"), 4.0);
    assert_eq!(scene.ids().len(), 8);
    scene.stop().assert_no_dead_letters();
}

#[test]
fn events_without_positions_are_a_warning() {
    const MANY: u64 = 1_500;
    let body: String = (0..MANY).map(|n| event(n, "\"\"") + "\n").collect();
    let body = stream(200, "", body.as_bytes());
    // What follows is silence.
    let server = Listener::answering(move |number, _| (number == 0).then(|| body.clone()));
    let url = format!("url = \"{}/api/events/\"", server.url());
    let mut scene = Setup::new("no-offsets", all_at_once(0)).stream(&url).start(broker());
    scene.wait_delivered(MANY);
    assert_eq!(scene.metric("tributary_events_without_position_total"), MANY as f64);
    let line = scene.process.wait_for_log("have no offset that could be sent back", GENEROUS);
    assert!(line.contains("\"level\":\"WARN\""), "{line}");
    scene.stop();
}
