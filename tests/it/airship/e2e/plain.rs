//! A run without trouble: everything arrives once, in order, complete in every bit, and the checkpoint says so.

use crate::harness::airship::oracle::Found;
use crate::harness::airship::{Mock, STREAM, Setup, service, stop};
use crate::harness::broker::broker;
use tributary_mock::airship::{self, OffsetStyle};

#[test]
fn a_fixed_topic_gets_every_event_once() {
    let mock = Mock::start(service(6_000));
    let setup = Setup::new("plain-fixed", &mock);
    let mut process = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(6_000);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: 6_000, repeats: 0 });

    let last = progress.wait_for("a drained checkpoint", |checkpoint| checkpoint.is_drained());
    assert_eq!((last.received, last.delivered, last.duplicates, last.dead_letters), (6_000, 6_000, 0, 0));
    assert_eq!(last.offset, Some(mock.log().offset(5_999)));
    let all = setup.progress().all(|checkpoint| checkpoint.is_drained());
    assert!(all.len() > 20, "many commits: {}", all.len());
    assert!(all.iter().all(
        |checkpoint| checkpoint.owner == all[0].owner && checkpoint.is_drained() == (*checkpoint == last)
    ));
    assert_eq!(
        broker().topics(&setup.prefix),
        ["checkpoints", "dead-letters", "events", "ids", "shards"]
            .map(|name| format!("{}.{name}", setup.prefix))
    );
}

#[test]
fn a_template_makes_a_topic_for_each_type() {
    let config = airship::Config { offsets: OffsetStyle::Base64, ..service(4_000) };
    let mock = Mock::start(config);
    let mut setup = Setup::new("plain-template", &mock);
    setup.streams[0].topic = format!("{}.airship.{{type}}", setup.prefix);
    let mut process = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(4_000);
    stop(&mut process);

    let expectation = setup.expectation(&mock);
    assert_eq!(expectation.check(), Found { records: 4_000, repeats: 0 });
    assert!(expectation.topics().len() > 10, "{:?}", expectation.topics());
    let created = broker().topics(&format!("{}.airship.", setup.prefix));
    assert_eq!(created.into_iter().collect::<std::collections::BTreeSet<_>>(), *expectation.topics());
    let last = progress.wait_for("a drained checkpoint", |checkpoint| checkpoint.is_drained());
    assert_eq!(last.offset, Some(mock.log().offset(3_999)), "an opaque offset is kept as it is");
    assert_eq!(last.delivered, 4_000, "{STREAM}");
}
