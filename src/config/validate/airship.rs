//! Streams of kinds `airship` and `airship_compliance`.

use url::Url;

use super::{bytes, filters, place, positive, required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::raw::stream::{Airship, Auth, OnExpired, Start, Timestamp};
use crate::event::extract::{self, EventType, Id, Key, TimeFormat};
use crate::event::route::{self, Template};
use crate::model::offset;
use crate::plan;
use crate::source;
use crate::source::airship;
use crate::source::http::auth::Credential;
use crate::source::http::connect::Endpoint;

const EVENTS: &str = "https://connect.urbanairship.com/api/events/";
const COMPLIANCE: &str = "https://connect.urbanairship.com/api/events/general";
/// The domains of the service's two sites: their hosts may redirect to one another.
const SITES: [&str; 2] = ["urbanairship.com", "asnapieu.com"];
/// Each shard is a connection, and the service limits those per connection point.
const MOST_SHARDS: u32 = 64;

/// The default key: the device, else the user, else whom the body names. An SMS device may be nothing but its type, and
/// some events have neither device nor user.
const KEY: [&str; 13] = [
    "device.channel",
    "device.ios_channel",
    "device.android_channel",
    "device.amazon_channel",
    "device.named_user_id",
    "device.named_user",
    "device.delivery_address",
    "user.named_user_id",
    "user.contact_id",
    "body.identifiers.msisdn",
    "body.identifiers.address",
    "body.channel_id",
    "body.contact_id",
];
/// The same of the compliance stream, but with the address first. It alone is in all consents of one person: the channel
/// and the named user come and go, and as keys they would put them out of order.
const COMPLIANCE_KEY: [&str; 13] = [
    "device.delivery_address",
    "body.identifiers.address",
    "body.identifiers.msisdn",
    "device.channel",
    "device.ios_channel",
    "device.android_channel",
    "device.amazon_channel",
    "device.named_user_id",
    "device.named_user",
    "user.named_user_id",
    "user.contact_id",
    "body.channel_id",
    "body.contact_id",
];

/// Fills in the defaults that follow from the kind, the address and the credential.
pub(super) fn resolve(stream: &mut Airship, compliance: bool, dead_letters: &str) {
    let (url, topic, key) = if compliance {
        (COMPLIANCE, "airship.compliance", COMPLIANCE_KEY)
    } else {
        (EVENTS, "airship.events", KEY)
    };
    stream.key.get_or_insert_with(|| key.map(str::to_owned).to_vec());
    let url = stream.url.get_or_insert(url.to_owned());
    if stream.redirect_hosts.is_none() {
        stream.redirect_hosts =
            Url::parse(url).ok().and_then(|url| url.host_str().map(own_domain)).map(|host| vec![host]);
    }
    stream.topic.get_or_insert(topic.to_owned());
    stream.dead_letter_topic.get_or_insert(dead_letters.to_owned());
    if compliance && stream.app_key.is_none() {
        let basic = stream.auth.as_ref().and_then(|auth| auth.basic.as_ref());
        stream.app_key = basic.and_then(|basic| basic.user.clone());
    }
}

fn own_domain(host: &str) -> String {
    let is_below =
        |site: &&str| host.strip_suffix(site).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SITES.into_iter().find(is_below).unwrap_or(host).to_owned()
}

/// Judges every value of a resolved stream.
pub(super) fn validate(
    stream: &Airship,
    compliance: bool,
    queue_bytes: usize,
    state: &[String],
    path: &Path,
    errors: &mut Errors,
) -> Option<plan::Stream> {
    let url_text = stream.url.as_deref().unwrap_or_default();
    let url = place::url(url_text, stream.allow_plain_http, &path.key("url"), errors);
    let auth = auth(stream, compliance, path, errors);
    let redirect_hosts = stream.redirect_hosts.clone().unwrap_or_default();
    place::hosts(&redirect_hosts, &path.key("redirect_hosts"), errors);
    place::limits(stream.silence, stream.connect_timeout, stream.max_line, path, errors);
    let service = service(stream, compliance, path, errors);
    let route = route(stream, state, path, errors);
    let dead_letter_topic = stream.dead_letter_topic.clone().unwrap_or_default();
    place::topic(&dead_letter_topic, place::Names::Fixed, state, &path.key("dead_letter_topic"), errors);
    let topic_spec =
        place::topic_spec(stream.partitions, stream.replication_factor, stream.retention, path, errors);
    let extract = extract(stream, path, errors);
    let (url, auth) = (url?, auth?);
    let kind = if compliance { "airship_compliance" } else { "airship" };
    // The public test server has no app key, but a user.
    let app = match (&service.app_key, &auth) {
        (Some(key), _) => key.as_str(),
        (None, Credential::Basic { user, .. }) => user.as_str(),
        _ => "",
    };
    Some(plan::Stream {
        source_id: place::source_id(kind, app, &url),
        start_anew: None,
        shards: stream.shards,
        headers: place::headers(&stream.headers),
        source: source::Config {
            endpoint: Endpoint {
                stream: stream.name.as_deref()?.into(),
                url,
                auth,
                redirect_hosts,
                allow_plain_http: stream.allow_plain_http,
                connect_timeout: stream.connect_timeout.0,
                silence: stream.silence.0,
            },
            service: source::Service::Airship(service),
            max_line: bytes(stream.max_line),
            queue_bytes,
        },
        extract,
        route,
        topic_spec,
        dead_letter_topic,
    })
}

fn auth(stream: &Airship, compliance: bool, path: &Path, errors: &mut Errors) -> Option<Credential> {
    let app_key = path.key("app_key");
    errors.add_if(stream.app_key.as_deref() == Some(""), &app_key, "must not be empty");
    let message = "expected visible ASCII letters: it is sent as a header";
    let legal = |key: &String| key.bytes().all(|byte| byte.is_ascii_graphic());
    errors.add_if(stream.app_key.as_ref().is_some_and(|key| !legal(key)), &app_key, message);
    let path = path.key("auth");
    let auth = required(stream.auth.as_ref(), &path, errors)?;
    match auth {
        Auth { bearer: Some(token), basic: None } => {
            let message = "the compliance stream takes `basic`, with the app key as user and the master secret as password";
            errors.add_if(compliance, &path.key("bearer"), message);
            let message = "missing: the service asks for the app key (X-UA-Appkey) beside a bearer token";
            errors.add_if(!compliance && stream.app_key.is_none(), &app_key, message);
            secret(token, &path.key("bearer"), errors).map(Credential::Bearer)
        }
        Auth { bearer: None, basic: Some(basic) } => {
            let path = path.key("basic");
            let user = required(basic.user.clone(), &path.key("user"), errors);
            let wrong = user.as_ref().is_some_and(|user| user.is_empty() || user.contains(':'));
            errors.add_if(wrong, &path.key("user"), "must not be empty or hold a colon");
            let password = required(basic.password.as_ref(), &path.key("password"), errors)
                .and_then(|password| secret(password, &path.key("password"), errors));
            Some(Credential::Basic { user: user?, password: password? })
        }
        _ => {
            let message = "expected exactly one of { bearer = SECRET } and { basic = { user = \"…\", password = SECRET } }";
            errors.add(&path, message);
            None
        }
    }
}

fn service(stream: &Airship, compliance: bool, path: &Path, errors: &mut Errors) -> airship::Config {
    let shards = path.key("shards");
    let in_range = (1..=MOST_SHARDS).contains(&stream.shards);
    errors.add_if(!in_range, &shards, format!("must be from 1 to {MOST_SHARDS}"));
    let sample = stream.subset.as_ref().and_then(|subset| {
        let path = path.key("subset");
        let sample = required(subset.sample, &path.key("sample"), errors);
        let wrong = sample.is_some_and(|share| !(0.0..=1.0).contains(&share));
        errors.add_if(wrong, &path.key("sample"), "must be from 0 to 1");
        let message = "not together with several shards: the service takes one subset, and shards are one";
        errors.add_if(stream.shards > 1, &path, message);
        sample
    });
    let backoff = path.key("backoff");
    positive(stream.backoff.min, &backoff.key("min"), errors);
    positive(stream.backoff.max, &backoff.key("max"), errors);
    let message = "must not be longer than backoff.max";
    errors.add_if(stream.backoff.min > stream.backoff.max, &backoff.key("min"), message);
    airship::Config {
        app_key: stream.app_key.clone(),
        start: match stream.start {
            Start::Earliest => airship::Start::Earliest,
            Start::Latest => airship::Start::Latest,
        },
        on_expired: match stream.on_expired_position {
            OnExpired::Earliest => airship::OnExpired::Earliest,
            OnExpired::Latest => airship::OnExpired::Latest,
            OnExpired::Stop => airship::OnExpired::Stop,
        },
        filters: filters::validate(stream.filters.as_deref(), compliance, &path.key("filters"), errors),
        sample,
        shards: stream.shards,
        backoff: (stream.backoff.min.0, stream.backoff.max.0),
    }
}

fn route(stream: &Airship, state: &[String], path: &Path, errors: &mut Errors) -> route::Config {
    let topic = stream.topic.clone().unwrap_or_default();
    place::topic(&topic, place::Names::OfType, state, &path.key("topic"), errors);
    for (event_type, topic) in &stream.topics {
        let path = path.key("topics").key(event_type);
        place::topic(topic, place::Names::Fixed, state, &path, errors);
        errors.add_if(!filters::is_event_type(event_type), &path, filters::EVENT_TYPE);
    }
    if let Some(default) = &stream.default_topic {
        let path = path.key("default_topic");
        // Every event has a topic then, and the connector does not start without it.
        let idle = "has no effect unless `topic` names the type in braces, such as \"airship.{type}\"";
        errors.add_if(Template::parse(&topic).is_none(), &path, idle);
        place::topic(default, place::Names::Fixed, state, &path, errors);
    }
    route::Config {
        topic,
        topics: stream.topics.clone(),
        default_topic: stream.default_topic.clone(),
        timestamp: match stream.timestamp {
            Timestamp::Processed => route::Timestamp::Processed,
            Timestamp::Occurred => route::Timestamp::Occurred,
        },
        reserved: state.to_vec(),
    }
}

/// The members of Airship's event format, version 3.
fn extract(stream: &Airship, path: &Path, errors: &mut Errors) -> extract::Config {
    let (path, fields) = (path.key("key"), stream.key.as_deref().unwrap_or_default());
    place::fields(fields, "device.channel", &path, errors);
    let config = extract::Config {
        id: Id::Field("id".to_owned()),
        key: Key::Fields(fields.to_vec()),
        event_type: EventType::Field("type".to_owned()),
        topic_field: Some("type".to_owned()),
        occurred: "occurred".to_owned(),
        processed: "processed".to_owned(),
        times: TimeFormat::Rfc3339,
        offset: Some(offset::MEMBER.to_owned()),
        position_only_type: Some(airship::OFFSET_UPDATE.to_owned()),
        ignore_evar_case: false,
        drop: Vec::new(),
    };
    place::number_of_fields(&config, &path, errors);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn official_hosts_stand_for_their_domain() {
        assert_eq!(own_domain("connect.urbanairship.com"), "urbanairship.com");
        assert_eq!(own_domain("connect.asnapieu.com"), "asnapieu.com");
        assert_eq!(own_domain("urbanairship.com"), "urbanairship.com");
        assert_eq!(own_domain("noturbanairship.com"), "noturbanairship.com");
        assert_eq!(own_domain("127.0.0.1"), "127.0.0.1");
    }
}
