//! Checks of single values, for whoever judges a part of the configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use url::{Host, Url};

use super::errors::{Errors, Path};
use super::secret::SecretKeys;
use super::units::{Size, Span};
use crate::event::extract::{self, Extractor, MAX_FIELDS};
use crate::event::paths;
use crate::model::secret::SecretSource;
use crate::model::topic::{collide, is_internal, is_name_byte};
use crate::web::is_loopback;

/// librdkafka's upper limit for a message.
pub(super) const LARGEST_MESSAGE: u64 = 1_000_000_000;

pub(super) use crate::model::topic::MAX_TOPIC_LENGTH as LONGEST_TOPIC;

/// Whether this is a legal topic name.
pub(super) fn is_topic(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_TOPIC
        && name.bytes().all(is_name_byte)
        && name != "."
        && name != ".."
}

/// Checks the name of a topic. State topics are refused.
pub(super) fn topic(name: &str, state: &[String], path: &Path, errors: &mut Errors) {
    let message = format!("expected a topic name: 1 to {LONGEST_TOPIC} letters, digits, `.`, `_` and `-`");
    errors.add_if(!is_topic(name), path, message);
    let message = "this topic holds the connector's state: choose another name";
    errors.add_if(state.iter().any(|state| collide(state, name)), path, message);
    let message = "names that begin with `__` are Kafka's own: choose another name";
    errors.add_if(is_internal(name), path, message);
}

/// Whether this is a field's path: member names with dots between them.
fn is_field(path: &str) -> bool {
    paths::parse(path).is_ok()
}

/// Checks the path of a field.
pub(super) fn field(field: &str, example: &str, path: &Path, errors: &mut Errors) {
    let message = format!("expected member names with dots between them, such as {example:?}");
    errors.add_if(!is_field(field), path, message);
}

/// Checks paths of fields.
pub(super) fn fields(fields: &[String], example: &str, path: &Path, errors: &mut Errors) {
    for (n, text) in fields.iter().enumerate() {
        field(text, example, &path.index(n), errors);
    }
}

/// Checks that the extractor takes so many fields. `key` is where the list stands that is long if it does not.
pub(super) fn number_of_fields(config: &extract::Config, key: &Path, errors: &mut Errors) {
    match Extractor::new(config) {
        Err(extract::ConfigError::TooManyFields(number)) => {
            let message = format!(
                "too long: with those of `topic`, `only`, `drop` and `headers` and those that the connector needs it makes {number} different fields, and at most {MAX_FIELDS} can be taken"
            );
            errors.add(key, message);
        }
        // What is wrong with a path or a template was said where it stands.
        Err(extract::ConfigError::Path(_) | extract::ConfigError::TooManyTopicFields(_)) | Ok(_) => {}
    }
}

/// Parses an address that a credential is sent to. No message repeats it: it may hold a password.
pub(super) fn url(text: &str, allow_plain_http: bool, path: &Path, errors: &mut Errors) -> Option<Url> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            errors.add(path, format!("expected an address such as \"https://host/path\": {error}"));
            return None;
        }
    };
    let Some(host) = url.host() else {
        errors.add(path, "expected an address with a host, such as \"https://host/path\"");
        return None;
    };
    let credential = !url.username().is_empty() || url.password().is_some();
    errors.add_if(credential, path, "a credential does not belong into the address: use `auth`");
    match url.scheme() {
        "https" => {}
        "http" => {
            let message = "plain http would show the credential to everyone on the way: use https, or set allow_plain_http = true";
            errors.add_if(!allow_plain_http && !is_loopback(&host), path, message);
        }
        _ => errors.add(path, "expected an address that begins with https://"),
    }
    Some(url)
}

/// Checks hosts that may get a credential.
pub(super) fn hosts(hosts: &[String], path: &Path, errors: &mut Errors) {
    for (n, host) in hosts.iter().enumerate() {
        let wrong = Host::parse(host).is_err() || host.starts_with('.') || host.contains('*');
        let message = "expected a host name without scheme, port or `*`: whatever is below it counts too";
        errors.add_if(wrong, &path.index(n), message);
    }
}

/// The value, or a note that it is missing.
pub(super) fn required<T>(value: Option<T>, path: &Path, errors: &mut Errors) -> Option<T> {
    errors.add_if(value.is_none(), path, "missing: this key is required");
    value
}

/// A time that is waited for: beyond this it is a mistake, and clocks would overflow.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn positive(span: Span, path: &Path, errors: &mut Errors) {
    errors.add_if(span.0.is_zero(), path, "must be longer than zero");
    errors.add_if(span.0 > LONGEST, path, "must be at most a year");
}

pub(super) fn at_least_one(number: Option<i32>, path: &Path, errors: &mut Errors) {
    errors.add_if(number.is_some_and(|number| number < 1), path, "must be 1 or more");
}

pub(super) fn range(number: usize, most: usize, path: &Path, errors: &mut Errors) {
    errors.add_if(!(1..=most).contains(&number), path, format!("must be from 1 to {most}"));
}

pub(super) fn size(size: Size, most: u64, path: &Path, errors: &mut Errors) {
    errors.add_if(!(1..=most).contains(&size.0), path, format!("must be from 1B to {}", Size(most)));
}

/// As `size` has checked; saturates on machines with 32-bit addresses.
pub(super) fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

/// The source of a secret that is given in exactly one way.
pub(super) fn secret(keys: &SecretKeys, path: &Path, errors: &mut Errors) -> Option<SecretSource> {
    let SecretKeys { env, file, value } = keys;
    let source = match (env, file, value) {
        (Some(name), None, None) => {
            let message = "expected the name of an environment variable";
            errors.add_if(name.is_empty() || name.contains(['=', '\0']), &path.key("env"), message);
            SecretSource::Env(name.clone())
        }
        (None, Some(file), None) => {
            errors.add_if(file.as_os_str().is_empty(), &path.key("file"), "expected the path of a file");
            SecretSource::File(file.clone())
        }
        (None, None, Some(value)) => {
            errors.add_if(value.is_blank(), &path.key("value"), "must not be empty");
            SecretSource::Value(value.clone())
        }
        _ => {
            let message =
                "expected exactly one of { env = \"NAME\" }, { file = \"PATH\" } and { value = \"…\" }";
            errors.add(path, message);
            return None;
        }
    };
    Some(source)
}

/// The single key of a table that takes exactly one of `keys`.
pub(super) fn one_of<'r, T>(
    given: impl IntoIterator<Item = (&'static str, Option<&'r String>, fn(String) -> T)>,
    path: &Path,
    errors: &mut Errors,
) -> Option<T> {
    let mut names = BTreeSet::new();
    let mut present = Vec::new();
    for (name, value, make) in given {
        names.insert(name);
        present.extend(value.map(|value| (name, value, make)));
    }
    match present.as_slice() {
        [(name, value, make)] => {
            errors.add_if(value.is_empty(), &path.key(name), "must not be empty");
            Some(make((*value).clone()))
        }
        _ => {
            let names: Vec<_> = names.into_iter().collect();
            errors.add(path, format!("expected exactly one of the keys `{}`", names.join("`, `")));
            None
        }
    }
}
