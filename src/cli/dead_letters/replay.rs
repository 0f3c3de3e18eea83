//! `tributary dead-letters replay`: those of one stream once more through its event path, and what became of them.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::chosen::{When, reason};
use crate::cli::run::stop_on_signals;
use crate::cli::{Configured, Logging, exit, runtime};
use crate::clock::now_ms;
use crate::config::Config;
use crate::model::types::DeadLetterReason;
use crate::output;
use crate::plan::{Plan, Stream};
use crate::supervisor::Ended;
use crate::supervisor::replay::{Choice, Obstacle, Replay, Replaying, Tally};
use tokio_util::sync::CancellationToken;

/// Arguments of `dead-letters replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Those of this stream
    #[arg(long)]
    stream: String,
    /// Only those with this reason, see `list --help`
    #[arg(long, value_parser = reason)]
    reason: Option<DeadLetterReason>,
    /// Only those written since then: a time as in 2026-11-26T08:00:00Z, or how long ago, as in 2h
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Only those written before then, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// So many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Only count what would be replayed: nothing is written, and a replay at work is not disturbed
    #[arg(long)]
    dry_run: bool,
    /// Take everything in the topic as not replayed, as after it was deleted and made again
    #[arg(long)]
    forget_replayed: bool,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) configured: Configured,
    #[command(flatten)]
    logging: Logging,
}

pub(super) fn replay(config: &Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Err(code) = arguments.logging.begin(None, config, None) {
        return Ok(code);
    }
    let plan = &config.plan;
    let stream = find(plan, &arguments.stream)?;
    let now_ms = now_ms();
    let choice = Choice {
        reason: arguments.reason,
        since_ms: arguments.since.map(|when| when.millis(now_ms)),
        until_ms: arguments.until.map(|when| when.millis(now_ms)),
        limit: arguments.limit,
    };
    let runtime = runtime().context("cannot start the runtime")?;
    let stop = CancellationToken::new();
    let entered = runtime.enter();
    stop_on_signals(stop.clone())?;
    drop(entered);
    let forget = arguments.forget_replayed;
    let replaying = Replaying { plan, stream, choice, forget, runtime: runtime.handle().clone(), stop };
    let tell = |tally: &Tally| {
        output::remark(format_args!(
            "{} dead letters taken up, {} passed over so far",
            tally.taken,
            passed_over(tally)
        ));
    };
    let code = match arguments.dry_run {
        true => {
            let tally = replaying.foresee(tell)?;
            print_foreseen(&arguments.stream, &tally, arguments.json)?;
            exit::OK
        }
        false => finish(&arguments.stream, replaying.run(tell)?, arguments.json)?,
    };
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}

fn find<'p>(plan: &'p Plan, name: &str) -> anyhow::Result<&'p Stream> {
    let found = plan.streams.iter().find(|stream| **stream.name() == *name);
    let Some(found) = found else {
        bail!("no stream is called {name}; there are: {}", super::stream_names(plan))
    };
    Ok(found)
}

/// Says what a replay came to; gives the exit code.
fn finish(stream: &str, replay: Replay, as_json: bool) -> anyhow::Result<u8> {
    let became = Became::of(&replay);
    if as_json {
        let mut summary = counted(stream, &replay.tally);
        summary.extend(became.described());
        summary.insert(
            "complete".into(),
            (replay.ended == Ended::Stopped && !replay.tally.stopped && replay.error.is_none()).into(),
        );
        output::print(format_args!("{:#}", Value::Object(summary)))?;
    } else {
        output::print(format_args!("{}\n{}", became.summary(stream), left(&replay.tally)))?;
    }
    if let Some(error) = replay.error {
        return Err(error.into());
    }
    Ok(match replay.ended {
        Ended::Stopped if replay.tally.stopped => {
            output::remark("stopped by a signal before the end; another replay goes on with the rest");
            exit::FAILURE
        }
        Ended::Stopped => exit::OK,
        Ended::TimedOut => {
            output::remark(
                "shutdown.timeout was over before everything was committed; another replay goes on with the rest",
            );
            exit::SHUTDOWN_TIMEOUT
        }
        Ended::Fenced => {
            output::remark(format_args!(
                "a later replay of stream {stream} was started; this one has ended, and what it had not committed is that one's to replay"
            ));
            exit::FENCED
        }
        Ended::Misconfigured => exit::CONFIG,
        Ended::Held => exit::FAILURE,
    })
}

fn print_foreseen(stream: &str, tally: &Tally, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        output::print(format_args!("{:#}", Value::Object(counted(stream, tally))))?;
    } else {
        let limit = if tally.limited { ", and more above the limit" } else { "" };
        output::print(format_args!(
            "{stream}: {} dead letters to replay{limit}\n{}",
            tally.taken,
            left(tally)
        ))?;
    }
    Ok(())
}

