//! The keys that streams of all kinds have, and their judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::headers::Headers;
use super::key::Key;
use super::redact::{self, Form, Redact};
use super::rules::Entry;
use super::timestamp::{Bounds, Timestamp};
use crate::config::checks::{self, LARGEST_MESSAGE, at_least_one, bytes, positive, size};
use crate::config::errors::{Errors, Path};
use crate::config::units::{Size, Span};
use crate::event::{extract, route};
use crate::model::types::SourceId;
use crate::plan;
use crate::sink::kafka::config::TopicSpec;
use crate::sink::kafka::intake::Intake;
use crate::source::http::auth::Credential;
use crate::source::http::connect::Endpoint;
use crate::source::{self, Service};
use crate::web::client;
use crate::webhook::Access;

/// A thousand years: milliseconds of it are far from what a broker's number holds.
pub(super) const LONGEST_RETENTION: Duration = Duration::from_secs(365_000 * 86_400);

/// The keys of every stream. Unknown ones are refused with those of the kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct Common {
    /// Unique among the streams; part of the transactional id, so a renamed stream starts anew, and it holds no `.`.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub(in crate::config) name: Option<String>,
    /// The address. Airship: by default North America's; Europe is `https://connect.asnapieu.com/api/events/`. Adobe: the one that
    /// its customer care handed out.
    pub(in crate::config) url: Option<String>,
    /// Topics of their own, by event type in upper case (Airship) or by the value of the template's first field (Adobe).
    pub(in crate::config) topics: BTreeMap<String, String>,
    /// Where an event goes that lacks what the template of `topic` names, or whose topic is missing and may not be made; without
    /// it such an event is a dead letter. Without a template it has no effect, and is refused.
    pub(in crate::config) default_topic: Option<String>,
    /// How many topics each shard may make of the template between two starts; default: 1000. An event whose topic would be one more is a
    /// dead letter.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) max_topics: Option<usize>,
    /// Takes only events that one of these takes. A plain string is an event type in upper case (Airship), or `bot` or `excluded` (Adobe). An
    /// entry with a field has no `name` here.
    pub(in crate::config) only: Vec<Entry>,
    /// Leaves out events that one of these takes, counted by its name. A plain string is an event type in upper case (Airship), `bot`: hits whose
    /// `bot` is `<Bot>`, or `excluded`: hits whose `exclude.value` is `yes` (Adobe). An entry with a field needs a `name` that no other has.
    pub(in crate::config) drop: Vec<Entry>,
    /// Which time becomes the Kafka timestamp. Adobe: `processed` is `receivedTimeGMT`, `occurred` is `timeGMT`.
    pub(in crate::config) timestamp: Timestamp,
    /// How far from the received time (when the service processed the event, else our clock) that time may be: one beyond is counted, and the
    /// received time is taken.
    pub(in crate::config) timestamp_bounds: Bounds,
    /// Which headers events get: `"none"`, `"cloudevents"`, or a list of single ones of these by name, `traceparent` (which names the trace of the batch, see
    /// `[traces]`), static ones and fields. Those of
    /// CloudEvents cost about 3 CPU seconds a million.
    pub(in crate::config) headers: Headers,
    /// Fields for the key, of which the first one present is it; `{ fields = […], join = "|" }` for all of them, joined; `"none"` or `[]` for
    /// no key. Default: the device, else the user, else whom
    /// the body names; of the compliance stream the address first, so that one person's consents stay in order; of Adobe the visitor,
    /// who is identified by the visitor id, the Experience Cloud id, the custom id, or address and user agent, whichever there is first.
    pub(in crate::config) key: Option<Key>,
    /// What is redacted in events before they reach Kafka; the rest of an event stays byte for byte.
    pub(in crate::config) redact: Vec<Redact>,
    /// With `redact`, whether the key is taken from the redacted event or from the one received.
    pub(in crate::config) key_from: Form,
    /// With `redact`, whether dead letters are redacted, and withheld but for length and reason where they are no events, or hold
    /// everything as it was received.
    pub(in crate::config) dead_letters: Form,
    /// Partitions of event topics it creates; default: the broker's own.
    #[schemars(range(min = 1))]
    pub(in crate::config) partitions: Option<i32>,
    /// Replication factor of event topics it creates; default: the broker's own.
    #[schemars(range(min = 1))]
    pub(in crate::config) replication_factor: Option<i32>,
    /// Retention of event topics it creates; default: the broker's own.
    pub(in crate::config) retention: Option<Span>,
    /// Where events that cannot be carried go, bytes intact; default: `<prefix>.dead-letters`.
    pub(in crate::config) dead_letter_topic: Option<String>,
    /// Time without a byte after which it connects anew.
    pub(in crate::config) silence: Span,
    /// Limit for TCP and TLS to be set up.
    pub(in crate::config) connect_timeout: Span,
    /// Longest event; a longer one becomes a dead letter.
    pub(in crate::config) max_line: Size,
    /// Hosts, and whatever is below them, that may get the credential after a redirect; default: the service's own domain, or
    /// for an Adobe stream at a loopback address its own host.
    pub(in crate::config) redirect_hosts: Option<Vec<String>>,
    /// Whether `http://` addresses other than loopback are accepted, credential and all.
    pub(in crate::config) allow_plain_http: bool,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            topics: BTreeMap::new(),
            default_topic: None,
            max_topics: None,
            only: Vec::new(),
            drop: Vec::new(),
            timestamp: Timestamp::default(),
            timestamp_bounds: Bounds::default(),
            headers: Headers::default(),
            key: None,
            redact: Vec::new(),
            key_from: Form::default(),
            dead_letters: Form::default(),
            partitions: None,
            replication_factor: None,
            retention: None,
            dead_letter_topic: None,
            silence: Span::seconds(90),
            connect_timeout: Span::seconds(10),
            max_line: Size::mebibytes(16),
            redirect_hosts: None,
            allow_plain_http: false,
        }
    }
}

