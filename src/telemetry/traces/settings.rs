//! Where spans go and which: the configuration's keys, else OpenTelemetry's own variables. Pure.
//!
//! Invariant: no value of a variable is shown, since it may hold a credential.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::model::secret::{Secret, SecretSource};
use crate::trace::{Config, Protocol};
use crate::web::client;
use crate::web::otlp::{Exporter, Target};

/// The share of batches that is traced by default.
const RATIO: f64 = 0.1;

/// What OpenTelemetry's standard gives a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a variable may ask for: a connector must not hang on a collector.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

const NAME: &str = "service.name";

/// Where spans go, and which.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The share of batches that is traced.
    pub(super) sample_ratio: f64,
    /// What the process says of itself. The SDK's own reading of the variables decodes no percent signs.
    resource: Vec<(String, String)>,
    target: Target,
}

/// A variable that means nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the environment variable {variable} cannot be used (its value is not shown): expected {expected}")]
pub(crate) struct SettingsError {
    variable: &'static str,
    expected: &'static str,
}

impl Settings {
    pub(super) fn exporter(&self, http: client::Config) -> Exporter {
        Exporter::new(self.target.clone(), self.resource(), http)
    }

    /// What the process says of itself, and the SDK of itself.
    fn resource(&self) -> Resource {
        let own = self.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(own)
            .build()
    }

    /// Where they go, without a credential.
    pub(crate) fn endpoint(&self) -> String {
        self.target.shown()
    }
}

/// What counts; `None` where nobody is to get any. `instance` is this instance's name, if it has one.
pub(crate) fn settings(
    config: &Config,
    instance: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Settings>, SettingsError> {
    // An empty one counts as not set.
    let get = |name: &'static str| {
        let value = variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        value.map(|value| (name, value))
    };
    let is_off = get("OTEL_SDK_DISABLED").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let exporter = match get("OTEL_TRACES_EXPORTER") {
        Some((variable, value)) if !["otlp", "none"].contains(&value.as_str()) => {
            return Err(SettingsError { variable, expected: "`otlp` or `none`" });
        }
        other => other.map(|(_, value)| value),
    };
    if is_off || exporter.as_deref() == Some("none") {
        return Ok(None);
    }
    let protocol = match (config.protocol, first(&get, PROTOCOLS)) {
        (Some(protocol), _) => protocol,
        (None, Some((variable, value))) => protocol(variable, &value)?,
        (None, None) => Protocol::default(),
    };
    let of_all = get("OTEL_EXPORTER_OTLP_ENDPOINT");
    let url = match (&config.endpoint, get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), of_all) {
        (Some(base), _, _) => below(base.clone(), protocol),
        (None, Some((variable, value)), _) => address(variable, &value)?,
        (None, None, Some((variable, value))) => below(address(variable, &value)?, protocol),
        (None, None, None) => return Ok(None),
    };
    let mut headers: Vec<(String, SecretSource)> = match first(&get, HEADERS) {
        Some((variable, text)) => pairs(variable, &text)?
            .into_iter()
            .map(|(name, value)| (name, SecretSource::Value(Secret::new(value))))
            .collect(),
        None => Vec::new(),
    };
    headers.retain(|(name, _)| config.headers.iter().all(|(own, _)| !own.eq_ignore_ascii_case(name)));
    headers.extend(config.headers.iter().cloned());
    let timeout = match first(&get, TIMEOUTS) {
        Some((variable, value)) => {
            let milliseconds = value.parse().map(Duration::from_millis).ok().filter(|it| !it.is_zero());
            let error = SettingsError { variable, expected: "a whole number of milliseconds" };
            milliseconds.ok_or(error)?.min(LONGEST_TIMEOUT)
        }
        None => TIMEOUT,
    };
    let sample_ratio = match config.sample_ratio {
        Some(ratio) => ratio,
        None => sampler(&get)?,
    };
    let resource = resource(instance, &get)?;
    let target = Target { url, is_grpc: protocol == Protocol::Grpc, headers, timeout };
    Ok((sample_ratio > 0.0).then_some(Settings { sample_ratio, resource, target }))
}

const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// A variable and its value.
type Variable = (&'static str, String);

fn first(get: &impl Fn(&'static str) -> Option<Variable>, names: [&'static str; 2]) -> Option<Variable> {
    names.into_iter().find_map(get)
}

fn protocol(variable: &'static str, value: &str) -> Result<Protocol, SettingsError> {
    match value {
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        "grpc" => Ok(Protocol::Grpc),
        _ => Err(SettingsError { variable, expected: "`http/protobuf` or `grpc`" }),
    }
}

fn address(variable: &'static str, value: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(value).ok().filter(|url| {
        let has_credential = !url.username().is_empty() || url.password().is_some();
        ["http", "https"].contains(&url.scheme()) && url.has_host() && !has_credential
    });
    let expected = "an address such as http://collector:4318, without a credential, which belongs into OTEL_EXPORTER_OTLP_HEADERS";
    url.ok_or(SettingsError { variable, expected })
}

/// Where traces go below an address that is for all signals. With gRPC the path is that of the method.
fn below(mut base: Url, protocol: Protocol) -> Url {
    if protocol == Protocol::HttpProtobuf {
        let path = format!("{}/v1/traces", base.path().trim_end_matches('/'));
        base.set_path(&path);
    }
    base
}

