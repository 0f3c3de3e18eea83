//! One `[[stream]]`: which keys it may have depends on its `kind`. Each kind has a file of its own with its keys and their
//! judgement; what all kinds share is in `common`.

use figment::value::{Dict, Tag, Value};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::{Errors, Path};
use super::read::{self, Texts};
use super::secret::SecretKeys;
use crate::plan;

pub(super) mod adobe;
pub(super) mod airship;
pub(super) mod collisions;
pub(super) mod common;
pub(super) mod fields;
pub(super) mod filters;
pub(super) mod headers;
pub(super) mod key;
pub(super) mod redact;
pub(super) mod rules;
pub(super) mod timestamp;
pub(super) mod topics;
pub(super) mod webhook;

use adobe::Adobe;
use airship::Airship;
use common::{Common, Surroundings};
use webhook::Webhook;

/// The values of `kind`.
const KINDS: [&str; 4] = ["airship", "airship_compliance", "airship_webhook", "adobe"];

/// A stream.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Stream {
    /// Airship Real-Time Data Streaming.
    Airship(Box<Keys<Airship>>),
    /// Airship's compliance stream: e-mail and SMS consent events.
    AirshipCompliance(Box<Keys<Airship>>),
    /// Airship events that are pushed to us. The keys that are about connections to a service are refused: `url`, `silence`,
    /// `connect_timeout`, `redirect_hosts` and `allow_plain_http`.
    AirshipWebhook(Box<Keys<Webhook>>),
    /// Adobe Analytics Livestream.
    Adobe(Box<Keys<Adobe>>),
}

/// The keys of a stream: those of every kind, and those of its own.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Keys<K> {
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(flatten)]
    pub(super) own: K,
}

impl Stream {
    /// Reads what is written; `None` where not even the kind is known.
    pub(super) fn read(value: Value, path: &Path, texts: &Texts, errors: &mut Errors) -> Option<Self> {
        let Value::Dict(_, mut dict) = value else {
            errors.add(path, "expected a table: each stream begins with [[stream]]");
            return None;
        };
        let kind = dict.remove("kind");
        let path_of_kind = path.key("kind");
        let Some(kind) = kind else {
            errors.add(&path_of_kind, format!("missing: one of `{}`", KINDS.join("`, `")));
            return None;
        };
        match kind.as_str() {
            Some("airship") => keys(dict, path, texts, errors).map(Self::Airship),
            Some("airship_compliance") => keys(dict, path, texts, errors).map(Self::AirshipCompliance),
            Some("adobe") => keys(dict, path, texts, errors).map(Self::Adobe),
            Some("airship_webhook") => keys(dict, path, texts, errors).map(Self::AirshipWebhook),
            Some(other) => {
                errors.add(&path_of_kind, read::unknown(&format!("kind `{other}`"), other, &KINDS));
                None
            }
            None => {
                errors.add(&path_of_kind, format!("expected a string: one of `{}`", KINDS.join("`, `")));
                None
            }
        }
    }

    /// The keys of every kind.
    pub(super) fn common(&self) -> &Common {
        match self {
            Self::Airship(keys) | Self::AirshipCompliance(keys) => &keys.common,
            Self::AirshipWebhook(keys) => &keys.common,
            Self::Adobe(keys) => &keys.common,
        }
    }

    pub(super) fn common_mut(&mut self) -> &mut Common {
        match self {
            Self::Airship(keys) | Self::AirshipCompliance(keys) => &mut keys.common,
            Self::AirshipWebhook(keys) => &mut keys.common,
            Self::Adobe(keys) => &mut keys.common,
        }
    }

    /// Fills in the defaults that follow from other keys.
    pub(super) fn resolve(&mut self, dead_letters: &str) {
        let common = match self {
            Self::Airship(keys) => {
                keys.resolve(false);
                &mut keys.common
            }
            Self::AirshipCompliance(keys) => {
                keys.resolve(true);
                &mut keys.common
            }
            Self::AirshipWebhook(keys) => {
                keys.resolve();
                &mut keys.common
            }
            Self::Adobe(keys) => {
                keys.resolve();
                &mut keys.common
            }
        };
        common.dead_letter_topic.get_or_insert(dead_letters.to_owned());
    }

    /// Judges every value of a resolved stream.
    pub(super) fn validate(
        &self,
        surroundings: &Surroundings,
        path: &Path,
        errors: &mut Errors,
    ) -> Option<plan::Stream> {
        let judged = match self {
            Self::Airship(keys) => keys.judge(false, surroundings, path, errors),
            Self::AirshipCompliance(keys) => keys.judge(true, surroundings, path, errors),
            Self::AirshipWebhook(keys) => keys.judge(surroundings, path, errors),
            Self::Adobe(keys) => keys.judge(surroundings, path, errors),
        };
        self.common().judge(judged, surroundings, path, errors)
    }

    /// The secrets, with the paths that lead to them from the stream's own.
    pub(super) fn secrets(&self, path: &Path) -> Vec<(&SecretKeys, Path)> {
        let auth = path.key("auth");
        let below = |(keys, at): (_, &'static [&'static str])| {
            (keys, at.iter().fold(auth.clone(), |path, key| path.key(key)))
        };
        let of_auth: Vec<(&SecretKeys, Path)> = match self {
            Self::Airship(keys) | Self::AirshipCompliance(keys) => {
                keys.own.secrets().into_iter().map(below).collect()
            }
            Self::AirshipWebhook(keys) => keys.own.secrets(&auth),
            Self::Adobe(keys) => keys.own.secrets().into_iter().map(below).collect(),
        };
        let redact = path.key("redact");
        let of_rules = self.common().redact.iter().enumerate();
        let of_rules =
            of_rules.filter_map(|(n, rule)| Some((rule.secret.as_ref()?, redact.index(n).key("secret"))));
        of_auth.into_iter().chain(of_rules).collect()
    }

    /// The topic or its template, once it is resolved.
    pub(super) fn topic(&self) -> Option<&str> {
        match self {
            Self::Airship(keys) | Self::AirshipCompliance(keys) => keys.own.topic.as_deref(),
            Self::AirshipWebhook(keys) => Some(&keys.own.topic),
            Self::Adobe(keys) => Some(&keys.own.topic),
        }
    }
}

/// Serde's `flatten` cannot refuse unknown keys. So those that all kinds have are split off before, and what is left has to be
/// known to the kind.
fn keys<K: DeserializeOwned>(
    dict: Dict,
    path: &Path,
    texts: &Texts,
    errors: &mut Errors,
) -> Option<Box<Keys<K>>> {
    let known = fields::of::<Common>();
    let (common, own): (Dict, Dict) = dict.into_iter().partition(|(key, _)| known.contains(&key.as_str()));
    let common = read::read(Value::Dict(Tag::Default, common), path, &[], texts, errors)?;
    let own = read::read(Value::Dict(Tag::Default, own), path, known, texts, errors)?;
    Some(Box::new(Keys { common, own }))
}