/// What a stream's judgement has to know of the rest of the configuration.
pub(in crate::config) struct Surroundings {
    /// Topics that hold the connector's state.
    pub(in crate::config) state: Vec<String>,
    /// Of `state`.
    pub(in crate::config) prefix: String,
    /// Of `queue`.
    pub(in crate::config) queue_bytes: usize,
    /// Of `dedupe`.
    pub(in crate::config) window: Duration,
    /// Of `http`.
    pub(in crate::config) http: client::Config,
}

/// Where events come from.
#[expect(clippy::large_enum_variant, reason = "there is one for each stream")]
pub(super) enum Input {
    /// A service that is connected to.
    Service { url: Url, auth: Credential, service: Service },
    /// Senders that push them.
    Pushed { intake: Intake, path: String, access: Option<Access> },
}

/// What the keys of a kind come to.
pub(super) struct Judged {
    /// The kind, and the name of the source at its host, which stay with the positions.
    pub(super) source: (&'static str, String),
    pub(super) shards: u32,
    pub(super) input: Input,
    pub(super) extract: extract::Config,
    pub(super) route: route::Config,
}

impl Common {
    /// Judges the values that mean the same for every kind, and puts the stream together.
    pub(super) fn judge(
        &self,
        judged: Option<Judged>,
        surroundings: &Surroundings,
        path: &Path,
        errors: &mut Errors,
    ) -> Option<plan::Stream> {
        let redirect_hosts = self.redirect_hosts.clone().unwrap_or_default();
        checks::hosts(&redirect_hosts, &path.key("redirect_hosts"), errors);
        positive(self.silence, &path.key("silence"), errors);
        positive(self.connect_timeout, &path.key("connect_timeout"), errors);
        size(self.max_line, LARGEST_MESSAGE, &path.key("max_line"), errors);
        let dead_letter_topic = self.dead_letter_topic.clone().unwrap_or_default();
        let at = path.key("dead_letter_topic");
        checks::topic(&dead_letter_topic, &surroundings.state, &at, errors);
        let topic_spec = self.topic_spec(path, errors);
        let redact = redact::validate(self, judged.as_ref().map(|judged| &judged.extract), path, errors);
        // The kind has judged them along with its fields.
        let (headers, _) = self.headers.judge(path, &mut Errors::default());
        let Judged { source: (kind, name), shards, input, extract, route } = judged?;
        let name_of_stream: Arc<str> = self.name.as_deref()?.into();
        let (source_id, input) = match input {
            Input::Service { url, auth, service } => {
                let endpoint = Endpoint {
                    stream: Arc::clone(&name_of_stream),
                    url: url.clone(),
                    auth,
                    http: surroundings.http.clone(),
                    redirect_hosts,
                    allow_plain_http: self.allow_plain_http,
                    connect_timeout: self.connect_timeout.0,
                    silence: self.silence.0,
                };
                let (max_line, queue_bytes) = (bytes(self.max_line), surroundings.queue_bytes);
                let source = source::Config { endpoint, service, max_line, queue_bytes };
                (source_id(kind, name, &url), plan::Input::Service(source))
            }
            Input::Pushed { intake, path, access } => {
                let id = SourceId { kind: kind.to_owned(), name, host: String::new() };
                let (max_line, queue_bytes) = (bytes(self.max_line), surroundings.queue_bytes);
                (id, plan::Input::Intake { intake, path, access, queue_bytes, max_line })
            }
        };
        Some(plan::Stream {
            name: name_of_stream,
            input,
            source_id,
            start_anew: None,
            shards,
            headers,
            extract,
            redact,
            route,
            topic_spec,
            dead_letter_topic,
        })
    }

    fn topic_spec(&self, path: &Path, errors: &mut Errors) -> TopicSpec {
        at_least_one(self.partitions, &path.key("partitions"), errors);
        at_least_one(self.replication_factor, &path.key("replication_factor"), errors);
        if let Some(retention) = self.retention {
            let fits = (Duration::from_millis(1)..=LONGEST_RETENTION).contains(&retention.0);
            errors.add_if(!fits, &path.key("retention"), "must be from 1ms to 365000d");
        }
        TopicSpec {
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            retention: self.retention.map(|span| span.0),
            ..TopicSpec::default()
        }
    }
}

/// What the positions of a stream belong to.
fn source_id(kind: &str, name: String, url: &Url) -> SourceId {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    SourceId { kind: kind.to_owned(), name, host }
}
