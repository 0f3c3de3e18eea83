//! Tokens for brokers with SASL/OAUTHBEARER: OAuth 2 client credentials, under librdkafka's own property names.
//!
//! librdkafka can fetch tokens itself only when built with libcurl, which this build leaves out. So the properties
//! below are taken out of what librdkafka gets, and its request for a token is answered here. The client secret is
//! read again at each request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::client::OAuthToken;
use serde::Deserialize;
use tokio::runtime::Handle;

use super::{Property, SinkError};
use crate::clock::now_ms;
use crate::model::secret::SecretSource;

/// Limit for one token request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Life of a token whose response does not tell: librdkafka asks again after 80 % of it.
const DEFAULT_LIFE_S: u64 = 300;

/// The properties that are answered here.
const METHOD: &str = "sasl.oauthbearer.method";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// Where tokens come from.
#[derive(Debug)]
pub struct TokenSource {
    endpoint: String,
    client_id: String,
    client_secret: SecretSource,
    scope: Option<String>,
    runtime: Handle,
    granted: AtomicBool,
}

/// Why there is no token. Never holds the secret, nor what the endpoint said of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The secret could not be read.
    #[error("kafka.properties.{CLIENT_SECRET} cannot be read")]
    Secret(#[from] crate::model::secret::SecretError),
    /// The endpoint could not be reached, or its answer is no token.
    #[error("no token from {ENDPOINT}")]
    Request(#[source] reqwest::Error),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl TokenSource {
    /// Takes the token properties out of `properties`; `None` where another method is configured.
    pub fn take_from(
        properties: &mut BTreeMap<String, Property>,
        runtime: &Handle,
    ) -> Result<Option<Self>, SinkError> {
        let is_oidc = |property: &Property| matches!(property, Property::Text(text) if text.eq_ignore_ascii_case("oidc"));
        if !properties.get(METHOD).is_some_and(is_oidc) {
            return Ok(None);
        }
        properties.remove(METHOD);
        let missing = |name: &str| {
            SinkError::Unusable(format!("kafka.properties.{name}: required by {METHOD} = \"oidc\""))
        };
        let mut text = |name: &str| match properties.remove(name) {
            Some(Property::Text(text)) => Some(text),
            _ => None,
        };
        let endpoint = text(ENDPOINT).ok_or_else(|| missing(ENDPOINT))?;
        let client_id = text(CLIENT_ID).ok_or_else(|| missing(CLIENT_ID))?;
        let scope = text(SCOPE);
        let client_secret = match properties.remove(CLIENT_SECRET) {
            Some(Property::Secret(source)) => source,
            Some(Property::Text(text)) => SecretSource::Value(crate::model::secret::Secret::new(text)),
            None => return Err(missing(CLIENT_SECRET)),
        };
        let (runtime, granted) = (runtime.clone(), AtomicBool::new(false));
        Ok(Some(Self { endpoint, client_id, client_secret, scope, runtime, granted }))
    }

    /// Whether a token was ever granted.
    pub fn was_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }

    /// Asks for a token. Blocks; call it on a thread that is not the runtime's.
    pub fn token(&self) -> Result<OAuthToken, TokenError> {
        let secret = self.client_secret.read()?;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let asked_ms = now_ms();
        let granted: Granted = self
            .runtime
            .block_on(async {
                let client = reqwest::Client::builder()
                    .redirect(reqwest::redirect::Policy::none())
                    .timeout(TIMEOUT)
                    .build()?;
                client
                    .post(&self.endpoint)
                    .basic_auth(&self.client_id, Some(secret.expose()))
                    .form(&form)
                    .send()
                    .await?
                    .error_for_status()?
                    .json()
                    .await
            })
            .map_err(|error| TokenError::Request(error.without_url()))?;
        self.granted.store(true, Ordering::Release);
        let life_ms = i64::try_from(granted.expires_in.unwrap_or(DEFAULT_LIFE_S) * 1000).unwrap_or(i64::MAX);
        Ok(OAuthToken {
            token: granted.access_token,
            principal_name: self.client_id.clone(),
            lifetime_ms: asked_ms.saturating_add(life_ms),
        })
    }
}
