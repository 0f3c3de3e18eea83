//! What of a line may be shown, in a stream with redaction: in its topic, in its key and headers, and as a dead letter.

use std::sync::{Arc, Mutex, PoisonError};

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
    /// What the latest look at the secrets has found, until it is taken up.
    found: Found,
}

/// A redaction as it would be with the secrets of now.
type Found = Arc<Mutex<Option<Result<(Vec<Secret>, Redactor), RedactionError>>>>;

/// Looks whether the secrets of a redaction were rotated. Not on the shard's thread: a disk may be slow, and lines must not wait for it.
#[derive(Clone, Debug)]
pub struct Looker {
    config: redact::Config,
    found: Found,
}

impl Looker {
    /// Reads the secrets, for the shard to take them up. Blocks.
    pub fn look(&self) {
        let found = made(&self.config);
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }
}

/// Why there is no redaction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedactionError {
    /// A secret cannot be read.
    #[error("cannot read the secret of a redaction rule")]
    Secret {
        /// Whether it may be there later.
        may_change: bool,
        /// What is wrong.
        #[source]
        cause: SecretError,
    },
    /// A secret is too short.
    #[error("cannot use the secret of a redaction rule, {from}")]
    TooShort {
        /// Whether it may be another one later.
        may_change: bool,
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

impl RedactionError {
    /// Whether waiting may mend it: a file may change, while this process runs, and nothing else may.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Secret { may_change, .. } | Self::TooShort { may_change, .. } => *may_change,
            Self::Config(_) => false,
        }
    }
}

impl Redaction {
    /// Reads the secrets. Without them nothing of the stream may be shown, so nobody has a redaction without.
    pub fn open(config: &redact::Config) -> Result<Self, RedactionError> {
        let (secrets, redactor) = made(config)?;
        let (config, fingerprint) = (config.clone(), config.fingerprint());
        Ok(Self { config, secrets, redactor, fingerprint, found: Found::default() })
    }

    /// What looks for rotated secrets, if there are any that may be.
    pub fn looker(&self) -> Option<Looker> {
        let Self { config, found, .. } = self;
        let may_change = config.secrets().any(SecretSource::may_change);
        may_change.then(|| Looker { config: config.clone(), found: Arc::clone(found) })
    }

    /// Takes up what was found, and tells whether a secret has changed. Where one could not be read, the one before stays.
    pub fn renew(&mut self) -> Result<bool, RedactionError> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((secrets, redactor)) = found.transpose()? else { return Ok(false) };
        let has_changed = secrets != self.secrets;
        if has_changed {
            (self.secrets, self.redactor) = (secrets, redactor);
        }
        Ok(has_changed)
    }

    /// The line as it may be shown, which may be in `scratch` then; `None` if none of it may.
    pub fn show<'l>(&self, line: &'l [u8], scratch: &'l mut Vec<u8>) -> Option<&'l [u8]> {
        self.redactor.redact(line, scratch).ok()
    }
}

fn made(config: &redact::Config) -> Result<(Vec<Secret>, Redactor), RedactionError> {
    // First those for which nobody has to wait.
    for source in config.secrets().filter(|source| !source.may_change()) {
        read(source)?;
    }
    let secrets = config.secrets().map(read).collect::<Result<Vec<_>, _>>()?;
    let redactor = Redactor::new(config, &secrets)?;
    Ok((secrets, redactor))
}

fn read(source: &SecretSource) -> Result<Secret, RedactionError> {
    let may_change = source.may_change();
    let secret = source.read().map_err(|cause| RedactionError::Secret { may_change, cause })?;
    if redact::is_too_short(&secret) {
        return Err(RedactionError::TooShort { may_change, from: source.to_string(), cause: TooShort });
    }
    Ok(secret)
}

/// What is said of a line that is JSON and that redaction cannot read all the same, which would be a defect.
pub(super) fn unreadable<'a>() -> ExtractError<'a> {
    ExtractError::NotAnObject(serde::de::Error::custom("redaction cannot read it"))
}

impl Pipeline {
    /// Takes up the secrets of the redaction that were found last, which may have been rotated; tells what came of it, if anything did.
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

    fn hashing(secrets: impl IntoIterator<Item = SecretSource>) -> redact::Config {
        let rule = |(n, secret)| Rule { path: format!("a{n}"), action: Action::Hash(secret) };
        redact::Config {
            rules: (0..).zip(secrets).map(rule).collect(),
            spelling: Spelling::default(),
            key_from: Form::Redacted,
            dead_letters: Form::Redacted,
        }
    }

    #[test]
    fn what_no_waiting_mends_is_told_from_what_it_may_mend() {
        let file = SecretSource::File("no/such/file".into());
        let env = SecretSource::Env("TRIBUTARY_NO_SUCH_VARIABLE".into());
        let short = SecretSource::Value(Secret::new("short"));
        assert!(Redaction::open(&hashing([file.clone()])).unwrap_err().may_pass());
        for never in [env, short] {
            let error = Redaction::open(&hashing([file.clone(), never])).unwrap_err();
            assert!(!error.may_pass(), "{error}");
        }
        let fixed = SecretSource::Value(Secret::new("long-enough-for-a-key"));
        assert!(Redaction::open(&hashing([fixed])).unwrap().looker().is_none());
    }

    #[test]
    fn a_rotated_secret_is_taken_up_and_one_that_is_gone_leaves_the_one_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = hashing([SecretSource::File(file.path().to_owned())]);
        let error = chain(&Redaction::open(&config).unwrap_err());
        assert!(
            error.starts_with("cannot read the secret of a redaction rule: ") && error.ends_with("is empty"),
            "{error}"
        );
        let write = |key: &str| std::fs::write(file.path(), key).unwrap();
        let shown =
            |redaction: &Redaction| redaction.show(br#"{"a0":"x"}"#, &mut Vec::new()).unwrap().to_vec();
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
        let looker = redaction.looker().unwrap();
        let look = |redaction: &mut Redaction, key: &str| {
            write(key);
            looker.look();
            redaction.renew()
        };
        assert!(!look(&mut redaction, "the-first-hunter2").unwrap(), "the line end is no part of it");
        for bad in ["", "short-hunter2"] {
            assert!(look(&mut redaction, bad).unwrap_err().may_pass());
            assert!(!redaction.renew().unwrap(), "it is told once");
        }
        assert_eq!(shown(&redaction), first);
        assert!(look(&mut redaction, "the-second-hunter2").unwrap());
        assert_ne!(shown(&redaction), first);
        assert!(!format!("{redaction:?} {looker:?}").contains("hunter2"));
    }
}
