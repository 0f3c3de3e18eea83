//! `wait` waits as long as it must and no longer than it may; `watchdog` acts at the end.

use crate::harness::wait::{GENEROUS, poll, wait_some, wait_until};
use crate::harness::watchdog::Watchdog;
use std::time::Duration;

#[test]
fn a_condition_is_looked_at_until_it_holds() {
    let mut looks = 0;
    wait_until(GENEROUS, "the third look", || {
        looks += 1;
        looks == 3
    });
    assert_eq!(looks, 3);
    assert_eq!(wait_some(GENEROUS, "a value", || Some(7)), 7);
    assert_eq!(poll(Duration::ZERO, || None::<()>), None);
}

#[test]
#[should_panic(expected = "in vain for: pigs to fly")]
fn a_limit_ends_the_wait_and_names_it() {
    wait_until(Duration::from_millis(20), "pigs to fly", || false);
}

#[test]
fn a_watchdog_acts_at_the_end_unless_called_off() {
    let dir = tempfile::tempdir().unwrap();
    let [called_off, acted] = ["called off", "acted"].map(|name| dir.path().join(name));
    drop(Watchdog::run(&["touch", called_off.to_str().unwrap()]).unwrap());
    Watchdog::run(&["touch", acted.to_str().unwrap()]).unwrap().act();
    assert!(acted.exists() && !called_off.exists());
}
