//! The connector as a receiver.

use std::time::Duration;

use crate::Arguments;
use crate::broker::{Broker, free_port};
use crate::running::{self, Connector, get};
use crate::sender::KEY;

/// How often it is asked whether it is ready, and how often at most.
const LOOKS: (Duration, u32) = (Duration::from_millis(50), 1_200);

/// Three fields of Airship's events, one of them that of the key.
const REDACTION: &str = r#"redact = [
    { path = "device.channel", action = "hash", secret = { value = "a key of thirty-two bytes or more" } },
    { path = "device.attributes", action = "drop" },
    { path = "body.ip", action = "truncate" },
]"#;

/// A connector that is ready to receive.
pub(crate) struct Receiver {
    pub(crate) connector: Connector,
    /// Where to push to.
    pub(crate) url: String,
}

impl Receiver {
    /// Starts one, and waits until it stores what it receives.
    pub(crate) fn start(arguments: &Arguments, broker: &Broker, topic: &str, redacts: bool) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let (kafka, shards) = (&broker.address, arguments.shards);
        let redaction = if redacts { REDACTION } else { "" };
        let configuration = |admin: &str| {
            format!(
                "[kafka]\nbootstrap_servers = \"{kafka}\"\n[state]\nprefix = \"{topic}\"\n[admin]\nlisten = \"{admin}\"\n\
                 [webhook]\nlisten = \"{listen}\"\n\
                 [[stream]]\nname = \"bench\"\nkind = \"airship_webhook\"\npath = \"/bench\"\n\
                 auth = {{ header = {{ name = \"{}\", values = [{{ value = \"{}\" }}] }} }}\n\
                 topic = \"{topic}\"\nshards = {shards}\n{redaction}\n",
                KEY.0, KEY.1
            )
        };
        let sets: Vec<&str> = arguments.overrides.iter().flat_map(|pair| ["--set", pair]).collect();
        let connector = running::start(configuration, &sets);
        let is_ready = || get(connector.admin(), "/ready").is_ok_and(|page| page.contains(" 200 "));
        let looks = (0..LOOKS.1).take_while(|_| {
            std::thread::sleep(LOOKS.0);
            !is_ready()
        });
        assert!(looks.count() < LOOKS.1 as usize, "the receiver does not get ready");
        Self { connector, url: format!("http://{listen}/bench") }
    }
}
