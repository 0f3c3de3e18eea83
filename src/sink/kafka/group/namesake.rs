//! Whether another process has joined the group under this member's name.
//!
//! A member that is fenced cannot tell. Where a broker stood still for longer than a session, or the session expired while
//! shards let go, the group may take this member's own late requests for those of another process. What they left in the group
//! says nothing any more, so its session expires too. Another process goes on. A look may find
//! another member than the look before; that says nothing. Late requests may be answered between the two, and where the coordinator
//! has moved, the new one may know an earlier member.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::assignment::instance_id;
use super::{Member, sleep};
use crate::sink::SinkError;
use crate::sink::kafka::client::{Context, close_beside, explain};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Looks in a row that have to find none: a group whose coordinator moves looks like one without members for a moment.
const ABSENT: u32 = 3;

/// Limit of one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// So many sessions of a member show that it lives. One would do if brokers were on time when they are busy.
const LIVES: u32 = 2;

/// Where one member of the name follows another for so many sessions, somebody joins again and again.
const AT_MOST: u32 = 8;

/// What was seen of the members that have the name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Watched {
    /// Which one there was, and since when it was looked at.
    seen: Option<(String, Instant)>,
    /// When there was one for the first time.
    first: Option<Instant>,
    /// Looks in a row that found none.
    absent: u32,
}

/// What a look says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// No member has the name.
    Free,
    /// One has, which may be dead.
    Unknown,
    /// One has, which lives.
    Taken,
}

impl Watched {
    /// Judges what members of the name a look has found, `now`. Without a sign of life a member lasts for `session`.
    fn judge(&mut self, found: Option<&str>, now: Instant, session: Duration) -> Verdict {
        let Some(found) = found else {
            self.absent += 1;
            return if self.absent >= ABSENT { Verdict::Free } else { Verdict::Unknown };
        };
        self.absent = 0;
        let first = *self.first.get_or_insert(now);
        let since = match &self.seen {
            Some((seen, since)) if seen == found => *since,
            _ => {
                self.seen = Some((found.to_owned(), now));
                now
            }
        };
        let has_lasted = |since: Instant, sessions| now.duration_since(since) >= sessions * session;
        if has_lasted(since, LIVES) || has_lasted(first, AT_MOST) { Verdict::Taken } else { Verdict::Unknown }
    }
}

impl Member {
    /// Whether a process of the same name is in the group, and not what is left of this one. Takes two sessions, eight at most, while
    /// the group answers; while it does not it is asked again.
    pub(super) fn has_namesake(&self, stop: &CancellationToken) -> bool {
        let instance_id = &self.group.instance_id;
        warn!(instance_id, "the group has another member of this instance_id; finding out whether it lives");
        let (mut watched, mut client) = (Watched::default(), None);
        while !stop.is_cancelled() {
            match self.namesake(&mut client) {
                Ok(found) => {
                    match watched.judge(found.as_deref(), Instant::now(), self.group.session_timeout) {
                        Verdict::Free => {
                            info!(instance_id, "it was what this process had left behind; joining anew");
                            return false;
                        }
                        Verdict::Taken => return true,
                        Verdict::Unknown => {}
                    }
                }
                Err(failed) => {
                    watched = Watched::default();
                    warn!(reason = %failed, topic = self.topic, "cannot ask for the group's members; trying again");
                    self.seat.fails(failed.to_string());
                }
            }
            sleep(LOOK, stop);
        }
        false
    }

    /// The id of the member that has this one's name, if there is one.
    fn namesake(&self, client: &mut Option<BaseConsumer<Context>>) -> Result<Option<String>, SinkError> {
        let consumer = match client.take() {
            Some(consumer) => consumer,
            None => self.clients.consumer(true)?,
        };
        match consumer.client().fetch_group_list(Some(&self.topic), REQUEST_TIMEOUT) {
            Ok(list) => {
                *client = Some(consumer);
                let members = list.groups().iter().flat_map(|group| group.members());
                let mut ids = members.map(|member| member.id());
                Ok(ids.find(|id| instance_id(id) == Some(&self.group.instance_id)).map(str::to_owned))
            }
            Err(error) => {
                let reason = explain(&consumer, &error);
                close_beside(consumer);
                Err(SinkError::Unusable(format!(
                    "cannot ask for the members of group {}: {reason}",
                    self.topic
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_dead_after_its_session() {
        let (session, start) = (Duration::from_secs(6), Instant::now());
        let mut watched = Watched::default();
        assert_eq!(watched.judge(Some("a-1"), start, session), Verdict::Unknown);
        assert_eq!(watched.judge(Some("a-1"), start + session, session), Verdict::Unknown);
        let mut left = watched.clone();
        let gone: Vec<Verdict> = (0..3).map(|_| left.judge(None, start + session, session)).collect();
        assert_eq!(gone, [Verdict::Unknown, Verdict::Unknown, Verdict::Free]);
        assert_eq!(watched.judge(Some("a-1"), start + 2 * session, session), Verdict::Taken, "it lives");
        assert_eq!(
            Watched::default().judge(None, start, session),
            Verdict::Unknown,
            "the coordinator may move"
        );
    }

    #[test]
    fn another_member_of_the_name_is_watched_as_the_first_was() {
        let (session, start) = (Duration::from_secs(6), Instant::now());
        let mut watched = Watched::default();
        let mut judge = |found, sessions| watched.judge(found, start + session * sessions, session);
        assert_eq!(judge(Some("a-1"), 0), Verdict::Unknown);
        assert_eq!(
            judge(Some("a-2"), 1),
            Verdict::Unknown,
            "late requests of this process, or another coordinator"
        );
        assert_eq!(judge(Some("a-2"), 2), Verdict::Unknown);
        assert_eq!(judge(Some("a-2"), 3), Verdict::Taken, "it lives");
        let mut watched = Watched::default();
        let mut judge = |found, sessions| watched.judge(found, start + session * sessions, session);
        let restless: Vec<Verdict> =
            (0..=8).map(|turn| judge(Some(["a-1", "a-2"][turn as usize % 2]), turn)).collect();
        assert_eq!(restless.iter().position(|verdict| *verdict == Verdict::Taken), Some(8), "{restless:?}");
    }
}