/// `key=value` pairs, separated by commas, values percent-encoded.
fn pairs(variable: &'static str, text: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let error = SettingsError { variable, expected: "pairs such as name=value, separated by commas" };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        Some((name.trim().to_owned(), value)).filter(|(name, _)| !name.is_empty())
    };
    let pairs = text.split(',').filter(|part| !part.trim().is_empty());
    pairs.map(|part| pair(part).ok_or_else(|| error.clone())).collect()
}

fn sampler(get: &impl Fn(&'static str) -> Option<Variable>) -> Result<f64, SettingsError> {
    let Some((variable, name)) = get("OTEL_TRACES_SAMPLER") else { return Ok(RATIO) };
    // Nothing that comes in here has a parent, so what a parent would decide is decided here.
    match name.strip_prefix("parentbased_").unwrap_or(&name) {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => {
            let Some((variable, ratio)) = get("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
            let ratio = ratio.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            ratio.ok_or(SettingsError { variable, expected: "a number from 0 to 1" })
        }
        _ => Err(SettingsError {
            variable,
            expected: "`always_on`, `always_off`, `traceidratio`, or one of them behind `parentbased_`",
        }),
    }
}

fn resource(
    instance: Option<&str>,
    get: &impl Fn(&'static str) -> Option<Variable>,
) -> Result<Vec<(String, String)>, SettingsError> {
    let mut resource = match get("OTEL_RESOURCE_ATTRIBUTES") {
        Some((variable, text)) => pairs(variable, &text)?,
        None => Vec::new(),
    };
    if let Some((_, name)) = get("OTEL_SERVICE_NAME") {
        resource.retain(|(key, _)| key != NAME);
        resource.push((NAME.to_owned(), name));
    }
    let defaults = [
        (NAME, Some("tributary")),
        ("service.version", Some(env!("CARGO_PKG_VERSION"))),
        ("service.instance.id", instance),
    ];
    for (key, value) in defaults {
        if let Some(value) = value.filter(|_| resource.iter().all(|(known, _)| known != key)) {
            resource.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &Config, variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        settings(config, None, |name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn some(variables: &[(&str, &str)]) -> Settings {
        of(&Config::default(), variables).unwrap().unwrap()
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/");

    #[test]
    fn without_an_address_nothing_is_sent() {
        assert!(of(&Config::default(), &[]).unwrap().is_none());
        for off in [("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(of(&Config::default(), &[BASE, off]).unwrap().is_none(), "{off:?}");
        }
        assert!(of(&Config::default(), &[BASE, ("OTEL_SDK_DISABLED", "no")]).unwrap().is_some());
    }

    #[test]
    fn an_address_for_traces_is_taken_as_it_is() {
        assert_eq!(some(&[BASE]).target.url.as_str(), "http://collector:4318/base/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/x");
        assert_eq!(some(&[BASE, own]).target.url.as_str(), "https://other/x");
        let grpc = some(&[BASE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(grpc.target.is_grpc);
        let config = Config { endpoint: Some(Url::parse("http://keys:1").unwrap()), ..Config::default() };
        assert_eq!(
            of(&config, &[BASE, own]).unwrap().unwrap().target.url.as_str(),
            "http://keys:1/v1/traces"
        );
    }

    #[test]
    fn keys_win_over_variables() {
        let config = Config {
            protocol: Some(Protocol::Grpc),
            headers: vec![("X-Key".into(), SecretSource::Env("K".into()))],
            sample_ratio: Some(0.5),
            ..Config::default()
        };
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=lost, other = a%20b");
        let found = of(&config, &[BASE, headers, ("OTEL_TRACES_SAMPLER", "always_on")]).unwrap().unwrap();
        assert!(found.target.is_grpc && found.sample_ratio == 0.5);
        let headers = found.target.headers;
        assert_eq!(headers[0], ("other".to_owned(), SecretSource::Value(Secret::new("a b"))));
        assert_eq!(headers[1], ("X-Key".to_owned(), SecretSource::Env("K".into())));
    }

    #[test]
    fn samplers() {
        let ratio = |name: &str, arg: &str| {
            some(&[BASE, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)]).sample_ratio
        };
        assert_eq!(some(&[BASE]).sample_ratio, RATIO);
        assert_eq!(ratio("parentbased_always_on", ""), 1.0);
        assert!(of(&Config::default(), &[BASE, ("OTEL_TRACES_SAMPLER", "always_off")]).unwrap().is_none());
        assert_eq!((ratio("traceidratio", "0.25"), ratio("parentbased_traceidratio", "")), (0.25, 1.0));
    }

    #[test]
    fn the_process_says_who_it_is() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=b%2Cc");
        let found = some(&[BASE, attributes, ("OTEL_SERVICE_NAME", "mine")]).resource;
        let value = |key: &str| found.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        assert_eq!((value("service.name"), value("team")), (Some("mine"), Some("b,c")));
        assert_eq!(value("service.version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(value("service.instance.id"), None);
    }

    #[test]
    fn what_means_nothing_is_named_and_not_shown() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "hunter2"),
            ("OTEL_TRACES_EXPORTER", "hunter2"),
            ("OTEL_TRACES_SAMPLER", "hunter2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=hunter2"),
        ] {
            let error = of(&Config::default(), &[(name, value), BASE]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(name) && !shown.contains("hunter2"), "{shown}");
        }
    }
}
