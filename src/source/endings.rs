//! What the end of a connection or of an attempt means, whatever the service: how many there were in a row, whether the
//! service is away, how long to wait at least, and what the log says.

use std::time::Duration;

use tracing::{error, info, warn};

use super::failure::{Class, Failure};
use crate::model::errors::chain;
use crate::model::types::ShardId;
use crate::web::retry_after::MAX_RETRY_AFTER;

/// Responses in a row that were no stream, after which a person is asked.
pub(crate) const LASTING_PAGE: u32 = 5;

/// Failures of one class in a row. Each class has its own count, so that one 503 after many 402s is retried soon.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    class: Option<Class>,
    length: u32,
}

impl Streak {
    /// Counts a failure; gives how many of its class there were in a row, this one included.
    pub(crate) fn count(&mut self, class: Class) -> u32 {
        self.length = if self.class == Some(class) { self.length.saturating_add(1) } else { 1 };
        self.class = Some(class);
        self.length
    }

    /// Whether nothing has failed since data came.
    pub(crate) fn is_over(&self) -> bool {
        self.class.is_none()
    }

    /// Data was received: the next failure is the first again. A connect alone does not count, since a server
    /// that accepts and closes would be hammered.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}

/// A pause, or the server's wish if that is longer, within reason.
pub(crate) fn heed(pause: Duration, failure: &Failure) -> Duration {
    failure.retry_after.map_or(pause, |wish| pause.max(wish.min(MAX_RETRY_AFTER)))
}

/// Whether a connection was open for so long that the service must be well, even if it brought no events: a stream
/// may be quiet. `longest` is our longest pause between attempts. A page that loads slowly shows nothing.
pub(crate) fn was_open_for_long(ended_by: Class, open_for: Duration, longest: Duration) -> bool {
    ended_by != Class::BadBody && open_for >= longest
}

/// Whether the service counts as away after this. The end of a stream that `was_open` is routine: a service that is away shows
/// at the next attempt (a quiet service may answer it only with its next event). A page was never the stream.
pub(crate) fn is_away(ended_by: Class, was_open: bool) -> bool {
    !was_open || ended_by == Class::BadBody
}

/// Says in the log why a connection is not open and when the next attempt follows. `connection` is its number within the
/// shard.
pub(crate) fn report(
    shard: &ShardId,
    connection: u32,
    failure: &Failure,
    pause: Duration,
    needs_operator: bool,
) {
    let (stream, shard) = (&*shard.stream, shard.to_string());
    let (class, reason, retry_in_ms) = (failure.class.name(), chain(failure), pause.as_millis() as u64);
    if needs_operator && failure.class == Class::PositionRejected {
        // Some of these end by themselves; the reason says what follows.
        error!(
            stream,
            shard, connection, class, reason, retry_in_ms, "the position is refused again and again"
        );
    } else if needs_operator {
        error!(stream, shard, connection, class, reason, retry_in_ms, "cannot connect until this is mended");
    } else if failure.class == Class::Ended {
        info!(stream, shard, connection, class, reason, retry_in_ms, "disconnected");
    } else {
        warn!(stream, shard, connection, class, reason, retry_in_ms, "disconnected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_stays_open_is_no_quiet_stream() {
        let long = Duration::from_secs(30);
        assert!(was_open_for_long(Class::Ended, long, long) && was_open_for_long(Class::Silence, long, long));
        assert!(!was_open_for_long(Class::Ended, long - Duration::from_millis(1), long));
        assert!(!was_open_for_long(Class::BadBody, long * 2, long));
    }

    #[test]
    fn the_end_of_a_stream_is_no_outage() {
        assert!(
            !is_away(Class::Ended, true)
                && !is_away(Class::Network, true)
                && !is_away(Class::Unauthorized, true)
        );
        assert!(is_away(Class::Ended, false), "the service closes what it opens");
        assert!(is_away(Class::ServerError, false) && is_away(Class::BadBody, true));
    }
}
