//! The log: one line for each thing that happens, to standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env::VarError;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::Arc;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::info;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, reload};

use crate::{output, trace};

mod line;

use line::Line;

/// What is said where lines are missing.
const MISSING: &str = "log lines are missing before this one: standard error did not take them";

/// The variable that holds the log filter, such as `debug` or `tributary=debug,info`.
pub(crate) const VARIABLE: &str = "TRIBUTARY_LOG";

/// The filter where there is none.
const DEFAULT: &str = "info";

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Something that log lines have to pass by, such as a status line on the same terminal.
pub(crate) type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Why there is no log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LogError {
    /// The variable holds bytes that are no text.
    #[error("{VARIABLE} is not valid UTF-8")]
    NotText,
    /// A part of the filter means nothing.
    #[error(
        "{origin}: {part:?} is no log filter; expected a level (off, error, warn, info, debug, trace), or \
         NAME=LEVEL for a part of the program, with commas between several, such as info,tributary::sink=debug"
    )]
    NoFilter {
        /// The variable or the key that says it.
        origin: &'static str,
        /// What was found.
        part: String,
    },
}

/// The key that holds the filter where there is no variable.
const KEY: &str = "log.filter";

/// Changes the filter of the log under way.
pub(crate) struct Filtering {
    set: Box<dyn Fn(EnvFilter) + Send + Sync>,
    /// Whether the variable says the filter, and so the configuration does not.
    is_fixed: bool,
}

impl Filtering {
    /// The filter that the configuration says.
    pub(crate) fn judge(configured: Option<&str>) -> Result<EnvFilter, LogError> {
        filter(configured.unwrap_or_default(), KEY)
    }

    /// From now on this filter holds.
    pub(crate) fn set(&self, filter: EnvFilter) {
        if self.is_fixed {
            info!("{KEY} has no effect, since {VARIABLE} is set");
            return;
        }
        (self.set)(filter);
    }
}

/// Installs the log, written to standard error by a thread of its own. Call it once. `configured` is the filter where the variable says none.
/// `tracer` takes the spans that are for a collector, of which the log has none.
pub(crate) fn init(
    format: Format,
    around: Option<Around>,
    configured: Option<&str>,
    tracer: Option<SdkTracer>,
) -> Result<Filtering, LogError> {
    let (filter, is_fixed) = match std::env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => (filter(&text, VARIABLE)?, true),
        Ok(_) | Err(VarError::NotPresent) => (Filtering::judge(configured)?, false),
        Err(VarError::NotUnicode(_)) => return Err(LogError::NotText),
    };
    let terminal = io::stderr().is_terminal();
    let text = match format {
        Format::Auto => terminal,
        Format::Json => false,
        Format::Text => true,
    };
    output::write_behind(move |lines| Line { lines: Some(lines), ..Line::new("WARN", MISSING) }.render(text));
    let writer = LogWriter { around };
    let panics = writer.clone();
    std::panic::set_hook(Box::new(move |panic| tell_of_panic(panic, text, &panics)));
    // The layer would report a failed write with `eprintln!`, which panics where that fails, too.
    let lines = fmt::layer().log_internal_errors(false).with_writer(writer).with_target(false);
    let lines = if text {
        lines.with_ansi(terminal).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    };
    let (filter, handle) = reload::Layer::new(filter);
    // A filter that names no level would have every line of the libraries below looked at.
    let ours =
        filter_fn(|metadata| !trace::is_for_collector(metadata)).with_max_level_hint(LevelFilter::TRACE);
    let lines = lines.with_filter(filter.and(ours));
    tracing_subscriber::registry().with(tracer.map(trace::layer)).with(lines).init();
    // It fails only where the log is gone.
    Ok(Filtering { set: Box::new(move |filter| drop(handle.reload(filter))), is_fixed })
}

/// The filter that a text stands for; without one it is that of the level `info`.
///
/// The library takes any lone word that is no level for the name of a part, all of which is then shown and nothing else: a slip
/// in a level would silence the log.
fn filter(text: &str, origin: &'static str) -> Result<EnvFilter, LogError> {
    let wrong = |part: &str| LogError::NoFilter { origin, part: part.to_owned() };
    if text.trim().is_empty() {
        return Ok(EnvFilter::new(DEFAULT));
    }
    // Spans in brackets may hold commas of their own.
    if !text.contains('[') {
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let level = part.split_once('=').map_or(part, |(_, level)| level);
            let level = level.trim();
            // The library takes nothing at all for `error`.
            if level.is_empty() || level.parse::<LevelFilter>().is_err() {
                return Err(wrong(part));
            }
        }
    }
    EnvFilter::try_new(text).map_err(|_| wrong(text))
}

/// Says what the standard library would say, but in the log, whatever its filter: written directly it would wait for a reader
/// that may never come. It waits for a short time, since the process may end by it.
fn tell_of_panic(panic: &PanicHookInfo<'_>, is_text: bool, writer: &LogWriter) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = is_captured.then(|| backtrace.to_string());
    let line =
        Line { thread: Some(thread), backtrace, ..Line::new("ERROR", &panic.to_string()) }.render(is_text);
    writer.write_line(line.as_bytes());
    output::flush();
}

#[derive(Clone)]
struct LogWriter {
    around: Option<Around>,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl LogWriter {
    fn write_line(&self, line: &[u8]) {
        let mut write = || output::log_line(line);
        match &self.around {
            Some(around) => around(&mut write),
            None => write(),
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line);
        // A line that could not be written is counted there; the caller need not know.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        for text in [
            "",
            " ",
            "info",
            "DEBUG",
            "off",
            "4",
            "tributary=debug,info",
            "info,tributary::sink=trace",
            "warn,",
            "rdkafka=off",
            "tributary[task{name}]=debug",
        ] {
            assert!(filter(text, KEY).is_ok(), "{text:?}");
        }
        for (text, part) in [
            ("inof", "inof"),
            ("verbose", "verbose"),
            ("info,librdkafka", "librdkafka"),
            ("tributary=loud", "tributary=loud"),
            ("info,=", "="),
            ("=debug=", "=debug="),
            ("tributary[", "tributary["),
        ] {
            let expected = LogError::NoFilter { origin: KEY, part: part.into() };
            assert_eq!(filter(text, KEY).unwrap_err(), expected, "{text:?}");
        }
        assert_eq!(filter("", KEY).unwrap().to_string(), DEFAULT);
        let said = filter("inof", VARIABLE).unwrap_err().to_string();
        assert!(said.starts_with("TRIBUTARY_LOG: \"inof\" is no log filter; expected a level"), "{said}");
    }
}
