//! One attempt to hand a body over.
//!
//! Invariant: whatever happens on the way is an answer or none; nothing is repeated here.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::{Body, Certificate, Client, Response};
use url::Url;

use super::Error;
use super::config::Config;
use crate::engine::gzip::GzipWriter;

/// Pieces of a slow body.
const PIECES: usize = 8;

/// Before a connection breaks off, so that what was written leaves.
const BEFORE_BREAK: Duration = Duration::from_millis(20);

/// How long a connection may be idle before another one is taken: receivers close theirs after a minute or so.
const IDLE: Duration = Duration::from_secs(20);

/// Sends bodies.
#[derive(Debug)]
pub(super) struct Postman {
    client: Client,
    to: Vec<Url>,
    headers: HeaderMap,
    is_gzip: bool,
    slow_time: Duration,
}

/// What is sent, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post<'a> {
    pub(super) body: &'a Bytes,
    pub(super) pace: Pace,
}

/// How a body is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// At once.
    Whole,
    /// In pieces, with pauses.
    Slow,
    /// Its first half, and then the connection breaks off.
    BreaksOff,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// An answer with this status, of this address.
    Status(u16, String),
    /// None, and why.
    None(String),
}

impl Answer {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status, _) => Some(*status),
            Self::None(_) => None,
        }
    }
}

impl Postman {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let mut client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_idle_timeout(IDLE)
            .timeout(config.timeout);
        if let Some(file) = &config.ca {
            let failed = |why: String| Error::Setting(format!("--ca {}: {why}", file.display()));
            let pem = fs::read(file).map_err(|error| failed(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
            let certificates =
                certificates.ok_or_else(|| failed("it holds no certificate in PEM form".into()))?;
            client = client.tls_certs_merge(certificates);
        }
        Ok(Self {
            client: client.build().map_err(Error::Client)?,
            to: config.to.clone(),
            headers: headers(config)?,
            is_gzip: config.gzip,
            slow_time: config.slow_time,
        })
    }

    /// Sends a body to the address whose turn it is.
    pub(super) async fn post(&self, turn: u64, post: Post<'_>) -> Answer {
        let to = &self.to[(turn % self.to.len() as u64) as usize];
        let body = match self.encoded(post.body) {
            Ok(body) => body,
            Err(error) => return Answer::None(format!("cannot compress: {error}")),
        };
        let body = match post.pace {
            Pace::Whole => Body::from(body),
            Pace::Slow => slowly(body, self.slow_time),
            Pace::BreaksOff => breaking_off(body),
        };
        match self.client.post(to.clone()).headers(self.headers.clone()).body(body).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                drain(response).await;
                Answer::Status(status, to.to_string())
            }
            Err(error) => Answer::None(chain(&error)),
        }
    }

    fn encoded(&self, body: &Bytes) -> io::Result<Bytes> {
        if !self.is_gzip {
            return Ok(body.clone());
        }
        let (mut writer, mut out) = (GzipWriter::new(), Vec::new());
        writer.write(body, &mut out)?;
        writer.finish(&mut out)?;
        Ok(out.into())
    }
}

/// Reads an answer to its end, so that the connection can be used again.
async fn drain(mut response: Response) {
    while let Ok(Some(_)) = response.chunk().await {}
}

/// The headers of each request. An error names no value.
fn headers(config: &Config) -> Result<HeaderMap, Error> {
    let wrong = |text: &str| Error::Setting(text.to_owned());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    if config.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some(basic) = &config.basic {
        if !basic.expose().contains(':') {
            return Err(wrong("--basic or MOCK_WEBHOOK_BASIC: expected USER:PASSWORD"));
        }
        let value = format!("Basic {}", STANDARD.encode(basic.expose()));
        headers.insert(header::AUTHORIZATION, hidden(&value).ok_or_else(|| wrong("--basic is no header"))?);
    }
    for line in &config.headers {
        let parsed = line.expose().split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, hidden(value.trim())?))
        });
        let (name, value) =
            parsed.ok_or_else(|| wrong("--header or MOCK_WEBHOOK_HEADER: expected NAME: VALUE"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// A value that no `Debug` shows.
fn hidden(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A body in pieces, whose last one comes after `time`.
fn slowly(body: Bytes, time: Duration) -> Body {
    let size = body.len().div_ceil(PIECES).max(1);
    let pause = time / PIECES as u32;
    Body::wrap_stream(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, Infallible>(piece), rest))
    }))
}

/// A body that ends in an error once half of it has left.
fn breaking_off(mut body: Bytes) -> Body {
    let half = Some(body.split_to(body.len() / 2));
    Body::wrap_stream(stream::unfold(half, |half| async move {
        match half {
            Some(half) => Some((Ok(half), None)),
            None => {
                tokio::time::sleep(BEFORE_BREAK).await;
                Some((Err(io::Error::other("broken off, as it was meant to")), None))
            }
        }
    }))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
