//! Every state with what is said of it.

use super::*;
use crate::source::failure::Class;

/// A shard that is open and streams, at the 1000th second.
fn view() -> View {
    View {
        shard: State { phase: Phase::Open, interval: Duration::from_millis(100), ..State::default() },
        kafka: None,
        source: ConnectionState::Connected,
        was_connected: true,
        source_trouble: None,
        outage: None,
        longest_pause: Duration::from_secs(30),
        now: Instant::now() + Duration::from_secs(1_000),
        now_ms: 1_000_000,
    }
}

fn trouble(view: &View, seconds_ago: u64, reason: &str) -> Option<Trouble> {
    Some(Trouble {
        reason: reason.into(),
        since: view.now - Duration::from_secs(seconds_ago),
        since_ms: view.now_ms - seconds_ago as i64 * 1000,
    })
}

fn outage(view: &View, seconds_ago: u64) -> Option<Outage> {
    let since_ms = view.now_ms - seconds_ago as i64 * 1000;
    Some(Outage { since: view.now - Duration::from_secs(seconds_ago), since_ms })
}

/// Ready or not, the state, the reason, since which second.
fn judged(view: &View) -> (bool, &'static str, Option<String>, Option<i64>) {
    let Readiness { ready, state, reason, since_ms, .. } = view.judge();
    (ready, state, reason, since_ms.map(|ms| ms / 1000))
}

