//! The command line: arguments to actions. Knows no JSON, HTTP or Kafka.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use opentelemetry_sdk::trace::SdkTracer;

use crate::config;
use crate::config::{Config, ConfigErrors, Sources};
use crate::model::errors::chain;
use crate::output::{self, OutputError};
use crate::telemetry::log::{self, Filtering};

mod check;
mod checkpoints;
mod dead_letters;
mod demo;
mod exit;
mod live;
mod mock;
mod probe;
mod run;
mod shell;
mod status;
mod table;
mod tail;

/// The longest time that a flag takes.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Said where a configuration that was read from no file has errors: most often the file was forgotten.
const NO_FILE: &str = "no configuration file was read: name one with --config FILE or TRIBUTARY_CONFIG";

/// Carries event streams of Airship and of Adobe Analytics into Apache Kafka, exactly once.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 configuration, 4 taken over by another instance, \
                        5 shutdown.timeout was over, 6 the demo's count was wrong, 130 second signal; of `check`: 7 Kafka, 8 topics, 9 streams, \
                        10 this machine.\n\
                        Logs go to standard error; TRIBUTARY_LOG sets their filter (default: info)."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the connector until it is told to stop
    ///
    /// SIGTERM or Ctrl-C: stop reading, commit what is queued within shutdown.timeout, exit 0. A second signal exits
    /// at once; what was not committed comes again after the next start.
    Run(run::Arguments),
    /// Show the connector at work, with nothing to install: mock service, in-process broker, real connector
    Demo(demo::Arguments),
    /// Look whether everything is in order before it runs: configuration, Kafka, topics, streams; changes nothing
    ///
    /// Prints a table with what is in order, what is doubtful, what failed and what to do about it. No topic, setting, record, position or
    /// shard is changed, and no hit of Adobe taken; what cannot be tried so is named. The rights to write and to join the group, and Kafka's
    /// clock, are tried by requests that Kafka always refuses. The brokers remember the transactional id <prefix>.check, with which
    /// transactions are tried. An Airship stream that nobody holds is opened and closed at once. The exit code tells the first
    /// class in which something failed: 3 configuration, 7 Kafka, 8 topics, 9 streams, 10 this machine; 0 if nothing did.
    Check(check::Arguments),
    /// Print a stream's events to standard output, without Kafka
    Tail(tail::Arguments),
    /// Print the effective configuration, secrets hidden, or its JSON Schema
    Config(ConfigArguments),
    /// Show, move, export or import the checkpoints of shards: positions, totals, ages, who holds what
    Checkpoints(checkpoints::Arguments),
    /// List, show and replay what could not be delivered as an event
    DeadLetters(dead_letters::Arguments),
    /// Run the mock service alone, or have it push webhooks
    Mock(Box<mock::Arguments>),
    /// Ask a running connector, or any URL, whether it is well: for container health checks
    Probe(probe::Arguments),
    /// Show how a running connector is: each shard's state, rate, lag and errors, by its admin address
    ///
    /// It takes a second, since rates need two looks. The exit code is 0 where the connector answers, whether it is ready or not (see
    /// `probe` for that), and 1 where nobody does.
    Status(live::Arguments),
    /// Print what completes this command line in a shell, as in `tributary completions bash`
    Completions(shell::CompletionsArguments),
    /// Print the manual page, in the form that `man` reads
    Man(shell::ManArguments),
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct Configured {
    /// Configuration file (TOML); see config.example.toml
    #[arg(short, long, env = "TRIBUTARY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one key, as in --set kafka.bootstrap_servers=kafka:9092; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    overrides: Vec<(String, String)>,
}

#[derive(Debug, Args)]
struct Logging {
    /// How log lines look
    #[arg(long, value_enum, default_value = "auto")]
    log_format: log::Format,
}

#[derive(Debug, Args)]
struct ConfigArguments {
    /// What to print
    #[arg(value_enum, default_value = "effective")]
    what: ConfigOutput,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConfigOutput {
    /// The effective configuration as TOML
    Effective,
    /// The JSON Schema of the file
    Schema,
}

impl Cli {
    /// Does what the arguments ask for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Tail(arguments) => tail::run(&arguments),
            Command::Mock(arguments) => mock::run(*arguments),
            Command::Probe(arguments) => probe::run(&arguments),
            Command::Status(arguments) => live::run(&arguments),
            Command::Checkpoints(arguments) => checkpoints::run(&arguments),
            Command::DeadLetters(arguments) => dead_letters::run(&arguments),
            Command::Completions(arguments) => shell::completions(&arguments),
            Command::Man(arguments) => shell::man(&arguments),
            Command::Config(arguments) => print_config(&arguments),
        }
    }
}

impl Logging {
    /// Begins to log, or says why it cannot be done. `tracer` takes the spans that are for a collector.
    fn begin(
        &self,
        around: Option<log::Around>,
        config: &Config,
        tracer: Option<SdkTracer>,
    ) -> Result<Filtering, ExitCode> {
        begin_log(self.log_format, around, config.log.as_deref(), tracer)
    }
}

fn begin_log(
    format: log::Format,
    around: Option<log::Around>,
    configured: Option<&str>,
    tracer: Option<SdkTracer>,
) -> Result<Filtering, ExitCode> {
    log::init(format, around, configured, tracer).map_err(|error| {
        output::remark(error);
        ExitCode::from(exit::CONFIG)
    })
}

