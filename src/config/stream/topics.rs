//! Which topics a stream's events go to: the judgement of `topic`, `topics`, `default_topic` and `max_topics`.

use super::common::Common;
use crate::config::checks::{self, LONGEST_TOPIC, is_topic, range};
use crate::config::errors::{Errors, Path};
use crate::event::route::{self, MAX_TOPICS, Template};
use crate::model::topic::{collide, is_internal};
use crate::model::types::MAX_TOPIC_FIELDS;

/// More are not for one stream: a cluster that has so many partitions is slow to start.
const MOST_TOPICS: usize = 100_000;

/// What differs between the kinds of streams.
pub(super) struct Kind {
    /// A field that a template may name, to show.
    pub(super) example: &'static str,
    /// The field whose values `topics` is for; `None` for the first one of the template.
    pub(super) by: Option<&'static str>,
}

/// Judges the topics of a stream.
pub(super) fn validate(
    common: &Common,
    topic: &str,
    kind: &Kind,
    state: &[String],
    path: &Path,
    errors: &mut Errors,
) -> route::Config {
    let template = template(topic, kind, state, &path.key("topic"), errors);
    let idle = format!(
        "has no effect unless `topic` names a field in braces, such as \"events.{{{}}}\"",
        kind.example
    );
    for (value, topic) in &common.topics {
        checks::topic(topic, state, &path.key("topics").key(value), errors);
    }
    let has_values = kind.by.is_some() || !template.is_fixed();
    errors.add_if(!has_values && !common.topics.is_empty(), &path.key("topics"), &idle);
    if let Some(topic) = &common.default_topic {
        let path = path.key("default_topic");
        // Every event has a topic then, and the connector does not start without it.
        errors.add_if(template.is_fixed(), &path, &idle);
        checks::topic(topic, state, &path, errors);
    }
    if let Some(most) = common.max_topics {
        let path = path.key("max_topics");
        errors.add_if(template.is_fixed(), &path, &idle);
        range(most, MOST_TOPICS, &path, errors);
    }
    let by = kind.by.map(str::to_owned).or_else(|| template.fields().first().cloned());
    let config = route::Config {
        topic: template,
        topics: common.topics.clone(),
        by,
        default_topic: common.default_topic.clone(),
        max_topics: common.max_topics.unwrap_or(MAX_TOPICS),
        timestamp: common.timestamp.plain(),
        bounds: common.timestamp_bounds.plain(),
        reserved: state.to_vec(),
    };
    let fields = config.fields().len();
    let message = format!(
        "names too many fields: with that of `topics` they are {fields}, and a topic can be chosen by {MAX_TOPIC_FIELDS}"
    );
    errors.add_if(fields > MAX_TOPIC_FIELDS, &path.key("topic"), message);
    config
}

fn template(topic: &str, kind: &Kind, state: &[String], path: &Path, errors: &mut Errors) -> Template {
    let template = match Template::parse(topic) {
        Ok(template) => template,
        Err(error) => {
            errors.add(
                path,
                format!("{error}; a template is a topic name such as \"events.{{{}}}\"", kind.example),
            );
            return Template::fixed(topic);
        }
    };
    let message = format!(
        "expected a topic name, in which fields in braces, such as `{{{}}}`, stand for their values: 1 to {LONGEST_TOPIC} \
         letters, digits, `.`, `_` and `-`",
        kind.example
    );
    errors.add_if(!is_topic(&template.sample()), path, message);
    let message = "this topic holds the connector's state: choose another name";
    errors.add_if(state.iter().any(|state| collide(state, topic)), path, message);
    let message = "names that begin with `__` are Kafka's own: choose another name";
    errors.add_if(is_internal(topic), path, message);
    template
}
