//! Configuration: the file, the environment and flags become the configurations of the stages.
//!
//! The way: `layers` merges the sources, `read` turns them into the types of `raw` and `stream` and notes every key and
//! type that is wrong, `validate` and `stream` judge the values and fill the stages' own `Config` types. All problems
//! are reported at once, each with its path; see [`ConfigErrors`].
//!
//! Layers, the later ones win: defaults, file, `TRIBUTARY_*` variables, flags. `__` stands between levels:
//! `TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS`, `TRIBUTARY_STREAM__0__URL`. Below `kafka.properties` a `_` is a `.`:
//! `TRIBUTARY_KAFKA__PROPERTIES__SASL_USERNAME`. These are no keys and are left alone: `TRIBUTARY_CONFIG`,
//! `TRIBUTARY_LOG`, `TRIBUTARY_TEST_*`, `TRIBUTARY_FAILPOINT*`, and what Kubernetes sets for a Service that
//! is called `tributary` or begins so (`TRIBUTARY_SERVICE_HOST`, `TRIBUTARY_PORT_9464_TCP_ADDR`); and
//! variables that a secret's `env` names.
//!
//! Must not know: sockets, clients, whether a secret can be read.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use crate::model::file;
use crate::plan::Plan;

mod changes;
mod checks;
mod either;
mod errors;
mod http;
mod layers;
mod node;
mod properties;
mod raw;
mod read;
mod render;
mod schema;
mod secret;
mod stream;
#[cfg(test)]
mod tests;
mod traces;
mod units;
mod validate;
mod warnings;
mod webhook;

pub use changes::Change;
pub use errors::{ConfigError, ConfigErrors};

use errors::{Errors, Path};
use stream::Stream;

/// The largest file: a hundred thousand topics by name.
const MAX_BYTES: u64 = 16 << 20;

/// How long a pipe may take that is given in place of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is to run.
    pub plan: Plan,
    /// Where probes and metrics are served; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// The filter of the log, where the variable does not say it.
    pub log: Option<String>,
    /// What all this was made from, derived defaults filled in.
    effective: raw::Raw,
}

/// Where a configuration comes from.
#[derive(Clone, Default)]
pub struct Sources {
    /// The TOML file, if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables, in any order; only names that begin with `TRIBUTARY_` are looked at.
    pub env: Vec<(String, String)>,
    /// Variables of ours that are not valid UTF-8, as far as their names can be written.
    pub not_text: Vec<String>,
    /// Keys and values from flags, such as `("stream[0].url", "http://localhost:8080/")`.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The file, the flags and the variables of this process.
    pub fn of_process(file: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        Self { file, overrides, ..Self::of_variables(std::env::vars_os()) }
    }

    fn of_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut sources = Self::default();
        for (name, value) in variables {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => sources.env.push((name, value)),
                (name, _) => {
                    let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                    if layers::is_ours(&name) {
                        sources.not_text.push(name);
                    }
                }
            }
        }
        sources.not_text.sort_unstable();
        sources
    }
}

/// Loads and judges a configuration.
pub fn load(sources: &Sources) -> Result<Config, ConfigErrors> {
    let text = sources.file.as_deref().map(|path| {
        let failed = |error| {
            ConfigErrors::single(
                path.display().to_string(),
                format!("cannot read the configuration: {error}"),
            )
        };
        file::read_within(path, MAX_BYTES, READ_TIMEOUT).map(|text| (path, text)).map_err(failed)
    });
    let text = text.transpose()?;
    if !sources.not_text.is_empty() {
        return Err(ConfigErrors::not_text(&sources.not_text));
    }
    let file = text.as_ref().map(|(path, text)| (*path, text.as_str()));
    build(file, &sources.env, &sources.overrides)
}

/// Judges the text of a configuration file, without variables and flags.
pub fn parse(toml: &str) -> Result<Config, ConfigErrors> {
    build(Some((FilePath::new("configuration"), toml)), &[], &[])
}

/// The JSON Schema (draft 2020-12) of the file.
pub fn schema() -> serde_json::Value {
    schema::of_file()
}

impl Config {
    /// The effective configuration as TOML, defaults included, secrets hidden.
    pub fn render(&self) -> String {
        render::toml(&self.effective).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    /// What has to be done for this configuration, which is in effect, to become `next`; or the reasons why that takes a restart.
    pub fn changes(&self, next: &Self) -> Result<Vec<Change>, Vec<String>> {
        changes::between(&self.effective, &next.effective)
    }

    /// Takes out a stream that does not run, so that another configuration with it adds it.
    pub fn forget(&mut self, stream: &str) {
        self.plan.streams.retain(|known| **known.name() != *stream);
        self.effective.stream.retain(|known| known.common().name.as_deref() != Some(stream));
    }

    /// What is allowed but should not stay so, each with its path: secrets written into the configuration,
    /// plain http, unchecked certificates.
    pub fn warnings(&self) -> Vec<String> {
        warnings::of(&self.effective)
    }
}

fn build(
    file: Option<(&FilePath, &str)>,
    env: &[(String, String)],
    overrides: &[(String, String)],
) -> Result<Config, ConfigErrors> {
    let mut errors = Errors::default();
    let layers = layers::Layers::merge(file, env, overrides, &mut errors)?;
    let (mut raw, numbers) = read_raw(&layers, &mut errors);
    validate::resolve(&mut raw);
    let config = validate::validate(&raw, &numbers, &mut errors);
    errors.finish(config, |path| layers.origin(path))
}

/// The typed configuration, with the streams' indices: one whose kind is unknown is left out.
fn read_raw(layers: &layers::Layers, errors: &mut Errors) -> (raw::Raw, Vec<usize>) {
    let (rest, streams) = layers.split(errors);
    let mut raw: raw::Raw =
        read::read(rest, &Path::default(), &[], &layers.texts, errors).unwrap_or_default();
    let mut numbers = Vec::new();
    for (number, value) in streams {
        if let Some(stream) = Stream::read(value, &Path::top("stream").index(number), &layers.texts, errors) {
            raw.stream.push(stream);
            numbers.push(number);
        }
    }
    (raw, numbers)
}
