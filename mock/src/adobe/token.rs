//! Who may read, and the tokens that say so.
//!
//! Invariant: a token is right if it was issued here and is younger than its lifetime, or is the fixed one; secrets and
//! tokens never leave this module but in the answer to whoever asked for one. Knows no HTTP types.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Config;
use crate::engine::clock::now_ms;
use crate::engine::random::{Draw, Lane};

/// All tokens, and what they are issued for.
#[derive(Debug)]
pub(super) struct Tokens {
    no_auth: bool,
    client_id: Option<String>,
    scope: Option<String>,
    lifetime: Duration,
    /// Makes the tokens of this process its own.
    salt: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bearer: Option<String>,
    secrets: Vec<String>,
    /// When each issued token expires, by its number; and their numbers.
    expiries: Vec<Instant>,
    numbers: HashMap<String, usize>,
    /// How many requests are still refused by command, with `Retry-After`.
    throttled: (u64, u64),
    refused: u64,
}

/// A request for a token.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) grant_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) scope: Option<String>,
    /// Whether the client is named by HTTP Basic, as the older endpoint wants it.
    pub(super) by_basic: bool,
    /// For the grant type `password`, which an official starter for the older endpoint asks for.
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// A token that was issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) token: String,
    /// Seconds.
    pub(super) expires_in: u64,
}

/// Why no token was issued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The `error` of OAuth, and its description.
    Request(&'static str, &'static str),
    InvalidClient,
    /// With seconds to wait.
    Throttled(u64),
}

/// What a stream was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Good for ever.
    Fixed,
    /// The issued token with this number.
    Issued(usize),
}

