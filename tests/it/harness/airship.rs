//! From the mock service through the real binary into Kafka, and the oracle that says what must have arrived.
//!
//! [`Mock`] is the service, [`Setup`] the configuration of one run, [`progress`] what the connector says it committed,
//! [`oracle`] recomputes from the mock's log what must lie in the topics. Shares no code with the connector.

pub(crate) mod lines;
pub(crate) mod oracle;
mod partitioner;
pub(crate) mod progress;
pub(crate) mod run;
pub(crate) mod scenes;

use crate::harness::broker::Broker;
use crate::harness::process::{self, Process};
use crate::harness::settings::Settings;
use crate::harness::wait;
use oracle::Expectation;
use progress::Progress;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tributary_mock::Handle;
use tributary_mock::airship::{self, Epoch, Fault};

/// Limit for whatever goes through the whole pipeline: debug builds on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// How long ago the first event of a log was processed: within any retention, and never in the future.
const LOG_AGE_MS: u64 = 3_600_000;

/// The name of the stream in a [`Setup`] with one.
pub(crate) const STREAM: &str = "mobile";

/// The mocks of all tests run here, so that tests need no runtime of their own.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A mock service, which stops when this is dropped.
pub(crate) struct Mock(Handle);

/// The ways in which a stream may end before it should.
pub(crate) fn early_endings() -> [Fault; 7] {
    [
        Fault::Eof {},
        Fault::MissingTrailer {},
        Fault::TornLine {},
        Fault::TruncatedGzip {},
        Fault::CutMidLine {},
        Fault::CutMidGzip {},
        Fault::Reset {},
    ]
}

/// A log of `events` lines with ids of its own that is read from its beginning; all else as in the mock's defaults.
pub(crate) fn service(events: u64) -> airship::Config {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    airship::Config {
        events,
        seed: rand::random::<u32>().into(),
        epoch: Epoch::At(now_ms - LOG_AGE_MS),
        // Too small for whole segments, which are compressed ahead and so arrive in large pieces.
        step: Some(Duration::from_millis(1)),
        ..airship::Config::default()
    }
}

impl Mock {
    #[track_caller]
    pub(crate) fn start(config: airship::Config) -> Self {
        Self(
            RUNTIME
                .block_on(tributary_mock::start(tributary_mock::Config::local(config)))
                .expect("the mock listens"),
        )
    }
}

impl Deref for Mock {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

/// One `[[stream]]`.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) topic: String,
    pub(crate) shards: u32,
}

/// The keys of a stream that begins at the oldest event, in TOML.
pub(crate) fn stream_keys(name: &str, url: &str, topic: &str) -> String {
    format!(
        r#"name = "{name}"
kind = "airship"
url = "{url}"
app_key = "key"
auth = {{ bearer = {{ value = "token" }} }}
start = "earliest"
topic = "{topic}"
backoff = {{ min = "20ms", max = "200ms" }}
"#
    )
}

/// A configuration with Airship streams. Fields, also those of its [`Settings`], may be changed before
/// [`Setup::start`].
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) streams: Vec<Stream>,
    pub(crate) partitions: i32,
}

impl Deref for Setup {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl DerefMut for Setup {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

impl Setup {
    /// One stream from `mock` into one topic of the shared broker, in small batches.
    #[track_caller]
    pub(crate) fn new(test: &str, mock: &Mock) -> Self {
        Self::at(crate::harness::broker::broker(), test, mock)
    }

    /// The same on another broker.
    pub(crate) fn at(broker: &Broker, test: &str, mock: &Mock) -> Self {
        let settings = Settings::new(broker, test);
        let stream = Stream {
            name: STREAM.to_owned(),
            url: format!("{}/api/events/", mock.url()),
            topic: format!("{}.events", settings.prefix),
            shards: 1,
        };
        Self { settings, streams: vec![stream], partitions: 3 }
    }

    /// The same with other settings.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The topic of the first stream.
    pub(crate) fn topic(&self) -> &str {
        &self.streams[0].topic
    }

    /// The text of the configuration file, with a port of its own for the metrics.
    pub(crate) fn toml(&self) -> String {
        let (mut text, partitions) = (self.settings.toml(), self.partitions);
        for Stream { name, url, topic, shards } in &self.streams {
            let keys = stream_keys(name, url, topic);
            text += &format!(
                "[[stream]]\n{keys}headers = \"cloudevents\"\npartitions = {partitions}\nshards = {shards}\n\n"
            );
        }
        text
    }

    /// Starts the connector.
    #[track_caller]
    pub(crate) fn start(&self) -> Process {
        process::tributary(&self.toml(), &[])
    }

    /// Starts the connector with failpoints armed, e.g. `before_commit=3:pause`.
    #[track_caller]
    pub(crate) fn start_with(&self, failpoints: &str) -> Process {
        process::tributary(&self.toml(), &[("TRIBUTARY_FAILPOINTS", failpoints)])
    }

    /// What `mock`, the only service, must have brought in full.
    pub(crate) fn expectation(&self, mock: &Mock) -> Expectation {
        Expectation::distinct(self, &self.streams[0], mock.log())
    }

    /// What the first `lines` of `mock` must have brought.
    pub(crate) fn expectation_of(&self, mock: &Mock, lines: u64) -> Expectation {
        let first = (0..lines).filter(|position| !mock.log().entry(*position).is_duplicate);
        Expectation::of(self, &self.streams[0], mock.log(), first)
    }

    /// What shard 0 of the first stream committed, from the beginning.
    #[track_caller]
    pub(crate) fn progress(&self) -> Progress<'static> {
        Progress::of(crate::harness::broker::broker(), self, STREAM, 0)
    }
}

/// SIGTERM, and the orderly end that must follow.
#[track_caller]
pub(crate) fn stop(process: &mut Process) {
    process.sigterm();
    let status = process.wait_exit(LIMIT);
    assert_eq!(status.code(), Some(0), "after SIGTERM: {status}; log:\n{}", process.log().join("\n"));
    check_shards(&process.log());
}

/// Whatever names a shard in the log names it in the same way: stream and number, as `/ready` does.
#[track_caller]
pub(crate) fn check_shards(log: &[String]) {
    for line in log {
        let Ok(fields) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let Some(shard) = fields.get("shard") else { continue };
        let (stream, index) = shard.as_str().and_then(|shard| shard.split_once('/')).unwrap_or_default();
        let is_said_twice = fields.get("stream").is_none_or(|named| named == stream);
        assert!(index.parse::<u32>().is_ok() && is_said_twice, "not STREAM/NUMBER: {line}");
    }
}

/// Waits until `process` says that its failpoint was hit.
#[track_caller]
pub(crate) fn wait_hit(process: &Process) -> String {
    process.wait_for_log("failpoint hit", LIMIT)
}

/// Lines of the log that contain `part`.
pub(crate) fn count_log(process: &Process, part: &str) -> usize {
    process.log().iter().filter(|line| line.contains(part)).count()
}

/// Waits until a transaction with records is open in `topic`.
#[track_caller]
pub(crate) fn wait_open_transaction(topic: &str) {
    wait::wait_until(LIMIT, format_args!("an open transaction in {topic}"), || has_open_transaction(topic));
}

/// Whether a transaction with records is open in `topic` of the shared broker.
pub(crate) fn has_open_transaction(topic: &str) -> bool {
    use crate::harness::reader::{Isolation, Reader};
    let broker = crate::harness::broker::broker();
    let stable = Reader::open(broker, topic, Isolation::Committed).end_offsets();
    broker.high_watermarks(topic).iter().any(|(partition, end)| stable[partition] < *end)
}
