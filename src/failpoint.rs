//! Faults on demand, for tests: absent from release builds (feature `failpoints`, which only `cargo test` sets).
//!
//! `TRIBUTARY_FAILPOINTS="before_commit=3:pause;mid_batch=1:abort"` makes the third pass of `before_commit` wait to be
//! killed and the first of `mid_batch` abort; `delay` waits two seconds, for something to be done to Kafka meanwhile; `hold` waits
//! for the file that `TRIBUTARY_FAILPOINT_GO` names; `stall` lets a short transaction time out; `panic` is a defect.
//! Every fault that hits says so in the log, so that a test can assert it.
//!
//! `TRIBUTARY_FAILPOINT_BROKEN="dedupe,journal"` breaks rules for the whole life of the process, so that tests can show that they
//! would notice. Each rule says so in the log when it is broken for the first time:
//!
//! | rule | what is wrong |
//! |---|---|
//! | `fence` | each opening has a transactional id of its own, so nobody is fenced |
//! | `claim` | an opening writes no claim |
//! | `owner` | whoever was fenced does not look whether another opening has written |
//! | `dedupe` | every event counts as new |
//! | `journal` | ids are not written |
//! | `read_back` | the latest records of ids are not read back |
//! | `checkpoint_order` | the checkpoint counts before the transaction of its records |
//! | `one_transaction` | ids and checkpoint have a transaction of their own, behind that of the events |

/// What a failpoint does to its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(feature = "failpoints"), expect(dead_code, reason = "only tests arm failpoints"))]
pub(crate) enum Action {
    /// As if Kafka had asked for an abort.
    Abort,
    /// As if the outcome had become unknown.
    Error,
}

/// Passes the failpoint `name`.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn pass(_name: &str) -> Option<Action> {
    None
}

/// Whether this rule is broken on purpose.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn is_broken(_rule: &str) -> bool {
    false
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::{is_broken, pass};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    use super::Action;

    /// The variable that arms failpoints.
    const VARIABLE: &str = "TRIBUTARY_FAILPOINTS";

    /// Names the file that ends `hold`.
    const GO: &str = "TRIBUTARY_FAILPOINT_GO";

    /// Between looks for it.
    const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

    /// Enough to stop a broker, also on a busy machine.
    const DELAY: std::time::Duration = std::time::Duration::from_secs(2);

    /// Longer than the shortest transaction timeout and the broker's look for what has timed out.
    const STALL: std::time::Duration = std::time::Duration::from_secs(6);

    /// The variable that names the rules that are broken.
    const BROKEN: &str = "TRIBUTARY_FAILPOINT_BROKEN";

    struct Armed {
        passes_left: u64,
        action: String,
    }

    static ARMED: LazyLock<Mutex<HashMap<String, Armed>>> =
        LazyLock::new(|| Mutex::new(parse(&std::env::var(VARIABLE).unwrap_or_default())));

    /// The rules that are broken, with whether it was said.
    static BROKEN_RULES: LazyLock<Vec<(String, AtomicBool)>> = LazyLock::new(|| {
        let rules = std::env::var(BROKEN).unwrap_or_default();
        let names = rules.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| (name.to_owned(), AtomicBool::new(false))).collect()
    });

    /// Whether this rule is broken on purpose.
    pub(crate) fn is_broken(rule: &str) -> bool {
        let Some((_, is_said)) = BROKEN_RULES.iter().find(|(name, _)| name == rule) else { return false };
        if !is_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(rule, "a rule is broken on purpose");
        }
        true
    }

    fn parse(text: &str) -> HashMap<String, Armed> {
        let entry = |entry: &str| {
            let (name, rest) = entry.trim().split_once('=')?;
            let (passes, action) = rest.split_once(':')?;
            Some((name.to_owned(), Armed { passes_left: passes.parse().ok()?, action: action.to_owned() }))
        };
        text.split(';').filter_map(entry).collect()
    }

    /// Passes the failpoint `name`.
    #[expect(clippy::panic, reason = "a test asks for it by name")]
    pub(crate) fn pass(name: &str) -> Option<Action> {
        let action = {
            let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
            let point = armed.get_mut(name)?;
            point.passes_left = point.passes_left.saturating_sub(1);
            if point.passes_left > 0 {
                return None;
            }
            armed.remove(name)?.action
        };
        tracing::warn!(failpoint = name, action, "failpoint hit");
        match action.as_str() {
            "abort" => Some(Action::Abort),
            "error" => Some(Action::Error),
            "stall" => {
                std::thread::sleep(STALL);
                None
            }
            "hold" => {
                let go = std::env::var_os(GO).map(std::path::PathBuf::from).unwrap_or_default();
                while !go.exists() {
                    std::thread::sleep(LOOK);
                }
                None
            }
            "panic" => panic!("failpoint {name}"),
            "delay" => {
                std::thread::sleep(DELAY);
                None
            }
            // Waits to be killed from outside: the thread never goes on.
            _ => loop {
                std::thread::park();
            },
        }
    }
}
