//! Where an event goes: its topic, or why there is none.

use std::collections::BTreeSet;

use super::Pipeline;
use crate::event::extract::Line;
use crate::event::route::Route;
use crate::model::block::{Block, lines};
use crate::model::types::{DeadLetterReason, TopicValues};
use crate::sink::{Accepts, Sink, Topic};

/// A time this much before our clock is an old one: that the topic refuses it is not for a clock that is wrong.
const OLD_MS: i64 = 3_600_000;

/// Where an event goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Destination {
    /// To a topic that is there.
    Topic(Route, Accepts),
    /// The sink does not know its topic yet.
    Unknown,
    /// To no topic; why.
    Nowhere(DeadLetterReason, String),
}

impl Pipeline {
    /// Where an event goes in whose topic fields are these values.
    pub(super) fn destination(&mut self, values: &TopicValues<'_>, sink: &impl Sink) -> Destination {
        let route = match self.router.route(values) {
            Ok(route) => route,
            Err(error) => return Destination::Nowhere(error.reason(), error.to_string()),
        };
        let name = self.router.name(route);
        match sink.topic(name) {
            Topic::Takes(accepts) => Destination::Topic(route, accepts),
            Topic::Unknown => Destination::Unknown,
            Topic::Refused(why) => {
                Destination::Nowhere(DeadLetterReason::RefusedByTopic, format!("topic {name}: {why}"))
            }
            Topic::Missing(why) => {
                let default = self.router.default_route();
                match default.map(|default| (default, sink.topic(self.router.name(default)))) {
                    Some((default, Topic::Takes(accepts))) => Destination::Topic(default, accepts),
                    Some((_, Topic::Unknown)) => Destination::Unknown,
                    _ => {
                        let detail = format!("there is no topic {name}: {why}");
                        Destination::Nowhere(DeadLetterReason::Unroutable, detail)
                    }
                }
            }
        }
    }

    /// Why the topic refuses this line of the batch, as far as that is known before it is sent.
    pub(super) fn refusal(
        &self,
        route: Route,
        accepts: Accepts,
        has_key: bool,
        timestamp_ms: i64,
    ) -> Option<String> {
        if accepts.needs_key && !has_key {
            let topic = self.router.name(route);
            return Some(format!("topic {topic} is compacted and takes no record without a key"));
        }
        let refused = self.refused.get(&self.line)?;
        let is_old = timestamp_ms < self.clock_ms - OLD_MS;
        (is_old || !refused.if_old).then(|| refused.detail.clone())
    }

    /// Adds the topics of a block's events that the sink does not know: all of those, and in the same form of the line, in
    /// front of which [`Pipeline::process`] stops.
    pub fn unknown_topics(&mut self, block: &Block, sink: &impl Sink, unknown: &mut BTreeSet<String>) {
        match block {
            Block::Lines(bytes) => lines(bytes).for_each(|line| self.unknown_topics_of(line, sink, unknown)),
            Block::Records(records) => {
                for record in records.iter() {
                    self.letter = record.letter.cloned();
                    self.unknown_topics_of(record.bytes, sink, unknown);
                }
            }
            Block::Oversize { .. } => {}
        }
    }

    fn unknown_topics_of(&mut self, line: &[u8], sink: &impl Sink, unknown: &mut BTreeSet<String>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let forms = self.forms(line, &mut scratch);
        if let Ok((Line::Event(record), _)) = self.extracted(forms)
            && !self.window.contains(record.id)
            && let Ok(route) = self.router.route(&record.topic_values)
        {
            let routes = [Some(route), self.router.default_route()];
            for name in routes.into_iter().flatten().map(|route| self.router.name(route)) {
                if sink.topic(name) == Topic::Unknown && !unknown.contains(name) {
                    unknown.insert(name.to_owned());
                }
            }
        }
        self.scratch = scratch;
    }
}
