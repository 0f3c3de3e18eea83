//! The two token endpoints: Adobe's IMS, and the older one with HTTP Basic.
//!
//! Invariant: an answer says nothing about the secret. Fields are taken from the body and from the query.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use serde_json::json;
use tokio::time::Instant;

use super::{pairs, value};
use crate::adobe::Adobe;
use crate::adobe::token::{Denied, Wish};
use crate::engine::reply::{Body, text};

impl Adobe {
    pub(super) fn token(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        query: &[(String, String)],
        body: &[u8],
    ) -> Response<Body> {
        let is_basic = match path {
            "/ims/token/v3" => false,
            "/oauth2/token" | "/token" => true,
            _ => return failure(404, "not_found", "no such path"),
        };
        if method != Method::POST {
            return failure(405, "invalid_request", "only POST");
        }
        let form = pairs(body);
        let field = |name: &str| {
            form.iter().chain(query).find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        let (client_id, client_secret) = if is_basic {
            user_and_password(headers).unzip()
        } else {
            (field("client_id"), field("client_secret"))
        };
        let wish = Wish {
            grant_type: field("grant_type"),
            client_id,
            client_secret,
            scope: field("scope"),
            by_basic: is_basic,
            username: field("username"),
            password: field("password"),
        };
        match self.tokens.mint(&wish, Instant::now()) {
            Ok(issued) => {
                self.counters.update(|stats| stats.adobe.minted += 1);
                let answer = json!({
                    "access_token": issued.token,
                    "token_type": "bearer",
                    "expires_in": issued.expires_in,
                });
                text(200, "application/json", answer.to_string())
            }
            Err(Denied::Request(error, description)) => failure(400, error, description),
            Err(Denied::InvalidClient) => {
                failure(401, "invalid_client", "invalid client_id or client_secret")
            }
            Err(Denied::Throttled(seconds)) => {
                let mut response = failure(429, "too_many_requests", "too many tokens were asked for");
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}

fn failure(status: u16, error: &str, description: &str) -> Response<Body> {
    let body = json!({ "error": error, "error_description": description });
    text(status, "application/json", body.to_string())
}

fn user_and_password(headers: &HeaderMap) -> Option<(String, String)> {
    let authorization = value(headers, "authorization")?;
    let (scheme, credential) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credential.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
