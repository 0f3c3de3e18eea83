//! One attempt to open a stream: request, credential, redirects, response class. Knows neither retries nor gzip, and
//! of the service only its [`Dialect`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use prometheus_client::metrics::counter::Counter;
use reqwest::Response;
use tokio::time::Instant;
use url::Url;

use super::auth::{Authorization, Authorizer, Credential};
use super::dialect::Dialect;
use super::redirect::{Policy, RedirectError};
use super::refusal;
use crate::source::failure::{Class, Failure};
use crate::web::client::{self, Client, ClientError, Reached};
use crate::web::host_of;
use crate::web::proxy::{Proxies, Proxy, ProxyError};
use crate::web::retry_after::retry_after;

/// TCP keep-alive, which notices a dead peer below HTTP in a minute: it asks after silence of this length, and then again so
/// many times before it gives up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_QUESTIONS: u32 = 3;

/// Where a service is, and how it is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The stream's name, for logs and errors.
    pub stream: Arc<str>,
    /// The configured address; each new connect begins here.
    pub url: Url,
    /// The credential.
    pub auth: Credential,
    /// Whom the client trusts, what it shows of itself, and which way it takes.
    pub http: client::Config,
    /// Hosts, and whatever is below them, that may be sent the credential after a redirect.
    pub redirect_hosts: Vec<String>,
    /// Whether plain `http` targets may get the credential (always so for loopback addresses).
    pub allow_plain_http: bool,
    /// Limit for TCP and TLS to be set up.
    pub connect_timeout: Duration,
    /// Time without a byte after which a connection is given up.
    pub silence: Duration,
}

/// Opens streams at one endpoint. Connections of one stream share it, and with it the token.
pub(crate) struct Connector {
    endpoint: Endpoint,
    dialect: Dialect,
    client: Client,
    policy: Policy,
    authorizer: Authorizer,
}

/// What is asked of the service, besides the address and the credential.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The method.
    pub method: Method,
    /// The service's own headers.
    pub headers: HeaderMap,
    /// Parameters beside those of the configured address.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether it names a position.
    pub resumed: bool,
}

/// When a request was last on its way: each hop of a redirect is a request of its own.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<Option<Instant>>);

impl Asked {
    /// When the latest hop began, with making its connection; `None` while only a token is waited for.
    pub(crate) fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// An open stream whose body is yet to be read.
pub(crate) struct Opened {
    /// The response, status 200.
    pub response: Response,
    /// What the service was shown, for [`Connector::refused`].
    pub authorization: Authorization,
}

impl Connector {
    /// Prepares the HTTP client. A token endpoint that refused is left alone for `pause`.
    pub(crate) fn new(endpoint: Endpoint, dialect: Dialect, pause: Duration) -> Self {
        let connect_timeout = endpoint.connect_timeout;
        // Redirects are followed here, see `redirect`. A library that repeats the request by itself would do it with the
        // position of hours ago (a bug that an official client once had).
        let client = Client::new(endpoint.http.clone(), move |builder| {
            builder
                .tcp_keepalive(KEEP_ALIVE)
                .tcp_keepalive_interval(KEEP_ALIVE)
                .tcp_keepalive_retries(KEEP_ALIVE_QUESTIONS)
                .connect_timeout(connect_timeout)
        });
        let policy = Policy {
            hosts: endpoint.redirect_hosts.clone(),
            allow_plain_http: endpoint.allow_plain_http,
            max_hops: dialect.max_hops,
            keeps_query: dialect.keeps_query,
        };
        let (auth, http) = (endpoint.auth.clone(), endpoint.http.clone());
        let authorizer = Authorizer::new(auth, pause, endpoint.allow_plain_http, http);
        Self { endpoint, dialect, client, policy, authorizer }
    }

