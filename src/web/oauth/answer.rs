//! A token endpoint's answer, as it is meant: pure.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::Kind;

/// RFC 6749 sections 5.1 and 5.2.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) access_token: Option<String>,
    /// Nothing where it cannot be one.
    pub(super) life: Option<Duration>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
}

#[derive(Deserialize)]
struct Members {
    access_token: Option<String>,
    /// Seconds. Some endpoints write it as a string or with a fraction.
    expires_in: Option<Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Answer {
    /// Nothing of a text that is none.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(Members { access_token, expires_in, error, error_description }) = serde_json::from_slice(body)
        else {
            return Self::default();
        };
        let access_token = access_token.filter(|token| !token.is_empty());
        Self { access_token, life: expires_in.as_ref().and_then(seconds), error, error_description }
    }
}

/// A life: quoted or not, whole or not; never a negative or an endless one.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What an answer without a token means, and what the operator can do.
pub(super) fn judge(status: StatusCode, error: Option<&str>) -> (Kind, &'static str) {
    match (status.as_u16(), error) {
        (429, _) => (Kind::RateLimited, "too many tokens were asked for"),
        (407, _) => (Kind::Credential, "the proxy wants a credential; put it into its address"),
        (408 | 500.., _) => (Kind::Server, "it failed"),
        (_, Some("invalid_client" | "unauthorized_client")) => (
            Kind::Credential,
            "the client was refused; check client_id and client_secret, and that the credential still exists: it is \
             removed with the account that owned it",
        ),
        (_, Some("invalid_scope")) => {
            (Kind::Credential, "the scopes were refused; use those that are shown for the credential")
        }
        (300..400, _) => {
            (Kind::Credential, "it redirects, which is not followed with a secret; check token_url")
        }
        (200, _) => (Kind::Server, "the answer holds no token"),
        _ => (Kind::Credential, "the request for a token was refused; check token_url and the credential"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let kind = |status, error| judge(StatusCode::from_u16(status).unwrap(), error).0;
        assert_eq!(kind(400, Some("invalid_client")), Kind::Credential);
        assert_eq!(kind(401, None), Kind::Credential);
        assert_eq!(kind(302, None), Kind::Credential);
        assert_eq!(kind(429, Some("slow_down")), Kind::RateLimited);
        assert_eq!(kind(503, None), Kind::Server);
        assert_eq!(kind(200, None), Kind::Server);
    }

    #[test]
    fn a_life_is_whatever_can_be_one() {
        let life = |text: &str| {
            let answer = Answer::read(format!(r#"{{"access_token":"t","expires_in":{text}}}"#).as_bytes());
            assert_eq!(answer.access_token.as_deref(), Some("t"), "{text}");
            answer.life.map(|life| life.as_secs())
        };
        assert_eq!([life("60"), life("\"60\""), life("60.9"), life("\" 60 \"")], [Some(60); 4]);
        assert_eq!([life("-1"), life("\"soon\""), life("null"), life("1e300"), life("\"NaN\"")], [None; 5]);
        assert_eq!(life("18446744073709551615"), None, "more than there are");
        assert_eq!(life("9223372036854775807"), Some(1 << 63));
        assert_eq!(Answer::read(b"<html>"), Answer::default());
        assert_eq!(Answer::read(br#"{"access_token":""}"#), Answer::default());
    }
}
