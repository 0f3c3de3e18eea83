//! The keys of kind `adobe`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers::Headers;
use super::secret::SecretKeys;
use super::stream::Timestamp;
use crate::config::units::{Size, Span};

/// The keys of kind `adobe`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "url", "auth"]))]
pub(in crate::config) struct Adobe {
    /// Unique among the streams; part of the transactional id, so a renamed stream starts anew, and it holds no `.`.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub(in crate::config) name: Option<String>,
    /// The address that Adobe's customer care handed out.
    pub(in crate::config) url: Option<String>,
    /// The credential.
    pub(in crate::config) auth: Option<AdobeAuth>,
    /// Sent as `x-api-key`; default: the client id of `ims`.
    pub(in crate::config) api_key: Option<String>,
    /// Connections that share the stream.
    #[schemars(range(min = 1, max = 8))]
    pub(in crate::config) max_connections: u32,
    /// Whether the service evens out spikes, which makes hits later.
    pub(in crate::config) smoothing: bool,
    /// Seconds over which it evens them out; only with `smoothing`. Default: the service's own, 270.
    #[schemars(range(min = 1, max = 7200))]
    pub(in crate::config) smoothing_bucket_size: Option<u32>,
    /// What to do after an unclean stop, when events that were sent may be lost to us.
    pub(in crate::config) on_unclean: OnUnclean,
    /// A replay happens at most once in this time. With `replay` it must be shorter than `dedupe.window`.
    pub(in crate::config) replay_interval: Span,
    /// Pause before a reconnect: quick ones are refused.
    pub(in crate::config) reconnect_pause: Span,
    /// The topic: a name or a template with one field in braces, such as `adobe.{reportSuite}`.
    pub(in crate::config) topic: String,
    /// Values of the template's field with a topic of their own.
    pub(in crate::config) topics: BTreeMap<String, String>,
    /// Where a hit goes that lacks the field for the template of `topic`, or whose topic is missing and may not be made; without
    /// it such a hit is a dead letter. Without a template it has no effect, and is refused.
    pub(in crate::config) default_topic: Option<String>,
    /// Which time becomes the Kafka timestamp: `processed` is `receivedTimeGMT`, `occurred` is `timeGMT`.
    pub(in crate::config) timestamp: Timestamp,
    /// Which headers hits get. Those of CloudEvents cost about 4 CPU seconds a million.
    pub(in crate::config) headers: Headers,
    /// Fields for the key, the first one present wins; `[]` for no key. Default: the visitor, who is identified by
    /// the visitor id, the Experience Cloud id, the custom id, or address and user agent, whichever there is first.
    pub(in crate::config) key: Option<Vec<String>>,
    /// Hits to leave out.
    pub(in crate::config) drop: Vec<Drop>,
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
    /// Hosts, and whatever is below them, that may get the credential after a redirect; default:
    /// `livestream.adobe.net`, or for a loopback address its own host.
    pub(in crate::config) redirect_hosts: Option<Vec<String>>,
    /// Whether `http://` addresses other than loopback are accepted, credential and all.
    pub(in crate::config) allow_plain_http: bool,
}

impl Default for Adobe {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            auth: None,
            api_key: None,
            max_connections: 1,
            smoothing: false,
            smoothing_bucket_size: None,
            on_unclean: OnUnclean::default(),
            replay_interval: Span::seconds(600),
            reconnect_pause: Span::seconds(60),
            topic: "adobe.hits".to_owned(),
            topics: BTreeMap::new(),
            default_topic: None,
            timestamp: Timestamp::default(),
            headers: Headers::default(),
            key: None,
            drop: Vec::new(),
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

/// The credential of an Adobe stream: exactly one of `ims`, `oauth2` and `bearer`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "{ ims = { client_id = \"…\", client_secret = SECRET, scopes = […] } }, { oauth2 = { token_url = \"…\", client_id = \"…\", client_secret = SECRET } } or { bearer = SECRET }"
)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct AdobeAuth {
    /// Client credentials of Adobe's identity service.
    pub(in crate::config) ims: Option<Ims>,
    /// Client credentials of another token endpoint.
    pub(in crate::config) oauth2: Option<OAuth2>,
    /// A token that something else renews; read again at each connect.
    pub(in crate::config) bearer: Option<SecretKeys>,
}

/// Client credentials of Adobe's identity service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client_id", "client_secret", "scopes"]))]
pub(in crate::config) struct Ims {
    /// The client id, which is no secret.
    pub(in crate::config) client_id: Option<String>,
    /// The client secret.
    pub(in crate::config) client_secret: Option<SecretKeys>,
    /// The scopes that the console shows for the credential.
    #[schemars(length(min = 1))]
    pub(in crate::config) scopes: Option<Vec<String>>,
    /// Where tokens are fetched.
    pub(in crate::config) token_url: String,
}

impl Default for Ims {
    fn default() -> Self {
        Self {
            client_id: None,
            client_secret: None,
            scopes: None,
            token_url: "https://ims-na1.adobelogin.com/ims/token/v3".to_owned(),
        }
    }
}

/// Client credentials of another token endpoint, sent as HTTP Basic.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token_url", "client_id", "client_secret"]))]
pub(in crate::config) struct OAuth2 {
    /// Where tokens are fetched.
    pub(in crate::config) token_url: Option<String>,
    /// The client id, which is no secret.
    pub(in crate::config) client_id: Option<String>,
    /// The client secret.
    pub(in crate::config) client_secret: Option<SecretKeys>,
    /// What is asked for, sent as it is written.
    pub(in crate::config) scope: Option<String>,
}

/// Hits to leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Drop {
    /// Hits of bots: `bot` is `<Bot>`.
    Bot,
    /// Hits that the report suite excludes: `exclude.value` is `yes`.
    Excluded,
}

/// What to do after an unclean stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnUnclean {
    /// Go on where the server's position is.
    #[default]
    Continue,
    /// Read again from the oldest hit held and drop what was delivered.
    Replay,
}
