//! Shared by the benchmarks and the allocation test: lines as the mock renders them, the event path as `run`
//! configures it, and a sink that only looks at what it is given.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use tributary::config::{self, Config, Sources};
use tributary::event::dedupe::{self, Window};
use tributary::event::extract::Extractor;
use tributary::event::route::Router;
use tributary::model::block::Block;
use tributary::model::checkpoint::Checkpoint;
use tributary::model::types::{OutRecord, Run};
use tributary::shard::pipeline::Pipeline;
use tributary::shard::pipeline::redaction::Redaction;
use tributary::sink::Refused;
use tributary::sink::{Accepts, Known, Opened, Reopened, Seed, Sink, SinkError, Topic};
use tributary_mock::airship::{Log, LogOptions};

/// Bytes of a block under full load, see `source::frame::READ_SIZE`.
const BLOCK: usize = 128 << 10;

/// Each way to identify a visitor, the best first.
pub(crate) const VISITORS: [&str; 5] = [
    "\"visIdHigh\":9223372036854775808,\"visIdLow\":\"-1\",",
    "\"visIdHigh\":0,\"visIdLow\":0,\"mcVisIdHigh\":2140977716605128417,\"mcVisIdLow\":7305519820116640952,",
    "\"customVisId\":\"crm-55120983\",",
    "\"ip\":\"198.51.100.24\",\"userAgent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\",",
    "",
];

/// Lines of the mock's log, one after the other.
pub(crate) fn text(events: u64) -> Vec<u8> {
    let log = Log::new(LogOptions { events, ..LogOptions::default() });
    let mut text = Vec::with_capacity(events as usize * 700);
    for position in 0..events {
        log.render(position, &mut text);
        text.push(b'\n');
    }
    text
}

/// What hits hold beside the fields that are used, nested as it is there.
pub(crate) const CONTAINERS: &str =
    "\"evars\":{\"evars\":{\"eVar1\":\"home\"}},\"events\":{\"event1\":[{\"count\":1}]},";

/// Adobe hits with all fields that are used, and `others`.
pub(crate) fn hits(events: u64, visitor: &str, others: &str) -> Vec<u8> {
    let hit = |n: u64| {
        format!(
            "{{\"reportSuite\":\"suite\",\"bot\":\"<Not a bot>\",\"exclude\":{{\"id\":\"0\",\"value\":\"no\"}},\
             \"hitIdHigh\":{},\"hitIdLow\":{},{visitor}{others}\
             \"props\":{{\"prop1\":\"nl\"}},\"receivedTimeGMT\":1781512803,\"timeGMT\":1781512803}}\n",
            3_581_960_277_124_087_808 + n,
            n << 63 | n
        )
    };
    (0..events).map(hit).collect::<String>().into_bytes()
}

/// Lines, cut into blocks of whole lines.
pub(crate) fn blocks(text: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = Bytes::copy_from_slice(text);
    while !rest.is_empty() {
        let cut = rest[..rest.len().min(BLOCK)].iter().rposition(|byte| *byte == b'\n').expect("a line end");
        blocks.push(Block::Lines(rest.split_to(cut + 1)));
    }
    blocks
}

/// The defaults of an Airship stream, as the configuration fills them in.
pub(crate) fn defaults() -> Config {
    load(&[("kind", "airship"), ("app_key", "app")])
}

/// The keys of an Adobe stream that uses all that it can of a hit.
const ADOBE: [(&str, &str); 4] = [
    ("kind", "adobe"),
    ("url", "https://livestream.adobe.net/api/1/stream/bench"),
    ("topic", "adobe.{reportSuite}"),
    ("drop", "[\"bot\", \"excluded\"]"),
];

fn load(keys: &[(&str, &str)]) -> Config {
    let common = [("name", "bench"), ("auth.bearer.value", "token")];
    let stream =
        common.iter().chain(keys).map(|(key, value)| (format!("stream[0].{key}"), (*value).to_owned()));
    let servers = ("kafka.bootstrap_servers".to_owned(), "nowhere:9092".to_owned());
    let overrides = stream.chain([servers]).collect();
    config::load(&Sources { overrides, ..Sources::default() }).expect("a sound configuration")
}

/// The event path with the defaults, and a window of `max_ids`.
pub(crate) fn pipeline(max_ids: usize) -> Pipeline {
    path(defaults(), max_ids)
}

/// The event path of an Adobe stream, and a window of `max_ids`.
pub(crate) fn adobe_pipeline(max_ids: usize) -> Pipeline {
    path(load(&ADOBE), max_ids)
}

