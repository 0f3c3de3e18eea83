//! What is redacted in a stream's events: its keys, and their judgement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::Common;
use crate::config::checks::{required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::secret::SecretKeys;
use crate::event::extract;
use crate::event::paths::{self, Spelling};
use crate::event::redact::{self, MAX_NAMES, Rule, TooShort};
use crate::model::secret::SecretSource;

/// What is done to the members at a path.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "{ path = \"…\", action = \"…\" }")]
#[schemars(extend("required" = ["path", "action"]))]
pub(in crate::config) struct Redact {
    /// Member names with dots between them; one that holds a dot in double quotes: `body."first.name"`. Arrays on the way and at the
    /// end need no mark: every element is gone through.
    pub(in crate::config) path: Option<String>,
    /// What is done to them.
    pub(in crate::config) action: Option<Action>,
    /// The key of the hash, with `action = "hash"`: text of at least 16 bytes, such as `openssl rand -base64 32` makes. A file is
    /// read again every half minute.
    pub(in crate::config) secret: Option<SecretKeys>,
}

/// What is done to a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Action {
    /// It is taken out, with one comma.
    Drop,
    /// Its value becomes the HMAC-SHA-256 of it, in base64url without padding.
    Hash,
    /// An IPv4 address loses its last octet, an IPv6 address all but its first 48 bits (of 6to4, 40); what is no address is taken out.
    Truncate,
}

/// In which form an event is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Form {
    /// With what is redacted in it.
    #[default]
    Redacted,
    /// As it was received, with everything in it.
    Received,
}

impl Form {
    fn plain(self) -> redact::Form {
        match self {
            Self::Redacted => redact::Form::Redacted,
            Self::Received => redact::Form::Received,
        }
    }
}

/// Judges the redaction of a stream that takes these fields.
pub(super) fn validate(
    common: &Common,
    extract: Option<&extract::Config>,
    path: &Path,
    errors: &mut Errors,
) -> Option<redact::Config> {
    let forms = [("key_from", common.key_from), ("dead_letters", common.dead_letters)];
    for (key, form) in forms.into_iter().filter(|_| common.redact.is_empty()) {
        errors.add_if(form != Form::Redacted, &path.key(key), "has no effect without `redact`");
    }
    let spelling = extract.map(|extract| extract.spelling).unwrap_or_default();
    let needed = extract.map(extract::Config::needed).unwrap_or_default();
    let at = path.key("redact");
    let mut rules: Vec<(usize, Rule)> = Vec::new();
    for (n, redact) in common.redact.iter().enumerate() {
        let at = at.index(n);
        let Some(rule) = rule(redact, &at, errors) else { continue };
        let at = at.key("path");
        check_needed(&rule.path, &needed, spelling, &at, errors);
        let covers = |one: &str, other: &str| spelling.covers(one, other);
        let other = rules
            .iter()
            .find(|(_, known)| covers(&known.path, &rule.path) || covers(&rule.path, &known.path));
        if let Some((other, known)) = other {
            errors.add(
                &at,
                format!("redact[{other}] is for {:?}: one of the two is within the other", known.path),
            );
        }
        rules.push((n, rule));
    }
    if common.redact.is_empty() {
        return None;
    }
    Some(redact::Config {
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
        spelling,
        key_from: common.key_from.plain(),
        dead_letters: common.dead_letters.plain(),
    })
}

fn rule(redact: &Redact, at: &Path, errors: &mut Errors) -> Option<Rule> {
    let key = at.key("secret");
    let message = "has no effect unless action = \"hash\"";
    let hashes = redact.action.is_none_or(|action| action == Action::Hash);
    errors.add_if(redact.secret.is_some() && !hashes, &key, message);
    let action = match required(redact.action, &at.key("action"), errors) {
        Some(Action::Drop) => Some(redact::Action::Drop),
        Some(Action::Truncate) => Some(redact::Action::Truncate),
        Some(Action::Hash) => required(redact.secret.as_ref(), &key, errors)
            .and_then(|keys| secret(keys, &key, errors))
            .inspect(|source| check_length(source, &key, errors))
            .map(redact::Action::Hash),
        None => None,
    };
    let path = required(redact.path.as_ref(), &at.key("path"), errors)?;
    check_path(path, &at.key("path"), errors);
    Some(Rule { path: path.clone(), action: action? })
}

/// One that stands in the configuration. Others are judged when they are read.
fn check_length(source: &SecretSource, at: &Path, errors: &mut Errors) {
    if let SecretSource::Value(secret) = source {
        errors.add_if(redact::is_too_short(secret), at, TooShort.to_string());
    }
}

fn check_path(path: &str, at: &Path, errors: &mut Errors) {
    let Ok(names) = paths::parse(path) else {
        let message = "expected member names with dots between them, such as \"device.named_user_id\", and one with a dot in it \
                       in double quotes: 'body.\"first.name\"'";
        errors.add(at, message);
        return;
    };
    errors.add_if(names.len() > MAX_NAMES, at, format!("at most {MAX_NAMES} names deep"));
    // Where these are meant as they stand, they can be put into quotes.
    let bare = || path.split('.').filter(|part| !part.contains('"'));
    errors.add_if(
        bare().any(|part| part == "*"),
        at,
        "`*` stands for nothing: name the object to redact all that is in it",
    );
    let is_element = |part: &str| part.ends_with(']') && part.contains('[');
    errors.add_if(bare().any(is_element), at, "arrays need no mark: every element is gone through");
}

fn check_needed(rule: &str, needed: &[(&str, &str)], spelling: Spelling, at: &Path, errors: &mut Errors) {
    if let Some((field, what)) = needed.iter().find(|(field, _)| spelling.covers(rule, field)) {
        let message = format!(
            "`{field}` is {what}: the connector needs it as it comes, and it stands in Kafka outside of the event too, so it \
             cannot be redacted"
        );
        errors.add(at, message);
    }
}
