//! Streams of kind `airship_webhook`: their keys, and their judgement.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Keys;
use super::airship::{self, Basic};
use super::common::{Common, Input, Judged, LONGEST_RETENTION, Surroundings};
use super::key::Key;
use crate::config::checks::{required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::secret::SecretKeys;
use crate::config::units::Span;
use crate::event::extract;
use crate::model::secret::SecretSource;
use crate::sink::kafka::intake::Intake;
use crate::webhook::Access;

/// Each shard is a thread, and a producer of its own.
const MOST_SHARDS: u32 = 64;
/// A stop must not lose what was acknowledged.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3_600);

/// The keys of kind `airship_webhook`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "path"]))]
pub(in crate::config) struct Webhook {
    /// Where senders push to, such as `/airship`; unique among the streams, and compared exactly. A query behind it means nothing.
    #[schemars(regex(pattern = "^/[a-zA-Z0-9._~/-]*$"))]
    pub(in crate::config) path: Option<String>,
    /// Who may push: exactly one of `basic` and `header`.
    pub(in crate::config) auth: Option<Auth>,
    /// Whether everyone may push who reaches the address.
    pub(in crate::config) allow_unauthenticated: bool,
    /// The topic: a name, or a template with fields in braces, such as `airship.{type}` or `airship.{type:snake}.{body.name:lower}`. Default:
    /// `airship.events`.
    pub(in crate::config) topic: String,
    /// Partitions of the stream's intake topic, `<state.prefix>.<name>.intake`, each of which one shard reads. It cannot be changed
    /// later. Several spread events by id, not by key.
    #[schemars(range(min = 1, max = 64))]
    pub(in crate::config) shards: u32,
    /// How long the intake topic keeps what was received, unredacted, where the connector creates it: what no shard has read by then is lost.
    pub(in crate::config) intake_retention: Span,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            path: None,
            auth: None,
            allow_unauthenticated: false,
            topic: "airship.events".to_owned(),
            shards: 1,
            intake_retention: Span::seconds(7 * 86_400),
        }
    }
}

/// Who may push: exactly one of `basic` and `header`. Any one of several secrets will do, so that they can be rotated.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "{ basic = [{ user = \"…\", password = SECRET }] } or { header = { name = \"…\", values = [SECRET] } }"
)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
#[schemars(rename = "WebhookAuth")]
pub(in crate::config) struct Auth {
    /// HTTP Basic, with any of these users.
    #[schemars(length(min = 1))]
    pub(in crate::config) basic: Option<Vec<Basic>>,
    /// A header with a secret value.
    pub(in crate::config) header: Option<SecretHeader>,
}

/// A header with a secret value.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "values"]))]
pub(in crate::config) struct SecretHeader {
    /// Its name.
    pub(in crate::config) name: Option<String>,
    /// The values that are accepted.
    #[schemars(length(min = 1))]
    pub(in crate::config) values: Vec<SecretKeys>,
}

impl Webhook {
    /// The secrets, with the paths that lead to them; `auth` is that of the key.
    pub(super) fn secrets(&self, auth: &Path) -> Vec<(&SecretKeys, Path)> {
        let given = self.auth.as_ref();
        let basic = given.and_then(|auth| auth.basic.as_deref()).unwrap_or_default();
        let values = given.and_then(|auth| auth.header.as_ref()).map_or(&[][..], |header| &header.values);
        let of_basic = basic.iter().enumerate();
        let of_basic = of_basic.filter_map(|(n, user)| {
            Some((user.password.as_ref()?, auth.key("basic").index(n).key("password")))
        });
        let path = auth.key("header").key("values");
        of_basic.chain(values.iter().enumerate().map(|(n, keys)| (keys, path.index(n)))).collect()
    }
}

impl Keys<Webhook> {
    /// Fills in the defaults that follow from the kind.
    pub(super) fn resolve(&mut self) {
        self.common.key.get_or_insert_with(|| Key::First(airship::KEY.map(str::to_owned).to_vec()));
    }

