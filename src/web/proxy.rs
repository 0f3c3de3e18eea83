//! Whether a request goes through a proxy: a pure decision from the configuration or the environment's variables, for each address
//! anew.
//!
//! Invariants:
//! - nothing that is meant for this machine leaves it, whatever is said of proxies;
//! - plain http shows the credential to the proxy, so it goes there only where that was allowed;
//! - an address that cannot be used is an error where it is needed, never a way around the proxy;
//! - no address is shown as it is written, since it may hold a password: a proxy is called by its host and port.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use url::{Position, Url};

use super::is_loopback;
use crate::model::hide::Hider;
use crate::model::secret::{HIDDEN, Secret, SecretSource};

/// Limit for asking a proxy why it makes no tunnel.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of its answer that are read: enough for the first line.
const MAX_ANSWER: usize = 512;

/// The key of the configuration that names a proxy.
const KEY: &str = "http.proxy";

/// Stands for any proxy where only `NO_PROXY` is asked.
const ANY: &str = "http://proxy.invalid";

/// Whether requests go through a proxy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Proxying {
    /// As the environment's variables say.
    #[default]
    Environment,
    /// Never.
    Never,
    /// Through the one whose address this holds, with its credential if it wants one. `NO_PROXY` still holds.
    At(SecretSource),
}

/// The proxies that the environment or the configuration names.
#[derive(Debug)]
pub(crate) struct Proxies {
    /// For `http` addresses.
    http: Option<Named>,
    /// For `https` addresses.
    https: Option<Named>,
    /// Takes no address that `NO_PROXY` names.
    others: Matcher,
}

/// What a variable says.
#[derive(Debug)]
enum Named {
    Proxy(Proxy),
    Unusable(&'static str),
}

/// A proxy. Shows its host and port, never its credential.
#[derive(Clone)]
pub(crate) struct Proxy {
    url: Url,
    /// The variable or the key that names it.
    origin: &'static str,
    /// Marked as sensitive.
    credential: Option<HeaderValue>,
}

/// Why a request is not sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProxyError {
    /// The value of the variable or of the key is no proxy's address.
    #[error(
        "the {} names no usable proxy (its value is not shown, it may hold a password): expected \
         http://HOST:PORT or https://HOST:PORT; else add the host to NO_PROXY",
        called(.0)
    )]
    Unusable(&'static str),
    /// The proxy would read the credential.
    #[error(
        "plain http through the proxy {proxy} would show the credential to it: use https, add the host to NO_PROXY, or set \
         allow_plain_http = true where there is such a key"
    )]
    PlainHttp {
        /// Its host and port, and where they come from.
        proxy: String,
    },
}

impl Proxies {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self::new(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// None at all.
    pub(crate) fn none() -> Self {
        Self::new(|_| None)
    }

    /// The one at this address for everything, but for what `NO_PROXY` of this process names.
    pub(crate) fn at(address: &Secret) -> Self {
        let named = || Some(Named::read(KEY, address.expose().trim()).unwrap_or(Named::Unusable(KEY)));
        Self { http: named(), https: named(), ..Self::of_process() }
    }

    /// Those that `variable` gives, by the usual names. Of two names of one variable the first that is there counts.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| variable(name).map(|value| (name, value)))
        };
        let named = |names| first(names).and_then(|(name, value)| Named::read(name, value.trim()));
        let all = ["ALL_PROXY", "all_proxy"];
        let no = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        Self {
            http: named(["HTTP_PROXY", "http_proxy"]).or_else(|| named(all)),
            https: named(["HTTPS_PROXY", "https_proxy"]).or_else(|| named(all)),
            others: Matcher::builder().all(ANY).no(no).build(),
        }
    }

    /// A text without the credentials of the proxies: whatever answers behind one may repeat the request's head.
    pub(crate) fn hide(&self, text: &str) -> String {
        let proxies = [&self.http, &self.https].into_iter().flatten().filter_map(|named| match named {
            Named::Proxy(proxy) if proxy.credential.is_some() => Some(proxy),
            _ => None,
        });
        proxies.fold(text.to_owned(), |text, proxy| proxy.hider().hide(&text))
    }

    /// The proxy for an address; `None` for the direct way.
    pub(crate) fn way(&self, url: &Url) -> Result<Option<&Proxy>, ProxyError> {
        let named = if url.scheme() == "https" { &self.https } else { &self.http };
        let Some(named) = named else { return Ok(None) };
        let is_excepted = || {
            let uri = url[..Position::AfterPath].parse().ok();
            uri.is_none_or(|uri| self.others.intercept(&uri).is_none())
        };
        match named {
            _ if url.host().is_none_or(|host| is_loopback(&host)) || is_excepted() => Ok(None),
            Named::Proxy(proxy) => Ok(Some(proxy)),
            Named::Unusable(origin) => Err(ProxyError::Unusable(origin)),
        }
    }

    /// The same, where it is fit for a credential.
    pub(crate) fn fit_way(&self, url: &Url, allow_plain_http: bool) -> Result<Option<&Proxy>, ProxyError> {
        match self.way(url)? {
            Some(proxy) if url.scheme() != "https" && !allow_plain_http => {
                Err(ProxyError::PlainHttp { proxy: proxy.to_string() })
            }
            way => Ok(way),
        }
    }
}

