//! The log: one line for each thing that happens, to standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::output;

/// The variable that holds the log filter, such as `debug` or `tributary=debug,info`.
pub(crate) const VARIABLE: &str = "TRIBUTARY_LOG";

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

/// Installs the log, written to standard error. Call it once.
pub(crate) fn init(format: Format, around: Option<Around>) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = io::stderr().is_terminal();
    // The subscriber would report a failed write with `eprintln!`, which panics where that fails, too.
    let builder = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(LogWriter { around });
    let text = match format {
        Format::Auto => terminal,
        Format::Json => false,
        Format::Text => true,
    };
    if text {
        builder.with_ansi(terminal).with_target(false).init();
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false)
            .init();
    }
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

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut write = || output::log_line(line);
        match &self.around {
            Some(around) => around(&mut write),
            None => write(),
        }
        // A line that could not be written is counted there; the caller need not know.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
