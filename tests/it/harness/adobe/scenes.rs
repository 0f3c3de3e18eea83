//! Streams of one connector, each with a mock service of its own, and what must lie in Kafka at the end.
//!
//! The oracle is each mock's log: the bytes of every hit, under its id. Streams share a process, since most tests wait
//! rather than work.

pub(crate) mod scene;

pub(crate) use crate::harness::expected::{Expected, bytes};
pub(crate) use scene::Scene;

use crate::harness::broker::{broker, unique_prefix};
use crate::harness::settings;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Table;
use tributary_mock::adobe::{Config, Hit, Log};
use tributary_mock::airship::Epoch;
use tributary_mock::fault::{ErrorBody, Fault};

/// The credential of streams that say nothing else.
pub(crate) const CLIENT: &str = "client-5e21";
pub(crate) const SECRET: &str = "client-secret-77ab01";
pub(crate) const SCOPE: &str = "openid,AdobeID";

/// The usual pause of all streams; the others follow from it.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// A connector that is not started yet.
pub(crate) struct Setup {
    prefix: String,
    env: Vec<(String, String)>,
    streams: Vec<Stream>,
}

/// A stream and its service.
struct Stream {
    name: String,
    adobe: Config,
    keys: String,
}

/// `events` hits, all readable from the start. Credentials are asked for, and all of each is checked.
pub(crate) fn all_at_once(events: u64) -> Config {
    Config {
        events,
        // Kafka deletes what is older than a topic's retention, whenever it looks.
        epoch: Epoch::Now,
        rebalance_pause: Duration::from_millis(20),
        blank_every: Duration::from_millis(300),
        client_id: Some(CLIENT.into()),
        client_secrets: vec![SECRET.into()],
        scope: Some(SCOPE.into()),
        second_listen: None,
        ..Config::default()
    }
}

/// `events` hits that begin with a backlog and go on at a pace of which a test sees something.
pub(crate) fn lively(events: u64) -> Config {
    Config { rate: 2_000.0, backlog: events / 3, ..all_at_once(events) }
}

/// `events` hits of which those from `hold_at` on wait for `Handle::release`.
pub(crate) fn held(events: u64, hold_at: u64) -> Config {
    Config { hold_at: Some(hold_at), ..all_at_once(events) }
}

/// A refusal with words of its own.
pub(crate) fn status(code: u16, body: ErrorBody, words: &str) -> Fault {
    Fault::Status { code, body, message: Some(words.to_owned()), retry_after: None }
}

impl Setup {
    /// Without a stream.
    pub(crate) fn new(test_name: &str) -> Self {
        Self { prefix: unique_prefix(test_name), env: Vec::new(), streams: Vec::new() }
    }

    /// One stream, called `s`.
    pub(crate) fn one(test_name: &str, adobe: Config, keys: &str) -> Self {
        Self::new(test_name).add("s", adobe, keys)
    }

    /// Adds a stream with a service of these settings. In the keys, `{mock}` is the service's base address, and
    /// `{prefix}` that of all topics.
    pub(crate) fn add(mut self, name: &str, adobe: Config, keys: &str) -> Self {
        // Streams without a seed of their own would have the same ids.
        let seed = rand::random::<u32>().into();
        let adobe = Config { seed, ..adobe };
        self.streams.push(Stream { name: name.to_owned(), adobe, keys: keys.to_owned() });
        self
    }

    /// A variable of the connector's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the mocks and the connector.
    #[track_caller]
    pub(crate) fn start(self) -> Scene {
        Scene::start(self, |_| {})
    }

    /// The same; the services are made ready first.
    #[track_caller]
    pub(crate) fn start_after(self, prepare: impl FnOnce(&Mocks)) -> Scene {
        Scene::start(self, prepare)
    }

    /// The connector's configuration for these services.
    #[track_caller]
    fn configuration(&self, mocks: &Mocks) -> String {
        let prefix = &self.prefix;
        let mut head = settings::least(broker(), prefix);
        settings::merge(&mut head, settings::table(r#"commit = { interval = "50ms" }"#));
        let streams = self.streams.iter().map(|stream| {
            let mock = &mocks.0[&stream.name];
            stream.table(prefix, &mock.url(), &mock.adobe().path())
        });
        settings::file(head, streams)
    }
}

impl Stream {
    #[track_caller]
    fn table(&self, prefix: &str, base: &str, path: &str) -> Table {
        let (name, pause) = (&self.name, PAUSE.as_millis());
        let mut table = settings::table(&format!(
            r#"
            name = "{name}"
            kind = "adobe"
            url = "{base}{path}"
            auth = {auth}
            reconnect_pause = "{pause}ms"
            topic = "{prefix}.{name}"
            dead_letter_topic = "{prefix}.{name}.dead"
            headers = "cloudevents"
            partitions = 2
            "#,
            auth = ims(base, &format!("{{ value = \"{SECRET}\" }}")),
        ));
        let keys = self.keys.replace("{mock}", base).replace("{prefix}", prefix);
        table.extend(settings::table(&keys));
        table
    }
}

/// The value of `auth` for Adobe's identity service at this base address, `{mock}` for that of the stream.
pub(crate) fn ims(base: &str, secret: &str) -> String {
    format!(
        r#"{{ ims = {{ client_id = "{CLIENT}", client_secret = {secret}, scopes = ["openid", "AdobeID"], token_url = "{base}/ims/token/v3" }} }}"#
    )
}

/// The mock services, by the names of their streams.
pub(crate) struct Mocks(pub(crate) BTreeMap<String, tributary_mock::Handle>);

impl Mocks {
    /// The service of this stream.
    #[track_caller]
    pub(crate) fn of(&self, name: &str) -> tributary_mock::adobe::Handle {
        self.0[name].adobe()
    }
}

impl Expected {
    /// The hits that `wanted` says.
    pub(crate) fn only(log: &Log, wanted: impl Fn(&Hit) -> bool) -> Self {
        let hits = log.expected(0..log.len()).filter(|expected| wanted(&expected.hit));
        hits.map(|expected| (id(expected.hit.id), expected.line)).collect()
    }
}

impl From<&Log> for Expected {
    fn from(log: &Log) -> Self {
        Self::only(log, |_| true)
    }
}

/// A hit's id as the events have it.
pub(crate) fn id((high, low): (u64, u64)) -> String {
    format!("{high}-{low}")
}
