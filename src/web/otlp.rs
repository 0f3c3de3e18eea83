//! Carries spans to a collector: OpenTelemetry's own exporter, over our HTTP client or over gRPC. It follows the files of `[http]`, and
//! reads the secrets of its headers for each request.
//!
//! Invariant: no error and no `Debug` shows a header's value.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tonic::transport::{Channel, Endpoint};
use url::Url;

use super::client::{self, ClientError, Following, Reached, refused};
use super::host_of;
use crate::model::errors::chain;
use crate::model::secret::{SecretError, SecretSource};

/// Where spans go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Of gRPC only scheme, host and port count.
    pub(crate) url: Url,
    pub(crate) is_grpc: bool,
    /// Headers of each request; their values are read each time.
    pub(crate) headers: Vec<(String, SecretSource)>,
    /// Limit for a request; a repeat of it begins within that.
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
    /// It cannot be reached, did not answer in time, or refused.
    #[error(
        "the collector at {host} does not take spans ({reason}); check the endpoint (its port is that of the protocol), its \
         headers and its path"
    )]
    NotTaken {
        /// Where it is.
        host: String,
        /// What OpenTelemetry's exporter or the HTTP client said.
        reason: String,
    },
}

/// Sends spans.
#[derive(Debug)]
pub(crate) struct Exporter {
    target: Target,
    at_hand: Arc<AtHand>,
    exporter: Following<Arc<SpanExporter>>,
}

/// What a request takes along, and what it leaves behind.
#[derive(Default)]
struct AtHand {
    headers: Mutex<HeaderMap>,
    /// What the HTTP client said, which the exporter does not tell.
    failure: Mutex<Option<String>>,
}

/// Our HTTP client, as the exporter wants it.
#[derive(Debug)]
struct Carrier {
    client: reqwest::Client,
    at_hand: Arc<AtHand>,
}

impl Target {
    /// Where it is, without a credential.
    pub(crate) fn shown(&self) -> String {
        host_of(&self.url)
    }
}

impl Exporter {
    /// Reads nothing yet. `resource` is what the process says of itself.
    pub(crate) fn new(target: Target, resource: Resource, http: client::Config) -> Self {
        let at_hand = Arc::<AtHand>::default();
        let (to, with) = (target.clone(), Arc::clone(&at_hand));
        let exporter = Following::with(http, move |config, read| {
            let mut exporter = match to.is_grpc {
                true => by_grpc(&to, config, read, &with),
                false => by_http(&to, config, read, &with),
            }?;
            exporter.set_resource(&resource);
            Ok(Arc::new(exporter))
        });
        Self { target, at_hand, exporter }
    }

    /// Sends spans, and again where that may help.
    pub(crate) async fn send(&self, spans: Vec<SpanData>) -> Result<(), ExportError> {
        let host = || self.target.shown();
        let exporter = self.exporter.get().map_err(|source| ExportError::Client { host: host(), source })?;
        *held(&self.at_hand.headers) = self.headers()?;
        exporter.export(spans).await.map_err(|error| {
            let failure = held(&self.at_hand.failure).take();
            ExportError::NotTaken { host: host(), reason: failure.unwrap_or_else(|| error.to_string()) }
        })
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

fn by_http(
    target: &Target,
    config: &client::Config,
    read: &client::Read,
    at_hand: &Arc<AtHand>,
) -> Result<SpanExporter, ClientError> {
    let Reached { client, proxies } = config.build(read, |builder| builder.timeout(target.timeout))?;
    proxies.fit_way(&target.url, target.headers.is_empty())?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(target.url.as_str())
        .with_timeout(target.timeout)
        .with_http_client(Carrier { client, at_hand: Arc::clone(at_hand) });
    exporter.build().map_err(refused)
}

fn by_grpc(
    target: &Target,
    config: &client::Config,
    read: &client::Read,
    at_hand: &Arc<AtHand>,
) -> Result<SpanExporter, ClientError> {
    let channel = channel(target, config, read)?;
    let at_hand = Arc::clone(at_hand);
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_timeout(target.timeout)
        .with_channel(channel)
        .with_interceptor(move |mut request: tonic::Request<()>| {
            at_hand.put(request.metadata_mut().as_mut());
            Ok(request)
        });
    exporter.build().map_err(refused)
}

/// A connection that is opened when it is needed, and again when it broke.
fn channel(target: &Target, config: &client::Config, read: &client::Read) -> Result<Channel, ClientError> {
    let url = &target.url;
    let mut endpoint = Endpoint::from_shared(url.as_str().to_owned()).map_err(refused)?;
    endpoint = endpoint.connect_timeout(target.timeout).timeout(target.timeout);
    if url.scheme() == "https" {
        let tls = config.tls(read)?;
        // A machine need not have authorities of its own.
        let of_machine = endpoint.clone().tls_config(tls.clone().with_native_roots());
        endpoint = of_machine.or_else(|_| endpoint.tls_config(tls)).map_err(refused)?;
    }
    let proxies = config.proxies(read);
    let Some(proxy) = proxies.fit_way(url, target.headers.is_empty())? else {
        return Ok(endpoint.connect_lazy());
    };
    let address = Uri::try_from(proxy.url().as_str()).map_err(refused)?;
    let mut tunnel = Tunnel::new(address, HttpConnector::new());
    if let Some(credential) = proxy.credential() {
        tunnel = tunnel.with_auth(credential.clone());
    }
    Ok(endpoint.connect_with_connector_lazy(tunnel))
}

impl AtHand {
    /// Puts the headers of now into a request. They win over those that the exporter finds in variables.
    fn put(&self, into: &mut HeaderMap) {
        for (name, value) in held(&self.headers).iter() {
            into.insert(name, value.clone());
        }
    }
}

impl fmt::Debug for AtHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtHand").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Carrier {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.at_hand.put(request.headers_mut());
        let sent = self.client.send_bytes(request).await;
        *held(&self.at_hand.failure) = sent.as_ref().err().map(|error| said(&**error));
        sent
    }
}

/// What the HTTP client says, without the address, which may hold more than its host.
fn said(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) => std::error::Error::source(error).map_or_else(|| error.to_string(), chain),
        None => chain(error),
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
