//! A stream with dead letters, and replays of them under another configuration.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use crate::harness::airship::run::{self, Run, event};
use crate::harness::airship::scenes::Setup;
use crate::harness::broker::{Broker, broker};
use crate::harness::process::{self, Outputs, Process};
use crate::harness::reader::{Isolation, Message, read_all};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

/// Longer than anything takes here on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

/// Events without a type are unroutable with this.
pub(crate) const TEMPLATE: &str = r#"topic = "{prefix}.{type}""#;

/// With this there is a topic for each event.
pub(crate) const MENDED: &str = r#"topic = "{prefix}.{type}"
default_topic = "{prefix}.other""#;

/// A stream whose dead letters are there.
pub(crate) struct Scene {
    pub(crate) prefix: String,
    /// Lines of the configuration outside of the stream.
    pub(crate) top: &'static str,
}

/// A replay at work, and where its summary goes.
pub(crate) struct Replay {
    pub(crate) process: Process,
    stdout: tempfile::TempDir,
}

/// What a replay came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    /// The summary; null where there is none.
    pub(crate) summary: Value,
    pub(crate) log: String,
}

/// An event without a type.
pub(crate) fn untyped(n: usize) -> String {
    format!("{{\"id\":\"{n}\",\"offset\":\"{n}\",\"n\":{n}}}")
}

/// The stream's configuration, with these keys of it.
fn setup(prefix: &str, top: &str, stream: &str) -> Setup {
    let mut setup = run::setup("x").stream(&stream.replace("{prefix}", prefix)).top(top);
    prefix.clone_into(&mut setup.prefix);
    setup
}

impl Scene {
    /// Has a stream with [`TEMPLATE`] take these lines, of which `letters` become dead letters.
    #[track_caller]
    pub(crate) fn new(test: &str, lines: &[String], letters: usize) -> Self {
        Self::with(test, "", TEMPLATE, lines, letters)
    }

    /// The same with other keys.
    #[track_caller]
    pub(crate) fn with(
        test: &str,
        top: &'static str,
        stream: &str,
        lines: &[String],
        letters: usize,
    ) -> Self {
        Self::at(run::setup(test).prefix, top, stream, lines, letters)
    }

    /// The same under a prefix, where topics may have been made.
    #[track_caller]
    pub(crate) fn at(
        prefix: String,
        top: &'static str,
        stream: &str,
        lines: &[String],
        letters: usize,
    ) -> Self {
        let mut first = Run::start(&setup(&prefix, top, stream), lines);
        first.wait(lines.len() - letters, letters);
        first.stop();
        Self { prefix, top }
    }

    /// The configuration with these keys of the stream.
    pub(crate) fn toml(&self, stream: &str) -> String {
        self.toml_at(broker(), stream)
    }

    /// The same for a broker of the test's own.
    pub(crate) fn toml_at(&self, broker: &Broker, stream: &str) -> String {
        setup(&self.prefix, self.top, stream).configuration(broker, "http://127.0.0.1:9")
    }

    /// Starts a replay under [`MENDED`].
    #[track_caller]
    pub(crate) fn start(&self, arguments: &[&str], failpoints: &str) -> Replay {
        self.start_with(&self.toml(MENDED), arguments, &[("TRIBUTARY_FAILPOINTS", failpoints)])
    }

    /// Starts a replay of stream `s` under this configuration.
    #[track_caller]
    pub(crate) fn start_with(&self, toml: &str, arguments: &[&str], env: &[(&str, &str)]) -> Replay {
        start(toml, "s", arguments, env)
    }

    /// Replays under [`MENDED`], to the end; gives the summary.
    #[track_caller]
    pub(crate) fn replay(&self, arguments: &[&str]) -> Value {
        self.start(arguments, "").succeeds()
    }

    /// The values in a topic below the prefix, sorted.
    #[track_caller]
    pub(crate) fn values(&self, topic: &str, isolation: Isolation) -> Vec<String> {
        let found = read_all(broker(), &self.topic(topic), isolation);
        run::sorted(found.iter().map(|message| message.text().to_owned()).collect())
    }

    /// A topic below the prefix.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The dead letters, in the order of their partition.
    #[track_caller]
    pub(crate) fn letters(&self) -> Vec<Message> {
        read_all(broker(), &self.topic("dead-letters"), Isolation::Committed)
    }

    /// How often each value is among the dead letters, and with which `tributary-attempts`.
    #[track_caller]
    pub(crate) fn attempts(&self) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for letter in self.letters() {
            let attempts = letter.header("tributary-attempts").unwrap_or("-").to_owned();
            *counts.entry((letter.text().to_owned(), attempts)).or_default() += 1;
        }
        counts
    }
}

/// The headers of a letter, and its bytes.
pub(crate) type Written<'l> = (Vec<(&'l str, &'l [u8])>, &'l [u8]);

/// Writes letters of a stream with these headers, as a source that repeats its lines has them written.
#[track_caller]
pub(crate) fn write(broker: &Broker, topic: &str, letters: &[Written<'_>]) {
    let producer: BaseProducer = broker.client(&[]).create().expect("a producer");
    for (headers, value) in letters {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic);
        let record = record.payload(*value).headers(headers);
        producer.send(record).map_err(|(error, _)| error).expect("sent");
    }
    producer.flush(LIMIT).expect("written");
}

/// Starts a replay of a stream.
#[track_caller]
pub(crate) fn start(toml: &str, stream: &str, arguments: &[&str], env: &[(&str, &str)]) -> Replay {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("tributary.toml");
    std::fs::write(&config, toml).expect("written");
    let stdout = File::create(dir.path().join("stdout")).expect("a file");
    let outputs = Outputs { stdout: Some(Stdio::from(stdout)), ..Outputs::default() };
    let config = config.to_str().expect("UTF-8");
    let command = ["dead-letters", "replay", "--json", "--stream", stream, "--config", config];
    Replay { process: process::subcommand_to(&[&command, arguments].concat(), env, outputs), stdout: dir }
}

impl Replay {
    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Done {
        let code = self.process.wait_exit(LIMIT).code();
        let stdout = std::fs::read_to_string(self.stdout.path().join("stdout")).expect("the summary");
        let summary =
            if stdout.is_empty() { Value::Null } else { serde_json::from_str(&stdout).expect("JSON") };
        Done { code, summary, log: self.process.log().join("\n") }
    }

    /// Waits for its end in order; gives the summary.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Value {
        let done = self.ends();
        assert_eq!(done.code, Some(0), "{done:#?}");
        done.summary
    }
}

/// What became of the letters: delivered, repeated, failed again.
pub(crate) fn became(summary: &Value) -> [u64; 3] {
    let number = |value: &Value| value.as_u64().expect("a number");
    let failed = summary["failed_again"].as_object().expect("counts").values().map(number).sum();
    [number(&summary["delivered"]), number(&summary["repeated"]), failed]
}

/// An event with a type.
pub(crate) fn typed(n: usize) -> String {
    event(n, "open", "")
}