impl Configured {
    /// Whether the configuration file that is named is there.
    fn has_file(&self) -> bool {
        self.config.as_ref().is_some_and(|file| file.exists())
    }

    /// Where the configuration is read from.
    fn sources(&self) -> Sources {
        Sources::of_process(self.config.clone(), self.overrides.clone())
    }

    /// Loads the configuration, or gives every problem.
    fn read(&self) -> Result<Config, ConfigErrors> {
        let config = config::load(&self.sources())?;
        match Filtering::judge(config.log.as_deref()) {
            Ok(_) => Ok(config),
            Err(error) => Err(ConfigErrors::single("log.filter", error.to_string())),
        }
    }

    /// Loads the configuration, or prints every problem.
    fn load(&self) -> Result<Config, ExitCode> {
        self.read().map_err(|errors| {
            output::remark(errors);
            if self.config.is_none() {
                output::remark(NO_FILE);
            }
            ExitCode::from(exit::CONFIG)
        })
    }
}

fn print_config(arguments: &ConfigArguments) -> anyhow::Result<ExitCode> {
    match arguments.what {
        ConfigOutput::Schema => output::print(serde_json::to_string_pretty(&config::schema())?)?,
        ConfigOutput::Effective => {
            let config = match arguments.configured.load() {
                Ok(config) => config,
                Err(code) => return Ok(code),
            };
            output::print(config.render().trim_end())?;
            for warning in config.warnings() {
                output::remark(format_args!("warning: {warning}"));
            }
            // It may be printed on a machine on which it is not to run.
            if let Err(error) = config.plan.kafka.http.check() {
                output::remark(format_args!("warning: {}", chain(&error)));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what the command line is about or what is wrong with it, and tells which of the two it was.
pub fn show(error: &clap::Error) -> anyhow::Result<ExitCode> {
    match error.print() {
        // Help and version are what was asked for, the rest is said as well as it can be.
        Err(failed) if !error.use_stderr() => Err(OutputError::from(failed).into()),
        _ => Ok(ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK })),
    }
}

/// The exit code of what was done, once all is written that the process has to say.
pub fn end(done: anyhow::Result<ExitCode>) -> ExitCode {
    let code = done.unwrap_or_else(|error| report(&error));
    output::flush();
    code
}

/// Says why a command failed. A reader of its output that has gone is no failure.
fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return ExitCode::from(exit::OK);
    }
    output::remark(format_args!("tributary: {error:#}"));
    ExitCode::from(exit::FAILURE)
}

/// The runtime for everything but the shards, which have threads of their own.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tributary").build()
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// A time such as `30s`. Clocks do not reach for longer than [`LONGEST`] from now on every machine.
fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err("expected 0s to 366d".to_owned()),
        Err(error) => Err(format!("expected 0s to 366d: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use clap::CommandFactory;
    use clap::builder::ValueParser;

    use super::*;

    /// What any number is right for.
    const ANY: [&str; 4] = ["count", "limit", "seed", "ADOBE_SEED"];

    /// Values that no clock and no memory has room for, by the type of the flag.
    fn absurd(flag: &ValueParser) -> &'static [&'static str] {
        let is = |types: &[TypeId]| types.iter().any(|id| flag.type_id() == *id);
        let whole = [TypeId::of::<u64>(), TypeId::of::<usize>(), TypeId::of::<u16>(), TypeId::of::<u8>()];
        if is(&whole) {
            &["18446744073709551615", "-1", "1e3", ""]
        } else if is(&[TypeId::of::<f64>()]) {
            &["1e300", "inf", "NaN", "-1", ""]
        } else if is(&[TypeId::of::<Duration>()]) {
            &["99999999999d", "18446744073709551615s", "367d", "-1s", ""]
        } else {
            &[]
        }
    }

    /// All commands below this one, each with the names that lead to it.
    fn below<'c>(command: &'c clap::Command, names: &[&'c str]) -> Vec<(Vec<&'c str>, &'c clap::Command)> {
        let deeper = |command: &'c clap::Command| {
            let names = [names, &[command.get_name()]].concat();
            let further = below(command, &names);
            [vec![(names, command)], further].concat()
        };
        command.get_subcommands().flat_map(deeper).collect()
    }

    #[test]
    fn no_flag_takes_an_absurd_number() {
        let (mut flags, mut wrong) = (0, Vec::new());
        let root = Cli::command();
        for (names, command) in below(&root, &[]) {
            for flag in command.get_arguments().filter(|flag| !ANY.contains(&flag.get_id().as_str())) {
                let Some(name) = flag.get_long() else { continue };
                let values = absurd(flag.get_value_parser());
                flags += usize::from(!values.is_empty());
                for value in values {
                    let flag = format!("--{name}={value}");
                    let line = [&["tributary"], &names[..], &[&flag]].concat();
                    match Cli::try_parse_from(&line) {
                        Ok(_) => wrong.push(line[1..].join(" ")),
                        Err(error) => assert!(error.use_stderr(), "{line:?}: {error}"),
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(flags > 40, "only {flags} flags");
        assert_eq!(
            Cli::try_parse_from(["tributary", "demo", "--rate", "0"]).unwrap_err().to_string().lines().next(),
            Some("error: invalid value '0' for '--rate <RATE>': 0 is not in 1..=1000000")
        );
        assert_eq!(duration("99999999999d"), Err("expected 0s to 366d".into()));
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
