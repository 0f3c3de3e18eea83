//! `tributary tail`: a stream's events on standard output, as the vendor's curl shows them, but with reconnects.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Configured, Logging};
use crate::event::extract::{Extractor, Line};
use crate::model::block::{Block, lines};
use crate::model::offset;
use crate::model::types::OnUnclean;
use crate::model::types::Position;
use crate::output::{self, OutputError};
use crate::shard::pipeline::redaction::{Redaction, WITHHELD};
use crate::source::airship::Start;
use crate::source::failure::Class;
use crate::source::metrics::{ConnectionState, Metrics};
use crate::source::queue::{Item, Output, Received, queue};
use crate::source::reader::{ReaderContext, Resume};
use crate::source::{self, Service};
use crate::task;

/// Between looks whether the stream can be opened at all.
const LOOK: Duration = Duration::from_millis(100);

/// What was received before the stop is printed within this time.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The stream's name; may be left out where only one is configured
    stream: Option<String>,
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    logging: Logging,
    /// Stop after so many events
    #[arg(short = 'n', long)]
    count: Option<u64>,
    /// Where to begin: earliest, latest, or after this offset
    #[arg(long, value_name = "earliest|latest|OFFSET")]
    from: Option<String>,
    /// Adobe: take the hits printed from the stream; nobody else will get them
    #[arg(long)]
    take: bool,
    /// Indent the JSON
    #[arg(long)]
    pretty: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.configured.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    if let Err(code) = arguments.logging.begin(None, &config, None) {
        return Ok(code);
    }
    let names =
        || config.plan.streams.iter().map(|stream| stream.name().as_ref()).collect::<Vec<_>>().join(", ");
    let stream = match &arguments.stream {
        Some(name) => config
            .plan
            .streams
            .iter()
            .find(|stream| **stream.name() == **name)
            .with_context(|| format!("no stream is called {name}; there are: {}", names()))?,
        None => match config.plan.streams.as_slice() {
            [only] => only,
            _ => bail!("name one of the streams: {}", names()),
        },
    };
    let extractor = Extractor::new(&stream.extract)?;
    let redaction = stream.redact.as_ref().map(Redaction::open).transpose()?;
    let lines = Lines { extractor, redaction, pretty: arguments.pretty };
    let source = stream.service().context(
        "the stream is pushed to us, and what was received stands in its intake topic: read that one, or the topic of its events",
    )?;
    let (source, position) = begin(source.clone(), arguments)?;
    let (input, output) = queue(source.queue_bytes, Default::default(), Default::default());
    let runtime = super::runtime().context("cannot start the runtime")?;
    let stop = CancellationToken::new();
    let resume = Resume { position, ..Resume::default() };
    let metrics = Metrics::default();
    let context =
        ReaderContext { input, metrics: metrics.clone(), max_line: source.max_line, stop: stop.clone() };
    let connections = source::reader(source, 0, resume, context);
    let printed = runtime.block_on(async {
        super::run::stop_on_signals(stop.clone())?;
        drop(task::spawn(runtime.handle(), "connections", connections));
        let count = arguments.count.unwrap_or(u64::MAX);
        let printed = tokio::task::spawn_blocking(move || print(&output, &lines, count));
        tokio::select! {
            printed = printed => Ok(printed??),
            reason = refusal(&metrics) => Err(refused(arguments.from.as_deref(), &reason)),
            // Whoever reads what is printed may not do so any more.
            () = too_late(&stop) => Ok(()),
        }
    });
    runtime.shutdown_background();
    printed.map(|()| ExitCode::SUCCESS)
}

/// Why the stream cannot be opened, once that is certain: a person who waits for it can act at once. A stream that was open
/// is opened again, as `run` does it.
async fn refusal(metrics: &Metrics) -> String {
    loop {
        tokio::time::sleep(LOOK).await;
        let is_refused = metrics.state() == ConnectionState::NeedsOperator
            || metrics.reconnects_of(Class::PositionRejected) > 0;
        if !metrics.was_connected()
            && is_refused
            && let Some((reason, _)) = metrics.trouble()
        {
            return reason;
        }
    }
}

fn refused(from: Option<&str>, reason: &str) -> anyhow::Error {
    match from {
        Some(from @ ("earliest" | "latest")) => anyhow!("the stream cannot be read from {from}: {reason}"),
        Some(offset) => anyhow!("the stream cannot be read after the offset {offset:?}: {reason}"),
        None => anyhow!("the stream cannot be read: {reason}"),
    }
}

/// Some time after the stop, in which what was received is printed.
async fn too_late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_LINES).await;
}