    /// Judges every value that is the kind's own.
    pub(super) fn judge(
        &self,
        surroundings: &Surroundings,
        path: &Path,
        errors: &mut Errors,
    ) -> Option<Judged> {
        let Self { common, own } = self;
        refuse_idle(common, path, errors);
        let at = path.key("path");
        let address = required(own.path.as_deref(), &at, errors);
        let legal = |c: char| c.is_ascii_alphanumeric() || "._~/-".contains(c);
        let wrong = address.is_some_and(|path| !path.starts_with('/') || !path.chars().all(legal));
        errors.add_if(wrong, &at, "expected a path such as `/airship`, of letters, digits and `._~/-`");
        let access = access(own, path, errors);
        let in_range = (1..=MOST_SHARDS).contains(&own.shards);
        errors.add_if(!in_range, &path.key("shards"), format!("must be from 1 to {MOST_SHARDS}"));
        let fits = (SHORTEST_RETENTION..=LONGEST_RETENTION).contains(&own.intake_retention.0);
        errors.add_if(!fits, &path.key("intake_retention"), "must be from 1h to 365000d");
        let (extract, route) = airship::events(common, &own.topic, surroundings, path, errors);
        // The position is the record's place in the intake topic, and what was pushed says none.
        let extract = extract::Config { offset: None, position_only_type: None, ..extract };
        let name = common.name.clone()?;
        let intake = Intake {
            topic: format!("{}.{name}.intake", surroundings.prefix),
            partitions: own.shards,
            retention: own.intake_retention.0,
        };
        Some(Judged {
            source: ("airship_webhook", name),
            shards: own.shards,
            input: Input::Pushed { intake, path: address?.to_owned(), access: access? },
            extract,
            route,
        })
    }
}

/// Refuses the keys that are about connections to a service.
fn refuse_idle(common: &Common, path: &Path, errors: &mut Errors) {
    let usual = Common::default();
    for (key, is_given) in [
        ("url", common.url.is_some()),
        ("silence", common.silence != usual.silence),
        ("connect_timeout", common.connect_timeout != usual.connect_timeout),
        ("redirect_hosts", common.redirect_hosts.is_some()),
        ("allow_plain_http", common.allow_plain_http),
    ] {
        let message = "has no effect: the events of this kind are pushed to us, see `path` and [webhook]";
        errors.add_if(is_given, &path.key(key), message);
    }
}

/// Who may push; `Some(None)` for everyone.
fn access(own: &Webhook, path: &Path, errors: &mut Errors) -> Option<Option<Access>> {
    let at = path.key("auth");
    let Some(auth) = &own.auth else {
        let message = "missing: without it everyone could push events who reaches the address; allow_unauthenticated = true \
                       says that this is meant";
        errors.add_if(!own.allow_unauthenticated, &at, message);
        return own.allow_unauthenticated.then_some(None);
    };
    let message = "has no effect beside `auth`";
    errors.add_if(own.allow_unauthenticated, &path.key("allow_unauthenticated"), message);
    match auth {
        Auth { basic: Some(users), header: None } => {
            let at = at.key("basic");
            errors.add_if(users.is_empty(), &at, "must not be empty");
            let users: Vec<Option<(String, SecretSource)>> =
                users.iter().enumerate().map(|(n, user)| basic(user, &at.index(n), errors)).collect();
            Some(Some(Access::Basic(users.into_iter().collect::<Option<_>>()?)))
        }
        Auth { basic: None, header: Some(header) } => {
            let at = at.key("header");
            let name = required(header.name.clone(), &at.key("name"), errors);
            let wrong = name.as_ref().is_some_and(|name| HeaderName::from_bytes(name.as_bytes()).is_err());
            errors.add_if(wrong, &at.key("name"), "expected the name of a header, such as `X-Key`");
            let at = at.key("values");
            errors.add_if(header.values.is_empty(), &at, "must not be empty");
            let values: Vec<Option<SecretSource>> = header
                .values
                .iter()
                .enumerate()
                .map(|(n, keys)| secret(keys, &at.index(n), errors))
                .collect();
            Some(Some(Access::Header { name: name?, values: values.into_iter().collect::<Option<_>>()? }))
        }
        _ => {
            let message = "expected exactly one of { basic = [{ user = \"…\", password = SECRET }] } and \
                           { header = { name = \"…\", values = [SECRET] } }";
            errors.add(&at, message);
            None
        }
    }
}

fn basic(basic: &Basic, path: &Path, errors: &mut Errors) -> Option<(String, SecretSource)> {
    let user = required(basic.user.clone(), &path.key("user"), errors);
    let wrong = user.as_ref().is_some_and(|user| user.is_empty() || user.contains(':'));
    errors.add_if(wrong, &path.key("user"), "must not be empty or hold a colon");
    let password = required(basic.password.as_ref(), &path.key("password"), errors)
        .and_then(|password| secret(password, &path.key("password"), errors));
    Some((user?, password?))
}

/// Refuses streams that share a path.
pub(in crate::config) fn check_paths<'s>(
    streams: impl IntoIterator<Item = (Option<&'s str>, Path)>,
    errors: &mut Errors,
) {
    let mut seen = BTreeSet::new();
    for (address, path) in streams {
        let Some(address) = address else { continue };
        let message = "another stream has this path already";
        errors.add_if(!seen.insert(address), &path.key("path"), message);
    }
}
