//! Bearer tokens by OAuth 2 client credentials, for services and for Kafka: fetched once for all connections, kept, renewed
//! ahead of expiry.
//!
//! Invariants:
//! - one request at a time, whoever needs a token; those who wait get what it brought;
//! - an endpoint that refused or throttled is left alone for as long as it asked, or for the usual pause;
//! - nor is it asked more often because tokens are refused: once in the usual pause;
//! - the client secret goes to the configured address alone: redirects are not followed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode};
use prometheus_client::metrics::counter::Counter;
use reqwest::Response;
use tokio::time::Instant;
use tracing::{debug, warn};
use url::Url;

use super::client::{self, Client, Reached};
use super::host_of;
use super::proxy::Proxy;
use super::retry_after::retry_after;
use crate::model::errors::chain;
use crate::model::hide::Hider;
use crate::model::secret::{Secret, SecretSource};

mod answer;
mod token;

use answer::{Answer, judge};

pub(crate) use token::Token;

/// OAuth 2 client credentials, for which an endpoint grants tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// How the client shows who it is.
    pub scheme: GrantScheme,
    /// Where tokens are granted.
    pub token_url: Url,
    /// Not secret.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretSource,
    /// What is asked for. Adobe's identity service takes a list, others one text or none.
    pub scopes: Vec<String>,
}

/// How a client shows who it is to a token endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantScheme {
    /// Adobe IMS: `client_id` and `client_secret` as form fields, scopes separated by commas.
    Ims,
    /// RFC 6749 section 2.3.1: HTTP Basic.
    Basic,
}

/// How an endpoint is treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long one that refused is left alone unless it says otherwise.
    pub pause: Duration,
    /// Life of a token whose response does not tell.
    pub default_life: Duration,
    /// Whether the secret may be shown to a proxy.
    pub allow_plain_http: bool,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct TokenError {
    /// What decides what happens next.
    pub kind: Kind,
    /// What happened and what to do. Never holds a secret.
    pub message: String,
    /// The endpoint's own wish.
    pub retry_after: Option<Duration>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The endpoint cannot be reached.
    Network,
    /// It failed.
    Server,
    /// It was asked too often.
    RateLimited,
    /// A person has to act.
    Credential,
}

/// Limit for one token request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A token is not kept longer, whatever the response says. Adobe's live about 24 hours; an older exchange gave
/// milliseconds in the same field.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// Fetches and keeps the token of one grant.
#[derive(Debug)]
pub(crate) struct Tokens {
    grant: Grant,
    client: Client,
    terms: Terms,
    state: Mutex<State>,
    /// Held while a token is being fetched.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    refusal: Option<Refusal>,
}

/// What the endpoint said, for those who ask before it may be asked again.
#[derive(Debug)]
struct Refusal {
    kind: Kind,
    message: String,
    until: Instant,
}

impl Tokens {
    /// Without a token yet. `http` says how the endpoint is reached.
    pub(crate) fn new(grant: Grant, terms: Terms, http: client::Config) -> Self {
        let client = Client::new(http, |builder| builder.timeout(TIMEOUT));
        let (state, fetching) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { grant, client, terms, state, fetching }
    }

    /// A token that is good now.
    pub(crate) async fn get(&self) -> Result<Secret, TokenError> {
        if let Some(token) = self.good() {
            return Ok(token);
        }
        let fetching = self.fetching.lock().await;
        // Another connection may have brought one meanwhile, or a refusal.
        if let Some(token) = self.good() {
            return Ok(token);
        }
        if let Some(failure) = self.refused_until_later() {
            return Err(failure);
        }
        let fetched = self.fetch().await;
        drop(fetching);
        fetched.map(|token| token.secret)
    }