#[test]
fn data_moves_or_what_keeps_it_is_named() {
    type Change = fn(&mut View);
    type Expected = (bool, &'static str, Option<&'static str>, Option<i64>);
    let cases: [(Change, Expected); 21] = [
        (|_| {}, (true, "connected", None, None)),
        (|view| view.shard = State::default(), (false, "opening", None, None)),
        (
            |view| {
                view.shard = State { trouble: trouble(view, 2, "no topic"), ..State::default() };
                view.kafka = trouble(view, 3, "refused");
            },
            (false, "opening", Some("no topic"), Some(998)),
        ),
        (
            |view| {
                view.shard = State { trouble: trouble(view, 50, "timed out"), ..State::default() };
                view.kafka = trouble(view, 40, "refused");
            },
            (false, "kafka unreachable", Some("refused"), Some(960)),
        ),
        // A hiccup.
        (
            |view| view.shard.trouble = trouble(view, 29, "aborted"),
            (true, "connected", Some("aborted"), Some(971)),
        ),
        (|view| view.kafka = trouble(view, 29, "away"), (true, "connected", Some("away"), Some(971))),
        // No hiccup any more.
        (
            |view| view.shard.trouble = trouble(view, 30, "NOT_ENOUGH_REPLICAS"),
            (false, "writing refused", Some("NOT_ENOUGH_REPLICAS"), Some(970)),
        ),
        (
            |view| view.kafka = trouble(view, 30, "away"),
            (false, "kafka unreachable", Some("away"), Some(970)),
        ),
        (
            |view| {
                view.shard.trouble = trouble(view, 40, "timed out");
                view.kafka = trouble(view, 31, "away");
            },
            (false, "kafka unreachable", Some("away"), Some(969)),
        ),
        // A commit that neither fails nor ends.
        (
            |view| view.shard.holding = Some(view.now - Duration::from_secs(30)),
            (true, "connected", None, None),
        ),
        (
            |view| view.shard.holding = Some(view.now - Duration::from_secs(31)),
            (false, "writing stalled", Some("the oldest lines wait 31 s for their commit"), Some(969)),
        ),
        (
            |view| {
                view.shard.holding = Some(view.now - Duration::from_secs(31));
                view.shard.interval = Duration::from_secs(20);
            },
            (true, "connected", None, None),
        ),
        // The service's side.
        (|view| view.source = ConnectionState::BackingOff, (true, "backing off", None, None)),
        (
            |view| {
                view.source = ConnectionState::NeedsOperator;
                view.source_trouble = Some(("401".into(), 990_000));
            },
            (false, "needs an operator", Some("401"), Some(990)),
        ),
        (
            |view| {
                (view.source, view.was_connected) = (ConnectionState::Connecting, false);
                view.source_trouble = Some(("no route".into(), 995_000));
            },
            (false, "connecting", Some("no route"), Some(995)),
        ),
        // Routine, then an outage; whatever opens meanwhile, until it is the stream.
        (
            |view| {
                view.source = ConnectionState::BackingOff;
                view.source_trouble = Some(("503".into(), 701_000));
                view.outage = outage(view, 299);
            },
            (true, "backing off", Some("503"), Some(701)),
        ),
        (
            |view| {
                view.source = ConnectionState::BackingOff;
                view.source_trouble = Some(("503".into(), 990_000));
                view.outage = outage(view, 300);
            },
            (false, "service away", Some("503"), Some(700)),
        ),
        (
            |view| view.outage = outage(view, 300),
            (false, "service away", Some("what answers has not been the stream yet"), Some(700)),
        ),
        (
            |view| {
                view.source = ConnectionState::Connecting;
                view.longest_pause = Duration::from_secs(120);
                view.outage = outage(view, 359);
            },
            (true, "connecting", None, None),
        ),
        (|view| view.source = ConnectionState::Idle, (false, "idle", None, None)),
        (
            |view| {
                view.shard.phase = Phase::Ended;
                view.shard.trouble = trouble(view, 1, "fenced");
            },
            (false, "ended", Some("fenced"), Some(999)),
        ),
    ];
    for (number, (change, (ready, state, reason, since))) in cases.into_iter().enumerate() {
        let mut view = view();
        change(&mut view);
        assert_eq!(judged(&view), (ready, state, reason.map(str::to_owned), since), "case {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_lasts_until_a_commit_and_lines_wait_from_the_first() {
    let (shard, source, reach) = (Metrics::default(), source::metrics::Metrics::default(), Reach::default());
    let _open = source.opened();
    source.proven();
    let judge = || View::of(&shard, &source, &reach).judge();
    assert_eq!(judge().state, "opening");
    shard.health.opening(Duration::from_millis(100));
    shard.health.failed("no broker");
    assert_eq!(judge().reason.as_deref(), Some("no broker"));
    shard.health.opened();
    assert!(judge().ready);
    shard.health.holds();
    tokio::time::advance(Duration::from_secs(20)).await;
    shard.health.failed("refused");
    shard.health.holds();
    tokio::time::advance(Duration::from_secs(9)).await;
    shard.health.failed("refused again");
    let now = judge();
    assert_eq!((now.ready, now.reason.as_deref()), (true, Some("refused again")));
    assert_eq!(now.uncommitted, Duration::from_secs(29));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!((judge().ready, judge().state), (false, "writing stalled"));
    shard.health.committed();
    let now = judge();
    assert_eq!(
        (now.ready, now.state, now.reason, now.uncommitted),
        (true, "connected", None, Duration::ZERO)
    );
    shard.health.holds();
    shard.health.holds_nothing();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(judge().ready);
    shard.health.ended("fenced");
    assert_eq!((judge().ready, judge().state), (false, "ended"));
    shard.health.opening(Duration::ZERO);
    assert_eq!(judge().state, "opening");
}

#[test]
fn a_shard_that_is_handed_over_has_its_time() {
    let mut view = view();
    let now = view.now;
    view.was_connected = false;
    let mut judged_at = |phase, seconds, source, fails: bool| {
        let assigned = Some(now - Duration::from_secs(seconds));
        view.shard = State { phase, assigned, ..State::default() };
        view.source = source;
        view.shard.trouble = if fails { trouble(&view, 1, "no topic") } else { None };
        view.judge().ready
    };
    let (opening, open) = (Phase::Opening, Phase::Open);
    assert!(judged_at(opening, 29, ConnectionState::Idle, false));
    assert!(!judged_at(opening, 30, ConnectionState::Idle, false), "no hand-over takes so long");
    assert!(!judged_at(opening, 1, ConnectionState::Idle, true));
    assert!(judged_at(open, 1, ConnectionState::Connecting, false), "it was never connected here");
    assert!(!judged_at(open, 30, ConnectionState::Connecting, false));
    assert!(!judged_at(open, 1, ConnectionState::NeedsOperator, false));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stays_away_makes_it_not_ready_until_the_stream_is_back() {
    let (shard, source, reach) = (Metrics::default(), source::metrics::Metrics::default(), Reach::default());
    shard.health.opened();
    source.set_longest_pause(Duration::from_secs(200));
    let judge = || {
        let now = View::of(&shard, &source, &reach).judge();
        (now.ready, now.state, now.reason)
    };
    let open = source.opened();
    source.proven();
    assert_eq!(judge(), (true, "connected", None));
    drop(open);
    for minute in 0..11 {
        source.failed(Class::ServerError, "503".into(), minute * 60_000);
        source.went_away(minute * 60_000);
        source.set_state(ConnectionState::BackingOff);
        let state = if minute < 10 { "backing off" } else { "service away" };
        assert_eq!(judge(), (minute < 10, state, Some("503".into())), "minute {minute}");
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    source.set_state(ConnectionState::Connecting);
    let _open = source.opened();
    assert!(!judge().0, "it may be a page");
    source.proven();
    assert_eq!(judge(), (true, "connected", None));
}
