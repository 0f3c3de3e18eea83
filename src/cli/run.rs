//! `tributary run`: configuration to plan, signals to a drain, the end to an exit code.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Configured, Logging, exit};
use crate::cli::status::Status;
use crate::config::{Config, Sources};
use crate::plan::Plan;
use crate::shard::health::LIMIT;
use crate::sink::kafka::group::Seat;
use crate::sink::kafka::reach::Reach;
use crate::source::{Service, adobe};
use crate::supervisor::{self, AllFigures, Ended, Names};
use crate::telemetry::log::Filtering;
use crate::telemetry::metrics::OfProcess;
use crate::telemetry::traces::{self, Traces};
use crate::webhook::Receiver;
use crate::{admin, failpoint, output, task};

mod reload;

use reload::Reloading;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    logging: Logging,
    /// No live status line, even on a terminal
    #[arg(long)]
    no_status: bool,
    /// Adobe: with this start alone, move the service's position to its oldest or newest hit
    ///
    /// For an operator, when the position itself is the trouble (503 that lasts) or when what the service still holds is
    /// to be read again. `smallest` drops what was delivered before; `largest` gives up what was not read yet. Every
    /// Adobe stream of the configuration is reset. Refused (exit code 1) unless the last run was
    /// stopped, by SIGTERM or Ctrl-C and not by a crash, since another instance may hold the stream otherwise.
    #[arg(long, value_enum)]
    reset: Option<Reset>,
    /// Leave behind everything that is known of a stream, as in --start-anew web=second-try; may be repeated
    ///
    /// For a stream that is to read another source: its position, recent ids and totals are forgotten, and it begins as its
    /// `start` says. (For another number of shards raise `generation`, which keeps the position.) What was delivered stays in
    /// the topics, so events may be delivered again. An instance that runs the stream is taken over. WORD is any word; each
    /// has its effect once, so the argument may stay where restarts repeat it.
    #[arg(long, value_name = "STREAM=WORD", value_parser = super::key_value)]
    start_anew: Vec<(String, String)>,
}

/// Where the service's position goes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reset {
    /// To the oldest hit held
    Smallest,
    /// To the newest
    Largest,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut config = match arguments.configured.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let asked = match arguments.reset {
        Some(reset) => request_reset(&mut config, reset),
        None => Ok(()),
    };
    if let Err(wrong) = asked.and_then(|()| request_start_anew(&mut config, &arguments.start_anew)) {
        output::remark(format_args!("error: {wrong}"));
        return Ok(ExitCode::from(exit::USAGE));
    }
    let status = (std::io::stderr().is_terminal() && !arguments.no_status).then(Status::default);
    let tracing = match traces::of_process(&config.plan) {
        Ok(settings) => settings,
        Err(wrong) => {
            output::remark(format_args!("error: {wrong}"));
            return Ok(ExitCode::from(exit::CONFIG));
        }
    };
    let process = OfProcess::default();
    let runtime = super::runtime().context("cannot start the runtime")?;
    let traces = tracing.as_ref().map(|settings| {
        Traces::start(settings, config.plan.kafka.http.clone(), &process.traces, runtime.handle())
    });
    let tracer = traces.as_ref().map(Traces::tracer);
    let log = match arguments.logging.begin(status.as_ref().map(Status::around), &config, tracer) {
        Ok(log) => log,
        Err(code) => return Ok(code),
    };
    for warning in config.warnings() {
        warn!("{warning}");
    }
    if let Some(settings) = tracing {
        info!(collector = settings.endpoint(), "sending traces");
    }
    failpoint::pass("run");
    let sources = arguments.configured.sources();
    let ended = runtime.block_on(connect(config, process, traces, log, sources, status))?;
    // Threads that are still busy with Kafka must not hold the process up.
    runtime.shutdown_background();
    Ok(ExitCode::from(match ended {
        Ended::Stopped => exit::OK,
        Ended::TimedOut => exit::SHUTDOWN_TIMEOUT,
        Ended::Fenced => exit::FENCED,
        Ended::Misconfigured => exit::CONFIG,
        Ended::Held => exit::FAILURE,
    }))
}

/// Has every Adobe stream begin with a reset.
fn request_reset(config: &mut Config, reset: Reset) -> anyhow::Result<()> {
    if config.plan.group.is_some() {
        bail!(
            "--reset is for ownership = \"static\": stop all instances; start one with --reset, TRIBUTARY_OWNERSHIP=static and \
             without instance_id; stop it again, by SIGTERM, before the group starts"
        );
    }
    let mut found = false;
    for stream in &mut config.plan.streams {
        if let Some(Service::Adobe(adobe)) = stream.service_mut().map(|source| &mut source.service) {
            found = true;
            adobe.reset = Some(match reset {
                Reset::Smallest => adobe::Reset::Smallest,
                Reset::Largest => adobe::Reset::Largest,
            });
        }
    }
    if !found {
        bail!("--reset is for Adobe streams, and the configuration has none");
    }
    Ok(())
}