    /// A token that is good for half of its life at least, or as good a one as there is: for who asks again later by itself.
    pub(crate) async fn fresh(&self) -> Result<Token, TokenError> {
        let _fetching = self.fetching.lock().await;
        let (now, old) = (Instant::now(), self.lock().token.clone());
        let is_young =
            |token: &Token| token.expires_at.saturating_duration_since(now) > now - token.fetched_at;
        if let Some(token) = old.as_ref().filter(|token| is_young(token)) {
            return Ok(token.clone());
        }
        let fetched = match self.refused_until_later() {
            Some(failure) => Err(failure),
            None => self.fetch().await,
        };
        let old = old.filter(|token| token.expires_at > Instant::now());
        match (fetched, old) {
            (Err(error), Some(old)) => {
                warn!(reason = chain(&error), "the token cannot be renewed yet; the old one is good");
                Ok(old)
            }
            (fetched, _) => fetched,
        }
    }

    /// Gives up a token that the service refused; a newer one stays. So does one that was fetched a moment ago: another
    /// would be refused as well, and each connection would use up one after the other.
    pub(crate) fn forget(&self, refused: &Secret) {
        self.forget_if(|token| token.secret == *refused);
    }

    /// The same for who does not know which token was refused.
    pub(crate) fn refused(&self) {
        self.forget_if(|_| true);
    }

    fn forget_if(&self, is_meant: impl Fn(&Token) -> bool) {
        let mut state = self.lock();
        let is_old = |token: &Token| token.fetched_at.elapsed() >= self.terms.pause;
        if state.token.as_ref().is_some_and(|token| is_meant(token) && is_old(token)) {
            state.token = None;
        }
    }

    /// Renews the token ahead of its expiry, for as long as this is polled. The old one is good until then, so a
    /// failure here is no more than a warning, and counted.
    pub(crate) async fn keep_fresh(&self, stream: &str, failures: &Counter) {
        loop {
            let renew_at = self.lock().token.as_ref().map(|token| token.renew_at);
            let now = Instant::now();
            match renew_at {
                None => tokio::time::sleep(self.terms.pause).await,
                Some(at) if at > now => tokio::time::sleep_until(at).await,
                Some(_) => match self.renew().await {
                    Ok(()) => {
                        debug!(stream, "token renewed");
                        tokio::time::sleep(self.terms.pause).await;
                    }
                    Err(failure) => {
                        failures.inc();
                        warn!(
                            stream,
                            reason = chain(&failure),
                            "the token cannot be renewed yet; open streams go on"
                        );
                        tokio::time::sleep(self.pause_after(&failure)).await;
                    }
                },
            }
        }
    }

