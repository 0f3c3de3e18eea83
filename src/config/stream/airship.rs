//! Streams of kinds `airship` and `airship_compliance`: their keys, and their judgement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Keys;
use super::common::{Common, Input, Judged, Surroundings};
use super::filters::{self, Filter};
use super::key as config;
use super::{rules, timestamp, topics};
use crate::config::checks::{self, positive, required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::secret::SecretKeys;
use crate::config::units::Span;
use crate::event::extract::{self, Condition, EventType, Filters, Id, Key, TimeFormat};
use crate::event::paths::Spelling;
use crate::event::route;
use crate::model::offset;
use crate::source::http::auth::Credential;
use crate::source::{Service, airship};

const EVENTS: &str = "https://connect.urbanairship.com/api/events/";
const COMPLIANCE: &str = "https://connect.urbanairship.com/api/events/general";
/// The domains of the service's two sites: their hosts may redirect to one another.
const SITES: [&str; 2] = ["urbanairship.com", "asnapieu.com"];
/// Each shard is a connection, and the service limits those per connection point.
const MOST_SHARDS: u32 = 64;
/// Every event has a type, so topics can be given to types whatever the template is.
const TOPICS: topics::Kind = topics::Kind { example: TYPE, by: Some(TYPE) };
const TYPE: &str = "type";

/// The default key: the device, else the user, else whom the body names. An SMS device may be nothing but its type, and
/// some events have neither device nor user.
pub(super) const KEY: [&str; 13] = [
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

/// The keys of kinds `airship` and `airship_compliance`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "auth"]))]
pub(in crate::config) struct Airship {
    /// The app key, sent as `X-UA-Appkey`. Required with `bearer`; for the compliance stream default: the
    /// user.
    pub(in crate::config) app_key: Option<String>,
    /// The credential.
    pub(in crate::config) auth: Option<Auth>,
    /// Where to begin when there is no checkpoint.
    pub(in crate::config) start: Start,
    /// What to do when the service no longer holds the position of the checkpoint.
    pub(in crate::config) on_expired_position: OnExpired,
    /// Asks only for events that pass one of these.
    #[schemars(length(min = 1))]
    pub(in crate::config) filters: Option<Vec<Filter>>,
    /// Asks only for a part of the stream.
    pub(in crate::config) subset: Option<Subset>,
    /// The topic: a name, or a template with fields in braces, such as `airship.{type}` or `airship.{type:snake}.{body.name:lower}`.
    /// Default: `airship.events`; of the compliance stream: `airship.compliance`. With a topic for each type the events of one device
    /// lose their order across types.
    pub(in crate::config) topic: Option<String>,
    /// Connections that share the stream.
    #[schemars(range(min = 1, max = 64))]
    pub(in crate::config) shards: u32,
    /// Pauses between attempts.
    pub(in crate::config) backoff: Backoff,
}

impl Default for Airship {
    fn default() -> Self {
        Self {
            app_key: None,
            auth: None,
            start: Start::default(),
            on_expired_position: OnExpired::default(),
            filters: None,
            subset: None,
            topic: None,
            shards: 1,
            backoff: Backoff::default(),
        }
    }
}

/// The credential: exactly one of `bearer` and `basic`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "{ bearer = SECRET } or { basic = { user = \"…\", password = SECRET } }"
)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct Auth {
    /// A token of a direct integration.
    pub(in crate::config) bearer: Option<SecretKeys>,
    /// User and password: app key and master secret for the compliance stream.
    pub(in crate::config) basic: Option<Basic>,
}

/// User and password.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "{ user = \"…\", password = SECRET }")]
#[schemars(extend("required" = ["user", "password"]))]
pub(in crate::config) struct Basic {
    /// The user name, which is no secret.
    pub(in crate::config) user: Option<String>,
    /// The password.
    pub(in crate::config) password: Option<SecretKeys>,
}

/// Where to begin when there is no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Start {
    /// At the oldest event that the service holds.
    Earliest,
    /// With what comes after the connect.
    #[default]
    Latest,
}

/// What to do when the service no longer holds the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnExpired {
    /// Begin at the oldest event held, with a warning and a counter.
    #[default]
    Earliest,
    /// Begin at the end, with a warning and a counter.
    Latest,
    /// Retry slowly until an operator acts.
    Stop,
}

