//! Credential to `Authorization` header. Does not know who uses it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

use crate::model::secret::{HIDDEN, Secret, SecretError, SecretSource};

/// A configured credential; its secret is read again at each connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// `Authorization: Bearer <token>`
    Bearer(SecretSource),
    /// `Authorization: Basic base64(user:password)`
    Basic {
        /// Not secret: an app key or a user name.
        user: String,
        /// The password or master secret.
        password: SecretSource,
    },
}

/// A header value, and the secrets inside it so that they can be taken out of texts that quote them.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Marked as sensitive, so `Debug` hides it.
    pub header: HeaderValue,
    secrets: Vec<Secret>,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The secret could not be read.
    #[error("the credential cannot be read")]
    Secret(#[from] SecretError),
    /// It holds bytes that no header may hold, such as a line end.
    #[error("the credential from the {0} has characters that a header cannot carry")]
    NotAHeader(SecretSource),
}

impl Credential {
    /// Reads the secret and makes the header.
    pub fn authorization(&self) -> Result<Authorization, AuthError> {
        let (source, secrets, text) = match self {
            Self::Bearer(source) => {
                let secret = source.read()?;
                let text = format!("Bearer {}", secret.expose());
                (source, vec![secret], text)
            }
            Self::Basic { user, password } => {
                let secret = password.read()?;
                // As good as the password itself.
                let pair = Secret::new(BASE64_STANDARD.encode(format!("{user}:{}", secret.expose())));
                let text = format!("Basic {}", pair.expose());
                (password, vec![pair, secret], text)
            }
        };
        let mut header = HeaderValue::try_from(text).map_err(|_| AuthError::NotAHeader(source.clone()))?;
        header.set_sensitive(true);
        Ok(Authorization { header, secrets })
    }
}

impl Authorization {
    /// `text` without the secrets.
    pub fn hide(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), HIDDEN))
    }

    /// Length of the longest of them: so much more of a text must be known to cut it without cutting one.
    pub fn longest(&self) -> usize {
        self.secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes() {
        let basic = Credential::Basic {
            user: "sample_connection".into(),
            password: SecretSource::Value(Secret::new("sample_connection")),
        };
        let authorization = basic.authorization().unwrap();
        let quoted = "Basic c2FtcGxlX2Nvbm5lY3Rpb246c2FtcGxlX2Nvbm5lY3Rpb24=";
        assert_eq!(authorization.header, quoted);
        assert_eq!(authorization.hide(&format!("{quoted} sample_connection")), "Basic <hidden> <hidden>");
        let bearer = Credential::Bearer(SecretSource::Value(Secret::new("t0ken")));
        let authorization = bearer.authorization().unwrap();
        assert_eq!(authorization.header, "Bearer t0ken");
        assert!(!format!("{authorization:?} {bearer:?}").contains("t0ken"));
    }

    #[test]
    fn a_secret_that_is_no_header_is_refused_without_showing_it() {
        let bearer = Credential::Bearer(SecretSource::Value(Secret::new("hunter2\nX-Evil: 1")));
        let error = bearer.authorization().unwrap_err();
        assert!(matches!(error, AuthError::NotAHeader(_)));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
