//! Topics of templates, of both services: by several fields and forms, bounded in number, and never two that Kafka takes for one.

use crate::harness::adobe::scenes::{self, Expected, id};
use crate::harness::airship::run::{Run, event, keyed, setup, sorted, with_reason};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::GENEROUS;
use std::collections::{BTreeMap, BTreeSet};
use tributary_mock::adobe::Hit;
use tributary_mock::adobe::hit::SUITES;

/// The topics below a prefix that are for events, without it.
fn event_topics(prefix: &str) -> BTreeSet<String> {
    let state = ["checkpoints", "ids", "shards", "dead-letters"];
    let below = broker().topics(prefix).into_iter();
    let below = below.filter_map(|name| Some(name.strip_prefix(prefix)?[1..].to_owned()));
    below.filter(|name| !state.contains(&&**name)).collect()
}

#[test]
fn several_fields_make_a_topic_with_a_table_and_a_default() {
    let setup = setup("two-fields");
    let prefix = setup.prefix().to_owned();
    let setup = setup.stream(&format!(
        r#"
        topic = '{prefix}.{{type:snake}}-{{body."first.name":lower}}'
        topics = {{ CLOSE = "{prefix}.closes" }}
        default_topic = "{prefix}.other"
        "#
    ));
    let line = |n, event_type, body: &str| event(n, event_type, &format!("\"body\":{body}"));
    let lines = [
        line(0, "FirstOpen", r#"{"first.name":"Ada"}"#),
        line(1, "FIRST_OPEN", r#"{"first.name":"ADA"}"#),
        line(2, "FIRST_OPEN", r#"{"first.name":"Gr\u00e5 ce"}"#),
        line(3, "FIRST_OPEN", r#"{"first.name":7,"first":{"name":"no"}}"#),
        line(4, "CLOSE", r#"{"first.name":"Ada"}"#),
        line(5, "CLOSE", "{}"),
        line(6, "OPEN", r#"{"first.name":""}"#),
        line(7, "OPEN", r#"{"first.name":["Ada"]}"#),
        line(8, "OPEN", r#"{"first":{"name":"Ada"}}"#),
        r#"{"id":"9","offset":"9","body":{"first.name":"Ada"}}"#.to_owned(),
    ];
    let mut run = Run::start(&setup, &lines);
    run.wait(lines.len(), 0);
    run.stop();
    let expected = [
        ("first_open-ada", vec![0, 1]),
        // Two bytes of UTF-8, and the space.
        ("first_open-gr___ce", vec![2]),
        ("first_open-7", vec![3]),
        ("closes", vec![4, 5]),
        ("other", vec![6, 7, 8, 9]),
    ];
    let names: BTreeSet<String> = expected.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(event_topics(&prefix), names);
    for (name, numbers) in expected {
        let wanted = numbers.into_iter().map(|n: usize| lines[n].clone()).collect();
        assert_eq!(run.values(name), sorted(wanted), "{name}");
    }
}

#[test]
fn a_field_that_explodes_makes_so_many_topics_and_no_more() {
    let setup = setup("max-topics");
    let prefix = setup.prefix().to_owned();
    let setup = setup
        .stream(&format!("topic = \"{prefix}.e.{{device.channel}}\"\nmax_topics = 3\npartitions = 1"))
        .stream(&format!("topics = {{ T = \"{prefix}.t\" }}\ndefault_topic = \"{prefix}.other\""));
    // Channels c0 to c9, of which the first three make topics, then those again; what needs no topic of the template goes on.
    let lines: Vec<String> = (0..10).map(|n| keyed(n, "X")).collect();
    let known =
        (10..13).map(|n| keyed(n - 10, "X").replacen(&format!("\"{}\"", n - 10), &format!("\"{n}\""), 2));
    let known: Vec<String> = known.collect();
    let (of_table, without) = (keyed(20, "T"), event(21, "X", ""));
    let all = [&lines[..], &known, &[of_table.clone(), without.clone()]].concat();
    let mut run = Run::start(&setup, &all);
    run.wait(8, 7);
    let label = ["reason=\"too_many_topics\""];
    assert_eq!(run.process.metrics().sum("tributary_dead_letters_total", &label), 7.0);
    let said = run.process.wait_for_log("max_topics", GENEROUS);
    assert!(said.contains("\"level\":\"WARN\"") && said.contains("\"events\":7"), "{said}");
    run.stop();
    let names = ["e.c0", "e.c1", "e.c2", "t", "other"].map(str::to_owned);
    assert_eq!(event_topics(&prefix), BTreeSet::from(names));
    for n in 0..3 {
        assert_eq!(run.values(&format!("e.c{n}")), sorted(vec![lines[n].clone(), known[n].clone()]));
    }
    assert_eq!((run.values("t"), run.values("other")), (vec![of_table], vec![without]));
    assert_eq!(run.letters(), with_reason(lines[3..].iter().cloned(), "too_many_topics"));
    let letters = run.read("dead-letters");
    let detail = letters[0].header("tributary-detail").expect("a detail");
    assert!(detail.contains("3 topics already, which is max_topics"), "{detail}");
}

/// Kafka itself refuses a name beside that of a topic, but of two in one request it makes both.
#[test]
fn of_two_new_names_that_kafka_takes_for_one_the_first_is_a_topic() {
    let setup = setup("collision-at-once");
    let prefix = setup.prefix().to_owned();
    let setup = setup.stream(&format!("topic = \"{prefix}.{{type}}\""));
    let lines = [event(0, "A_B", ""), event(1, "A.B", ""), event(2, "A_B", ""), event(3, "A.C", "")];
    let mut run = Run::start(&setup, &lines);
    run.wait(2, 2);
    run.stop();
    assert_eq!(event_topics(&prefix), BTreeSet::from(["A.B", "A.C"].map(str::to_owned)));
    assert_eq!(run.values("A.B"), [lines[1].clone()]);
    assert_eq!(run.letters(), with_reason([lines[0].clone(), lines[2].clone()], "refused_by_topic"));
    let letters = run.read("dead-letters");
    let detail = letters[0].header("tributary-detail").expect("a detail");
    assert!(detail.contains(&format!("there is a topic {prefix}.A.B")), "{detail}");
}

#[test]
fn hits_go_by_several_fields_too() {
    const HITS: u64 = 1_500;
    let keys = r#"
        topic = "{prefix}.{reportSuite}.{bot:snake}"
        topics = { harborlightjp = "{prefix}.japan" }
    "#;
    let mut scene = scenes::Setup::one("adobe-fields", scenes::all_at_once(HITS), keys).start();
    let log = scene.log_of("s");
    let all = Expected::from(&log);
    scene.wait_delivered("s", all.len());
    scene.stop();
    let hits: BTreeMap<String, Hit> = (0..HITS).map(|n| (id(log.id(n)), log.hit(n))).collect();
    let topic = |hit: &Hit| match (hit.suite, hit.bot) {
        ("harborlightjp", _) => "japan".to_owned(),
        (suite, true) => format!("{suite}._bot_"),
        (suite, false) => format!("{suite}._not_a_bot_"),
    };
    let wanted: BTreeSet<String> = hits.values().map(topic).collect();
    assert!(wanted.iter().any(|name| name.ends_with("._bot_")) && wanted.len() > SUITES.len(), "{wanted:?}");
    let mut messages = Vec::new();
    for name in &wanted {
        let found = read_all(broker(), &format!("{}.{name}", scene.prefix()), Isolation::Committed);
        for message in &found {
            assert_eq!(&topic(&hits[message.header("ce_id").expect("an id")]), name);
        }
        messages.extend(found);
    }
    all.check(&messages);
    assert_eq!(scene.dead_letters("s").len(), 0);
}
