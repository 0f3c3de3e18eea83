//! `[traces]`: where spans are sent, and how many. Its keys and their judgement.

use std::collections::BTreeMap;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::checks;
use super::errors::{Errors, Path};
use super::secret::SecretKeys;
use crate::trace;

/// Traces of batches, sent by OTLP. Without an address nothing is made or sent.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Traces {
    /// The collector's address, such as `"http://collector:4318"` (HTTP) or `"http://collector:4317"` (gRPC). By HTTP, `/v1/traces` is put
    /// behind it. Default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`; without them nothing is sent.
    pub(super) endpoint: Option<String>,
    /// How it is spoken to. Default: `OTEL_EXPORTER_OTLP_PROTOCOL`, else `"http/protobuf"`.
    pub(super) protocol: Option<Protocol>,
    /// Headers of each request, such as a key of the collector: each a secret. They come on top of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub(super) headers: BTreeMap<String, SecretKeys>,
    /// The share of batches that is traced, from 0 to 1. Batches that failed or took longer than a second to commit always are, unless it is 0.
    /// Default: `OTEL_TRACES_SAMPLER`, else 0.1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) sample_ratio: Option<f64>,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) enum Protocol {
    /// Protobuf by HTTP.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

impl Traces {
    /// The secrets that it names, each with its path.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&SecretKeys, Path)> {
        let path = Path::top("traces").key("headers");
        self.headers.iter().map(move |(name, keys)| (keys, path.key(name)))
    }
}

/// Judges the values.
pub(super) fn validate(traces: &Traces, errors: &mut Errors) -> Option<trace::Config> {
    let path = Path::top("traces");
    let endpoint = traces.endpoint.as_deref().map(|text| {
        let url = Url::parse(text).ok().filter(|url| {
            let has_credential = !url.username().is_empty() || url.password().is_some();
            ["http", "https"].contains(&url.scheme()) && url.has_host() && !has_credential
        });
        let message = "expected http:// or https:// and a host, as in \"http://collector:4318\"; a credential belongs into traces.headers";
        errors.add_if(url.is_none(), &path.key("endpoint"), message);
        url
    });
    let mut headers = Vec::new();
    for (name, keys) in &traces.headers {
        let at = path.key("headers").key(name);
        errors.add_if(HeaderName::try_from(name.as_str()).is_err(), &at, "is no name of an HTTP header");
        headers.extend(checks::secret(keys, &at, errors).map(|source| (name.clone(), source)));
    }
    let ratio = traces.sample_ratio;
    let fits = ratio.is_none_or(|ratio| (0.0..=1.0).contains(&ratio));
    errors.add_if(!fits, &path.key("sample_ratio"), "must be from 0 to 1");
    Some(trace::Config {
        endpoint: match endpoint {
            Some(url) => Some(url?),
            None => None,
        },
        protocol: traces.protocol.map(|protocol| match protocol {
            Protocol::HttpProtobuf => trace::Protocol::HttpProtobuf,
            Protocol::Grpc => trace::Protocol::Grpc,
        }),
        headers,
        sample_ratio: ratio,
    })
}
