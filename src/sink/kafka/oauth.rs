//! Tokens for brokers with SASL/OAUTHBEARER: OAuth 2 client credentials, under librdkafka's own property names.
//!
//! librdkafka can fetch tokens itself only when built with libcurl, which this build leaves out. So the properties
//! below are taken out of what librdkafka gets, and its request for a token is answered here, by the same code as for
//! services. The client secret is read again at each request.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::client::OAuthToken;
use tokio::runtime::Handle;
use tokio::time::Instant;
use url::Url;

use super::config::Property;
use crate::clock::now_ms;
use crate::model::secret::{Secret, SecretSource};
use crate::sink::SinkError;
use crate::web::client;
use crate::web::oauth::{Grant, GrantScheme, Terms, Token, TokenError, Tokens};

/// How an endpoint is treated. librdkafka asks again ten seconds after a failure, and after 80 % of a token's life.
const TERMS: Terms = Terms {
    pause: Duration::from_secs(10),
    default_life: Duration::from_secs(300),
    // There is no property that allows it.
    allow_plain_http: false,
};

/// librdkafka takes no token whose life is over.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// The properties that are answered here.
const METHOD: &str = "sasl.oauthbearer.method";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// Where tokens come from.
#[derive(Debug)]
pub(crate) struct TokenSource {
    tokens: Tokens,
    client_id: String,
    runtime: Handle,
}

/// Takes the token properties out of `properties`; `None` where another method is configured.
pub(crate) fn take_grant(properties: &mut BTreeMap<String, Property>) -> Result<Option<Grant>, SinkError> {
    let is_oidc =
        |property: &Property| matches!(property, Property::Text(text) if text.eq_ignore_ascii_case("oidc"));
    if !properties.get(METHOD).is_some_and(is_oidc) {
        return Ok(None);
    }
    properties.remove(METHOD);
    let missing =
        |name: &str| SinkError::Unusable(format!("kafka.properties.{name}: required by {METHOD} = \"oidc\""));
    let mut text = |name: &str| match properties.remove(name) {
        Some(Property::Text(text)) => Some(text),
        _ => None,
    };
    let endpoint = text(ENDPOINT).ok_or_else(|| missing(ENDPOINT))?;
    let token_url = Url::parse(&endpoint).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    let token_url = token_url.ok_or_else(|| {
        SinkError::Unusable(format!(
            "kafka.properties.{ENDPOINT}: expected an address such as https://host/token"
        ))
    })?;
    let client_id = text(CLIENT_ID).ok_or_else(|| missing(CLIENT_ID))?;
    let scopes = text(SCOPE).into_iter().collect();
    let client_secret = match properties.remove(CLIENT_SECRET) {
        Some(Property::Secret(source)) => source,
        Some(Property::Text(text)) => SecretSource::Value(Secret::new(text)),
        None => return Err(missing(CLIENT_SECRET)),
    };
    Ok(Some(Grant { scheme: GrantScheme::Basic, token_url, client_id, client_secret, scopes }))
}

impl TokenSource {
    /// For all clients of a cluster, which share the token.
    pub(crate) fn new(grant: Grant, http: client::Config, runtime: &Handle) -> Self {
        let client_id = grant.client_id.clone();
        Self { tokens: Tokens::new(grant, TERMS, http), client_id, runtime: runtime.clone() }
    }

    /// A broker refused the token.
    pub(crate) fn refused(&self) {
        self.tokens.refused();
    }

    /// A token. Blocks; call it on a thread that is not the runtime's.
    pub(crate) fn token(&self) -> Result<OAuthToken, TokenError> {
        let Token { secret, expires_at, .. } = self.runtime.block_on(self.tokens.fresh())?;
        let left = expires_at.saturating_duration_since(Instant::now()).max(SHORTEST_LIFE);
        Ok(OAuthToken {
            token: secret.expose().to_owned(),
            principal_name: self.client_id.clone(),
            lifetime_ms: now_ms().saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(endpoint: &str) -> BTreeMap<String, Property> {
        let text = |(name, text): (&str, &str)| (name.to_owned(), Property::Text(text.to_owned()));
        let secret = SecretSource::Value(Secret::new("hunter2"));
        let texts =
            [(METHOD, "OIDC"), (CLIENT_ID, "me"), (SCOPE, "kafka"), (ENDPOINT, endpoint), ("debug", "all")];
        texts.into_iter().map(text).chain([(CLIENT_SECRET.to_owned(), Property::Secret(secret))]).collect()
    }

    #[test]
    fn the_properties_of_tokens_are_taken_out() {
        let mut all = properties("https://idp.example/token");
        let grant = take_grant(&mut all).unwrap().unwrap();
        assert_eq!((grant.client_id.as_str(), grant.scopes.as_slice()), ("me", &["kafka".to_owned()][..]));
        assert_eq!(all.keys().collect::<Vec<_>>(), ["debug"]);
        assert_eq!(take_grant(&mut all).unwrap(), None);
        let error = take_grant(&mut properties("idp.example/token")).unwrap_err();
        assert!(error.to_string().contains(ENDPOINT), "{error}");
        let mut without = properties("https://idp.example/token");
        without.remove(CLIENT_SECRET);
        assert!(take_grant(&mut without).unwrap_err().to_string().contains(CLIENT_SECRET));
    }
}