/// Whether a text is the address of a proxy that can be used, or stands for one that was hidden.
pub(crate) fn is_usable(address: &Secret) -> bool {
    let address = address.expose().trim();
    address == HIDDEN || matches!(Named::read(KEY, address), Some(Named::Proxy(_)))
}

/// What the origin of an address is called.
fn called(origin: &str) -> String {
    if origin == KEY { format!("key {origin}") } else { format!("environment variable {origin}") }
}

impl Named {
    /// Nothing for a variable that is empty, as one that was not set.
    fn read(origin: &'static str, value: &str) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        // As everywhere, the scheme may be left out.
        let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let url = Url::parse(&text).ok().filter(|url| {
            let is_alone =
                matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
            ["http", "https"].contains(&url.scheme()) && url.host().is_some() && is_alone
        });
        let credential = || {
            let any = Matcher::builder().all(text.as_str()).build().intercept(&ANY.parse().ok()?)?;
            any.basic_auth().cloned()
        };
        let proxy = |url| Self::Proxy(Proxy { url, origin, credential: credential() });
        Some(url.map_or(Self::Unusable(origin), proxy))
    }
}

impl Proxy {
    /// Its address, with its credential.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// What it asks for, if it asks for anything; marked as sensitive.
    pub(crate) fn credential(&self) -> Option<&HeaderValue> {
        self.credential.as_ref()
    }

    /// The way to an address that was not reached by it, for an error: what the proxy says when there was `no_connection`.
    pub(crate) async fn explain(&self, target: &Url, no_connection: bool) -> String {
        let answered = if no_connection { self.refusal(target).await } else { None };
        let answered = answered.map(|status| format!(", which answered {status}")).unwrap_or_default();
        format!(" through the proxy {self}{answered}")
    }

    /// The status with which it refuses a tunnel. The HTTP client has just met it, and does not tell.
    async fn refusal(&self, target: &Url) -> Option<String> {
        if self.url.scheme() != "http" || target.scheme() != "https" {
            return None;
        }
        tokio::time::timeout(PATIENCE, self.ask(target)).await.ok()?
    }

    async fn ask(&self, target: &Url) -> Option<String> {
        let (host, port) = (self.url.host_str()?, self.url.port_or_known_default()?);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut stream = TcpStream::connect((host, port)).await.ok()?;
        let target = format!("{}:{}", target.host_str()?, target.port_or_known_default()?);
        let credential = self.credential.as_ref().and_then(|header| header.to_str().ok());
        let credential =
            credential.map(|header| format!("proxy-authorization: {header}\r\n")).unwrap_or_default();
        let question = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{credential}\r\n");
        stream.write_all(question.as_bytes()).await.ok()?;
        // Up to the end of the first line: the proxy may keep the connection open.
        let mut answer = Vec::new();
        let mut answered = BufReader::new(stream).take(MAX_ANSWER as u64);
        answered.read_until(b'\n', &mut answer).await.ok()?;
        let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\r' || *byte == b'\n').next()?)
            .into_owned();
        let status = line.strip_prefix("HTTP/1.")?.split_once(' ')?.1.trim();
        (!status.starts_with('2')).then(|| self.hider().quote(status, true))
    }

