//! What happens after a failure: a pure decision, the time and the random number are passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::protocol::OnExpired;
use crate::source::backoff::Backoff;
use crate::source::endings::{LASTING_PAGE, Streak, heed};
use crate::source::failure::{Class, Failure, Pace};

/// Refusals of a position after which a person is asked, and before which it is not given up. One 400 may be a fault of the
/// moment, and beginning anew at the oldest event is costly.
const POSITION_REJECTIONS: u32 = 3;

/// How long the service itself must have refused a position, and nothing else have come, until the position counts as
/// expired however young it is: the service also drops what exceeds 100 GB.
const LASTING_REFUSAL: Duration = Duration::from_secs(10 * 60);

/// What becomes of a position that is refused again and again and kept, and what to do: by what the refusals are.
const BY_SERVICE: &str = "it is given up, as on_expired_position says, once the service itself has refused it for 10 minutes on end";
const BY_ANOTHER: &str =
    "it is kept, since this is not how the service answers: is a proxy in between? check url";
const NEVER: &str = "on_expired_position = \"stop\" keeps it: set that to \"earliest\" or \"latest\", or begin the stream anew with \
                     `tributary run --start-anew STREAM=WORD`";

/// What is remembered between attempts.
#[derive(Debug)]
pub(crate) struct Retry {
    backoff: Backoff,
    on_expired: OnExpired,
    streak: Streak,
    /// Refusals of the position since data came.
    rejections: u32,
    /// Those of the service itself, without another failure in between: the first one's time, and how many.
    own_refusals: Option<(Instant, u32)>,
    /// How long the service keeps events.
    retention: Duration,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// Wait so long.
    pub pause: Duration,
    /// Give the position up and begin as [`OnExpired`] says.
    pub abandon_position: bool,
    /// A person has to act before this can end.
    pub needs_operator: bool,
    /// What follows and what to do, where the failure itself does not tell.
    pub advice: Option<&'static str>,
}

impl Retry {
    /// No failures so far.
    pub(crate) fn new(backoff: Backoff, on_expired: OnExpired, retention: Duration) -> Self {
        Self { backoff, on_expired, streak: Streak::default(), rejections: 0, own_refusals: None, retention }
    }

    /// Whether nothing has failed since data came.
    pub(crate) fn is_fresh(&self) -> bool {
        self.streak.is_over() && self.rejections == 0
    }

    /// Data was received: the next failure is the first again.
    pub(crate) fn received_data(&mut self) {
        self.streak.end();
        self.acquit_position();
    }

    /// What was refused was not the position.
    pub(crate) fn acquit_position(&mut self) {
        (self.rejections, self.own_refusals) = (0, None);
    }

