//! When to say that a stream brings no positions: pure, the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// Lines in a row without an offset, or a time of such lines alone, after which it is said.
const MANY: u64 = 1_000;
const LONG: Duration = Duration::from_secs(60);

/// How long there have been none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unplaced {
    since: Option<Instant>,
    said_at: Option<Instant>,
}

impl Unplaced {
    /// Whether to say it now, after a commit with which the last `run` lines had no offset. Not more often than once in
    /// [`LONG`].
    pub(super) fn is_to_be_said(&mut self, run: u64, now: Instant) -> bool {
        if run == 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let lasts = run >= MANY || now.duration_since(since) >= LONG;
        let is_new = self.said_at.is_none_or(|at| now.duration_since(at) >= LONG);
        if lasts && is_new {
            self.said_at = Some(now);
        }
        lasts && is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_or_a_long_time_are_said_once_in_a_while() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut few = Unplaced::default();
        assert!(!few.is_to_be_said(1, at(0)) && !few.is_to_be_said(2, at(59)));
        assert!(few.is_to_be_said(3, at(60)), "a slow stream");
        assert!(!few.is_to_be_said(MANY, at(61)) && few.is_to_be_said(MANY, at(120)));
        let mut many = Unplaced::default();
        assert!(!many.is_to_be_said(MANY - 1, at(0)) && many.is_to_be_said(MANY, at(1)));
        let mut mended = Unplaced::default();
        assert!(!mended.is_to_be_said(5, at(0)) && !mended.is_to_be_said(0, at(59)));
        assert!(!mended.is_to_be_said(5, at(60)), "it begins anew");
    }
}