/// Has these streams begin without what is known of them.
fn request_start_anew(config: &mut Config, wishes: &[(String, String)]) -> anyhow::Result<()> {
    for (name, word) in wishes {
        let stream = config.plan.streams.iter_mut().find(|stream| **stream.name() == **name);
        let Some(stream) = stream else {
            bail!("--start-anew {name}={word}: the configuration has no stream of this name")
        };
        stream.start_anew = Some(word.clone());
    }
    Ok(())
}

async fn connect(
    config: Config,
    process: OfProcess,
    traces: Option<Traces>,
    log: Filtering,
    sources: Sources,
    status: Option<Status>,
) -> anyhow::Result<Ended> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    // At a terminal it says that this is gone, and ends the process as ever.
    let hangups = if std::io::stderr().is_terminal() { None } else { Some(reload::hangups()?) };
    let plan = Arc::new(config.plan.clone());
    let figures = supervisor::figures(&plan);
    let reach = watch_kafka(&plan, &stop)?;
    let seat = plan.group.as_ref().map(|group| Seat::new(&group.instance_id));
    let receiver = match &plan.webhook {
        Some(webhook) => Some(Receiver::bind(webhook, &plan.kafka).await.context("cannot receive webhooks")?),
        None => None,
    };
    let webhook = receiver.as_ref().map(Receiver::metrics);
    let all = AllFigures::new(&figures);
    if let Some(listen) = config.admin {
        let bound = admin::serve(listen, &all, &reach, seat.as_ref(), webhook.as_ref(), &process)
            .await
            .with_context(|| format!("cannot listen at admin.listen {listen}"))?;
        info!(%bound, "serving the status page, /live, /ready and /metrics");
    }
    info!(version = env!("CARGO_PKG_VERSION"), shards = figures.len(), "starting");
    let drawing = status.as_ref().map(|status| status.draw(&figures, &reach));
    let announced = CancellationToken::new();
    let (drain, limit) = (stop.child_token(), plan.shutdown_timeout);
    let receiving =
        receiver.map(|receiver| begin_to_receive(receiver, &announced, &drain, limit)).transpose()?;
    let (changing, changes) = mpsc::unbounded_channel();
    let reloading = Reloading {
        sources,
        config,
        log,
        figures: all,
        reloads: process.reloads.clone(),
        stop: stop.clone(),
        runs: vec![changing],
        names: Names::new(&plan),
        added: JoinSet::new(),
    };
    let reloading = task::spawn(&tokio::runtime::Handle::current(), "reload", reloading.run(hangups));
    let ended = supervisor::run(plan, &figures, seat.as_ref(), &announced, stop.clone(), changes).await;
    // Those streams that came later stop with the others.
    stop.cancel();
    // A panic was logged.
    let mut ended = reload::worse(ended, reloading.await.unwrap_or(Ended::TimedOut));
    drain.cancel();
    if let Some(receiving) = receiving {
        // A panic was logged.
        let all_answered = receiving.await.unwrap_or(false);
        if !all_answered && ended == Ended::Stopped {
            ended = Ended::TimedOut;
        }
    }
    if let (Some(status), Some(drawing)) = (status, drawing) {
        drawing.abort();
        status.clear();
    }
    if let Some(traces) = traces {
        traces.end().await;
    }
    info!(?ended, "stopped");
    Ok(ended)
}

/// Answers whoever pushes, until `drain`, and then for `limit` at most: whether all were answered.
fn begin_to_receive(
    receiver: Receiver,
    announced: &CancellationToken,
    drain: &CancellationToken,
    limit: Duration,
) -> anyhow::Result<JoinHandle<bool>> {
    let bound = receiver.address().context("cannot tell where webhooks are received")?;
    info!(%bound, "receiving webhooks");
    let (announced, drain) = (announced.clone(), drain.clone());
    let running = async move {
        let is_late = async {
            drain.cancelled().await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            () = receiver.run(announced, drain.clone()) => true,
            () = is_late => {
                warn!("some requests of webhooks were not answered in time");
                false
            }
        }
    };
    Ok(task::spawn(&tokio::runtime::Handle::current(), "webhook", running))
}

/// Begins to ask Kafka whether it is there.
fn watch_kafka(plan: &Plan, stop: &CancellationToken) -> anyhow::Result<Reach> {
    let reach = Reach::default();
    let (watch, sink, stop) = (reach.clone(), plan.kafka.clone(), stop.clone());
    let runtime = tokio::runtime::Handle::current();
    task::spawn_thread("kafka-watch".into(), move || watch.watch(&sink, runtime, LIMIT, &stop))
        .context("cannot start a thread that watches Kafka")?;
    Ok(reach)
}

/// The first signal stops in order, the second at once.
pub(super) fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    drop(task::spawn(&tokio::runtime::Handle::current(), "signals", async move {
        let first = either(&mut terminate, &mut interrupt).await;
        stop.cancel();
        info!(signal = first, "stopping in order; a second signal exits at once");
        let second = either(&mut terminate, &mut interrupt).await;
        warn!(signal = second, "exiting at once");
        output::flush();
        std::process::exit(i32::from(exit::INTERRUPTED));
    }));
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
