//! What each request holds, when it is due, and what is done to it: pure functions of the settings and its number.
//!
//! Invariant: events stand in requests in the order of the log, each in exactly one, whatever else is sent. Knows no HTTP.

use std::ops::Range;
use std::time::Duration;

use super::config::Config;
use crate::airship::{self, Log};
use crate::engine::clock::now_ms;
use crate::engine::random::{Draw, Lane};

/// Parts into which a share is divided.
const PARTS: u64 = 1_000_000;

/// Doublings of a pause, after which it is beyond any limit.
const MOST_DOUBLINGS: u64 = 30;

/// What is sent.
#[derive(Debug)]
pub(super) struct Plan {
    log: Log,
    batch: u64,
    rate: f64,
    repeats: u64,
    slow: u64,
    bad: u64,
    pauses: (Duration, Duration),
    give_up: Duration,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Counted from 0.
    pub(super) number: u64,
    /// Its events, by their places in the log.
    pub(super) positions: Range<u64>,
    /// Its body comes slowly at the first attempt.
    pub(super) is_slow: bool,
    /// It is sent once more although it was answered.
    pub(super) is_repeated: bool,
    /// What is sent before it.
    pub(super) bad: Option<Bad>,
}

/// Bodies that are no good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bad {
    /// The connection breaks off within it.
    BreaksOff,
    /// JSON that ends too early.
    Cut,
    /// No JSON.
    NoJson,
    /// An element without an id.
    NoId,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Self {
        let events = airship::Config {
            events: config.events,
            seed: config.seed,
            rate: config.rate,
            epoch: config.epoch,
            ..airship::Config::default()
        };
        let parts = |share: f64| (share * PARTS as f64) as u64;
        Self {
            log: Log::new(events.log_options(now_ms())),
            batch: config.batch.max(1),
            rate: config.rate,
            repeats: parts(config.repeats),
            slow: parts(config.slow),
            bad: parts(config.bad),
            pauses: (config.pause, config.longest_pause),
            give_up: config.give_up,
        }
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// How long a request is tried.
    pub(super) fn give_up(&self) -> Duration {
        self.give_up
    }

    /// The request with this number, if there are so many.
    pub(super) fn request(&self, number: u64) -> Option<Request> {
        let first = number.checked_mul(self.batch).filter(|first| *first < self.log.len())?;
        let mut draw = Draw::new(self.log.options().seed, Lane::Request, number);
        let mut is_hit = |parts| draw.below(PARTS) < parts;
        let (is_repeated, is_slow, is_bad) = (is_hit(self.repeats), is_hit(self.slow), is_hit(self.bad));
        let bad = [Bad::BreaksOff, Bad::Cut, Bad::NoJson, Bad::NoId];
        Some(Request {
            number,
            positions: first..first.saturating_add(self.batch).min(self.log.len()),
            is_slow,
            is_repeated,
            bad: is_bad.then(|| *draw.pick(&bad)),
        })
    }

    /// When all events of a request have happened, counted from the start; none without a rate.
    pub(super) fn due(&self, request: &Request) -> Option<Duration> {
        let seconds = (self.rate > 0.0).then(|| request.positions.end as f64 / self.rate)?;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// The pause after the attempt with this number, counted from 0: twice the one before it at most, and half of it at least.
    pub(super) fn pause(&self, request: &Request, attempt: u64) -> Duration {
        let (first, longest) = self.pauses;
        let doubled = first.saturating_mul(1 << attempt.min(MOST_DOUBLINGS)).min(longest);
        // So that requests which failed together do not come again together.
        let mut draw = Draw::new(self.log.options().seed, Lane::Pause, request.number);
        let share = (0..=attempt.min(MOST_DOUBLINGS)).map(|_| draw.below(PARTS)).last().unwrap_or_default();
        doubled.mul_f64(0.5 + share as f64 / PARTS as f64 / 2.0)
    }

    /// The body of a request: an object where a request has one event, else an array.
    pub(super) fn body(&self, request: &Request) -> Vec<u8> {
        let mut body = Vec::new();
        for position in request.positions.clone() {
            body.push(if position == request.positions.start { b'[' } else { b',' });
            self.log.render(position, &mut body);
        }
        if self.batch == 1 {
            body.remove(0);
        } else {
            body.push(b']');
        }
        body
    }

    /// The bad body that is sent before a request.
    pub(super) fn bad_body(&self, request: &Request, bad: Bad) -> Vec<u8> {
        match bad {
            Bad::BreaksOff => self.body(request),
            Bad::Cut => {
                let mut body = self.body(request);
                body.truncate(body.len() / 2);
                body
            }
            Bad::NoJson => format!("no JSON {}", request.number).into_bytes(),
            Bad::NoId => format!("[{{\"type\":\"OPEN\",\"bad\":{}}}]", request.number).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn config(events: u64) -> Config {
        Config::to(vec!["http://127.0.0.1:1/".parse().unwrap()], events)
    }

    fn all(plan: &Plan) -> Vec<Request> {
        (0..).map_while(|number| plan.request(number)).collect()
    }

    #[test]
    fn each_event_is_in_one_request() {
        for (events, batch, sizes) in
            [(25, 10, &[10, 10, 5][..]), (3, 1, &[1, 1, 1]), (7, 100, &[7]), (0, 10, &[])]
        {
            let plan = Plan::new(&Config { batch, ..config(events) });
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            for (request, size) in all(&plan).iter().zip(sizes) {
                let body: Value = serde_json::from_slice(&plan.body(request)).unwrap();
                // A single event stands alone only where each request has one.
                assert_eq!(body.is_object(), batch == 1, "{body}");
                let events = if batch == 1 { vec![body] } else { body.as_array().unwrap().clone() };
                assert_eq!(events.len(), *size);
                found.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
            }
            assert_eq!(all(&plan).len(), sizes.len());
            expected.extend(plan.log().expected(0..events).map(|event| event.id));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn shares_are_met_and_every_kind_of_bad_body_is_bad_in_its_way() {
        let shares = Config { batch: 1, repeats: 0.25, slow: 0.5, bad: 0.1, ..config(10_000) };
        let plan = Plan::new(&shares);
        let requests = all(&plan);
        let count = |is: &dyn Fn(&Request) -> bool| requests.iter().filter(|request| is(request)).count();
        assert!((2_300..2_700).contains(&count(&|request| request.is_repeated)));
        assert!((4_700..5_300).contains(&count(&|request| request.is_slow)));
        assert!((900..1_100).contains(&count(&|request| request.bad.is_some())));
        assert_eq!(requests, all(&Plan::new(&shares)), "the same again");
        for bad in [Bad::BreaksOff, Bad::Cut, Bad::NoJson, Bad::NoId] {
            let request = requests.iter().find(|request| request.bad == Some(bad)).unwrap();
            let body = plan.bad_body(request, bad);
            let parsed: Result<Value, _> = serde_json::from_slice(&body);
            assert_eq!(parsed.is_ok(), matches!(bad, Bad::BreaksOff | Bad::NoId), "{bad:?}");
            assert!(bad != Bad::NoId || parsed.unwrap()[0].get("id").is_none());
        }
        let none = Plan::new(&config(1_000));
        let is_plain = |request: &Request| !request.is_repeated && !request.is_slow && request.bad.is_none();
        assert!(all(&none).iter().all(is_plain));
    }

    #[test]
    fn pauses_grow_to_the_longest_and_requests_are_due_with_their_last_event() {
        let plan = Plan::new(&Config { rate: 100.0, ..config(25) });
        let requests = all(&plan);
        let due = |number: usize| plan.due(&requests[number]);
        assert_eq!((due(0), due(2)), (Some(Duration::from_millis(100)), Some(Duration::from_millis(250))));
        assert_eq!(Plan::new(&config(25)).due(&requests[0]), None);
        for (attempt, most) in [(0, 200), (1, 400), (3, 1_600), (9, 10_000), (u64::MAX, 10_000)] {
            let pause = plan.pause(&requests[1], attempt).as_millis();
            assert!((most / 2..=most).contains(&pause), "{attempt}: {pause}");
        }
    }
}
