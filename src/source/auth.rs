//! Credential to `Authorization` header. Does not know who uses it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

use crate::model::secret::{Secret, SecretError, SecretSource};

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

/// A header value, and the secret inside it so that it can be taken out of texts that quote it.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Marked as sensitive, so `Debug` hides it.
    pub header: HeaderValue,
    /// The secret that was read.
    pub secret: Secret,
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
        let (source, secret, text) = match self {
            Self::Bearer(source) => {
                let secret = source.read()?;
                let text = format!("Bearer {}", secret.expose());
                (source, secret, text)
            }
            Self::Basic { user, password } => {
                let secret = password.read()?;
                let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", secret.expose())));
                (password, secret, text)
            }
        };
        let mut header = HeaderValue::try_from(text).map_err(|_| AuthError::NotAHeader(source.clone()))?;
        header.set_sensitive(true);
        Ok(Authorization { header, secret })
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
        let header = basic.authorization().unwrap().header;
        assert_eq!(header, "Basic c2FtcGxlX2Nvbm5lY3Rpb246c2FtcGxlX2Nvbm5lY3Rpb24=");
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
