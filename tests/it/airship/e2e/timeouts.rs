//! A transaction that the broker ends since the connector stood still: nobody took over, so it goes on.

use super::zombies::stop_in_transaction;
use crate::harness::airship::oracle::Found;
use crate::harness::airship::{LIMIT, Mock, Setup, count_log, has_open_transaction, service, stop};
use crate::harness::wait::wait_until;
use tributary_mock::airship;

const EVENTS: u64 = 6_000;

#[test]
fn a_transaction_that_timed_out_is_made_again() {
    let mock = Mock::start(airship::Config { rate: 1_500.0, ..service(EVENTS) });
    let mut setup = Setup::new("timeout", &mock);
    setup.transaction_timeout = "2s";
    let mut process = setup.start();
    let mut progress = setup.progress();
    let owner = progress.wait_received(500).owner;
    for _ in 0..2 {
        let before = count_log(&process, "the batch is safe");
        stop_in_transaction(&process, setup.topic());
        wait_until(LIMIT, "the broker to end the transaction", || !has_open_transaction(setup.topic()));
        process.sigcont();
        wait_until(LIMIT, "the connector to get over it", || {
            count_log(&process, "the batch is safe") > before
        });
    }
    progress.wait_received(EVENTS);
    assert_eq!(process.exited(), None);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    let all = setup.progress().all(|checkpoint| checkpoint.is_drained());
    assert!(all.iter().all(|checkpoint| checkpoint.owner == owner), "the same opening all along");
    let reasons: Vec<_> = process.log().into_iter().filter(|line| line.contains("write failed")).collect();
    eprintln!("{}", reasons.join("\n"));
}