    /// Opens a stream. Begins at the configured URL, whatever earlier redirects said. Notes in `asked` what leaves.
    pub(crate) async fn open(&self, request: &Request, asked: &Asked) -> Result<Opened, Failure> {
        let mut url = self.endpoint.url.clone();
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let (response, authorization) =
            self.send(url, request, asked, |status| status == StatusCode::OK).await?;
        match refusal::coding(response.headers()) {
            Some(_) => Ok(Opened { response, authorization }),
            None => {
                let coding = refusal::coding_name(response.headers(), &authorization);
                let message = format!("the service answered in the coding {coding}; only gzip was asked for");
                Err(Failure { untaken: true, ..Failure::new(Class::BadBody, message) })
            }
        }
    }

    /// Asks for something beside a stream, of which only the status counts.
    pub(crate) async fn ask(&self, url: Url, request: &Request) -> Result<(), Failure> {
        self.send(url, request, &Asked::default(), |status| status.is_success()).await.map(drop)
    }

    /// Asks the configured host for its root, without a credential; any answer will do. Gives the time that it tells, milliseconds
    /// since the Unix epoch.
    pub(crate) async fn reach(&self) -> Result<Option<i64>, Failure> {
        let mut url = self.endpoint.url.clone();
        url.set_path("/");
        url.set_query(None);
        let reached = self.client.get().map_err(no_client)?;
        let proxy = reached.proxies.fit_way(&url, self.policy.allow_plain_http).map_err(no_way(&url))?;
        let (method, headers) = (Method::HEAD, HeaderMap::new());
        let request = Request { method, headers, query: Vec::new(), body: Bytes::new(), resumed: false };
        let response = self.hop(&reached, &url, proxy, &request, &HeaderMap::new(), &BTreeMap::new()).await?;
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let since_epoch = httpdate::parse_http_date(date.unwrap_or_default())
            .ok()
            .and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        Ok(since_epoch.and_then(|time| i64::try_from(time.as_millis()).ok()))
    }

    /// The configured address.
    pub(crate) fn url(&self) -> &Url {
        &self.endpoint.url
    }

    /// The proxy by which the configured address is reached, if it is by one.
    pub(crate) fn way(&self) -> Option<String> {
        let reached = self.client.get().ok()?;
        reached.proxies.way(&self.endpoint.url).ok()?.map(Proxy::to_string)
    }

    /// Makes sure that there is a credential, and shows it to nobody. A token is fetched.
    pub(crate) async fn credential(&self) -> Result<(), Failure> {
        self.authorizer.authorization().await.map(drop)
    }

    /// The service refused what it was shown in a way that is no response of its own.
    pub(crate) fn refused(&self, shown: &Authorization) {
        self.authorizer.refused(shown);
    }

    /// Renews a fetched token ahead of its expiry, for as long as this is polled.
    pub(crate) async fn keep_token_fresh(&self, failures: &Counter) {
        self.authorizer.keep_fresh(&self.endpoint.stream, failures).await;
    }

    /// Sends a request and follows redirects until there is a response with a good status.
    async fn send(
        &self,
        mut url: Url,
        request: &Request,
        asked: &Asked,
        is_good: fn(StatusCode) -> bool,
    ) -> Result<(Response, Authorization), Failure> {
        let authorization = self.authorizer.authorization().await?;
        let reached = self.client.get().map_err(no_client)?;
        let mut headers = request.headers.clone();
        headers.insert(header::AUTHORIZATION, authorization.header.clone());
        let mut cookies = BTreeMap::new();
        for _ in 0..=self.policy.max_hops {
            // Each hop has a way of its own.
            let proxy = reached.proxies.fit_way(&url, self.policy.allow_plain_http).map_err(no_way(&url))?;
            asked.note();
            let response = self.hop(&reached, &url, proxy, request, &headers, &cookies).await?;
            let status = response.status();
            if is_good(status) {
                return Ok((response, authorization));
            }
            if !status.is_redirection() {
                return Err(match proxy {
                    Some(proxy) if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => unpaid(proxy),
                    _ => self.refusal(response, request.resumed, &authorization, &reached.proxies).await,
                });
            }
            take_cookies(response.headers(), &mut cookies);
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            url = self.next_hop(&url, status, location)?;
        }
        Err(redirect_failure(RedirectError::TooMany(self.policy.max_hops)))
    }

