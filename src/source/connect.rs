//! One attempt to open a stream: request, credential, redirects, response class. Knows neither retries nor gzip.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Client, Response};
use url::Url;

use super::airship::{self, Begin};
use super::auth::Authorization;
use super::body::Coding;
use super::failure::{Class, Failure};
use super::redirect::{MAX_HOPS, Policy, RedirectError};
use super::{Config, Service};

/// Limit for the response's head once the request is sent.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// TCP keep-alive, which notices a dead peer below HTTP.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Bytes of an error body that are kept for the message.
const MAX_ERROR_TEXT: usize = 512;

/// Opens streams of one configured source.
pub struct Connector {
    config: Arc<Config>,
    client: Client,
    policy: Policy,
}

/// An open stream whose body is yet to be read.
pub struct Opened {
    /// The response, status 200.
    pub response: Response,
    /// How its body is coded.
    pub coding: Coding,
}

impl Connector {
    /// Prepares the HTTP client.
    pub fn new(config: Arc<Config>) -> Result<Self, Failure> {
        let client = Client::builder()
            // Redirects are followed here, see `redirect`. A library that repeats the request by itself would do it
            // with the position of hours ago (a bug that an official client once had).
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(0)
            .tcp_keepalive(KEEP_ALIVE)
            .connect_timeout(config.connect_timeout)
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::caused(Class::Rejected, "the HTTP client cannot be set up", error))?;
        let policy =
            Policy { hosts: config.redirect_hosts.clone(), allow_plain_http: config.allow_plain_http };
        Ok(Self { config, client, policy })
    }

    /// Opens the stream for one shard. Begins at the configured URL, whatever earlier redirects said.
    pub async fn open(&self, shard: u32, begin: Begin<'_>) -> Result<Opened, Failure> {
        let authorization =
            self.config.auth.authorization().map_err(|error| {
                Failure::caused(Class::Credential, "no credential to connect with", error)
            })?;
        let (mut headers, body) = match &self.config.service {
            Service::Airship(airship) => (airship::headers(airship), airship::body(airship, shard, begin)),
        };
        headers.insert(header::AUTHORIZATION, authorization.header.clone());
        let mut url = self.config.url.clone();
        let mut cookies = BTreeMap::new();
        for _ in 0..=MAX_HOPS {
            let response = self.request(&url, &headers, &cookies, body.clone()).await?;
            if !response.status().is_redirection() {
                let resumed = matches!(begin, Begin::After(_));
                return self.accept(response, resumed, &authorization).await;
            }
            take_cookies(response.headers(), &mut cookies);
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            url = self.next_hop(&url, response.status(), location)?;
        }
        Err(redirect_failure(RedirectError::TooMany))
    }

    fn next_hop(&self, url: &Url, status: StatusCode, location: Option<&str>) -> Result<Url, Failure> {
        match status.as_u16() {
            // Airship's 307 without Location means: the same request again, with the cookie. It is for all of them
            // that method and body stay: the service knows no GET.
            307 | 308 => self.policy.target(url, location).map_err(redirect_failure),
            301..=303 if location.is_some() => self.policy.target(url, location).map_err(redirect_failure),
            other => Err(Failure::new(
                Class::Redirect,
                format!("the service answered {other} without an address to go to"),
            )),
        }
    }

    async fn request(
        &self,
        url: &Url,
        headers: &HeaderMap,
        cookies: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> Result<Response, Failure> {
        let mut request = self.client.post(url.clone()).headers(headers.clone()).body(body);
        if !cookies.is_empty() {
            let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        match tokio::time::timeout(HEADER_TIMEOUT, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            // The address may hold parameters that are nobody's business.
            Ok(Err(error)) => Err(Failure::caused(
                Class::Network,
                format!("cannot reach {}", host_of(url)),
                error.without_url(),
            )),
            Err(_) => Err(Failure::new(
                Class::Network,
                format!("{} did not answer within {} s", host_of(url), HEADER_TIMEOUT.as_secs()),
            )),
        }
    }

    async fn accept(
        &self,
        response: Response,
        resumed: bool,
        authorization: &Authorization,
    ) -> Result<Opened, Failure> {
        let status = response.status();
        if status != StatusCode::OK {
            let class = match &self.config.service {
                Service::Airship(_) => airship::classify(status, resumed),
            };
            let retry_after = response.headers().get(header::RETRY_AFTER).and_then(retry_after);
            let text = error_text(response, authorization).await;
            return Err(Failure { retry_after, ..Failure::new(class, explain(class, status, &text)) });
        }
        let coding = response.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        match Coding::from_header(coding) {
            Some(coding) => Ok(Opened { response, coding }),
            None => Err(Failure::new(
                Class::BadBody,
                "the service answered in another coding than gzip, which alone was asked for",
            )),
        }
    }
}

/// What a refusal means and what the operator can do.
fn explain(class: Class, status: StatusCode, text: &str) -> String {
    let advice = match class {
        Class::Unauthorized => "the credential was refused; check the token and the app key".to_owned(),
        Class::TooManyConnections => {
            "too many connections are open for this integration; is another consumer running?".to_owned()
        }
        Class::Forbidden => match airship::denied_types(text).as_slice() {
            [] => "access was refused; check what the token may read".to_owned(),
            denied => format!(
                "the token may not read the event types {}; take them out of `filters` or extend the token",
                denied.join(", ")
            ),
        },
        Class::NoData => "there is no data for this app key yet, which is normal for a new app".to_owned(),
        Class::PositionRejected => {
            "the request was refused, most likely since the position to resume from is \
                                    older than what the service keeps (7 days or 100 GB)"
                .to_owned()
        }
        Class::Rejected => "the request was refused; check url, filters and subset".to_owned(),
        Class::RateLimited => "the service limits the rate of requests".to_owned(),
        _ => "the service failed".to_owned(),
    };
    let quote = if text.is_empty() { String::new() } else { format!(" ({text})") };
    format!("{} {advice}{quote}", status.as_u16())
}

/// The beginning of an error body on one line, without anything secret.
async fn error_text(mut response: Response, authorization: &Authorization) -> String {
    let (mut bytes, mut whole) = (Vec::new(), false);
    let enough = MAX_ERROR_TEXT + authorization.longest();
    // An error body may be endless or hang: a bounded look at it is enough.
    let read = async {
        while bytes.len() < enough {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return whole = true,
                Err(_) => return,
            }
        }
    };
    let finished = tokio::time::timeout(Duration::from_secs(5), read).await;
    drop(finished);
    quote(&bytes, whole, authorization)
}

