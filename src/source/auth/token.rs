//! Bearer tokens by OAuth 2 client credentials: fetched once for all connections, kept, renewed ahead of expiry.
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
use http::StatusCode;
use reqwest::{Client, Response};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Grant, GrantScheme};
use crate::model::errors::chain;
use crate::model::hide::Hider;
use crate::model::secret::Secret;
use crate::source::failure::{Class, Failure};
use crate::source::refusal::retry_after;

/// Limit for one token request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Life of a token whose response does not tell.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// A token is not kept longer, whatever the response says. Adobe's live about 24 hours; an older exchange gave
/// milliseconds in the same field.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A token is renewed when a tenth of its life is left, but not earlier than this before its expiry.
const LONGEST_MARGIN: Duration = Duration::from_secs(3600);

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// Fetches and keeps the token of one grant.
#[derive(Debug)]
pub struct Tokens {
    grant: Grant,
    client: Client,
    pause: Duration,
    state: Mutex<State>,
    /// Held while a token is being fetched.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    refusal: Option<Refusal>,
}

#[derive(Clone, Debug)]
struct Token {
    secret: Secret,
    fetched_at: Instant,
    renew_at: Instant,
    expires_at: Instant,
}

/// What the endpoint said, for those who ask before it may be asked again.
#[derive(Debug)]
struct Refusal {
    class: Class,
    message: String,
    until: Instant,
}

/// A token endpoint's answer: RFC 6749 sections 5.1 and 5.2.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    /// Seconds. Some endpoints write it as a string or with a fraction.
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Tokens {
    /// Without a token yet. `pause` is how long an endpoint that refused is left alone.
    pub fn new(grant: Grant, pause: Duration) -> Result<Self, Failure> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::caused(Class::Rejected, "the HTTP client cannot be set up", error))?;
        Ok(Self { grant, client, pause, state: Mutex::default(), fetching: tokio::sync::Mutex::default() })
    }

    /// A token that is good now.
    pub async fn get(&self) -> Result<Secret, Failure> {
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

    /// Gives up a token that the service refused; a newer one stays. So does one that was fetched a moment ago: another
    /// would be refused as well, and each connection would use up one after the other.
    pub fn forget(&self, refused: &Secret) {
        let mut state = self.lock();
        let is_old = |token: &Token| token.fetched_at.elapsed() >= self.pause;
        if state.token.as_ref().is_some_and(|token| token.secret == *refused && is_old(token)) {
            state.token = None;
        }
    }

    /// Renews the token ahead of its expiry, for as long as this is polled. The old one is good until then, so a
    /// failure here is no more than a warning.
    pub async fn keep_fresh(&self, stream: &str) {
        loop {
            let renew_at = self.lock().token.as_ref().map(|token| token.renew_at);
            let now = Instant::now();
            match renew_at {
                None => tokio::time::sleep(self.pause).await,
                Some(at) if at > now => tokio::time::sleep_until(at).await,
                Some(_) => match self.renew().await {
                    Ok(()) => {
                        debug!(stream, "token renewed");
                        tokio::time::sleep(self.pause).await;
                    }
                    Err(failure) => {
                        warn!(
                            stream,
                            reason = chain(&failure),
                            "the token cannot be renewed yet; open streams go on"
                        );
                        tokio::time::sleep(failure.retry_after.unwrap_or(self.pause)).await;
                    }
                },
            }
        }
    }

    /// Fetches a newer token, unless that was done or refused while this waited for its turn.
    async fn renew(&self) -> Result<(), Failure> {
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

    fn refused_until_later(&self) -> Option<Failure> {
        let state = self.lock();
        let refusal = state.refusal.as_ref()?;
        let left = refusal.until.checked_duration_since(Instant::now())?;
        Some(Failure { retry_after: Some(left), ..Failure::new(refusal.class, refusal.message.clone()) })
    }

    /// Asks for a token and keeps it, or what was said instead.
    async fn fetch(&self) -> Result<Token, Failure> {
        let fetched = self.ask().await;
        let mut state = self.lock();
        match &fetched {
            Ok(token) => (state.token, state.refusal) = (Some(token.clone()), None),
            Err(failure) => {
                let pause = failure.retry_after.unwrap_or(self.pause);
                let (class, message) = (failure.class, chain(failure));
                state.refusal = Some(Refusal { class, message, until: Instant::now() + pause });
            }
        }
        fetched
    }

    /// Takes the secret out of what the endpoint says, and the pair that is as good as it.
    fn hider(&self, secret: &Secret) -> Hider {
        let pair = BASE64_STANDARD.encode(format!("{}:{}", self.grant.client_id, secret.expose()));
        Hider::new(&[secret.clone(), Secret::new(pair)])
    }

    async fn ask(&self) -> Result<Token, Failure> {
        let Grant { scheme, token_url, client_id, client_secret, scopes } = &self.grant;
        let secret = client_secret
            .read()
            .map_err(|error| Failure::caused(Class::Credential, "the client secret cannot be read", error))?;
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        let mut request = self.client.post(token_url.clone());
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
        let host = token_url.host_str().unwrap_or_default();
        let network = |error: reqwest::Error| {
            let message = format!("the token endpoint at {host} cannot be reached");
            Failure::caused(Class::Network, message, error.without_url())
        };
        let response = request.form(&form).send().await.map_err(network)?;
        let (status, wish) = (response.status(), retry_after(response.headers()));
        let body = bounded(response).await.map_err(network)?;
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        match answer {
            Some(Answer { access_token: Some(token), expires_in, .. }) if status == StatusCode::OK => {
                let life = expires_in.as_ref().and_then(seconds).unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE);
                Ok(Token::new(Secret::new(token), asked_at, life))
            }
            answer => {
                let (class, advice) =
                    judge(status, answer.as_ref().and_then(|answer| answer.error.as_deref()));
                let said = answer.map(|answer| [answer.error, answer.error_description]);
                let said = said.into_iter().flatten().flatten().collect::<Vec<_>>().join(": ");
                let said = self.hider(&secret).quote(&said, true);
                let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
                let message =
                    format!("{} from the token endpoint at {host}: {advice}{said}", status.as_u16());
                Err(Failure { retry_after: wish, ..Failure::new(class, message) })
            }
        }
    }
}

fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Token {
    fn new(secret: Secret, asked_at: Instant, life: Duration) -> Self {
        let margin = (life / 10).min(LONGEST_MARGIN);
        Self {
            secret,
            fetched_at: asked_at,
            renew_at: asked_at + (life - margin),
            expires_at: asked_at + life,
        }
    }
}

/// What an answer without a token means, and what the operator can do.
fn judge(status: StatusCode, error: Option<&str>) -> (Class, &'static str) {
    match (status.as_u16(), error) {
        (429, _) => (Class::RateLimited, "too many tokens were asked for"),
        (408 | 500.., _) => (Class::ServerError, "it failed"),
        (_, Some("invalid_client" | "unauthorized_client")) => (
            Class::Credential,
            "the client was refused; check client_id and client_secret, and that the credential still exists: it is \
             removed with the account that owned it",
        ),
        (_, Some("invalid_scope")) => {
            (Class::Credential, "the scopes were refused; use those that are shown for the credential")
        }
        (300..400, _) => {
            (Class::Credential, "it redirects, which is not followed with a secret; check token_url")
        }
        (200, _) => (Class::ServerError, "the answer holds no token"),
        _ => (Class::Credential, "the request for a token was refused; check token_url and the credential"),
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
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_when_a_tenth_of_its_life_is_left() {
        let (secret, now) = (Secret::new("t"), Instant::now());
        let day = Token::new(secret.clone(), now, Duration::from_secs(86_399));
        assert_eq!(day.renew_at - now, Duration::from_secs(86_399 - 3600), "an hour ahead, not 2.4 hours");
        let minute = Token::new(secret, now, Duration::from_secs(60));
        assert_eq!(minute.renew_at - now, Duration::from_secs(54));
    }

    #[test]
    fn what_an_answer_means() {
        let class = |status, error| judge(StatusCode::from_u16(status).unwrap(), error).0;
        assert_eq!(class(400, Some("invalid_client")), Class::Credential);
        assert_eq!(class(401, None), Class::Credential);
        assert_eq!(class(302, None), Class::Credential);
        assert_eq!(class(429, Some("slow_down")), Class::RateLimited);
        assert_eq!(class(503, None), Class::ServerError);
        assert_eq!(class(200, None), Class::ServerError);
    }
}
