//! Checks that kinds share: where a stream comes from and the topics it goes to.

use std::time::Duration;

use url::{Host, Url};

use super::{LARGEST_MESSAGE, LONGEST_TOPIC, at_least_one, is_name_char, positive, size};
use crate::config::errors::{Errors, Path};
use crate::config::raw::headers::Headers;
use crate::config::units::{Size, Span};
use crate::event::extract::{self, Extractor, MAX_FIELDS};
use crate::event::route::{Template, collide, is_internal};
use crate::model::types::SourceId;
use crate::sink::kafka::config::{EventHeaders, TopicSpec};
use crate::web::is_loopback;

/// What a topic may be besides a fixed name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Names {
    /// Nothing.
    Fixed,
    /// A template with `{type}`.
    OfType,
    /// A template with a field's path in braces.
    OfField,
}

/// Whether this is a legal topic name.
pub(super) fn is_topic(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_TOPIC
        && name.chars().all(is_name_char)
        && name != "."
        && name != ".."
}

/// Checks a topic's name or template. State topics are refused.
pub(super) fn topic(name: &str, names: Names, state: &[String], path: &Path, errors: &mut Errors) {
    let template = Template::parse(name).filter(|template| match names {
        Names::Fixed => false,
        Names::OfType => template.field == "type",
        Names::OfField => true,
    });
    // What the placeholder becomes is not known; any value is at least one letter.
    let filled = template.map(|template| format!("{}T{}", template.before, template.after));
    let wish = match names {
        Names::Fixed => "a topic name",
        Names::OfType => "a topic name, in which `{type}` stands for the event type",
        Names::OfField => {
            "a topic name, in which one field in braces, such as `{reportSuite}`, stands for its value"
        }
    };
    let message = format!("expected {wish}: 1 to {LONGEST_TOPIC} letters, digits, `.`, `_` and `-`");
    errors.add_if(!is_topic(filled.as_deref().unwrap_or(name)), path, message);
    if let Some(template) = template {
        let message = "expected member names with dots between them in the braces";
        errors.add_if(!is_field(template.field) || template.field.contains('{'), path, message);
    }
    let message = "this topic holds the connector's state: choose another name";
    errors.add_if(state.iter().any(|state| collide(state, name)), path, message);
    let message = "names that begin with `__` are Kafka's own: choose another name";
    errors.add_if(is_internal(name), path, message);
}

/// Whether this is a field's path: member names with dots between them.
fn is_field(path: &str) -> bool {
    !path.split('.').any(str::is_empty)
}

/// Checks paths of fields.
pub(super) fn fields(fields: &[String], example: &str, path: &Path, errors: &mut Errors) {
    for (n, field) in fields.iter().enumerate() {
        let message = format!("expected member names with dots between them, such as {example:?}");
        errors.add_if(!is_field(field), &path.index(n), message);
    }
}

/// Checks that the extractor takes so many fields. `key` is where the list stands that is long if it does not.
pub(super) fn number_of_fields(config: &extract::Config, key: &Path, errors: &mut Errors) {
    match Extractor::new(config) {
        Err(extract::ConfigError::TooManyFields(number)) => {
            let message = format!(
                "too long: with those that the connector needs it makes {number} different fields, and at most {MAX_FIELDS} can be taken"
            );
            errors.add(key, message);
        }
        // What is wrong with a path was said where it stands.
        Err(extract::ConfigError::EmptyPart(_)) | Ok(_) => {}
    }
}

/// Checks how topics are created.
pub(super) fn topic_spec(
    partitions: Option<i32>,
    replication_factor: Option<i32>,
    retention: Option<Span>,
    path: &Path,
    errors: &mut Errors,
) -> TopicSpec {
    at_least_one(partitions, &path.key("partitions"), errors);
    at_least_one(replication_factor, &path.key("replication_factor"), errors);
    if let Some(retention) = retention {
        let too_short = retention.0 < Duration::from_millis(1);
        errors.add_if(too_short, &path.key("retention"), "must be 1ms or longer");
    }
    TopicSpec {
        partitions,
        replication_factor,
        retention: retention.map(|span| span.0),
        ..TopicSpec::default()
    }
}

/// The sink's word for the headers of events.
pub(super) fn headers(headers: &Headers) -> EventHeaders {
    match headers {
        Headers::None => EventHeaders::None,
        Headers::Cloudevents => EventHeaders::CloudEvents,
    }
}

/// Checks the limits of a connection.
pub(super) fn limits(silence: Span, connect_timeout: Span, max_line: Size, path: &Path, errors: &mut Errors) {
    positive(silence, &path.key("silence"), errors);
    positive(connect_timeout, &path.key("connect_timeout"), errors);
    size(max_line, LARGEST_MESSAGE, &path.key("max_line"), errors);
}

/// Parses an address that a credential is sent to. No message repeats it: it may hold a password.
pub(super) fn url(text: &str, allow_plain_http: bool, path: &Path, errors: &mut Errors) -> Option<Url> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            errors.add(path, format!("expected an address such as \"https://host/path\": {error}"));
            return None;
        }
    };
    let Some(host) = url.host() else {
        errors.add(path, "expected an address with a host, such as \"https://host/path\"");
        return None;
    };
    let credential = !url.username().is_empty() || url.password().is_some();
    errors.add_if(credential, path, "a credential does not belong into the address: use `auth`");
    match url.scheme() {
        "https" => {}
        "http" => {
            let message = "plain http would show the credential to everyone on the way: use https, or set allow_plain_http = true";
            errors.add_if(!allow_plain_http && !is_loopback(&host), path, message);
        }
        _ => errors.add(path, "expected an address that begins with https://"),
    }
    Some(url)
}

/// Checks hosts that may get a credential.
pub(super) fn hosts(hosts: &[String], path: &Path, errors: &mut Errors) {
    for (n, host) in hosts.iter().enumerate() {
        let wrong = Host::parse(host).is_err() || host.starts_with('.') || host.contains('*');
        let message = "expected a host name without scheme, port or `*`: whatever is below it counts too";
        errors.add_if(wrong, &path.index(n), message);
    }
}

/// What the positions of a stream belong to: the kind of the service, the name of the source there, and the host.
pub(super) fn source_id(kind: &str, name: &str, url: &Url) -> SourceId {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    SourceId { kind: kind.to_owned(), name: name.to_owned(), host }
}