/// Pauses between attempts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Backoff {
    /// Upper bound of the first pause.
    pub(in crate::config) min: Span,
    /// Upper bound of all pauses.
    pub(in crate::config) max: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Span::seconds(1), max: Span::seconds(30) }
    }
}

/// A part of the stream. For an even split between connections see `shards`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["sample"]))]
pub(in crate::config) struct Subset {
    /// A random share of the events, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) sample: Option<f64>,
}

impl Airship {
    /// The secrets of the credential, with the keys below `auth` that lead to them.
    pub(super) fn secrets(&self) -> Vec<(&SecretKeys, &'static [&'static str])> {
        let auth = self.auth.as_ref();
        let bearer = auth.and_then(|auth| auth.bearer.as_ref());
        let password = auth.and_then(|auth| auth.basic.as_ref()?.password.as_ref());
        let given = [(bearer, &["bearer"][..]), (password, &["basic", "password"])];
        given.into_iter().filter_map(|(keys, at)| Some((keys?, at))).collect()
    }
}

impl Keys<Airship> {
    /// Fills in the defaults that follow from the kind, the address and the credential.
    pub(super) fn resolve(&mut self, compliance: bool) {
        let (url, topic, key) = if compliance {
            (COMPLIANCE, "airship.compliance", COMPLIANCE_KEY)
        } else {
            (EVENTS, "airship.events", KEY)
        };
        let Self { common, own } = self;
        common.key.get_or_insert_with(|| config::Key::First(key.map(str::to_owned).to_vec()));
        let url = common.url.get_or_insert(url.to_owned());
        if common.redirect_hosts.is_none() {
            common.redirect_hosts =
                Url::parse(url).ok().and_then(|url| url.host_str().map(own_domain)).map(|host| vec![host]);
        }
        own.topic.get_or_insert(topic.to_owned());
        if compliance && own.app_key.is_none() {
            let basic = own.auth.as_ref().and_then(|auth| auth.basic.as_ref());
            own.app_key = basic.and_then(|basic| basic.user.clone());
        }
    }

    /// Judges every value that is the kind's own.
    pub(super) fn judge(
        &self,
        compliance: bool,
        surroundings: &Surroundings,
        path: &Path,
        errors: &mut Errors,
    ) -> Option<Judged> {
        let Self { common, own } = self;
        let url = common.url.as_deref().unwrap_or_default();
        let url = checks::url(url, common.allow_plain_http, &path.key("url"), errors);
        let auth = auth(self, compliance, path, errors);
        let service = service(self, compliance, path, errors);
        let topic = own.topic.as_deref().unwrap_or_default();
        let (extract, route) = events(common, topic, surroundings, path, errors);
        let (url, auth) = (url?, auth?);
        let kind = if compliance { "airship_compliance" } else { "airship" };
        // The public test server has no app key, but a user.
        let app = match (&service.app_key, &auth) {
            (Some(key), _) => key.clone(),
            (None, Credential::Basic { user, .. }) => user.clone(),
            _ => String::new(),
        };
        Some(Judged {
            source: (kind, app),
            shards: own.shards,
            input: Input::Service { url, auth, service: Service::Airship(service) },
            extract,
            route,
        })
    }
}

/// What is taken from events, and where they go, by whatever way they come.
pub(super) fn events(
    common: &Common,
    topic: &str,
    surroundings: &Surroundings,
    path: &Path,
    errors: &mut Errors,
) -> (extract::Config, route::Config) {
    let route = topics::validate(common, topic, &TOPICS, &surroundings.state, path, errors);
    for event_type in common.topics.keys() {
        let path = path.key("topics").key(event_type);
        errors.add_if(!filters::is_event_type(event_type), &path, filters::EVENT_TYPE);
    }
    let filters = rules::validate(common, word, path, errors);
    (extract(common, route.fields(), filters, path, errors), route)
}

fn own_domain(host: &str) -> String {
    let is_below =
        |site: &&str| host.strip_suffix(site).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SITES.into_iter().find(is_below).unwrap_or(host).to_owned()
}

