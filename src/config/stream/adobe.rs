//! Streams of kind `adobe`: their keys, and their judgement.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Keys;
use super::common::{Input, Judged, Surroundings};
use super::{rules, timestamp, topics};
use crate::config::checks::{self, positive, required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::read;
use crate::config::secret::SecretKeys;
use crate::config::units::Span;
use crate::event::extract::{self, Condition, EventType, Filters, Id, Key, TimeFormat};
use crate::event::paths::Spelling;
use crate::model::{numbers, types};
use crate::source::http::auth::{Credential, Grant, GrantScheme};
use crate::source::{Service, adobe};
use crate::web;

/// Streams are redirected to hosts below this one.
const HOST: &str = "livestream.adobe.net";
/// The service takes 1 to 8 connections a stream.
const MOST_CONNECTIONS: u32 = 8;
/// The service's longest `smoothingBucketSize`, seconds.
const LONGEST_BUCKET: u32 = 7200;
/// Hits have no type, so that all of them are called the same.
const HIT: &str = "com.adobe.analytics.hit";
/// What hits to leave out are called, the field that tells, and what it holds then.
const WORDS: [(&str, &str, &str); 2] = [("bot", "bot", "<Bot>"), ("excluded", "exclude.value", "yes")];
const TOPICS: topics::Kind = topics::Kind { example: "reportSuite", by: None };

/// Query parameters that the connector sets, and how to ask for them.
const OWNED_PARAMETERS: [(&str, &str); 4] = [
    (
        "reset",
        "`reset` would move the service's position with each connect: leave it out, and use `run --reset` to move it once",
    ),
    ("maxConnections", "`maxConnections` does not belong into the address: use `max_connections`"),
    ("smoothing", "`smoothing` does not belong into the address: use `smoothing = true`"),
    (
        "smoothingBucketSize",
        "`smoothingBucketSize` does not belong into the address: use `smoothing_bucket_size`",
    ),
];

/// The keys of kind `adobe`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "url", "auth"]))]
pub(in crate::config) struct Adobe {
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
    /// The topic: a name, or a template with fields in braces, such as `adobe.{reportSuite}` or `adobe.{reportSuite:lower}.{evars.evars.eVar5:snake}`.
    pub(in crate::config) topic: String,
}

impl Default for Adobe {
    fn default() -> Self {
        Self {
            auth: None,
            api_key: None,
            max_connections: 1,
            smoothing: false,
            smoothing_bucket_size: None,
            on_unclean: OnUnclean::default(),
            replay_interval: Span::seconds(600),
            reconnect_pause: Span::seconds(60),
            topic: "adobe.hits".to_owned(),
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

impl Adobe {
    /// The secrets of the credential, with the keys below `auth` that lead to them.
    pub(super) fn secrets(&self) -> Vec<(&SecretKeys, &'static [&'static str])> {
        let auth = self.auth.as_ref();
        let bearer = auth.and_then(|auth| auth.bearer.as_ref());
        let ims = auth.and_then(|auth| auth.ims.as_ref()?.client_secret.as_ref());
        let oauth2 = auth.and_then(|auth| auth.oauth2.as_ref()?.client_secret.as_ref());
        let given = [
            (bearer, &["bearer"][..]),
            (ims, &["ims", "client_secret"]),
            (oauth2, &["oauth2", "client_secret"]),
        ];
        given.into_iter().filter_map(|(keys, at)| Some((keys?, at))).collect()
    }
}

impl Keys<Adobe> {
    /// Fills in the defaults that follow from the address and the credential.
    pub(super) fn resolve(&mut self) {
        if self.common.redirect_hosts.is_none() {
            let url = self.common.url.as_deref().and_then(|url| Url::parse(url).ok());
            let own = url.filter(|url| url.host().is_some_and(|host| web::is_loopback(&host)));
            let host = own.as_ref().and_then(Url::host_str).unwrap_or(HOST);
            self.common.redirect_hosts = Some(vec![host.to_owned()]);
        }
        if self.own.api_key.is_none() {
            self.own.api_key = ims_client(self).map(str::to_owned);
        }
    }

    /// Judges every value that is the kind's own.
    pub(super) fn judge(
        &self,
        surroundings: &Surroundings,
        path: &Path,
        errors: &mut Errors,
    ) -> Option<Judged> {
        let Self { common, own } = self;
        let url = url(self, &path.key("url"), errors);
        let at = path.key("auth");
        let auth = required(own.auth.as_ref(), &at, errors)
            .and_then(|given| auth(given, common.allow_plain_http, &at, errors));
        let service = service(self, surroundings.window, path, errors);
        let route = topics::validate(common, &own.topic, &TOPICS, &surroundings.state, path, errors);
        let message =
            "`{type}` is for Airship: hits have no type; name one of their fields, such as `{reportSuite}`";
        let names_type = route.topic.fields().iter().any(|field| field == "type");
        errors.add_if(names_type, &path.key("topic"), message);
        let filters = rules::validate(common, word, path, errors);
        let extract = extract(self, route.fields(), filters, path, errors);
        let url = url?;
        Some(Judged {
            // The path holds the stream's name.
            source: ("adobe", url.path().to_owned()),
            // The service hands the hits out to connections as it likes, so all of them feed one shard.
            shards: 1,
            input: Input::Service { url, auth: auth?, service: Service::Adobe(service) },
            extract,
            route,
        })
    }
}

fn ims_client(stream: &Keys<Adobe>) -> Option<&str> {
    stream.own.auth.as_ref()?.ims.as_ref()?.client_id.as_deref()
}

fn url(stream: &Keys<Adobe>, path: &Path, errors: &mut Errors) -> Option<Url> {
    let url = checks::url(
        required(stream.common.url.as_deref(), path, errors)?,
        stream.common.allow_plain_http,
        path,
        errors,
    )?;
    for (name, advice) in OWNED_PARAMETERS {
        let is_given = url.query_pairs().any(|(given, _)| given.eq_ignore_ascii_case(name));
        errors.add_if(is_given, path, advice);
    }
    Some(url)
}

fn auth(auth: &AdobeAuth, allow_plain_http: bool, path: &Path, errors: &mut Errors) -> Option<Credential> {
    match auth {
        AdobeAuth { ims: Some(given), oauth2: None, bearer: None } => {
            ims(given, allow_plain_http, &path.key("ims"), errors).map(Credential::Grant)
        }
        AdobeAuth { ims: None, oauth2: Some(given), bearer: None } => {
            oauth2(given, allow_plain_http, &path.key("oauth2"), errors).map(Credential::Grant)
        }
        AdobeAuth { ims: None, oauth2: None, bearer: Some(token) } => {
            secret(token, &path.key("bearer"), errors).map(Credential::Bearer)
        }
        _ => {
            let message = "expected exactly one of { ims = … }, { oauth2 = … } and { bearer = SECRET }";
            errors.add(path, message);
            None
        }
    }
}

fn ims(ims: &Ims, allow_plain_http: bool, path: &Path, errors: &mut Errors) -> Option<Grant> {
    let client_id = client_id(ims.client_id.as_deref(), path, errors);
    let client_secret = required(ims.client_secret.as_ref(), &path.key("client_secret"), errors)
        .and_then(|keys| secret(keys, &path.key("client_secret"), errors));
    let scopes = required(ims.scopes.as_deref(), &path.key("scopes"), errors);
    errors.add_if(scopes.is_some_and(<[_]>::is_empty), &path.key("scopes"), "must not be empty");
    for (n, scope) in scopes.unwrap_or_default().iter().enumerate() {
        let wrong = scope.is_empty() || scope.contains([',', ' ']);
        let message = "expected one scope, without commas or spaces";
        errors.add_if(wrong, &path.key("scopes").index(n), message);
    }
    let token_url = checks::url(&ims.token_url, allow_plain_http, &path.key("token_url"), errors);
    Some(Grant {
        scheme: GrantScheme::Ims,
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?.to_vec(),
    })
}

fn oauth2(oauth2: &OAuth2, allow_plain_http: bool, path: &Path, errors: &mut Errors) -> Option<Grant> {
    let token_url = required(oauth2.token_url.as_deref(), &path.key("token_url"), errors)
        .and_then(|url| checks::url(url, allow_plain_http, &path.key("token_url"), errors));
    let client_id = client_id(oauth2.client_id.as_deref(), path, errors);
    let client_secret = required(oauth2.client_secret.as_ref(), &path.key("client_secret"), errors)
        .and_then(|keys| secret(keys, &path.key("client_secret"), errors));
    errors.add_if(oauth2.scope.as_deref() == Some(""), &path.key("scope"), "must not be empty");
    Some(Grant {
        scheme: GrantScheme::Basic,
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: oauth2.scope.iter().cloned().collect(),
    })
}

fn client_id(id: Option<&str>, path: &Path, errors: &mut Errors) -> Option<String> {
    let path = path.key("client_id");
    let id = required(id, &path, errors)?;
    errors.add_if(id.is_empty(), &path, "must not be empty");
    Some(id.to_owned())
}

fn service(stream: &Keys<Adobe>, window: Duration, path: &Path, errors: &mut Errors) -> adobe::Config {
    if let Some(key) = stream.own.api_key.as_deref().filter(|key| Some(*key) != ims_client(stream)) {
        let wrong = key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic());
        errors.add_if(wrong, &path.key("api_key"), "expected visible ASCII letters: it is sent as a header");
    }
    let in_range = (1..=MOST_CONNECTIONS).contains(&stream.own.max_connections);
    let message = format!("must be from 1 to {MOST_CONNECTIONS}");
    errors.add_if(!in_range, &path.key("max_connections"), message);
    if let Some(seconds) = stream.own.smoothing_bucket_size {
        let path = path.key("smoothing_bucket_size");
        let in_range = (1..=LONGEST_BUCKET).contains(&seconds);
        errors.add_if(!in_range, &path, format!("must be from 1 to {LONGEST_BUCKET} seconds"));
        errors.add_if(!stream.own.smoothing, &path, "has no effect without smoothing = true");
    }
    positive(stream.own.reconnect_pause, &path.key("reconnect_pause"), errors);
    let interval = path.key("replay_interval");
    positive(stream.own.replay_interval, &interval, errors);
    let too_long = stream.own.on_unclean == OnUnclean::Replay && stream.own.replay_interval.0 >= window;
    let message =
        "must be shorter than dedupe.window: what a replay repeats is told apart by the ids of the window";
    errors.add_if(too_long, &interval, message);
    adobe::Config {
        api_key: stream.own.api_key.clone(),
        max_connections: stream.own.max_connections,
        smoothing: stream.own.smoothing.then_some(stream.own.smoothing_bucket_size),
        reconnect_pause: stream.own.reconnect_pause.0,
        on_unclean: match stream.own.on_unclean {
            OnUnclean::Continue => types::OnUnclean::Continue,
            OnUnclean::Replay => types::OnUnclean::Replay,
        },
        replay_interval: stream.own.replay_interval.0,
        reset: None,
    }
}

/// What a word in `only` and `drop` stands for.
fn word(word: &str) -> Result<Condition, String> {
    let known = WORDS.into_iter().find(|(known, ..)| *known == word);
    let (_, field, value) = known
        .ok_or_else(|| read::unknown(&format!("value `{word}`"), word, &WORDS.map(|(word, ..)| word)))?;
    Ok(Condition { field: field.to_owned(), values: vec![value.to_owned()], ignore_case: true })
}

/// The members of a hit.
fn extract(
    stream: &Keys<Adobe>,
    topic_fields: Vec<String>,
    filters: Filters,
    path: &Path,
    errors: &mut Errors,
) -> extract::Config {
    let time = timestamp::judge(&stream.common, TimeFormat::UnixSeconds, path, errors);
    let (_, header_fields) = stream.common.headers.judge(path, errors);
    let key = path.key("key");
    let given = stream.common.key.as_ref().map(|given| given.judge("evars.evars.eVar5", &key, errors));
    let config = extract::Config {
        id: Id::Pair { high: "hitIdHigh".to_owned(), low: "hitIdLow".to_owned() },
        key: given.unwrap_or(Key::AdobeVisitor),
        event_type: EventType::Constant(HIT),
        topic_fields,
        occurred: "timeGMT".to_owned(),
        processed: numbers::RECEIVED.to_owned(),
        times: TimeFormat::UnixSeconds,
        time,
        header_fields,
        offset: None,
        position_only_type: None,
        spelling: Spelling { ignore_evar_case: true },
        filters,
    };
    checks::number_of_fields(&config, &key, errors);
    config
}
