//! The keys of kind `adobe`, read and checked already; the source itself comes with a later version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretKeys;
use crate::config::units::{Size, Span};

/// The keys of kind `adobe`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "url", "auth"]))]
pub(in crate::config) struct Adobe {
    /// Unique among the streams; part of the transactional id, so a renamed stream starts anew.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    pub(in crate::config) name: Option<String>,
    /// The address that Adobe's customer care handed out.
    pub(in crate::config) url: Option<String>,
    /// The credential.
    pub(in crate::config) auth: Option<AdobeAuth>,
    /// Connections that share the stream.
    #[schemars(range(min = 1, max = 8))]
    pub(in crate::config) max_connections: u32,
    /// What to do after an unclean stop, when events that were sent may be lost to us.
    pub(in crate::config) on_unclean: OnUnclean,
    /// A replay happens at most once in this time.
    pub(in crate::config) replay_interval: Span,
    /// Pause before a reconnect: quick ones are refused.
    pub(in crate::config) reconnect_pause: Span,
    /// The topic.
    pub(in crate::config) topic: String,
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
    /// Hosts, and whatever is below them, that may get the credential after a redirect.
    pub(in crate::config) redirect_hosts: Vec<String>,
    /// Whether `http://` addresses other than loopback are accepted, credential and all.
    pub(in crate::config) allow_plain_http: bool,
}

impl Default for Adobe {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            auth: None,
            max_connections: 1,
            on_unclean: OnUnclean::default(),
            replay_interval: Span::seconds(600),
            reconnect_pause: Span::seconds(60),
            topic: "adobe.hits".to_owned(),
            partitions: None,
            replication_factor: None,
            retention: None,
            dead_letter_topic: None,
            silence: Span::seconds(90),
            connect_timeout: Span::seconds(10),
            max_line: Size::mebibytes(16),
            redirect_hosts: vec!["livestream.adobe.net".to_owned()],
            allow_plain_http: false,
        }
    }
}

/// The credential of an Adobe stream.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "{ ims = { client_id = \"…\", client_secret = SECRET, scopes = […] } }"
)]
#[schemars(extend("required" = ["ims"]))]
pub(in crate::config) struct AdobeAuth {
    /// Client credentials of Adobe's identity service.
    pub(in crate::config) ims: Option<Ims>,
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
