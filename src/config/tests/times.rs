//! Timestamps and their bounds.

use std::time::Duration;

use super::{SMALL, errors, parse};
use crate::config::stream::timestamp::Bounds;
use crate::event::extract::TimeFormat;
use crate::event::route;
use crate::plan::Stream;

const ADOBE: &str = "kafka.bootstrap_servers = \"k\"\n[[stream]]\nname = \"w\"\nkind = \"adobe\"\n\
                     url = \"https://livestream.adobe.net/api/1/stream/x\"\nauth = { bearer = { env = \"T\" } }\n";

fn stream(small: &str, keys: &str) -> Stream {
    let config = parse(&format!("{small}{keys}\n")).unwrap();
    assert_eq!(parse(&config.render()).unwrap().effective, config.effective, "it survives being printed");
    config.plan.streams[0].clone()
}

#[test]
fn a_time_is_a_word_or_a_field_with_the_services_own_format() {
    for (small, keys, timestamp, time) in [
        (SMALL, "", route::Timestamp::Processed, None),
        (SMALL, "timestamp = \"occurred\"", route::Timestamp::Occurred, None),
        (
            SMALL,
            "timestamp = { field = \"body.t\" }",
            route::Timestamp::Field,
            Some(("body.t", TimeFormat::Rfc3339)),
        ),
        (
            ADOBE,
            "timestamp = { field = \"t\" }",
            route::Timestamp::Field,
            Some(("t", TimeFormat::UnixSeconds)),
        ),
        (
            SMALL,
            "timestamp = { field = \"t\", format = \"milliseconds\" }",
            route::Timestamp::Field,
            Some(("t", TimeFormat::UnixMilliseconds)),
        ),
    ] {
        let stream = stream(small, keys);
        assert_eq!(stream.route.timestamp, timestamp, "{keys}");
        assert_eq!(stream.extract.time, time.map(|(field, format)| (field.to_owned(), format)), "{keys}");
    }
}

#[test]
fn bounds_have_defaults_that_can_be_changed_one_by_one() {
    let bounds = |keys: &str| stream(SMALL, keys).route.bounds;
    assert_eq!(bounds(""), route::Bounds { past_ms: 31_536_000_000, future_ms: 3_600_000 });
    assert_eq!(
        bounds("timestamp_bounds = { past = \"2h\" }"),
        route::Bounds { past_ms: 7_200_000, future_ms: 3_600_000 }
    );
    assert_eq!(
        bounds("timestamp_bounds = { future = \"0s\" }"),
        route::Bounds { past_ms: 31_536_000_000, future_ms: 0 }
    );
    assert_eq!(Bounds::default().past.0, Duration::from_secs(365 * 86_400));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (keys, at, part) in [
        ("timestamp = \"occured\"", "timestamp", "did you mean `occurred`?"),
        ("timestamp = {}", "timestamp.field", "missing"),
        ("timestamp = { field = \"a..b\" }", "timestamp.field", "expected member names"),
        ("timestamp = { field = \"a\", format = \"iso\" }", "timestamp.format", "unknown value `iso`"),
        ("timestamp = { feild = \"a\", field = \"a\" }", "timestamp.feild", "did you mean `field`?"),
        ("timestamp = 7", "timestamp", "expected \"processed\", \"occurred\" or { field"),
        ("timestamp_bounds = { past = \"old\" }", "timestamp_bounds.past", "expected a duration"),
        ("timestamp_bounds = { futur = \"1h\" }", "timestamp_bounds.futur", "did you mean `future`?"),
    ] {
        let found = errors(&format!("{SMALL}{keys}\n"));
        let right =
            found.len() == 1 && found[0].starts_with(&format!("stream[0].{at}: ")) && found[0].contains(part);
        assert!(right, "{keys}: {found:#?}");
    }
}