/// What may be shown of the beginning of an error body, or of a `whole` one. Secrets are taken out first of all: cut or
/// tidied up they would not be known.
fn quote(bytes: &[u8], whole: bool, authorization: &Authorization) -> String {
    let mut text = authorization.hide(&String::from_utf8_lossy(bytes));
    // The end may be the beginning of a secret.
    let certain = if whole { text.len() } else { text.len().saturating_sub(authorization.longest()) };
    text.truncate(text.floor_char_boundary(certain.min(MAX_ERROR_TEXT)));
    authorization.hide(&printable(&text))
}

/// One line of printable characters; markup is left as it is.
fn printable(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), "")
}

/// `Retry-After` in seconds; the date form is not used by these services.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Keeps `name=value` of each cookie, never its attributes; a cookie set again replaces the first.
fn take_cookies(headers: &HeaderMap, cookies: &mut BTreeMap<String, String>) {
    for value in headers.get_all(header::SET_COOKIE) {
        let pair = value.to_str().ok().and_then(|text| text.split(';').next()?.trim().split_once('='));
        if let Some((name, value)) = pair {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn redirect_failure(error: RedirectError) -> Failure {
    Failure::caused(Class::Redirect, "a redirect was not followed", error)
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{Secret, SecretSource};
    use crate::source::auth::Credential;

    #[test]
    fn cookies_lose_their_attributes_and_replace_one_another() {
        let mut headers = HeaderMap::new();
        for cookie in ["SRV=a1; Path=/; HttpOnly", "other=x=y", "SRV=b2; Max-Age=1", "no cookie"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        let mut cookies = BTreeMap::new();
        take_cookies(&headers, &mut cookies);
        let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["SRV=b2", "other=x=y"]);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let text = "Requested event types to which client is not entitled COMPLIANCE,TAG_CHANGE";
        let message = explain(Class::Forbidden, StatusCode::FORBIDDEN, text);
        assert!(message.starts_with("403 the token may not read the event types COMPLIANCE, TAG_CHANGE;"));
        assert_eq!(printable("<h1>busy\n\t</h1>\u{1b}[31m"), "<h1>busy </h1>[31m");
    }

    #[test]
    fn no_part_of_a_secret_is_quoted() {
        let secret = |text| SecretSource::Value(Secret::new(text));
        let bearer = Credential::Bearer(secret("hunter2-hunter2")).authorization().unwrap();
        assert_eq!(quote(b"no: Bearer hunter2-hunter2!", true, &bearer), "no: Bearer <hidden>!");
        assert_eq!(quote(b"cut hunter2-hunter2 hunter2-hun", false, &bearer), "cut <hidd");
        for filler in 480..520 {
            let text = format!("{}hunter2-hunter2{}", "x".repeat(filler), "y".repeat(20));
            let quoted = quote(text.as_bytes(), false, &bearer);
            assert!(!quoted.contains("hunter") && quoted.len() <= MAX_ERROR_TEXT, "{quoted}");
        }
        let basic =
            Credential::Basic { user: "u".into(), password: secret("hunter2") }.authorization().unwrap();
        assert_eq!(quote(b"Basic dTpodW50ZXIy is u:hunter2", true, &basic), "Basic <hidden> is u:<hidden>");
    }

    #[test]
    fn retry_after_is_seconds() {
        assert_eq!(retry_after(&HeaderValue::from_static(" 12 ")), Some(Duration::from_secs(12)));
        assert_eq!(retry_after(&HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
}
