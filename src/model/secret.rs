//! Secrets: values that never show themselves, and where they come from.
//!
//! Invariant: no `Debug`, `Display` or `Serialize` of these types ever prints a secret value. Only
//! [`Secret::expose`] gives it out, so a search for that word finds every use.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::file;

/// The longest file of a secret. It is read while others wait, so it must not go on for ever.
const MAX_BYTES: u64 = 64 << 10;

/// What is printed in place of a secret.
pub(crate) const HIDDEN: &str = "<hidden>";

/// A secret value. `Debug`, `Display` and `Serialize` print [`HIDDEN`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where a secret is found. It is read again at each connect, so that a rotated file needs no restart. Wherever it is, one
/// line end behind it is no part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretSource {
    /// The environment variable of this name.
    Env(String),
    /// The file at this path.
    File(PathBuf),
    /// The value itself, written in the configuration: for tests and demos.
    Value(Secret),
}

/// Why a secret could not be read. Never holds any part of the value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The variable is absent.
    #[error("environment variable {0} is not set")]
    EnvMissing(String),
    /// The variable holds bytes that are no text.
    #[error("environment variable {0} is not valid UTF-8")]
    EnvNotText(String),
    /// The file cannot be read.
    #[error("cannot read the secret file {path}")]
    File {
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The source was found but holds nothing.
    #[error("{0} is empty")]
    Empty(String),
}

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Whether nothing is left of it when it is read.
    pub fn is_blank(&self) -> bool {
        trimmed(&self.0).is_empty()
    }

    /// Bytes of it as it is used, without the end of its line.
    pub fn used_bytes(&self) -> usize {
        trimmed(&self.0).len()
    }

    /// The value itself. Call it only where the value leaves the process on purpose.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl SecretSource {
    /// Whether what is read of it may be another one later: the environment of a process does not change.
    pub fn may_change(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads the secret now.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Value(secret) => secret.0.clone(),
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => SecretError::EnvMissing(name.clone()),
                std::env::VarError::NotUnicode(_) => SecretError::EnvNotText(name.clone()),
            })?,
            Self::File(path) => file::read_regular(path, MAX_BYTES)
                .map_err(|source| SecretError::File { path: path.clone(), source })?,
        };
        match trimmed(&text) {
            "" => Err(SecretError::Empty(self.to_string())),
            secret => Ok(Secret::new(secret)),
        }
    }
}

/// Without the line end that editors, `echo` and so `echo | base64` write behind a text.
fn trimmed(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Value(_) => f.write_str("value in the configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "<hidden> <hidden>");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"<hidden>\"");
        assert!(!format!("{:?}", SecretSource::Value(secret.clone())).contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_file_is_read_again_and_loses_one_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = SecretSource::File(file.path().to_owned());
        std::fs::write(file.path(), "one\r\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "one");
        std::fs::write(file.path(), " two \n\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), " two \n");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(matches!(source.read(), Err(SecretError::Empty(_))));
    }

    #[test]
    fn a_line_end_is_no_part_of_a_value_either() {
        let read = |text: &str| SecretSource::Value(Secret::new(text)).read();
        assert_eq!(read("one\n").unwrap().expose(), "one");
        assert_eq!(read(" two \n\n").unwrap().expose(), " two \n");
        assert_eq!(read("\r\n").unwrap_err().to_string(), "value in the configuration is empty");
        assert!(Secret::new("\n").is_blank() && !Secret::new(" ").is_blank());
    }

    #[test]
    fn a_file_that_is_too_long_or_has_no_end_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |path: &std::path::Path| SecretSource::File(path.to_owned()).read();
        std::fs::write(file.path(), "x".repeat(MAX_BYTES as usize)).unwrap();
        assert_eq!(read(file.path()).unwrap().expose().len() as u64, MAX_BYTES);
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        for (path, why) in [
            (file.path(), "it has more than 65536 bytes, which is the most that is read"),
            (
                std::path::Path::new("/dev/zero"),
                "expected a regular file, found a pipe, a device or a socket",
            ),
        ] {
            let error = crate::model::errors::chain(&read(path).unwrap_err());
            assert_eq!(error, format!("cannot read the secret file {}: {why}", path.display()));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = SecretSource::Env("TRIBUTARY_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert_eq!(error.to_string(), "environment variable TRIBUTARY_NO_SUCH_VARIABLE is not set");
    }
}
