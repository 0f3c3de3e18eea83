//! Streams of kind `adobe`.

use std::time::Duration;

use url::Url;

use super::{bytes, place, positive, required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::raw::adobe::{Adobe, AdobeAuth, Drop, Ims, OAuth2, OnUnclean};
use crate::config::raw::stream::Timestamp;
use crate::event::extract::{self, EventType, Id, Key, TimeFormat};
use crate::event::route::{self, Template};
use crate::model::{numbers, types};
use crate::plan;
use crate::source::adobe;
use crate::source::http::auth::{Credential, Grant, GrantScheme};
use crate::source::http::connect::Endpoint;
use crate::{model, source, web};

/// Streams are redirected to hosts below this one.
const HOST: &str = "livestream.adobe.net";
/// The service takes 1 to 8 connections a stream.
const MOST_CONNECTIONS: u32 = 8;
/// The service's longest `smoothingBucketSize`, seconds.
const LONGEST_BUCKET: u32 = 7200;
/// Hits have no type, so that all of them are called the same.
const HIT: &str = "com.adobe.analytics.hit";

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

/// Fills in the defaults that follow from the address and the credential.
pub(super) fn resolve(stream: &mut Adobe, dead_letters: &str) {
    stream.dead_letter_topic.get_or_insert(dead_letters.to_owned());
    if stream.redirect_hosts.is_none() {
        let url = stream.url.as_deref().and_then(|url| Url::parse(url).ok());
        let own = url.filter(|url| url.host().is_some_and(|host| web::is_loopback(&host)));
        let host = own.as_ref().and_then(Url::host_str).unwrap_or(HOST);
        stream.redirect_hosts = Some(vec![host.to_owned()]);
    }
    if stream.api_key.is_none() {
        stream.api_key = ims_client(stream).map(str::to_owned);
    }
}

fn ims_client(stream: &Adobe) -> Option<&str> {
    stream.auth.as_ref()?.ims.as_ref()?.client_id.as_deref()
}

/// Judges every value of a resolved stream. `window` is that of dedupe.
pub(super) fn validate(
    stream: &Adobe,
    queue_bytes: usize,
    window: Duration,
    state: &[String],
    path: &Path,
    errors: &mut Errors,
) -> Option<plan::Stream> {
    let url = url(stream, &path.key("url"), errors);
    let auth = required(stream.auth.as_ref(), &path.key("auth"), errors)
        .and_then(|given| auth(given, stream.allow_plain_http, &path.key("auth"), errors));
    let redirect_hosts = stream.redirect_hosts.clone().unwrap_or_default();
    place::hosts(&redirect_hosts, &path.key("redirect_hosts"), errors);
    place::limits(stream.silence, stream.connect_timeout, stream.max_line, path, errors);
    let service = service(stream, window, path, errors);
    let route = route(stream, state, path, errors);
    let extract = extract(stream, path, errors);
    let dead_letter_topic = stream.dead_letter_topic.clone().unwrap_or_default();
    place::topic(&dead_letter_topic, place::Names::Fixed, state, &path.key("dead_letter_topic"), errors);
    let topic_spec =
        place::topic_spec(stream.partitions, stream.replication_factor, stream.retention, path, errors);
    let url = url?;
    Some(plan::Stream {
        // The path holds the stream's name.
        source_id: place::source_id("adobe", url.path(), &url),
        start_anew: None,
        // The service hands the hits out to connections as it likes, so all of them feed one shard.
        shards: 1,
        headers: place::headers(&stream.headers),
        source: source::Config {
            endpoint: Endpoint {
                stream: stream.name.as_deref()?.into(),
                url,
                auth: auth?,
                redirect_hosts,
                allow_plain_http: stream.allow_plain_http,
                connect_timeout: stream.connect_timeout.0,
                silence: stream.silence.0,
            },
            service: source::Service::Adobe(service),
            max_line: bytes(stream.max_line),
            queue_bytes,
        },
        extract,
        route,
        topic_spec,
        dead_letter_topic,
    })
}

fn url(stream: &Adobe, path: &Path, errors: &mut Errors) -> Option<Url> {
    let url =
        place::url(required(stream.url.as_deref(), path, errors)?, stream.allow_plain_http, path, errors)?;
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
    let token_url = place::url(&ims.token_url, allow_plain_http, &path.key("token_url"), errors);
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
        .and_then(|url| place::url(url, allow_plain_http, &path.key("token_url"), errors));
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

fn service(stream: &Adobe, window: Duration, path: &Path, errors: &mut Errors) -> adobe::Config {
    if let Some(key) = stream.api_key.as_deref().filter(|key| Some(*key) != ims_client(stream)) {
        let wrong = key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic());
        errors.add_if(wrong, &path.key("api_key"), "expected visible ASCII letters: it is sent as a header");
    }
    let in_range = (1..=MOST_CONNECTIONS).contains(&stream.max_connections);
    let message = format!("must be from 1 to {MOST_CONNECTIONS}");
    errors.add_if(!in_range, &path.key("max_connections"), message);
    if let Some(seconds) = stream.smoothing_bucket_size {
        let path = path.key("smoothing_bucket_size");
        let in_range = (1..=LONGEST_BUCKET).contains(&seconds);
        errors.add_if(!in_range, &path, format!("must be from 1 to {LONGEST_BUCKET} seconds"));
        errors.add_if(!stream.smoothing, &path, "has no effect without smoothing = true");
    }
    positive(stream.reconnect_pause, &path.key("reconnect_pause"), errors);
    let interval = path.key("replay_interval");
    positive(stream.replay_interval, &interval, errors);
    let too_long = stream.on_unclean == OnUnclean::Replay && stream.replay_interval.0 >= window;
    let message =
        "must be shorter than dedupe.window: what a replay repeats is told apart by the ids of the window";
    errors.add_if(too_long, &interval, message);
    adobe::Config {
        api_key: stream.api_key.clone(),
        max_connections: stream.max_connections,
        smoothing: stream.smoothing.then_some(stream.smoothing_bucket_size),
        reconnect_pause: stream.reconnect_pause.0,
        on_unclean: match stream.on_unclean {
            OnUnclean::Continue => types::OnUnclean::Continue,
            OnUnclean::Replay => types::OnUnclean::Replay,
        },
        replay_interval: stream.replay_interval.0,
        reset: None,
    }
}

fn route(stream: &Adobe, state: &[String], path: &Path, errors: &mut Errors) -> route::Config {
    place::topic(&stream.topic, place::Names::OfField, state, &path.key("topic"), errors);
    let template = Template::parse(&stream.topic);
    if let Some(template) = template {
        let message =
            "`{type}` is for Airship: hits have no type; name one of their fields, such as `{reportSuite}`";
        errors.add_if(template.field == "type", &path.key("topic"), message);
    }
    let idle = "has no effect unless `topic` names a field in braces, such as \"adobe.{reportSuite}\"";
    errors.add_if(template.is_none() && !stream.topics.is_empty(), &path.key("topics"), idle);
    for (value, topic) in &stream.topics {
        place::topic(topic, place::Names::Fixed, state, &path.key("topics").key(value), errors);
    }
    if let Some(topic) = &stream.default_topic {
        let path = path.key("default_topic");
        errors.add_if(template.is_none(), &path, idle);
        place::topic(topic, place::Names::Fixed, state, &path, errors);
    }
    route::Config {
        topic: stream.topic.clone(),
        topics: stream.topics.clone(),
        default_topic: stream.default_topic.clone(),
        timestamp: match stream.timestamp {
            Timestamp::Processed => route::Timestamp::Processed,
            Timestamp::Occurred => route::Timestamp::Occurred,
        },
        reserved: state.to_vec(),
    }
}

/// The members of a hit.
fn extract(stream: &Adobe, path: &Path, errors: &mut Errors) -> extract::Config {
    let key = path.key("key");
    let fields = stream.key.as_deref().unwrap_or_default();
    place::fields(fields, "evars.evars.eVar5", &key, errors);
    let drop = |drop: &Drop| match drop {
        Drop::Bot => model::types::FilterReason::Bot,
        Drop::Excluded => model::types::FilterReason::Excluded,
    };
    let config = extract::Config {
        id: Id::Pair { high: "hitIdHigh".to_owned(), low: "hitIdLow".to_owned() },
        key: stream.key.clone().map_or(Key::AdobeVisitor, Key::Fields),
        event_type: EventType::Constant(HIT),
        topic_field: Template::parse(&stream.topic).map(|template| template.field.to_owned()),
        occurred: "timeGMT".to_owned(),
        processed: numbers::RECEIVED.to_owned(),
        times: TimeFormat::UnixSeconds,
        offset: None,
        position_only_type: None,
        ignore_evar_case: true,
        drop: stream.drop.iter().map(drop).collect(),
    };
    place::number_of_fields(&config, &key, errors);
    config
}
