//! Carries a request of OTLP to a collector, by HTTP or by gRPC. Knows nothing of what it holds.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use url::Url;

use super::client::{self, Client, ClientError, Reached};
use super::host_of;
use super::proxy::ProxyError;
use crate::model::secret::{SecretError, SecretSource};

/// The method of gRPC that takes spans.
const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Statuses after which the same request may be taken (OTLP's specification).
const PASSING: [u16; 4] = [429, 502, 503, 504];

/// The same of gRPC: cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
const PASSING_CODES: [u32; 7] = [1, 4, 8, 10, 11, 14, 15];

/// What a message of gRPC has in front: that it is not compressed, and its length.
const FRAME: usize = 5;

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Of gRPC only scheme, host and port count.
    pub(crate) url: Url,
    pub(crate) is_grpc: bool,
    /// Headers of each request; their values are read each time.
    pub(crate) headers: Vec<(String, SecretSource)>,
    /// Limit for a request.
    pub(crate) timeout: Duration,
}

/// Why a collector did not take what it was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ExportError {
    /// There is no client to send it with.
    #[error("the collector at {host} is not asked")]
    Client {
        /// Where it is.
        host: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// The proxy would read the headers.
    #[error("the collector at {host} is not asked")]
    Proxy {
        /// Where it is.
        host: String,
        /// Why.
        #[source]
        source: ProxyError,
    },
    /// A header's secret cannot be read.
    #[error("the header {name} for the collector cannot be read")]
    Secret {
        /// Which one.
        name: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// It holds what no header may hold.
    #[error("the header {name} for the collector has characters that a header cannot carry")]
    NotAHeader {
        /// Which one.
        name: String,
    },
    /// It cannot be reached, or did not answer in time.
    #[error("the collector at {host} cannot be reached")]
    Network {
        /// Where it is.
        host: String,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
    /// It answered with another status than 200.
    #[error(
        "the collector at {host} answered {status}; check the endpoint (its port is that of the protocol), its headers and its path"
    )]
    Status {
        /// Where it is.
        host: String,
        /// What it answered.
        status: u16,
    },
    /// It answered with an error of gRPC.
    #[error("the collector at {host} answered gRPC status {code}; check the endpoint and its headers")]
    Code {
        /// Where it is.
        host: String,
        /// What it answered; `None` where it said none.
        code: String,
        /// The same as a number.
        number: Option<u32>,
    },
}

impl ExportError {
    /// Whether the same request may be taken later.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Status { status, .. } => PASSING.contains(status),
            Self::Code { number, .. } => number.is_none_or(|number| PASSING_CODES.contains(&number)),
            _ => true,
        }
    }
}

impl Target {
    /// Where it is, without a credential.
    pub(crate) fn shown(&self) -> String {
        host_of(&self.url)
    }
}

/// Sends requests.
pub(crate) struct Exporter {
    target: Target,
    client: Client,
}

impl Exporter {
    pub(crate) fn new(target: Target, http: client::Config) -> Self {
        let (is_grpc, timeout) = (target.is_grpc, target.timeout);
        let client = Client::new(http, move |builder| {
            let builder = builder.timeout(timeout);
            if is_grpc { builder.http2_prior_knowledge() } else { builder }
        });
        Self { target, client }
    }

    /// Sends a request, which is a message of protobuf.
    pub(crate) async fn send(&self, message: Vec<u8>) -> Result<(), ExportError> {
        let host = || host_of(&self.target.url);
        let Reached { client, proxies } =
            self.client.get().map_err(|source| ExportError::Client { host: host(), source })?;
        let mut url = self.target.url.clone();
        if self.target.is_grpc {
            url.set_path(METHOD);
        }
        let may_be_seen = self.target.headers.is_empty();
        proxies.fit_way(&url, may_be_seen).map_err(|source| ExportError::Proxy { host: host(), source })?;
        let mut headers = self.headers()?;
        let body = if self.target.is_grpc {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            framed(&message)
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            message
        };
        let failed =
            |error: reqwest::Error| ExportError::Network { host: host(), source: error.without_url() };
        let response = client.post(url).headers(headers).body(body).send().await.map_err(failed)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(ExportError::Status { host: host(), status: status.as_u16() });
        }
        if !self.target.is_grpc {
            return Ok(());
        }
        let code = match code(response.headers()) {
            Some(code) => Some(code),
            None => code(&trailers(response).await.map_err(failed)?),
        };
        match code.as_deref() {
            Some("0") => Ok(()),
            code => Err(ExportError::Code {
                host: host(),
                number: code.and_then(|code| code.parse().ok()),
                code: code.unwrap_or("of none").to_owned(),
            }),
        }
    }

    fn headers(&self) -> Result<HeaderMap, ExportError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.target.headers {
            let secret = value.read().map_err(|source| ExportError::Secret { name: name.clone(), source })?;
            let wrong = || ExportError::NotAHeader { name: name.clone() };
            let header = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(secret.expose()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(headers)
    }
}

/// A message as gRPC sends it.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(FRAME + message.len());
    framed.push(0);
    framed.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend(message);
    framed
}

/// gRPC's status, a number, as far as it is one.
fn code(headers: &HeaderMap) -> Option<String> {
    let code = headers.get("grpc-status")?.to_str().ok()?;
    code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.to_owned())
}

/// What follows the body.
async fn trailers(response: reqwest::Response) -> reqwest::Result<HeaderMap> {
    let mut body = http::Response::<reqwest::Body>::from(response).into_body();
    let (mut trailers, mut bytes) = (HeaderMap::new(), 0);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => bytes += Bytes::len(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
        if bytes > MAX_ANSWER {
            break;
        }
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_may_not() {
        let status = |status| ExportError::Status { host: String::new(), status }.passes();
        assert_eq!([400, 401, 404, 500].map(status), [false; 4]);
        assert_eq!([429, 502, 503, 504].map(status), [true; 4]);
        let code = |number| ExportError::Code { host: String::new(), code: String::new(), number }.passes();
        assert_eq!([Some(14), Some(8), None].map(code), [true; 3]);
        assert_eq!([Some(3), Some(16), Some(12)].map(code), [false; 3]);
    }

    #[test]
    fn a_message_is_framed() {
        assert_eq!(framed(b"abc"), b"\0\0\0\0\x03abc");
    }

    #[test]
    fn a_status_is_a_number() {
        let of = |text: &'static str| {
            code(&HeaderMap::from_iter([(
                HeaderName::from_static("grpc-status"),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!((of("0"), of("14"), of("hunter2")), (Some("0".into()), Some("14".into()), None));
        assert_eq!(code(&HeaderMap::new()), None);
    }
}