/// The event path of an Airship stream whose topic is made of two fields.
pub(crate) fn templating_pipeline(max_ids: usize) -> Pipeline {
    let topic = ("topic", "airship.{type:snake}.{device.attributes.os}");
    path(load(&[("kind", "airship"), ("app_key", "app"), topic]), max_ids)
}

/// The event path of an Airship stream whose keys are long and joined, with fields in headers; `redact` is the rest of its keys.
pub(crate) fn joining_pipeline(max_ids: usize, redact: &[(&str, &str)]) -> Pipeline {
    let key = ("key", "{ fields = [\"type\", \"device.channel\", \"occurred\"], join = \":\" }");
    let headers =
        ("headers", "[{ name = \"a\", field = \"device.channel\" }, { name = \"b\", field = \"occurred\" }]");
    path(load(&[&[("kind", "airship"), ("app_key", "app"), key, headers], redact].concat()), max_ids)
}

/// The same of an Adobe stream.
pub(crate) fn templating_adobe_pipeline(max_ids: usize) -> Pipeline {
    path(load(&[&ADOBE[..2], &[("topic", "adobe.{reportSuite}.{bot:lower}")]].concat()), max_ids)
}

/// The event path of an Airship stream in whose events three fields are redacted, the key's among them.
pub(crate) fn redacting_pipeline(max_ids: usize) -> Pipeline {
    let redact = r#"[
        { path = "device.channel", action = "hash", secret = { value = "a key of thirty-two bytes or more" } },
        { path = "device.attributes", action = "drop" },
        { path = "body.ip", action = "truncate" },
    ]"#;
    path(load(&[("kind", "airship"), ("app_key", "app"), ("redact", redact)]), max_ids)
}

/// The same of an Adobe stream.
pub(crate) fn redacting_adobe_pipeline(max_ids: usize) -> Pipeline {
    let redact = r#"[
        { path = "customVisId", action = "hash", secret = { value = "a key of thirty-two bytes or more" } },
        { path = "ip", action = "truncate" },
        { path = "props", action = "drop" },
    ]"#;
    path(load(&[&ADOBE[..], &[("redact", redact)]].concat()), max_ids)
}

fn path(mut config: Config, max_ids: usize) -> Pipeline {
    let stream = config.plan.streams.remove(0);
    let window = Window::new(dedupe::Config { window: Duration::from_secs(1800), max_ids }, max_ids);
    let extractor = Extractor::new(&stream.extract).expect("sound fields");
    let redaction =
        stream.redact.as_ref().map(|rules| Redaction::open(rules).expect("a secret in the configuration"));
    Pipeline::new(extractor, Router::new(stream.route), window, redaction, stream.dead_letter_topic)
}

/// One batch: all blocks, then the commit.
pub(crate) fn batch(pipeline: &mut Pipeline, blocks: &[Block], sink: &mut NullSink) {
    for block in blocks {
        pipeline.process(block, usize::MAX, sink).expect("a null sink does not fail");
    }
    pipeline.commit(&sink.checkpoint.clone(), sink).expect("a null sink does not fail");
    pipeline.committed(sink.checkpoint.dated());
}

/// Takes everything and keeps nothing but counts.
pub(crate) struct NullSink {
    /// Records taken.
    pub(crate) records: u64,
    /// Ids taken.
    pub(crate) ids: u64,
    checkpoint: Checkpoint,
}

impl Default for NullSink {
    fn default() -> Self {
        Self { records: 0, ids: 0, checkpoint: Checkpoint::initial("bench", 1, 0) }
    }
}

impl Sink for NullSink {
    fn open(&mut self, _: Seed<'_>) -> Result<Opened, SinkError> {
        Ok(Opened {
            checkpoint: self.checkpoint.clone(),
            left: None,
            has_all_ids: true,
            checkpoint_missing: false,
        })
    }

    fn reopen(&mut self, _: Known<'_>) -> Result<Reopened, SinkError> {
        Ok(Reopened { checkpoint: self.checkpoint.clone(), journal_lost: false })
    }

    fn topic(&self, name: &str) -> Topic<'_> {
        black_box(name);
        Topic::Takes(Accepts { max_bytes: usize::MAX, needs_key: false })
    }

    fn prepare(&mut self, _: &BTreeSet<String>) -> Result<(), SinkError> {
        Ok(())
    }

    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn refused(&mut self) -> Vec<Refused> {
        Vec::new()
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        black_box(record);
        self.records += 1;
        Ok(())
    }

    fn commit(&mut self, ids: &mut dyn Iterator<Item = Run<'_>>, _: &Checkpoint) -> Result<(), SinkError> {
        for run in ids {
            self.ids += black_box(run.ids).len() as u64;
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
