//! Who may push to a stream. Compared in constant time, and whoever is refused is not told why.

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tracing::warn;

use crate::model::errors::chain;
use crate::model::secret::{SecretError, SecretSource};

/// What proves who pushes; any one of several will do, so that one can be exchanged for another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// HTTP Basic, with any of these users and their passwords.
    Basic(Vec<(String, SecretSource)>),
    /// A header with any of these values.
    Header {
        /// Its name.
        name: String,
        /// The values.
        values: Vec<SecretSource>,
    },
}

/// Hashes of what is accepted at the moment, in the order of the secrets; `None` for one that could never be read. A hash has one
/// length, whatever it is of, so comparing tells none.
type Accepted = Vec<Option<[u8; 32]>>;

/// Looks at requests.
#[derive(Debug)]
pub(super) struct Gate {
    access: Option<Access>,
    accepted: RwLock<Arc<Accepted>>,
}

impl Gate {
    /// With the secrets as they are now; one that cannot be read accepts nobody until it can. One that cannot be read any more
    /// stays what it was: files are away for a moment while they are rotated, and a sender that is refused may not come back.
    pub(super) fn new(stream: &str, access: Option<Access>) -> Self {
        let gate = Self { access, accepted: RwLock::default() };
        gate.read_again(stream);
        gate
    }

    /// Reads the secrets again, for files that were rotated.
    pub(super) fn read_again(&self, stream: &str) {
        let Some(access) = &self.access else { return };
        let before = Arc::clone(&self.accepted.read().unwrap_or_else(PoisonError::into_inner));
        let mut accepted = Vec::new();
        for (number, (user, source)) in access.secrets().into_iter().enumerate() {
            let known = before.get(number).copied().flatten();
            accepted.push(match (source.read(), user) {
                (Ok(secret), Some(user)) => Some(hash([user, secret.expose()].join(":"))),
                (Ok(secret), None) => Some(hash(secret.expose())),
                (Err(error), _) => {
                    let reason = chain(&error);
                    let effect =
                        if known.is_some() { "the one before goes on" } else { "nobody is let in by it" };
                    warn!(stream, reason, "a secret of the webhook cannot be read; {effect}");
                    known
                }
            });
        }
        *self.accepted.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accepted);
    }

    /// Whether a request with these headers may push.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(access) = &self.access else { return true };
        let Some(shown) = access.shown(headers) else { return false };
        let accepted = Arc::clone(&self.accepted.read().unwrap_or_else(PoisonError::into_inner));
        let shown = hash(shown);
        let any = accepted.iter().flatten().fold(Choice::from(0), |any, one| any | one.ct_eq(&shown));
        any.into()
    }
}

impl Access {
    /// Reads all secrets, to tell whether each can be read.
    pub(crate) fn read_all(&self) -> Result<(), SecretError> {
        self.secrets().into_iter().try_for_each(|(_, secret)| secret.read().map(drop))
    }

    fn secrets(&self) -> Vec<(Option<&str>, &SecretSource)> {
        match self {
            Self::Basic(users) => users.iter().map(|(user, secret)| (Some(&**user), secret)).collect(),
            Self::Header { values, .. } => values.iter().map(|secret| (None, secret)).collect(),
        }
    }

    /// What a request shows, if it shows anything, and once.
    fn shown(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        match self {
            Self::Basic(_) => {
                let value = only(headers, &header::AUTHORIZATION)?;
                let (scheme, encoded) = value.split_at_checked("basic ".len())?;
                if !scheme.eq_ignore_ascii_case(b"basic ") {
                    return None;
                }
                BASE64_STANDARD.decode(encoded.trim_ascii()).ok()
            }
            Self::Header { name, .. } => {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                only(headers, &name).map(<[u8]>::to_vec)
            }
        }
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

fn hash(text: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn secret(text: &str) -> SecretSource {
        SecretSource::Value(Secret::new(text))
    }

    fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn any_of_several_users_is_let_in_and_nobody_else() {
        let users = vec![("a".into(), secret("one")), ("b".into(), secret("p:q"))];
        let gate = Gate::new("s", Some(Access::Basic(users)));
        let admits = |value: &str| gate.admits(&headers(&[("authorization", value)]));
        let basic = |scheme: &str, text: &str| format!("{scheme} {}", BASE64_STANDARD.encode(text));
        assert!(admits(&basic("Basic", "a:one")) && admits(&basic("bAsIc", "b:p:q")));
        for wrong in ["a:two", "b:one", "a:", ":one", "a", "", "a:one\n", "A:one"] {
            assert!(!admits(&basic("Basic", wrong)), "{wrong:?}");
        }
        assert!(!admits(&basic("Bearer", "a:one")) && !admits("Basic") && !admits("Basic =") && !admits("x"));
        assert!(!gate.admits(&HeaderMap::new()));
        let right = basic("Basic", "a:one");
        assert!(!gate.admits(&headers(&[("authorization", &right), ("authorization", &right)])), "twice");
    }

    #[test]
    fn any_of_several_header_values_is_let_in() {
        let values = vec![secret("old"), secret("new")];
        let gate = Gate::new("s", Some(Access::Header { name: "X-Key".into(), values }));
        let admits = |value: &str| gate.admits(&headers(&[("x-key", value)]));
        assert!(admits("old") && admits("new"));
        assert!(!admits("ol") && !admits("oldnew") && !admits(""));
        assert!(!gate.admits(&headers(&[("x-other", "old")])));
    }

    #[test]
    fn a_rotated_file_counts_once_it_is_read_again_and_a_missing_one_stays_what_it_was() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\n").unwrap();
        let values = vec![SecretSource::File(file.path().to_owned())];
        let gate = Gate::new("s", Some(Access::Header { name: "x-key".into(), values }));
        let admits = |value: &str| gate.admits(&headers(&[("x-key", value)]));
        assert!(admits("one"));
        std::fs::write(file.path(), "two\n").unwrap();
        gate.read_again("s");
        assert!(admits("two") && !admits("one"));
        std::fs::write(file.path(), "").unwrap();
        gate.read_again("s");
        assert!(admits("two") && !admits("one") && !admits(""));
        std::fs::remove_file(file.path()).unwrap();
        let values = vec![SecretSource::File(file.path().to_owned())];
        let gate = Gate::new("s", Some(Access::Header { name: "x-key".into(), values }));
        assert!(!gate.admits(&headers(&[("x-key", "two")])) && !gate.admits(&headers(&[("x-key", "")])));
        std::fs::write(file.path(), "three\n").unwrap();
        gate.read_again("s");
        assert!(gate.admits(&headers(&[("x-key", "three")])));
    }

    #[test]
    fn without_a_credential_everyone_is_let_in() {
        assert!(Gate::new("s", None).admits(&HeaderMap::new()));
    }
}
