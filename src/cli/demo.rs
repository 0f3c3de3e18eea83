//! `tributary demo`: mock services, Kafka, and the real connector between them, with nothing to install.
//!
//! The figures of the final table come from three places that know nothing of one another: what the mock made, what
//! the connector counted, and, with `--kafka`, what a consumer reads back.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tributary_mock::airship::Epoch;
use tributary_mock::{adobe, airship};

use super::exit;
use super::run::stop_on_signals;
use crate::cli::status::{self, Status};
use crate::output::{self, OutputError};
use crate::sink::kafka::reach::{self, Reach};
use crate::supervisor::{self, ShardFigures};
use crate::telemetry::log;
use crate::{clock, config, task};

mod broker;
mod script;
mod service;
mod table;

use broker::Broker;
use service::{Selection, Service};
use table::Outcome;

/// Each n-th line of the stream repeats an earlier event.
const DUPLICATE_EVERY: u64 = 50;

/// The highest rate: more than any machine carries.
const FASTEST: u64 = 1_000_000;

/// Lines that the mock can make: a day at the default rate.
const MOST_EVENTS: u64 = 200_000_000;

/// Seconds of hits that the Adobe service holds.
const ADOBE_RETENTION_S: u64 = 60;

/// How often the mock makes events, and how often the demo looks at its figures.
const TICK: Duration = Duration::from_millis(50);

/// How often figures are printed where there is no terminal.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Limit for the connector to catch up at the end.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How long to run, such as 30s [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    run_for: Option<Duration>,
    /// Use a real Kafka at HOST:PORT, read the topic back and prove the table by counting
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Which service to show
    #[arg(long, value_enum, default_value = "both")]
    service: Selection,
    /// Events a second that each service makes
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=FASTEST))]
    rate: u64,
    /// Services that always behave
    #[arg(long)]
    no_faults: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let status = std::io::stderr().is_terminal().then(Status::default);
    if let Err(code) = super::begin_log(log::Format::Text, status.as_ref().map(Status::around), None, None) {
        return Ok(code);
    }
    let runtime = super::runtime().context("cannot start the runtime")?;
    let code = runtime.block_on(demo(arguments, status));
    runtime.shutdown_background();
    code
}

async fn demo(arguments: &Arguments, status: Option<Status>) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let services = arguments.service.services();
    let mock =
        tributary_mock::start(mock_config(arguments.rate)).await.context("cannot start the mock service")?;
    let broker = Broker::start(services, arguments.kafka.as_deref())?;
    let mut config = config::parse(&broker.configuration(&mock.url())).context("the demo's configuration")?;
    config.plan.kafka.check_settings = !broker.is_in_process();
    let (kafka, runtime) = (config.plan.kafka.clone(), tokio::runtime::Handle::current());
    let asked = tokio::task::spawn_blocking(move || reach::ask_once(&kafka, runtime, reach::FIRST_ANSWER));
    tokio::select! {
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
        asked = asked => drop(asked?.with_context(|| format!("Kafka cannot be reached at {}", broker.address()))?),
    }
    output::print(broker.introduction(&mock.url(), arguments.rate))?;

    let plan = Arc::new(config.plan.clone());
    let figures = supervisor::figures(&plan);
    let drawing = status.as_ref().map(|status| status.draw(&figures, &Reach::default()));
    let draining = CancellationToken::new();
    let connector = {
        let (plan, figures, draining) = (plan, figures.clone(), draining.clone());
        async move {
            let (announced, changes) = (CancellationToken::new(), supervisor::no_changes());
            supervisor::run(plan, &figures, None, &announced, draining, changes).await
        }
    };
    let connector = task::spawn(&tokio::runtime::Handle::current(), "connector", connector);
    let made = make_events(arguments, &mock, &figures, &stop, drawing.is_none()).await?;
    let caught_up = catch_up(services, &mock, made, &figures).await;
    draining.cancel();
    let ended = connector.await.context("the connector panicked")?;
    if let (Some(status), Some(drawing)) = (&status, drawing) {
        drawing.abort();
        status.clear();
    }
    let mut outcomes = Vec::new();
    for service in services {
        let counts = (service.distinct(&mock, made), service.repeated(&mock, made));
        outcomes.push(Outcome::new(*service, counts, &figures, broker.count(*service)?));
    }
    output::print(format_args!("\n{}", table::render(&broker.description(), &outcomes)))?;
    if !caught_up || ended != supervisor::Ended::Stopped || !outcomes.iter().all(Outcome::is_right) {
        output::remark(format_args!(
            "the figures do not add up (connector: {ended:?}); this is a defect, please report it"
        ));
        return Ok(ExitCode::from(exit::MISCOUNT));
    }
    Ok(ExitCode::SUCCESS)
}

/// Both services, making nothing until they are told to.
fn mock_config(rate: u64) -> tributary_mock::Config {
    let step = Some(Duration::from_secs_f64(1.0 / rate as f64));
    tributary_mock::Config {
        adobe: adobe::Config {
            names: vec!["adobe-livestream-demo".to_owned()],
            events: MOST_EVENTS,
            epoch: Epoch::Now,
            step,
            hold_at: Some(0),
            // What a replay reads again.
            retention_hits: rate * ADOBE_RETENTION_S,
            prepared_mib: 0,
            journal: false,
            ..adobe::Config::default()
        },
        ..tributary_mock::Config::local(airship::Config {
            events: MOST_EVENTS,
            duplicate_every: DUPLICATE_EVERY,
            epoch: Epoch::Now,
            step,
            hold_at: Some(0),
            prepared_mib: 0,
            ..airship::Config::default()
        })
    }
}

/// Releases events at the wanted rate, with a fault now and then, until the time is over; tells how many lines.
async fn make_events(
    arguments: &Arguments,
    mock: &tributary_mock::Handle,
    figures: &[ShardFigures],
    stop: &CancellationToken,
    report: bool,
) -> Result<u64, OutputError> {
    let started = Instant::now();
    let services = arguments.service.services();
    let mut script = script::Script::new(if arguments.no_faults { &[] } else { services });
    let (mut made, mut reported) = (0, started);
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(made),
            _ = ticks.tick() => {}
        }
        let elapsed = started.elapsed();
        let elapsed = arguments.run_for.map_or(elapsed, |limit| elapsed.min(limit));
        made = (elapsed.as_secs_f64() * arguments.rate as f64) as u64;
        made = made.min(MOST_EVENTS);
        services.iter().for_each(|service| service.release(mock, made));
        script.play(elapsed, mock);
        if report && reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            for shard in figures {
                output::print(status::describe(shard, &Reach::default(), arguments.rate, clock::now_ms()))?;
            }
        }
        if arguments.run_for.is_some_and(|limit| elapsed >= limit) {
            return Ok(made);
        }
    }
}

/// Waits until every event made is committed.
async fn catch_up(
    services: &[Service],
    mock: &tributary_mock::Handle,
    made: u64,
    figures: &[ShardFigures],
) -> bool {
    services.iter().for_each(|service| service.disarm(mock));
    let deadline = Instant::now() + CATCH_UP;
    let mut ticks = tokio::time::interval(TICK);
    while Instant::now() < deadline {
        let has_all = |service: &Service| {
            let delivered: u64 = service.figures(figures).map(|shard| shard.shard.delivered.get()).sum();
            delivered >= service.distinct(mock, made)
        };
        if services.iter().all(has_all) {
            return true;
        }
        ticks.tick().await;
    }
    false
}
