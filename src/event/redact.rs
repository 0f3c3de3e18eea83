//! Line to the line that may be shown: named members are dropped, hashed or truncated, and every other byte stays as it is.
//!
//! Knows nothing of ids or topics. It takes positions, which serde_json does not tell, so it has a scanner of its own, which
//! trusts nothing: what is no JSON object, nor an array of them, is refused as a whole.
//!
//! Invariants:
//! - Nothing of a value at a configured path is in what comes out, but for its presence, null and empty text. Arrays on the way
//!   and at the end are gone through, every member of a name counts, and names count as they read, however they are spelled.
//! - What comes out is JSON exactly if the line is.
//! - Nothing is copied where nothing is redacted, and nothing is allocated for an event, but for text with JSON escapes and for
//!   what is nested twice in something that is redacted whole.

use hmac::{Hmac, KeyInit};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::paths::{Node, PathError, Spelling};
use super::scan::Unreadable;
use crate::model::secret::{Secret, SecretSource};

mod pass;
mod values;

/// What is redacted, and where that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What is done to which members; none of the paths covers another.
    pub rules: Vec<Rule>,
    /// How the names of paths are compared.
    pub spelling: Spelling,
    /// What the key is made of.
    pub key_from: Form,
    /// What dead letters hold.
    pub dead_letters: Form,
}

/// What is done to the members at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Which ones, see [`super::paths`].
    pub path: String,
    /// What is done to them.
    pub action: Action,
}

/// What is done to a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It is taken out.
    Drop,
    /// Its value becomes the HMAC-SHA-256 of it under this secret, in base64url without padding.
    Hash(SecretSource),
    /// An IP address loses its end; what is none is taken out.
    Truncate,
}

/// A form in which there is an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// With what is redacted in it.
    #[default]
    Redacted,
    /// As it came.
    Received,
}

/// The shortest secret to hash with, bytes: a shorter one is found by trying.
const LEAST_SECRET_BYTES: usize = 16;

/// A secret to hash with that is too short.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "it has less than {LEAST_SECRET_BYTES} bytes, so it could be found by trying, and with it what was hashed: \
     `openssl rand -base64 32` makes a good one"
)]
pub struct TooShort;

/// Whether this secret is too short to hash with.
pub fn is_too_short(secret: &Secret) -> bool {
    secret.used_bytes() < LEAST_SECRET_BYTES
}

/// How deep a path may go.
pub const MAX_NAMES: usize = 32;

/// Why a configuration cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A path that is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is no key for a rule that hashes.
    #[error("the rule for {0:?} has no secret to hash with")]
    NoSecret(String),
}

/// An action with what it takes.
#[derive(Debug)]
enum Act {
    Drop,
    Hash(Hmac<Sha256>),
    Truncate,
}

/// Redacts lines. Made once a shard, and again when a secret changes.
#[derive(Debug)]
pub struct Redactor {
    root: Node<Option<Act>>,
}

impl Config {
    /// The secrets of the rules that hash, in their order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.rules.iter().filter_map(|rule| match &rule.action {
            Action::Hash(secret) => Some(secret),
            Action::Drop | Action::Truncate => None,
        })
    }

    /// What tells these rules from others: what is done to which members, in any order and under whatever secrets. 16 letters.
    pub fn fingerprint(&self) -> String {
        let line = |rule: &Rule| {
            let action = match rule.action {
                Action::Drop => "drop",
                Action::Hash(_) => "hash",
                Action::Truncate => "truncate",
            };
            format!("{action} {}\n", rule.path)
        };
        let mut lines: Vec<String> = self.rules.iter().map(line).collect();
        lines.sort();
        let digest = Sha256::digest(lines.concat());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Redactor {
    /// Prepares the configured rules. `secrets` are those that [`Config::secrets`] names, in that order.
    pub fn new(config: &Config, secrets: &[Secret]) -> Result<Self, ConfigError> {
        let (mut root, mut secrets) = (Node::default(), secrets.iter());
        for Rule { path, action } in &config.rules {
            let act = match action {
                Action::Drop => Act::Drop,
                Action::Truncate => Act::Truncate,
                Action::Hash(_) => {
                    let key =
                        secrets.next().and_then(|key| Hmac::new_from_slice(key.expose().as_bytes()).ok());
                    Act::Hash(key.ok_or_else(|| ConfigError::NoSecret(path.clone()))?)
                }
            };
            let mut node: &mut Node<Option<Act>> = &mut root;
            for name in config.spelling.names(path)? {
                node = node.child_mut(&name, config.spelling);
            }
            node.wanted = Some(act);
        }
        Ok(Self { root })
    }

    /// The line that may be shown in place of `line`, which is given without its line end: itself, or what is in `scratch` then.
    pub fn redact<'l>(&self, line: &'l [u8], scratch: &'l mut Vec<u8>) -> Result<&'l [u8], Unreadable> {
        let is_changed = pass::Pass::new(line, scratch).run(&self.root)?;
        Ok(if is_changed { scratch } else { line })
    }
}

/// Whether this is JSON and nothing else. Text that is not UTF-8 and halves of surrogate pairs do not count against it.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests;