/// All events over one connection, from the wanted place.
fn begin(
    mut source: source::Config,
    arguments: &Arguments,
) -> anyhow::Result<(source::Config, Option<Position>)> {
    let airship = match &mut source.service {
        Service::Airship(airship) => airship,
        Service::Adobe(_) if !arguments.take => bail!(
            "the service hands each hit to one connection and then moves on: what is printed here is taken from \
             whoever else reads the stream. If that is meant, say --take"
        ),
        Service::Adobe(adobe) => {
            if arguments.from.is_some() {
                bail!("--from is for Airship: this service keeps the position itself");
            }
            (adobe.max_connections, adobe.on_unclean) = (1, OnUnclean::Continue);
            return Ok((source, None));
        }
    };
    airship.shards = 1;
    let mut position = None;
    match arguments.from.as_deref() {
        None => {}
        Some("earliest") => airship.start = Start::Earliest,
        Some("latest") => airship.start = Start::Latest,
        Some(offset) if !offset::is_usable(offset.as_bytes()) => {
            bail!(
                "--from {offset:?}: expected earliest, latest or an offset of the stream, as in the member `offset` of an event"
            )
        }
        Some(offset) => position = Some(Position::offset(offset)),
    }
    Ok((source, position))
}

/// What is printed of lines.
struct Lines {
    extractor: Extractor,
    redaction: Option<Redaction>,
    pretty: bool,
}

/// What is printed of one line.
#[derive(PartialEq, Eq, Debug)]
enum Shown<'l> {
    /// This.
    Line(&'l [u8]),
    /// Nothing, since it is no event and may hold what is to be redacted.
    Withheld,
    /// Nothing, since it says a position alone.
    Nothing,
}

impl Lines {
    fn show<'l>(&self, line: &'l [u8], scratch: &'l mut Vec<u8>) -> Shown<'l> {
        let shown = match &self.redaction {
            Some(redaction) => match redaction.show(line, scratch) {
                Some(shown) => shown,
                None => return Shown::Withheld,
            },
            None => line,
        };
        match self.extractor.extract_shown(shown, line) {
            Ok(Line::PositionOnly(_)) => Shown::Nothing,
            Err(_) if self.redaction.is_some() => Shown::Withheld,
            Ok(_) | Err(_) => Shown::Line(shown),
        }
    }
}

fn print(queue: &Output, printed: &Lines, mut left: u64) -> Result<(), OutputError> {
    let mut scratch = Vec::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    while left > 0 {
        let item = match queue.receive(Duration::from_millis(100)) {
            Received::Item(item) => item,
            Received::Timeout => continue,
            Received::Closed => break,
        };
        let Item::Block { block: Block::Lines(bytes), .. } = &item else { continue };
        for line in lines(bytes) {
            if left == 0 {
                break;
            }
            match printed.show(line, &mut scratch) {
                Shown::Nothing => continue,
                Shown::Line(line) => print_line(&mut out, line, printed.pretty).and_then(|()| out.flush())?,
                Shown::Withheld => output::remark(format_args!("a line of {} bytes, {WITHHELD}", line.len())),
            }
            left -= 1;
        }
    }
    Ok(())
}

fn print_line(out: &mut impl Write, line: &[u8], pretty: bool) -> io::Result<()> {
    if pretty && let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) {
        serde_json::to_writer_pretty(&mut *out, &value)?;
    } else {
        out.write_all(line)?;
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// What is printed of a stream's lines, with more keys of the stream.
    fn lines(keys: &str) -> Lines {
        let text = format!(
            "kafka.bootstrap_servers = \"k\"\n[[stream]]\nname = \"s\"\nkind = \"airship\"\napp_key = \"k\"\n\
             auth = {{ bearer = {{ env = \"T\" }} }}\n{keys}"
        );
        let stream = config::parse(&text).unwrap().plan.streams.remove(0);
        Lines {
            extractor: Extractor::new(&stream.extract).unwrap(),
            redaction: stream.redact.as_ref().map(|redact| Redaction::open(redact).unwrap()),
            pretty: false,
        }
    }

    #[test]
    fn with_redaction_only_events_are_printed() {
        let plain = lines("");
        let redacting = lines("redact = [{ path = \"device.channel\", action = \"drop\" }]");
        for (line, shown) in [
            (r#"{"id":"a","device":{"channel":"secret"}}"#, Shown::Line(br#"{"id":"a","device":{}}"#)),
            (r#"{"id":"a","device":{"channel":1e400}}"#, Shown::Line(br#"{"id":"a","device":{}}"#)),
            (r#"{"type":"OFFSET_UPDATE","offset":"1"}"#, Shown::Nothing),
            (r#"{"type":"OFFSET_UPDATE","device":{"channel":1e400}}"#, Shown::Nothing),
            (r#"{"events":[{"id":"a","device":{"channel":"secret"}}]}"#, Shown::Withheld),
            (r#"[{"id":"a","device":{"channel":"secret"}}]"#, Shown::Withheld),
            ("secret", Shown::Withheld),
        ] {
            assert_eq!(redacting.show(line.as_bytes(), &mut Vec::new()), shown, "{line}");
            if shown == Shown::Withheld {
                let whole = Shown::Line(line.as_bytes());
                assert_eq!(plain.show(line.as_bytes(), &mut Vec::new()), whole, "{line}");
            }
        }
    }
}