impl Tokens {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            no_auth: config.no_auth,
            client_id: config.client_id.clone(),
            scope: config.scope.clone(),
            lifetime: config.token_lifetime,
            salt: now_ms() ^ u64::from(std::process::id()) << 48,
            state: Mutex::new(State {
                bearer: config.bearer.clone(),
                secrets: config.client_secrets.clone(),
                ..State::default()
            }),
        }
    }

    /// Issues a token.
    pub(super) fn mint(&self, wish: &Wish, now: Instant) -> Result<Issued, Denied> {
        let mut state = self.state();
        if state.throttled.0 > 0 {
            state.throttled.0 -= 1;
            return Err(Denied::Throttled(state.throttled.1));
        }
        match wish.grant_type.as_deref() {
            Some("client_credentials") => {}
            Some("password") if wish.by_basic => {
                let is_given = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
                if !is_given(&wish.username) || !is_given(&wish.password) {
                    return Err(Denied::Request("invalid_request", "username or password is missing"));
                }
            }
            None => return Err(Denied::Request("invalid_request", "grant_type is missing")),
            Some(_) => return Err(Denied::Request("unsupported_grant_type", "unknown grant_type")),
        }
        let (Some(id), Some(secret)) = (wish.client_id.as_deref(), wish.client_secret.as_deref()) else {
            return Err(Denied::Request("invalid_request", "client_id or client_secret is missing"));
        };
        if state.refused > 0 {
            state.refused -= 1;
            return Err(Denied::InvalidClient);
        }
        let is_id = !id.is_empty() && self.client_id.as_deref().is_none_or(|right| right == id);
        let is_secret = !secret.is_empty()
            && (state.secrets.is_empty() || state.secrets.iter().any(|right| right == secret));
        if !is_id || !is_secret {
            return Err(Denied::InvalidClient);
        }
        if self.scope.is_some() && self.scope != wish.scope {
            return Err(Denied::Request("invalid_scope", "unknown scope"));
        }
        let number = state.expiries.len();
        let mut draw = Draw::new(self.salt, Lane::Token, number as u64);
        let token =
            format!("mock.{:016x}{:016x}.{:016x}{:016x}", draw.next(), draw.next(), draw.next(), draw.next());
        state.expiries.push(now + self.lifetime);
        state.numbers.insert(token.clone(), number);
        // Rounded: a lifetime below a second is still enforced, but cannot be said.
        let expires_in = (self.lifetime + Duration::from_millis(500)).as_secs();
        Ok(Issued { token, expires_in })
    }

    /// Checks the header `Authorization`.
    pub(super) fn check(&self, authorization: Option<&str>, now: Instant) -> Option<Grant> {
        if self.no_auth {
            return Some(Grant::Fixed);
        }
        let (scheme, token) = authorization?.split_once(' ')?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return None;
        }
        let state = self.state();
        if state.bearer.as_deref() == Some(token) {
            return Some(Grant::Fixed);
        }
        let number = *state.numbers.get(token)?;
        (state.expiries[number] > now).then_some(Grant::Issued(number))
    }

    /// When what a stream was opened with expires, if ever.
    pub(super) fn expiry(&self, grant: Grant) -> Option<Instant> {
        match grant {
            Grant::Fixed => None,
            Grant::Issued(number) => self.state().expiries.get(number).copied(),
        }
    }

    /// From now on `token` is the fixed one.
    pub(super) fn rotate_bearer(&self, token: String) {
        self.state().bearer = Some(token);
    }

    /// From now on these are the secrets that are right.
    pub(super) fn rotate_secrets(&self, secrets: Vec<String>) {
        self.state().secrets = secrets;
    }

    /// All issued tokens expire.
    pub(super) fn expire(&self, now: Instant) {
        self.state().expiries.iter_mut().for_each(|expiry| *expiry = now.min(*expiry));
    }

    /// The next `times` requests for a token are answered with 429.
    pub(super) fn throttle(&self, times: u64, retry_after: u64) {
        self.state().throttled = (times, retry_after);
    }

    /// The next `times` requests for a token are answered with `invalid_client`.
    pub(super) fn refuse(&self, times: u64) {
        self.state().refused = times;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(id: &str, secret: &str) -> Wish {
        Wish {
            grant_type: Some("client_credentials".into()),
            client_id: Some(id.into()),
            client_secret: Some(secret.into()),
            scope: None,
            ..Wish::default()
        }
    }

    fn bearer(token: &str) -> Option<String> {
        Some(format!("Bearer {token}"))
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_live_as_long_as_they_are_meant_to() {
        let tokens = Tokens::new(&Config { token_lifetime: Duration::from_millis(700), ..Config::default() });
        let issued = tokens.mint(&wish("id", "secret"), Instant::now()).unwrap();
        assert_eq!(issued.expires_in, 1);
        let check = || tokens.check(bearer(&issued.token).as_deref(), Instant::now());
        let grant = check().unwrap();
        tokio::time::advance(Duration::from_millis(699)).await;
        assert_eq!(check(), Some(grant));
        assert_eq!(tokens.expiry(grant), Some(Instant::now() + Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(check(), None);
        for wrong in [None, Some("Bearer "), Some("Bearer x"), Some("x")] {
            assert_eq!(tokens.check(wrong, Instant::now()), None);
        }
    }

    #[tokio::test]
    async fn two_secrets_can_be_right_at_once() {
        let config = Config {
            client_id: Some("id".into()),
            client_secrets: vec!["old".into(), "new".into()],
            bearer: Some("fixed".into()),
            ..Config::default()
        };
        let tokens = Tokens::new(&config);
        let now = Instant::now();
        let mint = |id, secret| tokens.mint(&wish(id, secret), now).map(|_| ());
        assert_eq!((mint("id", "old"), mint("id", "new")), (Ok(()), Ok(())));
        assert_eq!(mint("id", "x"), Err(Denied::InvalidClient));
        assert_eq!(mint("x", "new"), Err(Denied::InvalidClient));
        tokens.rotate_secrets(vec!["new".into()]);
        assert_eq!(mint("id", "old"), Err(Denied::InvalidClient));
        tokens.throttle(1, 3);
        assert_eq!((mint("id", "new"), mint("id", "new")), (Err(Denied::Throttled(3)), Ok(())));
        tokens.refuse(1);
        assert_eq!((mint("id", "new"), mint("id", "new")), (Err(Denied::InvalidClient), Ok(())));
        assert_eq!(tokens.check(bearer("fixed").as_deref(), now), Some(Grant::Fixed));
        tokens.rotate_bearer("other".into());
        assert_eq!(tokens.check(bearer("fixed").as_deref(), now), None);
        assert!(matches!(tokens.mint(&Wish::default(), now), Err(Denied::Request("invalid_request", _))));
    }
}
