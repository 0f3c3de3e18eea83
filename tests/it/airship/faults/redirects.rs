//! Redirects as the service makes them; those that lead astray are in `secrets`.

use crate::harness::airship::scenes::{Ended, Expected, Setup, all_at_once};
use crate::harness::broker::broker;
use crate::harness::wait::{self, GENEROUS};
use tributary_mock::airship::{Armed, Config, Fault, Pin};

const EVENTS: u64 = 1_500;

/// Each of three connects is redirected once, to the same address and with cookies.
#[track_caller]
fn pinned(name: &str, pin: Pin, pin_cookies: u8) -> Ended {
    let faults = vec![Armed::after(500, Fault::CutMidGzip {}).times(2)];
    let scene = Setup::new(name, Config { pin, pin_cookies, faults, ..all_at_once(EVENTS) }).start(broker());
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects("redirect"), 0.0, "a redirect that is followed is no failure");
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.statuses[&307], 3, "each connect begins without cookies");
    assert_eq!(ended.stats.statuses[&200], 3);
    for seen in ended.stats.requests.iter().filter(|seen| seen.status == 200) {
        assert_eq!((seen.method.as_str(), seen.scheme.as_deref()), ("POST", Some("bearer")));
        let cookies: Vec<_> = seen.cookie.as_deref().unwrap_or_default().split("; ").collect();
        assert_eq!(cookies.len(), usize::from(pin_cookies), "{cookies:?}");
        assert!(cookies.iter().all(|cookie| !cookie.contains("Path")), "{cookies:?}");
    }
    let bodies: Vec<_> = ended.stats.requests.iter().map(|seen| seen.body.as_str()).collect();
    for pair in bodies.chunks(2) {
        assert_eq!(pair[0], pair[1], "the request is repeated as it was");
    }
    assert!(bodies[2].contains("resume_offset"), "{}", bodies[2]);
    ended
}

#[test]
fn with_a_cookie_and_no_location() {
    pinned("pin-cookie", Pin::Cookie, 1);
}

#[test]
fn with_a_cookie_and_a_location() {
    pinned("pin-location", Pin::Location, 1);
}

#[test]
fn with_several_cookies() {
    pinned("pin-cookies", Pin::Cookie, 3);
}

#[test]
fn other_codes_keep_method_and_body() {
    let to_itself = |code| Fault::redirect(code, "/api/events/");
    let codes = [301, 302, 303, 307, 308];
    let faults = codes.map(|code| Armed::now(to_itself(code))).to_vec();
    let scene = Setup::new("redirect-codes", Config { faults, ..all_at_once(EVENTS) }).start(broker());
    let expected = Expected::all(&scene.mock_log());
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults["redirect"], codes.len() as u64);
    assert!(ended.stats.requests.iter().all(|seen| seen.method == "POST" && !seen.body.is_empty()));
    assert_eq!(ended.stats.streams, 1, "five hops are few enough");
}

#[test]
fn a_loop_ends() {
    let mut scene = Setup::new("pin-loop", Config { pin: Pin::Loop, ..all_at_once(EVENTS) }).start(broker());
    wait::wait_until(GENEROUS, "two attempts to fail", || scene.reconnects("redirect") >= 2.0);
    assert_eq!(scene.process.get("/ready").status, 503);
    scene.stop();
    let (stats, log) = (scene.mock.stats(), scene.process.log());
    let failures = log.iter().filter(|line| line.contains("more than 10 redirects in a row")).count() as u64;
    assert!(failures >= 2, "{log:#?}");
    let redirects = stats.statuses[&307];
    assert!(redirects <= (failures + 1) * 11, "{redirects} requests in {failures} attempts");
    assert_eq!(stats.streams, 0);
}
