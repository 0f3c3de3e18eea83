//! What of a line may be shown, in a stream with redaction: in its topic, in its key and headers, and as a dead letter.

use crate::event::extract::ExtractError;
use crate::event::redact::{self, ConfigError, Form, Redactor, TooShort};
use crate::model::errors::chain;
use crate::model::secret::{Secret, SecretError, SecretSource};

use super::Pipeline;

/// Said of a dead letter without its bytes.
pub(crate) const WITHHELD: &str = "withheld, since the stream has redaction and this is no whole event";

/// A line in both forms.
#[derive(Clone, Copy)]
pub(super) struct Forms<'a> {
    /// As it came.
    pub(super) received: &'a [u8],
    /// As it may be shown; `None` if none of it may.
    pub(super) shown: Option<&'a [u8]>,
}

/// The redaction of a stream at work, with the secrets that it hashes with.
#[derive(Debug)]
pub struct Redaction {
    config: redact::Config,
    secrets: Vec<Secret>,
    redactor: Redactor,
    /// What tells its rules from others.
    fingerprint: String,
}

/// Why there is no redaction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedactionError {
    /// A secret cannot be read.
    #[error("cannot read the secret of a redaction rule")]
    Secret(#[from] SecretError),
    /// A secret is too short.
    #[error("cannot use the secret of a redaction rule, {from}")]
    TooShort {
        /// Where it was found.
        from: String,
        /// What is wrong.
        #[source]
        cause: TooShort,
    },
    /// The rules cannot be used.
    #[error("the redaction rules cannot be used")]
    Config(#[from] ConfigError),
}

impl Redaction {
    /// Reads the secrets. Without them nothing of the stream may be shown, so nobody has a redaction without.
    pub fn open(config: &redact::Config) -> Result<Self, RedactionError> {
        let secrets = read(config)?;
        let redactor = Redactor::new(config, &secrets)?;
        Ok(Self { config: config.clone(), secrets, redactor, fingerprint: config.fingerprint() })
    }

    /// Reads the secrets again, and tells whether one has changed. Where one cannot be read, the one before stays.
    pub fn renew(&mut self) -> Result<bool, RedactionError> {
        if !self.config.secrets().any(|secret| matches!(secret, SecretSource::File(_))) {
            return Ok(false);
        }
        let secrets = read(&self.config)?;
        if secrets == self.secrets {
            return Ok(false);
        }
        self.redactor = Redactor::new(&self.config, &secrets)?;
        self.secrets = secrets;
        Ok(true)
    }

    /// The line as it may be shown, which may be in `scratch` then; `None` if none of it may.
    pub fn show<'l>(&self, line: &'l [u8], scratch: &'l mut Vec<u8>) -> Option<&'l [u8]> {
        self.redactor.redact(line, scratch).ok()
    }
}

fn read(config: &redact::Config) -> Result<Vec<Secret>, RedactionError> {
    let read = |source: &SecretSource| {
        let secret = source.read()?;
        if redact::is_too_short(&secret) {
            return Err(RedactionError::TooShort { from: source.to_string(), cause: TooShort });
        }
        Ok(secret)
    };
    config.secrets().map(read).collect()
}

/// What is said of a line that is JSON and that redaction cannot read all the same, which would be a defect.
pub(super) fn unreadable<'a>() -> ExtractError<'a> {
    ExtractError::NotAnObject(serde::de::Error::custom("redaction cannot read it"))
}

impl Pipeline {
    /// Reads the secrets of the redaction again, which may have been rotated; tells what came of it, if anything did.
    pub fn renew_secrets(&mut self) -> Option<Result<(), String>> {
        match self.redaction.as_mut()?.renew() {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(chain(&error))),
        }
    }

    /// Both forms of a line.
    pub(super) fn forms<'l>(&self, received: &'l [u8], scratch: &'l mut Vec<u8>) -> Forms<'l> {
        let shown = match &self.redaction {
            Some(redaction) if !self.is_redacted() => redaction.show(received, scratch),
            _ => Some(received),
        };
        Forms { received, shown }
    }

    /// Whether the line at hand is a dead letter that these very rules have redacted: what they hash must not be hashed twice.
    fn is_redacted(&self) -> bool {
        let said = self.letter.as_ref().and_then(|letter| letter.rules.as_deref());
        said.is_some() && said == self.rules()
    }

    /// What tells the rules of the redaction from others.
    pub(super) fn rules(&self) -> Option<&str> {
        self.redaction.as_ref().map(|redaction| &*redaction.fingerprint)
    }

    /// Both forms of what is no event: nobody can tell what in it is to be redacted, since rules are for the shape of events. An
    /// object around events would show all of them.
    pub(super) fn forms_of_no_event<'l>(&self, received: &'l [u8]) -> Forms<'l> {
        Forms { received, shown: self.redaction.is_none().then_some(received) }
    }

    /// Whether the key is that of the line as it came, and not of the one that is shown.
    pub(super) fn takes_received_key(&self, forms: Forms<'_>) -> bool {
        let is_wanted = self.redaction.as_ref().is_some_and(|it| it.config.key_from == Form::Received);
        is_wanted && forms.shown.is_none_or(|shown| !std::ptr::eq(shown, forms.received))
    }

    /// What a dead letter holds; `None` if it may hold nothing.
    pub(super) fn letter_of<'l>(&self, forms: Forms<'l>) -> Option<&'l [u8]> {
        match &self.redaction {
            Some(Redaction { config: redact::Config { dead_letters: Form::Redacted, .. }, .. }) => {
                forms.shown
            }
            _ => Some(forms.received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::paths::Spelling;
    use crate::event::redact::{Action, Rule};

    #[test]
    fn a_rotated_secret_is_taken_up_and_one_that_is_gone_leaves_the_one_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let action = Action::Hash(SecretSource::File(file.path().to_owned()));
        let config = redact::Config {
            rules: vec![Rule { path: "a".into(), action }],
            spelling: Spelling::default(),
            key_from: Form::Redacted,
            dead_letters: Form::Redacted,
        };
        let error = chain(&Redaction::open(&config).unwrap_err());
        assert!(
            error.starts_with("cannot read the secret of a redaction rule: ") && error.ends_with("is empty"),
            "{error}"
        );
        let write = |key: &str| std::fs::write(file.path(), key).unwrap();
        let shown =
            |redaction: &Redaction| redaction.show(br#"{"a":"x"}"#, &mut Vec::new()).unwrap().to_vec();
        write("short-hunter2\n");
        let error = chain(&Redaction::open(&config).unwrap_err());
        assert!(
            error.starts_with("cannot use the secret of a redaction rule, file ")
                && error.contains(": it has less than 16 bytes")
                && !error.contains("hunter2"),
            "{error}"
        );
        write("the-first-hunter2\n");
        let mut redaction = Redaction::open(&config).unwrap();
        let first = shown(&redaction);
        write("the-first-hunter2");
        assert!(!redaction.renew().unwrap(), "the line end is no part of it");
        for bad in ["", "short-hunter2"] {
            write(bad);
            assert!(redaction.renew().is_err());
        }
        assert_eq!(shown(&redaction), first);
        write("the-second-hunter2");
        assert!(redaction.renew().unwrap());
        assert_ne!(shown(&redaction), first);
        assert!(!format!("{redaction:?}").contains("hunter2"));
    }
}
