//! What must lie in Kafka of an Adobe stream: each hit at most once, complete in every bit, in the order of its sending.
//!
//! Key and value come from the mock's log, which computes them from numbers, not from text. What may be missing is for
//! the tests to say: a service that loses what is on its way loses it.

use super::{STREAM, Service, Setup};
use crate::harness::airship::oracle::{Arrival, Expectation, Line, Repeats};
use crate::harness::broker::broker;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tributary_mock::adobe::{Expected, Sent};

/// What a comparison found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Records in the topic.
    pub(crate) records: usize,
    /// Records beyond the first of their hit.
    pub(crate) repeats: usize,
    /// Hits of the log that are not there.
    pub(crate) missing: BTreeSet<u64>,
}

impl Setup {
    /// Panics unless every hit that was readable is there, once.
    #[track_caller]
    pub(crate) fn check_all(&self, service: &Service) {
        let found = self.judge(service, Repeats::Forbidden);
        let hits = service.readable().end;
        let first: Vec<u64> = found.missing.iter().copied().take(20).collect();
        assert!(first.is_empty(), "{} of {hits} hits are missing, the first: {first:?}", found.missing.len());
        assert_eq!(found.records as u64, hits);
    }

    /// Compares each record with what it must be; panics at one that is not, that is there twice unless `repeats` allows
    /// it, or that is out of order.
    #[track_caller]
    pub(crate) fn judge(&self, service: &Service, repeats: Repeats) -> Found {
        let expectation = self.expectation(service);
        let arrivals = expectation.arrivals(broker(), repeats);
        let there: BTreeSet<u64> = arrivals.iter().map(|arrival| arrival.position).collect();
        if repeats == Repeats::Forbidden {
            check_order(&arrivals, service);
        }
        let missing = (0..service.readable().end).filter(|hit| !there.contains(hit)).collect();
        Found { records: arrivals.len(), repeats: arrivals.len() - there.len(), missing }
    }

    /// Every hit that was readable.
    pub(crate) fn expectation(&self, service: &Service) -> Expectation {
        let log = service.log();
        let lines = log.expected(0..service.readable().end).map(|hit| (hit.line.clone(), self.line(&hit)));
        Expectation::new(self.partitions, lines.collect())
    }

    fn line(&self, expected: &Expected) -> Line {
        let hit = &expected.hit;
        let at = |seconds: u64| i64::try_from(seconds).expect("a time");
        let headers = [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", format!("{}-{}", hit.id.0, hit.id.1)),
            ("ce_source", self.url.clone()),
            ("ce_type", "com.adobe.analytics.hit".to_owned()),
            ("ce_time", jiff::Timestamp::from_second(at(hit.time_s)).expect("a time").to_string()),
            ("content-type", "application/json".to_owned()),
            ("tributary-stream", STREAM.to_owned()),
            ("tributary-shard", "0".to_owned()),
        ];
        Line {
            position: hit.index,
            topic: self.topic.clone(),
            key: Some(expected.key.clone().into_bytes()),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            timestamp: at(hit.received_s) * 1000,
        }
    }
}

impl Found {
    /// Panics unless what is missing was on its way when its connection broke: it was sent on one of the connections
    /// `broken` and on no other, and so was, or was sent elsewhere as well, whatever was sent behind it.
    #[track_caller]
    pub(crate) fn check_in_flight(&self, sent: &[Sent], broken: impl Fn(u64) -> bool) {
        let mut streams: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for Sent { stream, hit } in sent {
            streams.entry(*hit).or_default().insert(*stream);
        }
        let mut lost_on: BTreeMap<u64, u64> = BTreeMap::new();
        for Sent { stream, hit } in sent {
            if self.missing.contains(hit) {
                assert!(broken(*stream), "hit {hit} was sent on connection {stream}, which did not break");
                lost_on.insert(*stream, *hit);
            } else if let Some(lost) = lost_on.get(stream) {
                assert!(
                    streams[hit].len() > 1,
                    "connection {stream}: hit {hit} came, {lost} before it did not"
                );
            }
        }
        let unsent: Vec<_> = self.missing.iter().filter(|hit| !streams.contains_key(hit)).collect();
        assert!(unsent.is_empty(), "never sent: {unsent:?}");
    }
}

/// Lines at most that a block holds which a fault cuts; they are sent again, and not in [`Service::sent`].
const TORN_BLOCK: u64 = 8;

/// Hits of one visitor that were sent once, on the same connection, are in the order of their sending. What was sent more
/// than once, or on connections that took over from one another, may have been received in another order.
#[track_caller]
fn check_order(arrivals: &[Arrival<'_>], service: &Service) {
    let stats = service.stats();
    let torn = stats.fired.iter().filter(|fired| fired.fault.contains("gzip"));
    let torn: HashSet<u64> = torn.flat_map(|fired| fired.position..fired.position + TORN_BLOCK).collect();
    let mut sendings: HashMap<u64, Vec<(u64, usize)>> = HashMap::new();
    for (at, Sent { stream, hit }) in service.sent().iter().enumerate() {
        sendings.entry(*hit).or_default().push((*stream, at));
    }
    let mut last: BTreeMap<(&[u8], u64), usize> = BTreeMap::new();
    let mut compared = 0;
    for arrival in arrivals.iter().filter(|arrival| !torn.contains(&arrival.position)) {
        let Some([(stream, at)]) = sendings.get(&arrival.position).map(Vec::as_slice) else { continue };
        let key = arrival.line.key.as_deref().expect("every hit has a key");
        if let Some(before) = last.insert((key, *stream), *at) {
            assert!(before < *at, "out of order: {arrival:?}");
            compared += 1;
        }
    }
    eprintln!("order: {compared} pairs of hits compared");
}