/// What became of the letters that were taken up, as far as that is committed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Became {
    replayed: u64,
    delivered: u64,
    repeated: u64,
    filtered: u64,
    /// By reason, those that there are.
    failed: Vec<(&'static str, u64)>,
}

impl Became {
    fn of(replay: &Replay) -> Self {
        let figures = &replay.figures;
        let failed = DeadLetterReason::ALL.into_iter().zip(&figures.dead_letters);
        Self {
            replayed: figures.received.get(),
            delivered: figures.delivered.get(),
            repeated: figures.duplicates.get(),
            filtered: figures.filtered.iter().map(|count| count.get()).sum(),
            failed: failed
                .map(|(reason, count)| (reason.name(), count.get()))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }

    fn summary(&self, stream: &str) -> String {
        let Self { replayed, delivered, repeated, filtered, failed } = self;
        let all: u64 = failed.iter().map(|(_, count)| count).sum();
        let again = match failed.is_empty() {
            true => String::new(),
            false => format!(" ({})", listed(failed.iter().copied())),
        };
        format!(
            "{stream}: {replayed} dead letters replayed: {delivered} delivered, {repeated} repeated, {filtered} left out by \
             filters, {all} failed again{again}"
        )
    }

    fn described(&self) -> Map<String, Value> {
        let failed: Map<String, Value> =
            self.failed.iter().map(|(reason, count)| ((*reason).to_owned(), (*count).into())).collect();
        let pairs = [
            ("replayed", json!(self.replayed)),
            ("delivered", json!(self.delivered)),
            ("repeated", json!(self.repeated)),
            ("filtered", json!(self.filtered)),
            ("failed_again", Value::Object(failed)),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }
}

fn passed_over(tally: &Tally) -> u64 {
    let kept: u64 = tally.kept.values().sum();
    kept + tally.not_chosen + tally.replayed_before + tally.other_streams
}

fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// What was left as it is, in words.
fn left(tally: &Tally) -> String {
    let Tally { replayed_before, not_chosen, other_streams, kept, .. } = tally;
    let cannot: u64 = kept.values().sum();
    let why = match kept.is_empty() {
        true => String::new(),
        false => format!(" ({})", listed(kept.iter().map(|(obstacle, count)| (obstacle.name(), *count)))),
    };
    let hidden = match tally.hidden {
        0 => String::new(),
        hidden => format!(
            "\nnot looked at: {hidden} offsets behind the beginning of a transaction that was open; what is committed there is for \
             the next replay"
        ),
    };
    format!(
        "left as they are: {cannot} that cannot be replayed{why}, {not_chosen} not asked for, {replayed_before} replayed before, \
         {other_streams} of other streams{hidden}"
    )
}

fn counted(stream: &str, tally: &Tally) -> Map<String, Value> {
    let kept: Map<String, Value> = [Obstacle::Withheld, Obstacle::Head, Obstacle::Hashed]
        .into_iter()
        .map(|obstacle| (obstacle.name().to_owned(), tally.kept.get(&obstacle).copied().unwrap_or(0).into()))
        .collect();
    let pairs = [
        ("stream", json!(stream)),
        ("taken", json!(tally.taken)),
        ("cannot_be_replayed", Value::Object(kept)),
        ("not_chosen", json!(tally.not_chosen)),
        ("replayed_before", json!(tally.replayed_before)),
        ("other_streams", json!(tally.other_streams)),
        ("behind_open_transactions", json!(tally.hidden)),
        ("limited", json!(tally.limited)),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_became_of_them_and_what_was_left() {
        let became = Became {
            replayed: 7,
            delivered: 3,
            repeated: 1,
            filtered: 1,
            failed: vec![("no_id", 1), ("unroutable", 1)],
        };
        assert_eq!(
            became.summary("mobile"),
            "mobile: 7 dead letters replayed: 3 delivered, 1 repeated, 1 left out by filters, 2 failed again (no_id 1, unroutable 1)"
        );
        let tally = Tally {
            taken: 7,
            kept: [(Obstacle::Head, 2), (Obstacle::Withheld, 1)].into(),
            not_chosen: 4,
            ..Tally::default()
        };
        assert_eq!(
            left(&tally),
            "left as they are: 3 that cannot be replayed (withheld 1, head_only 2), 4 not asked for, 0 replayed before, 0 of other streams"
        );
        assert_eq!(passed_over(&tally), 7);
        assert_eq!(became.described()["failed_again"]["no_id"], 1);
        assert_eq!(counted("mobile", &tally)["cannot_be_replayed"]["head_only"], 2);
    }
}
