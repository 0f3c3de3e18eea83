//! What the connector says it committed: its checkpoints, read as any consumer would read them.

use super::{LIMIT, Setup};
use crate::harness::broker::Broker;
use crate::harness::reader::{Isolation, Message, Reader};
use serde_json::Value;
use std::time::Duration;

/// A committed checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) sequence: u64,
    /// How often the stream had been cut into another number of shards.
    pub(crate) cut: u64,
    pub(crate) owner: String,
    /// The offset of the last line taken, in the service's spelling.
    pub(crate) offset: Option<String>,
    /// The position as it stands there.
    pub(crate) position: Value,
    pub(crate) committed_ms: i64,
    /// How long the shard had run, milliseconds; 0 in checkpoints of version 1.
    pub(crate) ran_ms: i64,
    hold: String,
    pub(crate) received: u64,
    pub(crate) delivered: u64,
    pub(crate) duplicates: u64,
    pub(crate) dead_letters: u64,
}

/// The checkpoints of one shard, followed from the first on.
pub(crate) struct Progress<'a> {
    key: String,
    reader: Reader<'a>,
}

impl Checkpoint {
    /// Whether its owner let go of the shard when nothing was on its way any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.hold == "drained"
    }

    /// Whether it says that nobody is at work on the shard.
    pub(crate) fn has_let_go(&self) -> bool {
        self.hold != "held"
    }

    #[track_caller]
    pub(crate) fn parse(message: &Message) -> Self {
        let json: Value = serde_json::from_str(message.text()).expect("a checkpoint is JSON");
        let number = |pointer: &str| json.pointer(pointer).and_then(Value::as_u64).expect("a number");
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            sequence: number("/sequence"),
            cut: json["cut"].as_u64().unwrap_or(0),
            owner: text("/owner").expect("an owner"),
            offset: text("/position/offset"),
            position: json["position"].clone(),
            committed_ms: json["committed_ms"].as_i64().expect("a time"),
            ran_ms: json["ran_ms"].as_i64().unwrap_or(0),
            hold: text("/hold").unwrap_or_else(|| old_hold(&json).to_owned()),
            received: number("/totals/received"),
            delivered: number("/totals/delivered"),
            duplicates: number("/totals/duplicates"),
            dead_letters: number("/totals/dead_letters"),
        }
    }
}

/// What two flags say in checkpoints of version 1 and 2.
fn old_hold(json: &Value) -> &'static str {
    assert!(json["version"].as_u64().expect("a version") < 3, "{json}");
    let flag = |name: &str| json[name].as_bool().unwrap_or(false);
    if flag("clean") {
        "drained"
    } else if flag("released") {
        "released"
    } else {
        "held"
    }
}

impl<'a> Progress<'a> {
    /// Waits for the topic to exist.
    #[track_caller]
    pub(crate) fn of(broker: &'a Broker, setup: &Setup, stream: &str, shard: u32) -> Self {
        Self::at(broker, &setup.checkpoints(), stream, shard)
    }

    /// The same by the topic's name.
    #[track_caller]
    pub(crate) fn at(broker: &'a Broker, topic: &str, stream: &str, shard: u32) -> Self {
        let reader = Reader::open(broker, topic, Isolation::Committed);
        Self { key: format!("{stream}/{shard}"), reader }
    }

    /// Waits until a checkpoint is as `holds` wants it, and gives it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, holds: impl Fn(&Checkpoint) -> bool) -> Checkpoint {
        let (key, mut seen) = (self.key.clone(), 0);
        let mut found = None;
        self.reader.wait_for(LIMIT, what, |messages| {
            let news =
                messages[seen..].iter().filter(|message| message.key.as_deref() == Some(key.as_bytes()));
            found = news.map(Checkpoint::parse).find(&holds);
            seen = messages.len();
            found.is_some()
        });
        found.expect("waited for")
    }

    /// Waits until at least `count` lines are committed as received.
    #[track_caller]
    pub(crate) fn wait_received(&mut self, count: u64) -> Checkpoint {
        self.wait_for(&format!("{count} committed lines"), |checkpoint| checkpoint.received >= count)
    }

    /// All checkpoints so far, in order. Those that were committed a moment ago are waited for.
    #[track_caller]
    pub(crate) fn all(&mut self, last: impl Fn(&Checkpoint) -> bool) -> Vec<Checkpoint> {
        self.wait_for("the last checkpoint", last);
        // Whatever else is there already.
        self.reader.wait_for(Duration::from_secs(1), "nothing", |_| true);
        let own = |message: &&Message| message.key.as_deref() == Some(self.key.as_bytes());
        let all: Vec<_> = self.reader.messages().iter().filter(own).map(Checkpoint::parse).collect();
        assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence), "sequences rise: {all:#?}");
        all
    }
}
