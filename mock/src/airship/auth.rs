//! Who may read which stream.
//!
//! Invariant: each endpoint takes its own scheme; everything else is 401. Pure; knows no HTTP types.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reply::Refusal;
use super::request::Endpoint;

/// User and password of Airship's test server, which takes them on the main stream.
const SAMPLE: &str = "sample_connection";

/// Which credentials are right.
#[derive(Debug)]
pub(super) struct Credentials {
    /// The bearer token; any if absent.
    token: Mutex<Option<String>>,
}

impl Credentials {
    pub(super) fn new(token: Option<String>) -> Self {
        Self { token: Mutex::new(token) }
    }

    /// From now on only `token` is right.
    pub(super) fn rotate(&self, token: String) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// Checks the headers `Authorization` and `X-UA-Appkey`.
    pub(super) fn check(
        &self,
        endpoint: Endpoint,
        authorization: Option<&str>,
        app_key: Option<&str>,
    ) -> Result<(), Refusal> {
        let has_key = app_key.is_some_and(|key| !key.is_empty());
        let allowed =
            authorization.and_then(|header| header.split_once(' ')).is_some_and(|(scheme, credential)| {
                let credential = credential.trim();
                match endpoint {
                    Endpoint::Events if scheme.eq_ignore_ascii_case("bearer") => {
                        self.is_token(credential) && has_key
                    }
                    Endpoint::Events if scheme.eq_ignore_ascii_case("basic") => {
                        // As in the documents' curl, which sends no app key.
                        user_and_password(credential)
                            .is_some_and(|(user, password)| user == SAMPLE && password == SAMPLE)
                    }
                    Endpoint::Compliance if scheme.eq_ignore_ascii_case("basic") => {
                        user_and_password(credential)
                            .is_some_and(|(user, secret)| has_key && !user.is_empty() && !secret.is_empty())
                    }
                    _ => false,
                }
            });
        if allowed { Ok(()) } else { Err(Refusal::usual(401)) }
    }

    fn is_token(&self, token: &str) -> bool {
        let expected = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        !token.is_empty() && expected.as_ref().is_none_or(|expected| expected == token)
    }
}

fn user_and_password(credential: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(credential).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    #[test]
    fn each_endpoint_has_its_scheme() {
        let any = Credentials::new(None);
        let key = Some("app");
        for (endpoint, header, key, allowed) in [
            (Endpoint::Events, Some("Bearer t".to_owned()), key, true),
            (Endpoint::Events, Some("bearer t".to_owned()), key, true),
            (Endpoint::Events, Some("Bearer t".to_owned()), None, false),
            (Endpoint::Events, Some("Bearer ".to_owned()), key, false),
            (Endpoint::Events, None, key, false),
            (Endpoint::Events, Some(basic("app", "s")), key, false),
            (Endpoint::Events, Some(basic(SAMPLE, SAMPLE)), None, true),
            (Endpoint::Compliance, Some("Bearer t".to_owned()), key, false),
            (Endpoint::Compliance, Some(basic("app", "s")), key, true),
            (Endpoint::Compliance, Some("Basic !!!".to_owned()), key, false),
        ] {
            assert_eq!(
                any.check(endpoint, header.as_deref(), key).is_ok(),
                allowed,
                "{endpoint:?} {header:?}"
            );
        }
    }

    #[test]
    fn a_token_is_right_until_it_is_rotated() {
        let exact = Credentials::new(Some("one".into()));
        let check = |token: &str| {
            exact.check(Endpoint::Events, Some(&format!("Bearer {token}")), Some("app")).is_ok()
        };
        assert!(check("one") && !check("two"));
        exact.rotate("two".into());
        assert!(check("two") && !check("one"));
    }
}
