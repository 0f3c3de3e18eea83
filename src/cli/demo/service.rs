//! The services that the demo shows: what each is called, how it is configured, what it made.

use clap::ValueEnum;

use crate::supervisor::ShardFigures;

/// Which services the demo shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Selection {
    /// Adobe Analytics Livestream
    Adobe,
    /// Airship Real-Time Data Streaming
    Airship,
    /// Both side by side
    Both,
}

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Service {
    Airship,
    Adobe,
}

impl Selection {
    /// In the order in which they are shown.
    pub(super) fn services(self) -> &'static [Service] {
        match self {
            Self::Airship => &[Service::Airship],
            Self::Adobe => &[Service::Adobe],
            Self::Both => &[Service::Airship, Service::Adobe],
        }
    }
}

impl Service {
    /// The stream's name, and the ending of its topic.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Airship => "airship",
            Self::Adobe => "adobe",
        }
    }

    /// The stream's part of the configuration: what a user would write, but for pauses that fit a demo and for headers, by
    /// which the demo counts.
    pub(super) fn configuration(self, mock: &str, topic: &str, partitions: i32) -> String {
        let own = match self {
            Self::Airship => format!(
                r#"kind = "airship"
url = "{mock}/api/events/"
app_key = "demo"
auth = {{ bearer = {{ value = "demo" }} }}
start = "earliest"
"#
            ),
            // The real service refuses connections that come more often than once a minute.
            Self::Adobe => format!(
                r#"kind = "adobe"
url = "{mock}/api/1/stream/adobe-livestream-demo"
auth.ims.client_id = "demo"
auth.ims.client_secret = {{ value = "demo" }}
auth.ims.scopes = ["openid"]
auth.ims.token_url = "{mock}/ims/token/v3"
max_connections = 2
on_unclean = "replay"
replay_interval = "2s"
reconnect_pause = "1s"
"#
            ),
        };
        let name = self.name();
        format!(
            "[[stream]]\nname = \"{name}\"\n{own}topic = \"{topic}\"\nheaders = \"cloudevents\"\npartitions = {partitions}\n"
        )
    }

    /// Lets events below `up_to` be read.
    pub(super) fn release(self, mock: &tributary_mock::Handle, up_to: u64) {
        match self {
            Self::Airship => mock.release(up_to),
            Self::Adobe => mock.adobe().release(up_to),
        }
    }

    /// Ends all faults.
    pub(super) fn disarm(self, mock: &tributary_mock::Handle) {
        match self {
            Self::Airship => mock.disarm(),
            Self::Adobe => mock.adobe().disarm(),
        }
    }

    /// Different events among the first `lines`.
    pub(super) fn distinct(self, mock: &tributary_mock::Handle, lines: u64) -> u64 {
        match self {
            Self::Airship => mock.log().distinct(lines),
            Self::Adobe => lines,
        }
    }

    /// Times that the service sent an event again.
    pub(super) fn repeated(self, mock: &tributary_mock::Handle, lines: u64) -> u64 {
        match self {
            Self::Airship => lines - mock.log().distinct(lines),
            Self::Adobe => mock.adobe().stats().duplicates,
        }
    }

    /// The figures of its shards.
    pub(super) fn figures(self, all: &[ShardFigures]) -> impl Iterator<Item = &ShardFigures> {
        all.iter().filter(move |figures| &*figures.id.stream == self.name())
    }
}
