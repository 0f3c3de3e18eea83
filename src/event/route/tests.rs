//! Topics by values, their number, and times.

use proptest::prelude::*;

use super::*;
use crate::model::topic::MAX_TOPIC_LENGTH;
use crate::model::types::EventId;

proptest! {
    #[test]
    fn no_values_name_a_topic_that_is_not_for_events(
        before in prop::sample::select(vec!["", "p", "p.", "p_", "_", "__", "x."]),
        fields in prop::sample::select(vec!["{a}", "{a:lower}", "{a:snake}", "{a}{b}", "{a:snake}.{b:lower}"]),
        values in [value(), value()],
    ) {
        let mut router = router(&format!("{before}{fields}"));
        let reserved = router.config.reserved.clone();
        let taken = &values[..router.config.fields().len()];
        match router.topic(&[&values[0], &values[1]]) {
            Ok(topic) => {
                let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                prop_assert!(topic.chars().all(legal) && !topic.is_empty() && topic.len() <= MAX_TOPIC_LENGTH);
                prop_assert!(topic != "." && topic != ".." && !topic.starts_with("__"), "{topic}");
                let folded = topic.replace('.', "_");
                prop_assert!(reserved.iter().all(|name| name.replace('.', "_") != folded), "{topic}");
                let is_small = fields.contains(':') && !fields.contains("{a}");
                prop_assert!(!is_small || topic.chars().all(|c| !c.is_ascii_uppercase()), "{topic}");
            }
            Err(Unroutable::Reserved { topic }) => {
                let folded = topic.replace('.', "_");
                let is_ours = reserved.iter().any(|name| name.replace('.', "_") == folded);
                prop_assert!(is_ours || topic.starts_with("__"), "{topic} is for events");
            }
            Err(Unroutable::NoValue { .. }) => prop_assert!(taken.iter().any(String::is_empty)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    let names = [
        "p.checkpoints",
        "checkpoints",
        "Checkpoints",
        ".checkpoints",
        "/ids",
        ".ids",
        "p_ids",
        "shards",
        "p/shards",
        "dead-letters",
        "__consumer_offsets",
        "_x",
        "\u{e9}",
        "..",
        ".",
    ];
    prop_oneof![
        "[a-z._-]{0,12}",
        prop::sample::select(names.to_vec()).prop_map(str::to_owned),
        any::<String>()
    ]
}

impl Router {
    fn topic(&mut self, values: &[&str]) -> Result<&str, Unroutable> {
        let values: Vec<_> = values.iter().map(|value| Some(Text::Borrowed(value.as_bytes()))).collect();
        let route = self.route(&values)?;
        Ok(self.name(route))
    }
}

fn config(topic: &str) -> Config {
    Config {
        topic: Template::parse(topic).unwrap(),
        topics: BTreeMap::new(),
        by: None,
        default_topic: None,
        max_topics: MAX_TOPICS,
        timestamp: Timestamp::Processed,
        bounds: Bounds { past_ms: 1_000_000, future_ms: 1_000 },
        reserved: ["p.checkpoints", "p.ids", "p.shards", "p.dead-letters"].map(str::to_owned).to_vec(),
    }
}

fn router(topic: &str) -> Router {
    Router::new(config(topic))
}

/// With a table for the types.
fn mapping(topic: &str) -> Router {
    let topics = BTreeMap::from([("OPEN".into(), "opens".into())]);
    Router::new(Config { topics, by: Some("type".into()), ..config(topic) })
}

#[test]
fn a_state_topic_is_no_topic_for_an_event() {
    let mut router = router("p.{type}");
    for (value, topic) in
        [("checkpoints", "p.checkpoints"), ("dead-letters", "p.dead-letters"), ("/ids", "p._ids")]
    {
        match router.topic(&[value]) {
            Ok(found) => assert_eq!((value, found), ("/ids", topic)),
            Err(error) => assert_eq!(error, Unroutable::Reserved { topic: topic.into() }),
        }
    }
    assert_eq!(router.topic(&["checkpoint"]), Ok("p.checkpoint"));
    let mut lower = self::router("p{type:lower}");
    assert_eq!(
        lower.topic(&[".IDS"]),
        Err(Unroutable::Reserved { topic: "p.ids".into() }),
        "whatever the form makes"
    );
}

#[test]
fn a_mapped_value_goes_before_the_template() {
    let mut router = mapping("airship.{type}");
    assert_eq!(router.config.fields(), ["type"]);
    assert_eq!(router.topic(&["OPEN"]), Ok("opens"));
    assert_eq!(router.topic(&["SEND"]), Ok("airship.SEND"));
    assert_eq!(router.topic(&[]), Err(Unroutable::NoValue { field: "type".into() }));
    assert_eq!(router.known_topics().collect::<Vec<_>>(), ["opens"]);
}

#[test]
fn the_table_is_for_a_field_that_the_template_need_not_name() {
    let mut router = mapping("airship.{body.name}.{body.kind}");
    assert_eq!(router.config.fields(), ["body.name", "body.kind", "type"]);
    assert_eq!(router.topic(&["n", "k", "OPEN"]), Ok("opens"));
    assert_eq!(router.topic(&["n", "k", "SEND"]), Ok("airship.n.k"));
    assert_eq!(router.topic(&["OPEN", "OPEN", "SEND"]), Ok("airship.OPEN.OPEN"));
    assert_eq!(router.topic(&["", "", "OPEN"]), Ok("opens"), "which needs no other value");
    assert_eq!(router.topic(&["n", "", "SEND"]), Err(Unroutable::NoValue { field: "body.kind".into() }));
    let without = Config { topics: BTreeMap::new(), ..router.config };
    assert_eq!(without.fields(), ["body.name", "body.kind"], "no more is asked for than is needed");
}

#[test]
fn what_lacks_a_value_goes_to_the_default() {
    let config = Config { default_topic: Some("other".into()), ..config("a.{x}.{y}") };
    let mut router = Router::new(config);
    assert_eq!(router.topic(&["1", "2"]), Ok("a.1.2"));
    assert_eq!(router.topic(&["", "2"]), Ok("other"));
    assert_eq!(router.topic(&["1", ""]), Ok("other"));
    assert_eq!(router.topic(&["1"]), Ok("other"));
}

#[test]
fn a_fixed_topic_needs_no_type() {
    let mut router = mapping("all");
    assert_eq!(router.topic(&[]), Ok("all"));
    assert_eq!(router.topic(&["SEND"]), Ok("all"));
    assert_eq!(router.topic(&["OPEN"]), Ok("opens"));
    assert!(router.made.is_empty(), "types of a fixed topic are not remembered");
    assert_eq!(self::router("all").config.fields(), [""; 0]);
}

#[test]
fn the_number_of_topics_is_bounded_whatever_the_values() {
    let config = Config { max_topics: 3, default_topic: Some("other".into()), ..config("t.{a:lower}{b}") };
    let mut router = Router::new(config);
    for (values, topic) in
        [(["A", "1"], "t.a1"), (["a", "1"], "t.a1"), (["a1", "x"], "t.a1x"), (["b", "/"], "t.b_")]
    {
        assert_eq!(router.topic(&values), Ok(topic));
    }
    for _ in 0..2 {
        let error = router.topic(&["c", "1"]).unwrap_err();
        assert_eq!(
            (&error, error.reason().name()),
            (&Unroutable::TooManyTopics { max_topics: 3 }, "too_many_topics")
        );
    }
    assert_eq!(router.topic(&["B", "?"]), Ok("t.b_"), "known topics go on");
    assert_eq!(router.topic(&["", "1"]), Ok("other"), "so does what needs none");
}

const NOW: i64 = 2_000_000_000_000;

/// The timestamp of an event with these times: processed, occurred, and that of a field.
fn timestamp(wanted: Timestamp, times: (Option<i64>, Option<&str>, Option<i64>)) -> (i64, Option<Clamped>) {
    let (processed_ms, occurred, time_ms) = times;
    let config = Config { timestamp: wanted, ..config("t") };
    let record = Record {
        id_text: Text::default(),
        id: EventId(1),
        key: None,
        event_type: None,
        topic_values: Default::default(),
        occurred: occurred.map(|text| Text::Borrowed(text.as_bytes())),
        processed_ms,
        time_ms,
        header_values: None,
        offset: None,
    };
    let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    Router::new(config).timestamp(&record, parse, NOW)
}

#[test]
fn a_time_that_is_missing_is_replaced_by_the_other_one_and_only_then_by_the_clock() {
    const AT: i64 = NOW - 500_000;
    let other = (AT + 7).to_string();
    let other = Some(&*other);
    for (processed, occurred, by_processed, by_occurred) in [
        (Some(AT), other, AT, AT + 7),
        (None, other, AT + 7, AT + 7),
        (Some(AT), None, AT, AT),
        (Some(AT), Some("no time"), AT, AT),
        (Some(-1), other, AT + 7, AT + 7),
        (Some(AT), Some("-1"), AT, AT),
        (None, None, NOW, NOW),
        (Some(-1), Some("-1"), NOW, NOW),
        (None, Some("2000000000001"), NOW, NOW),
    ] {
        let times = |time| (processed, occurred, time);
        assert_eq!(timestamp(Timestamp::Processed, times(Some(AT + 9))), (by_processed, None));
        assert_eq!(timestamp(Timestamp::Occurred, times(Some(AT + 9))), (by_occurred, None));
        assert_eq!(timestamp(Timestamp::Field, times(Some(AT + 9))), (AT + 9, None));
        assert_eq!(timestamp(Timestamp::Field, times(None)), (by_processed, None));
        assert_eq!(timestamp(Timestamp::Field, times(Some(-1))), (by_processed, None));
    }
}

#[test]
fn a_time_beyond_its_bounds_is_that_at_which_the_event_was_received() {
    const AT: i64 = NOW - 500_000;
    let (past, future) = (Some(Clamped::Past), Some(Clamped::Future));
    for (processed, time, expected) in [
        (Some(AT), AT + 1_000, (AT + 1_000, None)),
        (Some(AT), AT + 1_001, (AT, future)),
        (Some(AT), AT - 1_000_000, (AT - 1_000_000, None)),
        (Some(AT), AT - 1_000_001, (AT, past)),
        (Some(AT), 0, (AT, past)),
        // A received time that cannot be right.
        (Some(1), NOW - 10_000, (NOW - 10_000, None)),
        (Some(1), NOW + 1_001, (NOW, future)),
        (Some(1), NOW - 1_000_001, (NOW, past)),
        // Both are old, as in an archive.
        (Some(7), 8, (8, None)),
        (Some(AT), i64::MAX, (AT, future)),
        // Without a received time, or with one that is ahead of it, our clock is that.
        (None, NOW + 1_000, (NOW, None)),
        (None, NOW + 1_001, (NOW, future)),
        (None, NOW - 1_000_001, (NOW, past)),
        (Some(NOW + 900), NOW + 1_000, (NOW, None)),
        (Some(i64::MAX), NOW + 1_001, (NOW, future)),
        (Some(3), 3, (3, None)),
    ] {
        assert_eq!(
            timestamp(Timestamp::Field, (processed, None, Some(time))),
            expected,
            "{processed:?} {time}"
        );
        let text = time.to_string();
        assert_eq!(
            timestamp(Timestamp::Occurred, (processed, Some(&text), None)),
            expected,
            "{processed:?} {time}"
        );
    }
    for (processed, expected) in [(NOW + 1_000, (NOW, None)), (NOW + 1_001, (NOW, future)), (3, (3, None))] {
        assert_eq!(timestamp(Timestamp::Processed, (Some(processed), None, None)), expected, "{processed}");
    }
}