    /// Fetches a newer token, unless that was done or refused while this waited for its turn.
    async fn renew(&self) -> Result<(), TokenError> {
        let _fetching = self.fetching.lock().await;
        if self.lock().token.as_ref().is_none_or(|token| token.renew_at > Instant::now()) {
            return Ok(());
        }
        match self.refused_until_later() {
            Some(failure) => Err(failure),
            None => self.fetch().await.map(drop),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn good(&self) -> Option<Secret> {
        let state = self.lock();
        state
            .token
            .as_ref()
            .filter(|token| token.expires_at > Instant::now())
            .map(|token| token.secret.clone())
    }

    fn refused_until_later(&self) -> Option<TokenError> {
        let state = self.lock();
        let refusal = state.refusal.as_ref()?;
        let left = refusal.until.checked_duration_since(Instant::now())?;
        Some(TokenError { retry_after: Some(left), ..TokenError::new(refusal.kind, refusal.message.clone()) })
    }

    /// The endpoint may wish for a longer pause, not for a shorter one.
    fn pause_after(&self, failure: &TokenError) -> Duration {
        failure.retry_after.map_or(self.terms.pause, |wish| wish.max(self.terms.pause))
    }

    /// Asks for a token and keeps it, or what was said instead.
    async fn fetch(&self) -> Result<Token, TokenError> {
        let fetched = self.ask().await;
        let mut state = self.lock();
        match &fetched {
            Ok(token) => (state.token, state.refusal) = (Some(token.clone()), None),
            Err(failure) => {
                let pause = self.pause_after(failure);
                let (kind, message) = (failure.kind, chain(failure));
                state.refusal = Some(Refusal { kind, message, until: Instant::now() + pause });
            }
        }
        fetched
    }

    /// Takes the secret out of what the endpoint says, and the pair that is as good as it.
    fn hider(&self, secret: &Secret) -> Hider {
        let pair = BASE64_STANDARD.encode(format!("{}:{}", self.grant.client_id, secret.expose()));
        Hider::new(&[secret.clone(), Secret::new(pair)])
    }

    async fn ask(&self) -> Result<Token, TokenError> {
        let Grant { scheme, token_url, client_id, client_secret, scopes } = &self.grant;
        let secret = client_secret.read().map_err(|error| {
            TokenError::caused(Kind::Credential, "the client secret cannot be read".to_owned(), error)
        })?;
        let host = host_of(token_url);
        let Reached { client, proxies } = self.client.get().map_err(|error| {
            TokenError::caused(Kind::Credential, format!("the token endpoint at {host} is not asked"), error)
        })?;
        let proxy = proxies.fit_way(token_url, self.terms.allow_plain_http).map_err(|error| {
            TokenError::caused(Kind::Credential, format!("the token endpoint at {host} is not asked"), error)
        })?;
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        let mut request = client.post(token_url.clone());
        match scheme {
            GrantScheme::Ims => {
                form.push(("client_id", client_id.clone()));
                form.push(("client_secret", secret.expose().to_owned()));
                form.push(("scope", scopes.join(",")));
            }
            GrantScheme::Basic => {
                request = request.basic_auth(client_id, Some(secret.expose()));
                form.extend((!scopes.is_empty()).then(|| ("scope", scopes.join(" "))));
            }
        }
        let asked_at = Instant::now();
        let response = match request.form(&form).send().await {
            Ok(response) => response,
            Err(error) => return Err(unreachable(token_url, proxy, error).await),
        };
        let (status, wish) = (response.status(), retry_after(response.headers()));
        let body = match bounded(response).await {
            Ok(body) => body,
            Err(error) => return Err(unreachable(token_url, proxy, error).await),
        };
        let answer = Answer::read(&body);
        if let (StatusCode::OK, Some(token)) = (status, answer.access_token) {
            if HeaderValue::try_from(token.as_str()).is_err() {
                // Kept, it could be shown to nobody for all of its life.
                let message =
                    format!("the token endpoint at {host} granted a token that a header cannot carry");
                return Err(TokenError::new(Kind::Credential, message));
            }
            let life = answer.life.unwrap_or(self.terms.default_life).min(LONGEST_LIFE);
            return Ok(Token::new(Secret::new(token), asked_at, life));
        }
        let (kind, advice) = judge(status, answer.error.as_deref());
        let said =
            [answer.error, answer.error_description].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let said = proxies.hide(&self.hider(&secret).quote(&said, true));
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        let way = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let message = format!("{} from the token endpoint at {host}{way}: {advice}{said}", status.as_u16());
        Err(TokenError { retry_after: wish, ..TokenError::new(kind, message) })
    }
}

/// Why an endpoint did not answer.
async fn unreachable(token_url: &Url, proxy: Option<&Proxy>, error: reqwest::Error) -> TokenError {
    let host = host_of(token_url);
    let way = match proxy {
        Some(proxy) => proxy.explain(token_url, error.is_connect()).await,
        None => String::new(),
    };
    let message = format!("the token endpoint at {host} cannot be reached{way}");
    TokenError::caused(Kind::Network, message, error.without_url())
}

impl TokenError {
    fn new(kind: Kind, message: String) -> Self {
        Self { kind, message, retry_after: None, source: None }
    }

    fn caused(
        kind: Kind,
        message: String,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(kind, message) }
    }
}

async fn bounded(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - body.len())]);
        if body.len() == MAX_ANSWER {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