    /// Decides what follows `failure` at `now`, if the position is of this `age`; `random` is uniform in 0..1.
    pub(crate) fn plan(
        &mut self,
        failure: &Failure,
        age: Option<Duration>,
        now: Instant,
        random: f64,
    ) -> Plan {
        let failures = self.streak.count(failure.class);
        let refused = failure.class == Class::PositionRejected;
        self.rejections += u32::from(refused);
        self.own_refusals = (refused && failure.by_service).then(|| match self.own_refusals {
            Some((since, count)) => (since, count + 1),
            None => (now, 1),
        });
        let lasting = refused && self.rejections >= POSITION_REJECTIONS;
        let is_old = age.is_some_and(|age| age >= self.retention);
        let is_refused_for_long = self.own_refusals.is_some_and(|(since, count)| {
            count >= POSITION_REJECTIONS && now.duration_since(since) >= LASTING_REFUSAL
        });
        let expired = lasting && (is_old || is_refused_for_long);
        let stuck = expired && self.on_expired == OnExpired::Stop;
        let is_stuck = lasting && (stuck || !expired);
        let page = failure.class == Class::BadBody && failures >= LASTING_PAGE;
        let pause = match failure.class.pace() {
            // A secret may have been rotated a moment ago: one quick try with what the file holds now.
            Pace::Permanent if failure.class == Class::Unauthorized && failures == 1 => {
                self.backoff.pause(1, random)
            }
            Pace::Permanent => self.backoff.max.mul_f64(1.0 + random),
            _ if stuck => self.backoff.max.mul_f64(1.0 + random),
            Pace::Slow => Backoff { max: self.backoff.max * 2, ..self.backoff }.pause(failures, random),
            Pace::Quick => self.backoff.pause(failures, random),
        };
        Plan {
            pause: heed(pause, failure),
            abandon_position: expired && !stuck,
            needs_operator: is_stuck || page || failure.class.needs_operator(),
            advice: is_stuck.then_some(match self.on_expired {
                OnExpired::Stop => NEVER,
                _ if failure.by_service => BY_SERVICE,
                _ => BY_ANOTHER,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::retry_after::MAX_RETRY_AFTER;

    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn retry(on_expired: OnExpired) -> Retry {
        Retry::new(Backoff { min: Duration::from_secs(1), max: Duration::from_secs(30) }, on_expired, WEEK)
    }

    /// What follows a failure if nothing is known of a position.
    fn after(retry: &mut Retry, failure: &Failure, random: f64) -> Plan {
        retry.plan(failure, None, Instant::now(), random)
    }

    fn pauses(class: Class, count: usize) -> Vec<u64> {
        let mut retry = retry(OnExpired::Earliest);
        (0..count)
            .map(|_| after(&mut retry, &Failure::new(class, ""), 0.9999).pause.as_secs_f64().round() as u64)
            .collect()
    }

    #[test]
    fn each_class_has_its_pace() {
        assert_eq!(pauses(Class::ServerError, 7), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses(Class::TooManyConnections, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(Class::Rejected, 2), [60, 60]);
        assert_eq!(pauses(Class::Unauthorized, 3), [1, 60, 60], "once with a fresh secret, then slowly");
    }

    #[test]
    fn data_resets_a_connect_does_not() {
        let mut retry = retry(OnExpired::Earliest);
        let ended = Failure::new(Class::Ended, "");
        for _ in 0..5 {
            after(&mut retry, &ended, 0.5);
        }
        assert!(!retry.is_fresh());
        assert_eq!(after(&mut retry, &ended, 0.5).pause, Duration::from_secs(15));
        retry.received_data();
        assert!(retry.is_fresh());
        assert_eq!(after(&mut retry, &ended, 0.5).pause, Duration::from_millis(500));
    }

    fn refusal(by_service: bool) -> Failure {
        Failure { by_service, ..Failure::new(Class::PositionRejected, "") }
    }

    #[test]
    fn an_old_position_is_given_up_after_several_rejections_only() {
        let mut earliest = retry(OnExpired::Earliest);
        let plans = |retry: &mut Retry, count| -> Vec<_> {
            (0..count).map(|_| retry.plan(&refusal(false), Some(WEEK), Instant::now(), 0.5)).collect()
        };
        let given_up: Vec<_> = plans(&mut earliest, 3).iter().map(|plan| plan.abandon_position).collect();
        assert_eq!(given_up, [false, false, true]);
        let mut stop = retry(OnExpired::Stop);
        let asked = plans(&mut stop, 4);
        assert!(asked.iter().all(|plan| !plan.abandon_position));
        assert_eq!(
            asked.iter().map(|plan| plan.needs_operator).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        let slowly = stop.plan(&refusal(false), Some(WEEK), Instant::now(), 0.0);
        assert!(slowly.pause >= Duration::from_secs(30), "slowly from then on");
    }

    #[test]
    fn a_position_that_cannot_be_old_is_not_given_up_for_what_a_proxy_says() {
        for age in [Some(Duration::ZERO), Some(WEEK - Duration::from_secs(1)), None] {
            let (mut retry, start) = (retry(OnExpired::Earliest), Instant::now());
            let plans: Vec<_> = (0..1_000u64)
                .map(|minutes| {
                    retry.plan(&refusal(false), age, start + Duration::from_secs(60 * minutes), 0.5)
                })
                .collect();
            assert!(plans.iter().all(|plan| !plan.abandon_position));
            assert!(plans[2..].iter().all(|plan| plan.needs_operator), "a person has to look at it");
            assert!(plans[10].pause <= Duration::from_secs(30), "it may end at any time");
        }
    }

    #[test]
    fn a_young_position_is_given_up_when_the_service_itself_refuses_it_for_long() {
        let (mut retry, start) = (retry(OnExpired::Earliest), Instant::now());
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let mut plan = |failure: &Failure, minutes| {
            retry.plan(failure, Some(Duration::ZERO), at(minutes), 0.5).abandon_position
        };
        assert!(!plan(&refusal(true), 0) && !plan(&refusal(true), 20), "two are few, however long ago");
        assert!(!plan(&refusal(false), 21), "a proxy breaks the run");
        assert!(
            !plan(&refusal(true), 22) && !plan(&Failure::new(Class::ServerError, ""), 23),
            "and so does a failure"
        );
        assert!(!plan(&refusal(true), 24) && !plan(&refusal(true), 25) && !plan(&refusal(true), 33));
        assert!(plan(&refusal(true), 34), "ten minutes of nothing else");
        let (mut retry, start) = (self::retry(OnExpired::Stop), Instant::now());
        for minutes in 0..30u64 {
            let plan = retry.plan(&refusal(true), None, start + Duration::from_secs(60 * minutes), 0.5);
            assert!(!plan.abandon_position && plan.needs_operator == (minutes >= 2));
        }
    }

    #[test]
    fn what_follows_and_what_to_do_is_said() {
        assert_eq!(LASTING_REFUSAL.as_secs() / 60, 10);
        let mention = |on_expired, by_service, age| {
            let mut retry = retry(on_expired);
            let said: Vec<_> =
                (0..3).map(|_| retry.plan(&refusal(by_service), age, Instant::now(), 0.5).advice).collect();
            assert_eq!(said[..2], [None, None], "one may be a fault of the moment");
            said[2].unwrap_or_default()
        };
        assert!(mention(OnExpired::Earliest, true, None).contains("given up"));
        assert!(mention(OnExpired::Latest, true, None).contains("for 10 minutes"));
        assert!(mention(OnExpired::Latest, false, None).contains("a proxy in between? check url"));
        for (by_service, age) in [(true, None), (false, None), (true, Some(WEEK))] {
            let stop = mention(OnExpired::Stop, by_service, age);
            assert!(
                stop.contains("\"earliest\" or \"latest\"") && stop.contains("--start-anew STREAM"),
                "{stop}"
            );
        }
        assert_eq!(mention(OnExpired::Earliest, true, Some(WEEK)), "", "it is given up");
    }

    #[test]
    fn pages_that_go_on_are_for_a_person() {
        let mut retry = retry(OnExpired::Earliest);
        let page = Failure::new(Class::BadBody, "");
        let asked: Vec<_> = (0..6).map(|_| after(&mut retry, &page, 0.9999)).collect();
        let needed: Vec<_> = asked.iter().map(|plan| plan.needs_operator).collect();
        assert_eq!(needed, [false, false, false, false, true, true]);
        assert!(asked[5].pause <= Duration::from_secs(30), "tried as before: it may end at any time");
    }

    #[test]
    fn the_servers_wish_is_kept_within_reason() {
        let mut retry = retry(OnExpired::Earliest);
        let wish = |seconds| Failure {
            retry_after: Some(Duration::from_secs(seconds)),
            ..Failure::new(Class::RateLimited, "")
        };
        assert_eq!(after(&mut retry, &wish(7), 0.0).pause, Duration::from_secs(7));
        assert_eq!(after(&mut retry, &wish(1 << 40), 0.0).pause, MAX_RETRY_AFTER);
    }
}
