//! `tributary check`: whether everything is in order before it runs. Changes nothing.
//!
//! Each part gives findings; `report` shows them and makes the exit code of them.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::future::join_all;

use super::Configured;
use crate::config::{Config, ConfigErrors};
use crate::output;
use crate::plan::Plan;

mod kafka;
mod machine;
mod report;
mod streams;

use report::{Class, Finding};
use streams::Looking;

/// Limit of a check by default: what is there answers sooner, and a person waits for it.
const TIMEOUT: &str = "10s";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configured: Configured,
    /// As JSON: the exit code, and one object for each check
    #[arg(long)]
    json: bool,
    /// Limit of each connection and request
    ///
    /// Reading settings and state back has limits of its own, 15 s and 10 s for a request.
    #[arg(long, default_value = TIMEOUT, value_parser = super::duration)]
    timeout: Duration,
    /// Open also Airship streams on which an instance may be at work
    ///
    /// Each takes one of the connections that the service counts, for a moment. Where there is no other one, the service may turn the
    /// instance away if it connects again in this moment.
    #[arg(long)]
    open: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let findings = match arguments.configured.read() {
        Ok(config) => {
            let runtime = super::runtime().context("cannot start the runtime")?;
            let findings = runtime.block_on(all(&config, arguments))?;
            // A client that still waits for somebody is not waited for.
            runtime.shutdown_background();
            findings
        }
        Err(errors) => of_errors(&errors),
    };
    match arguments.json {
        true => output::print(serde_json::to_string_pretty(&report::json(&findings))?)?,
        false => output::print(report::text(&findings).trim_end())?,
    }
    Ok(ExitCode::from(report::code(&findings)))
}

/// What is wrong with the configuration.
fn of_errors(errors: &ConfigErrors) -> Vec<Finding> {
    let finding = |error: &crate::config::ConfigError| {
        let origin = error.origin.as_ref().map_or_else(String::new, |origin| format!(" (from {origin})"));
        let text = format!("{}{origin}", error.message);
        let todo = "set it right; `tributary config schema` and config.example.toml say what may stand there";
        Finding::failed(Class::Configuration, &error.path, text, todo)
    };
    errors.iter().map(finding).collect()
}

/// What is allowed in the configuration but should not stay so.
fn of_warnings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(Class::Configuration, "keys and values", "no errors")];
    for warning in config.warnings() {
        let (path, text) = warning.split_once(": ").unwrap_or(("keys and values", &warning));
        let todo = "change it before it is used for more than a trial";
        findings.push(Finding::warning(Class::Configuration, path, text, todo));
    }
    findings
}

/// All findings of a configuration without errors, in the order of their classes.
async fn all(config: &Config, arguments: &Arguments) -> anyhow::Result<Vec<Finding>> {
    let (limit, open) = (arguments.timeout, arguments.open);
    let mut findings = of_warnings(config);
    let plan = Arc::new(config.plan.clone());
    progress("asking Kafka");
    let kafka::Found { findings: of_kafka, committed, brokers, clock: of_brokers } =
        of_kafka(Arc::clone(&plan), limit).await?;
    findings.extend(of_kafka);
    findings.extend(machine::http(&plan));
    let looking = Looking { committed: &committed, limit, open };
    progress("asking the services");
    let found = join_all(plan.streams.iter().map(|stream| streams::check(stream, looking))).await;
    let clock = streams::clock(found.iter().filter_map(|found| found.ahead_ms));
    findings.extend(found.into_iter().flat_map(|found| found.findings));
    findings.extend(machine::receiver(&plan).await);
    findings.extend(machine::traces(&plan, limit).await);
    findings.push(clock);
    findings.push(of_brokers);
    findings.extend(machine::admin(config.admin));
    findings.push(machine::files(&plan, brokers));
    Ok(findings)
}

async fn of_kafka(plan: Arc<Plan>, limit: Duration) -> anyhow::Result<kafka::Found> {
    let runtime = tokio::runtime::Handle::current();
    let asked = move || kafka::check(kafka::Asked { plan: &plan, runtime: &runtime, limit });
    Ok(tokio::task::spawn_blocking(asked).await?)
}

/// Says what is being done to whoever waits at a terminal.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        output::remark(format_args!("{text} …"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn every_error_of_the_configuration_is_a_finding() {
        let errors = config::parse("delivery = \"twice\"\n[kafka]\nbootstrap = 1\n").unwrap_err();
        let findings = of_errors(&errors);
        assert_eq!(findings.len(), errors.iter().count());
        assert!(findings.len() > 1 && findings.iter().all(Finding::is_failure));
        assert_eq!(report::code(&findings), 3);
    }
}