fn auth(stream: &Keys<Airship>, compliance: bool, path: &Path, errors: &mut Errors) -> Option<Credential> {
    let app_key = path.key("app_key");
    errors.add_if(stream.own.app_key.as_deref() == Some(""), &app_key, "must not be empty");
    let message = "expected visible ASCII letters: it is sent as a header";
    let legal = |key: &String| key.bytes().all(|byte| byte.is_ascii_graphic());
    errors.add_if(stream.own.app_key.as_ref().is_some_and(|key| !legal(key)), &app_key, message);
    let path = path.key("auth");
    let auth = required(stream.own.auth.as_ref(), &path, errors)?;
    match auth {
        Auth { bearer: Some(token), basic: None } => {
            let message = "the compliance stream takes `basic`, with the app key as user and the master secret as password";
            errors.add_if(compliance, &path.key("bearer"), message);
            let message = "missing: the service asks for the app key (X-UA-Appkey) beside a bearer token";
            errors.add_if(!compliance && stream.own.app_key.is_none(), &app_key, message);
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

fn service(stream: &Keys<Airship>, compliance: bool, path: &Path, errors: &mut Errors) -> airship::Config {
    let shards = path.key("shards");
    let in_range = (1..=MOST_SHARDS).contains(&stream.own.shards);
    errors.add_if(!in_range, &shards, format!("must be from 1 to {MOST_SHARDS}"));
    let sample = stream.own.subset.as_ref().and_then(|subset| {
        let path = path.key("subset");
        let sample = required(subset.sample, &path.key("sample"), errors);
        let wrong = sample.is_some_and(|share| !(0.0..=1.0).contains(&share));
        errors.add_if(wrong, &path.key("sample"), "must be from 0 to 1");
        let message = "not together with several shards: the service takes one subset, and shards are one";
        errors.add_if(stream.own.shards > 1, &path, message);
        sample
    });
    let backoff = path.key("backoff");
    positive(stream.own.backoff.min, &backoff.key("min"), errors);
    positive(stream.own.backoff.max, &backoff.key("max"), errors);
    let message = "must not be longer than backoff.max";
    errors.add_if(stream.own.backoff.min > stream.own.backoff.max, &backoff.key("min"), message);
    airship::Config {
        app_key: stream.own.app_key.clone(),
        start: match stream.own.start {
            Start::Earliest => airship::Start::Earliest,
            Start::Latest => airship::Start::Latest,
        },
        on_expired: match stream.own.on_expired_position {
            OnExpired::Earliest => airship::OnExpired::Earliest,
            OnExpired::Latest => airship::OnExpired::Latest,
            OnExpired::Stop => airship::OnExpired::Stop,
        },
        filters: filters::validate(stream.own.filters.as_deref(), compliance, &path.key("filters"), errors),
        sample,
        shards: stream.own.shards,
        backoff: (stream.own.backoff.min.0, stream.own.backoff.max.0),
    }
}

/// A word in `only` and `drop` is an event type.
fn word(word: &str) -> Result<Condition, String> {
    if !filters::is_event_type(word) {
        return Err(filters::EVENT_TYPE.to_owned());
    }
    Ok(Condition { field: TYPE.to_owned(), values: vec![word.to_owned()], ignore_case: false })
}

/// The members of Airship's event format, version 3.
fn extract(
    common: &Common,
    topic_fields: Vec<String>,
    filters: Filters,
    path: &Path,
    errors: &mut Errors,
) -> extract::Config {
    let time = timestamp::judge(common, TimeFormat::Rfc3339, path, errors);
    let (_, header_fields) = common.headers.judge(path, errors);
    let path = path.key("key");
    let key = common.key.as_ref().map(|key| key.judge("device.channel", &path, errors));
    let config = extract::Config {
        id: Id::Field("id".to_owned()),
        key: key.unwrap_or_else(|| Key::Fields(Vec::new())),
        event_type: EventType::Field(TYPE.to_owned()),
        topic_fields,
        occurred: "occurred".to_owned(),
        processed: "processed".to_owned(),
        times: TimeFormat::Rfc3339,
        time,
        header_fields,
        offset: Some(offset::MEMBER.to_owned()),
        position_only_type: Some(airship::OFFSET_UPDATE.to_owned()),
        spelling: Spelling::default(),
        filters,
    };
    checks::number_of_fields(&config, &path, errors);
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
