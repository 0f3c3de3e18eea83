//! How this process stands in the group, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sink::kafka::reach::Trouble;

/// What is known of the membership. Clones share it.
#[derive(Clone, Debug)]
pub struct Seat {
    instance_id: Arc<str>,
    sitting: Arc<Mutex<Sitting>>,
}

/// What is known of a membership at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sitting {
    /// Whether the group has told this member which partitions it has, be it none.
    pub joined: bool,
    /// Whether it ever did.
    pub was_joined: bool,
    /// What is wrong, if anything is.
    pub trouble: Option<Trouble>,
    /// Whether it stays outside, since there is no shard that it could run.
    pub idle: bool,
    /// Partitions that it was given and whose shards its configuration does not have: they stand still.
    pub unknown: Vec<i32>,
}

impl Seat {
    /// Of the member with this name, which has not joined yet.
    pub fn new(instance_id: &str) -> Self {
        Self { instance_id: instance_id.into(), sitting: Arc::default() }
    }

    /// The member's name.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// What is known now.
    pub fn get(&self) -> Sitting {
        self.lock().clone()
    }

    pub(crate) fn joins(&self) {
        let mut sitting = self.lock();
        (sitting.joined, sitting.was_joined, sitting.trouble) = (true, true, None);
    }

    pub(crate) fn loses(&self, reason: impl Into<String>) {
        let mut sitting = self.lock();
        // It dates from now, whatever was wrong before.
        let trouble = if sitting.joined { None } else { sitting.trouble.take() };
        (sitting.joined, sitting.trouble) = (false, trouble);
        Trouble::note(&mut sitting.trouble, reason);
    }

    /// Whether there is no shard that it could run, so that it is to stay outside.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.lock().idle = idle;
    }

    /// Partitions that it has and that stand still.
    pub(crate) fn set_unknown(&self, unknown: Vec<i32>) {
        self.lock().unknown = unknown;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lock().idle
    }

    /// It is outside because it wants to be.
    pub(super) fn rests(&self) {
        let mut sitting = self.lock();
        (sitting.joined, sitting.was_joined, sitting.trouble) = (false, true, None);
    }

    /// What fails while it is a member passes, or costs it its seat.
    pub(super) fn fails(&self, reason: impl Into<String>) {
        let mut sitting = self.lock();
        if !sitting.joined {
            Trouble::note(&mut sitting.trouble, reason);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sitting> {
        self.sitting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
