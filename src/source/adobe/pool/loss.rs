//! How something may be lost with the end of a connection: pure decisions.

use std::time::Duration;

use crate::source::failure::{Class, Failure};
use crate::source::queue::Loss;

/// When a connection is closed, it is over once no event arrived for so long and no line is torn: what was on its way
/// has come, even if a packet was lost twice (TCP sends it again after 0.2 s, then after 0.4 s) or the service paused.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// Limit for that, and for a connect that is under way.
pub(super) const CLOSING_LIMIT: Duration = Duration::from_secs(3);

/// How long a round that closes waits for the answer to a request, and whether something may be lost without one. The making
/// of its connection began `asked_for` ago and takes `connect_timeout` at most. A service may answer only with its first event:
/// one that has had the request for long and says nothing is quiet.
pub(super) fn answer_limit(asked_for: Duration, connect_timeout: Duration) -> (Duration, bool) {
    if asked_for >= connect_timeout + CLOSING_LIMIT { (QUIET, false) } else { (CLOSING_LIMIT, true) }
}

/// Whether something may be lost with a connect that failed: the service may have begun to send. One that was given up since
/// nothing came is that of a quiet stream, most likely.
pub(super) fn unopened(failure: &Failure) -> Option<Loss> {
    match failure.class {
        Class::Silence => Some(Loss::Silence),
        _ if failure.untaken => Some(Loss::BrokeOff),
        _ => failure.unanswered.then_some(Loss::Unanswered),
    }
}

/// Whether something may be lost with an end of this class. `has_rest` tells whether a line was torn.
pub(super) fn loss(class: Class, has_rest: bool, compressed: bool) -> Option<Loss> {
    match class {
        Class::Ended => has_rest.then_some(Loss::BrokeOff),
        Class::Silence => Some(if has_rest { Loss::BrokeOff } else { Loss::Silence }),
        Class::Unauthorized => None,
        // The service compresses every stream. So a compressed body may have been one, although it does not look so.
        Class::BadBody => compressed.then_some(Loss::BrokeOff),
        _ => Some(Loss::BrokeOff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_tells_how_something_may_be_lost() {
        assert_eq!(loss(Class::Ended, false, true), None);
        assert_eq!(loss(Class::Ended, true, true), Some(Loss::BrokeOff), "a torn line");
        assert_eq!(loss(Class::Silence, false, true), Some(Loss::Silence));
        assert_eq!(loss(Class::Silence, true, true), Some(Loss::BrokeOff));
        assert_eq!(loss(Class::Network, false, true), Some(Loss::BrokeOff));
        assert_eq!(loss(Class::BadBody, true, false), None, "a page");
        assert_eq!(loss(Class::BadBody, false, true), Some(Loss::BrokeOff));
        assert_eq!(loss(Class::Unauthorized, true, true), None);
    }

    #[test]
    fn a_connect_that_fails_tells_it_too() {
        let failure = |class, unanswered| Failure { unanswered, ..Failure::new(class, "") };
        assert_eq!(unopened(&failure(Class::Silence, false)), Some(Loss::Silence));
        assert_eq!(unopened(&failure(Class::Network, true)), Some(Loss::Unanswered));
        assert_eq!(unopened(&failure(Class::Network, false)), None, "no connection");
        assert_eq!(unopened(&failure(Class::ServerError, false)), None, "a refusal");
        let untaken = Failure { untaken: true, ..failure(Class::BadBody, false) };
        assert_eq!(unopened(&untaken), Some(Loss::BrokeOff), "a stream in a coding that nobody asked for");
    }

    #[test]
    fn an_answer_that_was_long_in_coming_is_a_quiet_stream() {
        let connect_timeout = Duration::from_secs(10);
        assert_eq!(answer_limit(Duration::ZERO, connect_timeout), (CLOSING_LIMIT, true));
        assert_eq!(
            answer_limit(connect_timeout, connect_timeout),
            (CLOSING_LIMIT, true),
            "it left a moment ago"
        );
        assert_eq!(answer_limit(connect_timeout + CLOSING_LIMIT, connect_timeout), (QUIET, false));
    }
}