    fn next_hop(&self, url: &Url, status: StatusCode, location: Option<&str>) -> Result<Url, Failure> {
        match status.as_u16() {
            // A 307 without a Location asks for the same request again, with the cookie. Method and body stay as they are after
            // every redirect, since no service takes more than one method.
            307 | 308 => self.policy.target(url, location).map_err(redirect_failure),
            301..=303 if location.is_some() => self.policy.target(url, location).map_err(redirect_failure),
            other => Err(Failure::new(
                Class::Redirect,
                format!("the service answered {other} without an address to go to"),
            )),
        }
    }

    async fn hop(
        &self,
        reached: &Reached,
        url: &Url,
        proxy: Option<&Proxy>,
        request: &Request,
        headers: &HeaderMap,
        cookies: &BTreeMap<String, String>,
    ) -> Result<Response, Failure> {
        let mut hop = reached.client.request(request.method.clone(), url.clone()).headers(headers.clone());
        if !request.body.is_empty() {
            hop = hop.body(request.body.clone());
        }
        if !cookies.is_empty() {
            let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            hop = hop.header(header::COOKIE, pairs.join("; "));
        }
        let limit = self.endpoint.connect_timeout + self.endpoint.silence;
        match tokio::time::timeout(limit, hop.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let unanswered = !(error.is_connect() || error.is_builder());
                let way = match proxy {
                    Some(proxy) => proxy.explain(url, error.is_connect()).await,
                    None => String::new(),
                };
                let message = format!("cannot reach {}{way}", host_of(url));
                // The address may hold parameters that are nobody's business.
                let failure = Failure::caused(Class::Network, message, error.without_url());
                Err(Failure { unanswered, ..failure })
            }
            // A service may send the head only with its first event, so this says no more than silence on an open stream.
            Err(_) => Err(Failure::new(
                Class::Silence,
                format!(
                    "{} did not answer within {} s (`connect_timeout` and `silence`)",
                    host_of(url),
                    limit.as_secs_f64()
                ),
            )),
        }
    }

    async fn refusal(
        &self,
        response: Response,
        resumed: bool,
        authorization: &Authorization,
        proxies: &Proxies,
    ) -> Failure {
        let status = response.status();
        let class = (self.dialect.classify)(status, resumed);
        if matches!(class, Class::Unauthorized | Class::Forbidden) {
            self.authorizer.refused(authorization);
        }
        let retry_after = retry_after(response.headers());
        if status.is_success() {
            // What it holds may be the stream's own events.
            let message = format!(
                "the service answered {}, and only 200 is a stream; is a proxy in between? check url",
                status.as_u16()
            );
            return Failure { retry_after, untaken: true, ..Failure::new(class, message) };
        }
        let said = refusal::read(response).await;
        let text = proxies.hide(&said.text(authorization, self.dialect.words));
        Failure {
            retry_after,
            by_service: (self.dialect.is_own_refusal)(said.bytes()),
            ..Failure::new(class, (self.dialect.explain)(class, status, &text))
        }
    }
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

fn no_client(error: ClientError) -> Failure {
    Failure::caused(Class::Credential, "no HTTP client to connect with", error)
}

fn no_way(url: &Url) -> impl Fn(ProxyError) -> Failure {
    let message = format!("{} is not asked", host_of(url));
    move |error| Failure::caused(Class::Rejected, message.clone(), error)
}

/// A proxy's own refusal of what is not encrypted; of a tunnel it says so when the tunnel is made.
fn unpaid(proxy: &Proxy) -> Failure {
    let message = format!("407 from the proxy {proxy}: it wants a credential; put it into its address");
    Failure::new(Class::Rejected, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
}
