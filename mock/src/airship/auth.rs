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
    /// The master secret; any if absent.
    master_secret: Option<String>,
    /// The app key; any if absent.
    app_key: Option<String>,
    /// Whether `X-UA-Appkey` may be left out.
    app_key_optional: bool,
}

impl Credentials {
    pub(super) fn new(
        token: Option<String>,
        master_secret: Option<String>,
        app_key: Option<String>,
        app_key_optional: bool,
    ) -> Self {
        Self { token: Mutex::new(token), master_secret, app_key, app_key_optional }
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
        let allowed =
            authorization.and_then(|header| header.split_once(' ')).is_some_and(|(scheme, credential)| {
                let credential = credential.trim();
                match endpoint {
                    Endpoint::Events if scheme.eq_ignore_ascii_case("bearer") => {
                        self.is_token(credential) && self.is_app_key(app_key)
                    }
                    Endpoint::Events if scheme.eq_ignore_ascii_case("basic") => {
                        // As in the documents' curl, which sends no app key.
                        user_and_password(credential)
                            .is_some_and(|(user, password)| user == SAMPLE && password == SAMPLE)
                    }
                    Endpoint::Compliance if scheme.eq_ignore_ascii_case("basic") => {
                        user_and_password(credential).is_some_and(|(user, secret)| {
                            self.is_app_key(app_key)
                                && self.is_app_key(Some(&user))
                                && self.is_master_secret(&secret)
                        })
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

    fn is_master_secret(&self, secret: &str) -> bool {
        !secret.is_empty() && self.master_secret.as_ref().is_none_or(|expected| expected == secret)
    }

    fn is_app_key(&self, key: Option<&str>) -> bool {
        match (key, &self.app_key) {
            (None, _) => self.app_key_optional,
            (Some(key), None) => !key.is_empty(),
            (Some(key), Some(expected)) => key == expected,
        }
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
        let any = Credentials::new(None, None, None, false);
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
    fn exact_credentials_and_rotation() {
        let exact = Credentials::new(Some("one".into()), Some("secret".into()), Some("app".into()), false);
        let check =
            |token: &str, key| exact.check(Endpoint::Events, Some(&format!("Bearer {token}")), Some(key));
        assert!(check("one", "app").is_ok());
        assert!(check("two", "app").is_err());
        assert!(check("one", "other").is_err());
        exact.rotate("two".into());
        assert!(check("one", "app").is_err());
        assert!(check("two", "app").is_ok());
        let secret =
            |user, secret| exact.check(Endpoint::Compliance, Some(&basic(user, secret)), Some("app")).is_ok();
        assert!(secret("app", "secret") && !secret("app", "no") && !secret("other", "secret"));
    }
}
