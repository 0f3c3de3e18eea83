//! Credential to `Authorization` header. Does not know who uses it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::hide::Hider;
use crate::model::secret::{Secret, SecretError, SecretSource};
use crate::source::failure::{Class, Failure};
use crate::web::client;
use crate::web::oauth::{Kind, Terms, TokenError, Tokens};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use prometheus_client::metrics::counter::Counter;

pub(crate) use crate::web::oauth::{Grant, GrantScheme};

/// Life of a token whose response does not tell.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// A configured credential; its secret is read again at each connect, or at each request for a token.
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
    /// A bearer token that is fetched with OAuth 2 client credentials.
    Grant(Grant),
}

/// A header value, and the secrets inside it so that they can be taken out of texts that quote them.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    /// Marked as sensitive, so `Debug` hides it.
    pub header: HeaderValue,
    secrets: Vec<Secret>,
    hider: Hider,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AuthError {
    /// The secret could not be read.
    #[error("the credential cannot be read")]
    Secret(#[from] SecretError),
    /// It holds bytes that no header may hold, such as a line end.
    #[error("the credential from the {0} has characters that a header cannot carry")]
    NotAHeader(String),
}

/// Gives the header for each connect of a stream. Clones share the token.
#[derive(Clone, Debug)]
pub(crate) enum Authorizer {
    /// As configured, read each time.
    Bearer(SecretSource),
    /// As configured, read each time.
    Basic {
        /// Not secret.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A token that is fetched and kept.
    Fetched(Arc<Tokens>),
}

impl Authorizer {
    /// For this credential. `pause` is how long a token endpoint that refused is left alone, `http` how it is reached.
    pub(crate) fn new(
        credential: Credential,
        pause: Duration,
        allow_plain_http: bool,
        http: client::Config,
    ) -> Self {
        let terms = Terms { pause, default_life: DEFAULT_LIFE, allow_plain_http };
        match credential {
            Credential::Bearer(source) => Self::Bearer(source),
            Credential::Basic { user, password } => Self::Basic { user, password },
            Credential::Grant(grant) => Self::Fetched(Arc::new(Tokens::new(grant, terms, http))),
        }
    }

    /// The header for a connect now.
    pub(crate) async fn authorization(&self) -> Result<Authorization, Failure> {
        let read = match self {
            Self::Bearer(source) => bearer(source),
            Self::Basic { user, password } => basic(user, password),
            Self::Fetched(tokens) => {
                let token = tokens.get().await?;
                Authorization::bearer(token, || "token endpoint".to_owned())
            }
        };
        read.map_err(|error| Failure::caused(Class::Credential, "no credential to connect with", error))
    }

    /// The service refused what it was shown: a token is fetched anew for the next connect, unless that was done
    /// meanwhile.
    pub(crate) fn refused(&self, shown: &Authorization) {
        if let (Self::Fetched(tokens), Some(token)) = (self, shown.secrets.first()) {
            tokens.forget(token);
        }
    }

    /// Renews a fetched token ahead of its expiry, for as long as this is polled. Streams that are open go on.
    pub(crate) async fn keep_fresh(&self, stream: &str, failures: &Counter) {
        match self {
            Self::Fetched(tokens) => tokens.keep_fresh(stream, failures).await,
            _ => std::future::pending().await,
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let class = match error.kind {
            Kind::Network => Class::Network,
            Kind::Server => Class::ServerError,
            Kind::RateLimited => Class::RateLimited,
            Kind::Credential => Class::Credential,
        };
        let TokenError { message, retry_after, source, .. } = error;
        Self { retry_after, source, ..Self::new(class, message) }
    }
}

fn bearer(source: &SecretSource) -> Result<Authorization, AuthError> {
    Authorization::bearer(source.read()?, || source.to_string())
}

fn basic(user: &str, password: &SecretSource) -> Result<Authorization, AuthError> {
    let secret = password.read()?;
    // As good as the password itself.
    let pair = Secret::new(BASE64_STANDARD.encode(format!("{user}:{}", secret.expose())));
    Authorization::new(&format!("Basic {}", pair.expose()), vec![pair, secret], || password.to_string())
}

impl Authorization {
    fn bearer(token: Secret, from: impl Fn() -> String) -> Result<Self, AuthError> {
        Self::new(&format!("Bearer {}", token.expose()), vec![token], from)
    }

    fn new(text: &str, secrets: Vec<Secret>, from: impl Fn() -> String) -> Result<Self, AuthError> {
        let mut header = HeaderValue::try_from(text).map_err(|_| AuthError::NotAHeader(from()))?;
        header.set_sensitive(true);
        let hider = Hider::new(&secrets);
        Ok(Self { header, secrets, hider })
    }

    /// Takes the secrets out of what a service says.
    pub(crate) fn hider(&self) -> &Hider {
        &self.hider
    }

    #[cfg(test)]
    pub(super) fn of(credential: &Credential) -> Result<Self, AuthError> {
        match credential {
            Credential::Bearer(source) => bearer(source),
            Credential::Basic { user, password } => basic(user, password),
            Credential::Grant(grant) => bearer(&grant.client_secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes() {
        let password = SecretSource::Value(Secret::new("sample_connection"));
        let authorization = basic("sample_connection", &password).unwrap();
        let quoted = "Basic c2FtcGxlX2Nvbm5lY3Rpb246c2FtcGxlX2Nvbm5lY3Rpb24=";
        assert_eq!(authorization.header, quoted);
        let said = format!("{quoted} sample_connection");
        assert_eq!(authorization.hider().hide(&said), "Basic <hidden> <hidden>");
        let credential = Credential::Bearer(SecretSource::Value(Secret::new("t0ken")));
        let authorization = Authorization::of(&credential).unwrap();
        assert_eq!(authorization.header, "Bearer t0ken");
        assert!(!format!("{authorization:?} {credential:?}").contains("t0ken"));
    }

    #[test]
    fn a_secret_that_is_no_header_is_refused_without_showing_it() {
        let error = bearer(&SecretSource::Value(Secret::new("hunter2\nX-Evil: 1"))).unwrap_err();
        assert!(matches!(error, AuthError::NotAHeader(_)));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
