//! SIGHUP: the configuration is read again, and applied as a whole or not at all.

use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::{self, Change, Config, Sources};
use crate::plan::Plan;
use crate::supervisor::{self, AllFigures, Ended, Names, StreamChange};
use crate::telemetry::log::Filtering;
use crate::telemetry::reloads::{Outcome, Reloads};

/// What a reload works with.
pub(super) struct Reloading {
    pub(super) sources: Sources,
    /// What is in effect.
    pub(super) config: Config,
    pub(super) log: Filtering,
    pub(super) figures: AllFigures,
    pub(super) reloads: Reloads,
    /// Stops the whole process.
    pub(super) stop: CancellationToken,
    /// What tells those who run streams.
    pub(super) runs: Vec<mpsc::UnboundedSender<StreamChange>>,
    /// By these names the next reload places its streams and runs them. A reload that is refused may have placed some already, and
    /// leaves them to the next one.
    pub(super) names: Names,
    /// Streams that came with a reload, at work, each with its name.
    pub(super) added: JoinSet<(Arc<str>, Ended)>,
}

/// Why nothing was applied.
enum Refusal {
    /// The configuration has errors, or cannot be read.
    Invalid(String),
    /// It takes a restart, or Kafka does not take the new streams.
    NotNow(Vec<String>),
}

/// What tells of a SIGHUP. From now on that does not end the process.
pub(super) fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot listen for SIGHUP")
}

impl Reloading {
    /// Reloads at each SIGHUP until the process stops, and waits for the streams that were added. Gives what they say of the end.
    pub(super) async fn run(mut self, hangups: Option<Signal>) -> Ended {
        let mut hangups = hangups;
        let mut ended = Ended::Stopped;
        while !(self.stop.is_cancelled() && self.added.is_empty()) {
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // That a stream has ended is heeded before its mended configuration is read.
                biased;
                () = self.stop.cancelled(), if self.added.is_empty() => break,
                Some(end) = self.added.join_next() => ended = worse(ended, self.heed(end)),
                _ = hangup, if !self.stop.is_cancelled() => self.reload().await,
            }
        }
        ended
    }

    /// What the end of an added stream means for the others.
    fn heed(&mut self, end: Result<(Arc<str>, Ended), tokio::task::JoinError>) -> Ended {
        match end {
            Ok((_, Ended::Stopped)) if self.stop.is_cancelled() => Ended::Stopped,
            Ok((stream, ended @ (Ended::Misconfigured | Ended::Held))) if !self.stop.is_cancelled() => {
                self.config.forget(&stream);
                error!(
                    %stream,
                    ?ended,
                    "a stream that was added does not run; the others go on. See the message above; mend it and reload, or restart"
                );
                Ended::Stopped
            }
            Ok((_, ended)) => {
                self.stop.cancel();
                ended
            }
            // A panic was logged.
            Err(_) => {
                self.stop.cancel();
                Ended::TimedOut
            }
        }
    }

    async fn reload(&mut self) {
        let stop = self.stop.clone();
        let reloaded = tokio::select! {
            // Kafka may not answer for long. What has an effect here comes after the last wait, so this cuts nothing in two.
            () = stop.cancelled() => {
                info!("told to stop while the configuration was read again: nothing of it is applied");
                return;
            }
            reloaded = self.try_reload() => reloaded,
        };
        let outcome = match reloaded {
            Ok(changes) if changes.is_empty() => {
                info!("the configuration was read again, and nothing has changed");
                Outcome::Applied
            }
            Ok(changes) => {
                let changes: Vec<String> = changes.iter().map(Change::to_string).collect();
                info!(changes = changes.join("; "), "the configuration was read again and applied");
                Outcome::Applied
            }
            Err(Refusal::Invalid(reason)) => {
                error!(reason, "the configuration was read again and has errors; what ran before runs on");
                Outcome::Invalid
            }
            Err(Refusal::NotNow(reasons)) => {
                error!(
                    reasons = reasons.join("; "),
                    "the configuration was read again and not applied, not even in part; what ran before runs on"
                );
                Outcome::Refused
            }
        };
        self.reloads.count(outcome);
    }

    async fn try_reload(&mut self) -> Result<Vec<Change>, Refusal> {
        let sources = self.sources.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&sources)).await;
        let loaded = loaded.map_err(|error| Refusal::Invalid(error.to_string()))?;
        let next = loaded.map_err(|errors| Refusal::Invalid(errors.to_string()))?;
        let changes = self.config.changes(&next).map_err(Refusal::NotNow)?;
        // What may still fail comes first, and leaves nothing behind that has an effect.
        let filter =
            Filtering::judge(next.log.as_deref()).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let added: Vec<Plan> = changes.iter().filter_map(|change| alone(change, &next)).collect();
        self.place(&added).await?;
        for change in &changes {
            if let Change::Filters(name) = change
                && let Some(stream) = next.plan.streams.iter().find(|stream| stream.name() == name)
            {
                let change = StreamChange { stream: Arc::clone(name), extract: stream.extract.clone() };
                // One that has ended is told in vain.
                self.runs.iter().for_each(|run| drop(run.send(change.clone())));
            }
        }
        if changes.contains(&Change::Log) {
            self.log.set(filter);
        }
        // What is left of streams that did not run, and that nobody wants any more.
        self.figures.keep(|stream| next.plan.streams.iter().any(|wanted| wanted.name() == stream));
        self.runs.retain(|run| !run.is_closed());
        if !added.is_empty() {
            let names = std::mem::replace(&mut self.names, Names::new(&next.plan));
            added.into_iter().for_each(|plan| self.begin(plan, names.clone()));
        }
        self.config = next;
        Ok(changes)
    }

    /// Runs a stream beside the others: as another process would, which has the same prefix and other streams.
    fn begin(&mut self, plan: Plan, names: Names) {
        let figures = supervisor::figures(&plan);
        self.figures.add(&figures);
        let (sender, changes) = mpsc::unbounded_channel();
        self.runs.push(sender);
        let (plan, stop) = (Arc::new(plan), self.stop.clone());
        let stream = plan.streams.first().map(|stream| Arc::clone(stream.name())).unwrap_or_default();
        self.added.spawn(async move {
            let announced = CancellationToken::new();
            let ended = supervisor::run_as(names, plan, &figures, None, &announced, stop, changes).await;
            (stream, ended)
        });
    }

    /// Has the new streams placed, with their topics, which is what Kafka may refuse.
    async fn place(&self, added: &[Plan]) -> Result<(), Refusal> {
        for plan in added {
            let (plan, names, stop) = (plan.clone(), self.names.clone(), self.stop.clone());
            let runtime = Handle::current();
            let place = move || supervisor::place_unknown(&plan, &names, &stop, &runtime);
            let refused = match tokio::task::spawn_blocking(place).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let names = plan_names(added).join(", ");
            return Err(Refusal::NotNow(vec![format!("new streams ({names}): {refused}")]));
        }
        Ok(())
    }
}

/// The plan of a new stream, if the change is one.
fn alone(change: &Change, next: &Config) -> Option<Plan> {
    let Change::Added(name) = change else { return None };
    let stream = next.plan.streams.iter().find(|stream| stream.name() == name)?;
    Some(Plan { streams: vec![stream.clone()], webhook: None, ..next.plan.clone() })
}

fn plan_names(plans: &[Plan]) -> Vec<&str> {
    plans.iter().flat_map(|plan| &plan.streams).map(|stream| &**stream.name()).collect()
}

/// Of two ends the one that says more.
pub(super) fn worse(one: Ended, other: Ended) -> Ended {
    if one == Ended::Stopped { other } else { one }
}