    /// Takes its credential out of what it says.
    fn hider(&self) -> Hider {
        let header = self.credential.as_ref().and_then(|header| header.to_str().ok());
        let pair = header.and_then(|header| header.strip_prefix("Basic "));
        let plain = pair.and_then(|pair| BASE64_STANDARD.decode(pair).ok());
        let plain = plain.map(|plain| String::from_utf8_lossy(&plain).into_owned());
        let password = plain.as_deref().and_then(|plain| plain.split_once(':')).map(|(_, password)| password);
        let secrets: Vec<_> = pair.into_iter().chain(password).map(Secret::new).collect();
        Hider::new(&secrets)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.url.port_or_known_default().unwrap_or_default();
        write!(f, "{}:{port} (from {})", self.url.host_str().unwrap_or_default(), self.origin)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Proxies::new(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    /// The way to an address: nothing if it is direct.
    fn way(variables: &[(&str, &str)], url: &str) -> Result<String, ProxyError> {
        let proxies = proxies(variables);
        let way = proxies.fit_way(&Url::parse(url).unwrap(), true)?;
        Ok(way.map(Proxy::to_string).unwrap_or_default())
    }

    #[test]
    fn what_repeats_a_proxys_credential_is_not_shown() {
        let proxies = proxies(&[
            ("HTTP_PROXY", "http://user:hunter2-hunter2@one:3128"),
            ("HTTPS_PROXY", "http://other:swordfish-swordfish@two:3128"),
        ]);
        let pair = BASE64_STANDARD.encode("user:hunter2-hunter2");
        let said = format!("Proxy-Authorization: Basic {pair} is hunter2-hunter2, not swordfish-swordfish");
        let shown = proxies.hide(&said);
        for secret in [&*pair, "hunter2", "swordfish"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.starts_with("Proxy-Authorization: Basic "), "{shown}");
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let both = [("HTTP_PROXY", "http://one:3128"), ("https_proxy", "two"), ("ALL_PROXY", "three:1")];
        assert_eq!(way(&both, "http://x.example/").unwrap(), "one:3128 (from HTTP_PROXY)");
        assert_eq!(way(&both, "https://x.example/").unwrap(), "two:80 (from https_proxy)");
        assert_eq!(way(&both[2..], "https://x.example/").unwrap(), "three:1 (from ALL_PROXY)");
        assert_eq!(way(&both[..1], "https://x.example/").unwrap(), "");
        assert_eq!(way(&[("HTTPS_PROXY", ""), ("https_proxy", "x")], "https://x.example/").unwrap(), "");
    }

    #[test]
    fn this_machine_is_reached_directly() {
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            for url in
                ["http://127.0.0.1:1/", "https://localhost/", "http://[::1]:8080/x", "https://127.0.0.2/"]
            {
                assert_eq!(way(&[(variable, "http://proxy:3128")], url).unwrap(), "", "{variable} {url}");
                assert_eq!(way(&[(variable, "garbage://")], url).unwrap(), "", "{variable} {url}");
            }
        }
    }

    #[test]
    fn one_that_is_configured_is_for_everything_but_this_machine() {
        let proxies = Proxies::at(&Secret::new("user:hunter2@proxy:3128"));
        let way = |url: &str| proxies.fit_way(&Url::parse(url).unwrap(), true).unwrap().map(Proxy::to_string);
        for url in ["http://x.example/", "https://x.example/"] {
            assert_eq!(way(url).unwrap(), "proxy:3128 (from http.proxy)", "{url}");
        }
        assert_eq!(way("https://localhost/"), None);
        assert!(!format!("{proxies:?}").contains("hunter2"));
        for wrong in ["", "socks5://user:hunter2@proxy", "http://"] {
            let wrong = Secret::new(wrong);
            let proxies = Proxies::at(&wrong);
            let error = proxies.way(&Url::parse("https://x.example/").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("the key http.proxy names no usable proxy"), "{error}");
            assert!(!error.contains("hunter2") && !is_usable(&wrong), "{error}");
        }
        let none = Proxies::none();
        assert!(none.way(&Url::parse("https://x.example/").unwrap()).unwrap().is_none());
    }

    #[test]
    fn exceptions() {
        let no = [("HTTPS_PROXY", "p"), ("NO_PROXY", "a.example, .b.example,10.0.0.0/8")];
        for url in
            ["https://a.example/", "https://x.a.example/", "https://x.b.example:1/?q", "https://10.1.2.3/"]
        {
            assert_eq!(way(&no, url).unwrap(), "", "{url}");
        }
        for url in ["https://aa.example/", "https://a.example.org/", "https://11.1.2.3/"] {
            assert_eq!(way(&no, url).unwrap(), "p:80 (from HTTPS_PROXY)", "{url}");
        }
        assert_eq!(way(&[("ALL_PROXY", "p"), ("no_proxy", "*")], "https://x.example/").unwrap(), "");
    }

    #[test]
    fn an_unusable_one_is_no_way_around() {
        for value in [
            "http://",
            "socks5://proxy:1080",
            "proxy:port",
            "http://proxy:3128/path",
            "ht tp",
            "user:hunter2@",
        ] {
            let error = way(&[("HTTPS_PROXY", value), ("ALL_PROXY", "p")], "https://x.example/").unwrap_err();
            assert_eq!(error, ProxyError::Unusable("HTTPS_PROXY"), "{value}");
            let shown = format!("{error} {error:?}");
            assert!(value == "http://" || !shown.contains(value.trim_start_matches("http://")), "{shown}");
        }
        // It is not needed for these.
        assert_eq!(way(&[("HTTPS_PROXY", "garbage://")], "http://x.example/").unwrap(), "");
        assert_eq!(
            way(&[("ALL_PROXY", "garbage://"), ("NO_PROXY", "x.example")], "https://x.example/").unwrap(),
            ""
        );
    }

    #[test]
    fn plain_http_is_for_who_allows_it() {
        let proxies = proxies(&[("ALL_PROXY", "http://user:hunter2@proxy:3128")]);
        let way = |url, allowed| proxies.fit_way(&Url::parse(url).unwrap(), allowed).map(|way| way.is_some());
        let refused = way("http://x.example/", false).unwrap_err();
        assert!(refused.to_string().contains("the proxy proxy:3128 (from ALL_PROXY) would"), "{refused}");
        assert!(!refused.to_string().contains("hunter2") && !format!("{proxies:?}").contains("hunter2"));
        assert_eq!(way("http://x.example/", true), Ok(true));
        assert_eq!(way("https://x.example/", false), Ok(true));
        assert_eq!(way("http://127.0.0.1/", false), Ok(false));
    }
}
