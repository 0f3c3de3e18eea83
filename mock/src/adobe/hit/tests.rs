//! Ids, sizes and shapes of hits.

use std::collections::HashSet;

use serde_json::Value;

use super::*;
use crate::adobe::log::Log;

fn log() -> Log {
    Log::new(LogOptions::default())
}

fn plain() -> Log {
    Log::new(LogOptions { plain_ids: true, plain_shapes: true, ..LogOptions::default() })
}

#[test]
fn ids_are_unique_and_reach_every_edge() {
    let log = log();
    let ids: HashSet<Halves> = (0..200_000).map(|index| log.id(index)).collect();
    assert_eq!(ids.len(), 200_000);
    let first: Vec<u64> = (0..20).flat_map(|index| <[u64; 2]>::from(log.id(index))).collect();
    for edge in EXTREMES {
        assert!(first.contains(&edge), "{edge}");
    }
    assert!((20..200_000).all(|index| !EXTREMES.contains(&log.id(index).0)));
}

#[test]
fn lines_are_one_to_four_kilobytes() {
    let log = log();
    let sizes: Vec<usize> = (0..20_000).map(|index| log.line(index).len()).collect();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((1_400..=1_600).contains(&mean), "mean {mean}");
    let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
    assert!(least >= Some(900) && most <= Some(4_096), "{least:?} {most:?}");
}

#[test]
fn lines_say_what_the_hit_says() {
    for log in [log(), plain()] {
        for index in 0..5_000 {
            let (hit, line) = (log.hit(index), log.line(index));
            assert!(!line.contains(&b'\n'));
            if hit.shape.truncated_utf8 {
                assert!(std::str::from_utf8(&line).is_err());
                continue;
            }
            let value: Value = serde_json::from_slice(&line)
                .unwrap_or_else(|error| panic!("{index}: {error}: {}", String::from_utf8_lossy(&line)));
            assert_eq!(value["reportSuite"], hit.suite);
            assert_eq!(value["receivedTimeGMT"], hit.received_s);
            assert_eq!(value["bot"] == "<Bot>", hit.bot);
            assert_eq!(value["exclude"]["value"] == "yes", hit.excluded);
            assert_eq!(half(&value["hitIdHigh"]), hit.id.0);
            assert_eq!(half(&value["hitIdLow"]), hit.id.1);
            assert_eq!((half(&value["visIdHigh"]), half(&value["visIdLow"])), hit.visitor.vis);
            assert_eq!((half(&value["mcVisIdHigh"]), half(&value["mcVisIdLow"])), hit.visitor.mc);
            assert_eq!(value["customVisId"].as_str().unwrap_or_default(), hit.visitor.custom);
            assert_eq!(value["ip"], hit.visitor.ip);
            assert_eq!(value["userAgent"], hit.visitor.user_agent);
            assert_eq!(value["geoLatitude"].is_number(), hit.shape.old);
        }
    }
}

/// An id as whichever of its forms.
fn half(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::String(text) => text.parse().unwrap_or_else(|_| text.parse::<i64>().unwrap().cast_unsigned()),
        value => value.as_u64().unwrap_or_else(|| value.as_i64().unwrap().cast_unsigned()),
    }
}

#[test]
fn every_shape_occurs_unless_it_is_switched_off() {
    let counts = |log: &Log| {
        let hits: Vec<Hit> = (0..20_000).map(|index| log.hit(index)).collect();
        let count = |is: fn(&Hit) -> bool| hits.iter().filter(|hit| is(hit)).count();
        [
            count(|hit| hit.shape.old),
            count(|hit| hit.shape.truncated_utf8),
            count(|hit| hit.shape.quoted_ids),
            count(|hit| hit.shape.negative_ids),
            count(|hit| hit.bot),
            count(|hit| hit.excluded),
            count(|hit| hit.time_s + 60 <= hit.received_s),
        ]
    };
    for (count, one_in) in counts(&log()).into_iter().zip([50, 100, 200, 200, 40, 60, 30]) {
        let expected = 20_000 / one_in;
        assert!((expected / 2..expected * 2).contains(&count), "{count} instead of {expected}");
    }
    assert_eq!(counts(&plain())[..4], [0; 4]);
}

#[test]
fn plain_values_are_of_their_documented_types() {
    let log = plain();
    let (mut phones, mut colours) = (0, 0);
    for index in 0..5_000 {
        let value: Value = serde_json::from_slice(&log.line(index)).unwrap();
        assert!(value["exclude"]["id"].is_u64(), "{value}");
        for name in ["homePage", "javascriptVersion", "plugins", "geoLatitude", "delim"] {
            assert!(value.get(name).is_none(), "{name} in {value}");
        }
        for name in
            ["mobileAudioSupport", "mobileVideoSupport", "mobileCookieSupport", "javaEnabled", "truncated"]
        {
            assert!(value.get(name).is_none_or(Value::is_boolean), "{name} in {value}");
        }
        for name in ["mobileColorDepth", "mobileScreenHeight", "monitorWidth", "visIdHigh", "timeGMT"] {
            assert!(value.get(name).is_none_or(Value::is_u64), "{name} in {value}");
        }
        phones += u64::from(value.get("mobileDeviceName").is_some());
        colours += u64::from(value.get("mobileColorDepth").is_some());
    }
    assert!(phones > 500 && phones == colours, "{phones} {colours}");
}

#[test]
fn long_ids_are_those_of_the_line_and_its_key() {
    let log = Log::new(LogOptions { long_ids: true, plain_ids: true, ..LogOptions::default() });
    for index in (0..5_000).filter(|index| !log.hit(*index).shape.truncated_utf8) {
        let value: Value = serde_json::from_slice(&log.line(index)).unwrap();
        let half =
            |name: &str| value[name].as_i64().filter(|half| *half > 0).unwrap_or_else(|| panic!("{value}"));
        let key = format!("v:{}:{}", half("visIdHigh"), half("visIdLow"));
        assert_eq!(log.expect(index).key, key, "{value}");
    }
}

#[test]
fn received_times_are_a_little_out_of_order() {
    let log = Log::new(LogOptions { step_us: 1_000_000, ..LogOptions::default() });
    let times: Vec<u64> = (0..1_000).map(|index| log.hit(index).received_s).collect();
    assert!(times.windows(2).any(|pair| pair[1] < pair[0]));
    assert!(times.windows(2).all(|pair| pair[1] + RECEIVED_JITTER_S > pair[0]));
}
