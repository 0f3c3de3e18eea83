//! The latest error of each class: written where it happens, read by the metrics and the status page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastError {
    /// One of a small, closed set.
    pub class: &'static str,
    /// What happened. Never holds a secret.
    pub reason: String,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// The latest error of each class. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastErrors(Arc<Mutex<BTreeMap<&'static str, LastError>>>);

impl LastErrors {
    /// It happened, at `at_ms`, milliseconds since the Unix epoch.
    pub fn note(&self, class: &'static str, reason: String, at_ms: i64) {
        self.lock().insert(class, LastError { class, reason, at_ms });
    }

    /// When each class was last seen, milliseconds since the Unix epoch.
    pub fn times(&self) -> Vec<(&'static str, i64)> {
        self.lock().values().map(|error| (error.class, error.at_ms)).collect()
    }

    /// The latest of all classes.
    pub fn latest(&self) -> Option<LastError> {
        self.lock().values().max_by_key(|error| error.at_ms).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, LastError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_latest_and_all_have_one() {
        let errors = LastErrors::default();
        assert_eq!((errors.latest(), errors.times()), (None, vec![]));
        errors.note("network", "reset".into(), 1_000);
        errors.note("unauthorized", "401".into(), 3_000);
        errors.note("network", "refused".into(), 2_000);
        assert_eq!(errors.times(), [("network", 2_000), ("unauthorized", 3_000)]);
        assert_eq!(errors.latest().map(|error| error.reason), Some("401".into()));
    }
}
