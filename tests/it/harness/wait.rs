//! Waiting for a condition, with a limit. The only place in the tests where a thread pauses between two looks.
//!
//! Limits are there to end a test that hangs, so they are generous; a test never passes or fails by how long it took.
//! All of these block the thread: in an async test use `#[tokio::test(flavor = "multi_thread")]`.

use std::fmt::Display;
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// The limit for whatever takes seconds at most on an idle machine; CI machines are neither idle nor fast.
pub(crate) const GENEROUS: Duration = Duration::from_secs(60);

/// Between two looks. Short, since what is waited for mostly takes milliseconds.
const POLL: Duration = Duration::from_millis(10);

/// Calls `look` until it gives a value; none when `limit` has passed.
pub(crate) fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look() {
            return Some(value);
        }
        if start.elapsed() >= limit {
            return None;
        }
        thread::park_timeout(POLL);
    }
}

/// Calls `look` until it gives a value, and panics naming `what` when `limit` has passed.
#[track_caller]
pub(crate) fn wait_some<T>(limit: Duration, what: impl Display, look: impl FnMut() -> Option<T>) -> T {
    match poll(limit, look) {
        Some(value) => value,
        None => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// Waits until `condition` holds, and panics naming `what` when `limit` has passed.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: impl Display, mut condition: impl FnMut() -> bool) {
    wait_some(limit, what, || condition().then_some(()));
}
