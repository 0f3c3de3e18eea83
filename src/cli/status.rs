//! The live status line on a terminal: one line a shard. Only reads figures.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, mem};

use console::Term;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::now_ms;
use crate::model::rate::Rate;
use crate::output;
use crate::shard::readiness::View;
use crate::sink::kafka::reach::Reach;
use crate::supervisor::ShardFigures;
use crate::telemetry::log::Around;

/// How often the lines are drawn.
const INTERVAL: Duration = Duration::from_millis(250);

/// No more than so many drawings a second, whatever is logged.
const MOST_DRAWINGS: u8 = 20;

/// The lines, and a way for log lines to pass them.
#[derive(Clone, Debug)]
pub(super) struct Status {
    lines: MultiProgress,
}

impl Default for Status {
    fn default() -> Self {
        let terminal = Box::new(Terminal { term: Term::stderr(), drawn: Mutex::default() });
        let target = ProgressDrawTarget::term_like_with_hz(terminal, MOST_DRAWINGS);
        Self { lines: MultiProgress::with_draw_target(target) }
    }
}

impl Status {
    /// Lets log lines stand above the status.
    pub(super) fn around(&self) -> Around {
        let lines = self.lines.clone();
        Arc::new(move |write| lines.suspend(write))
    }

    /// Draws until the returned task is aborted.
    pub(super) fn draw(&self, figures: &[ShardFigures], reach: &Reach) -> JoinHandle<()> {
        let lines: Vec<_> =
            figures.iter().map(|figures| (figures.clone(), self.line(), Rate::default())).collect();
        let reach = reach.clone();
        crate::task::spawn(&tokio::runtime::Handle::current(), "status", async move {
            let mut lines = lines;
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                for (figures, line, rate) in &mut lines {
                    let rate = rate.measure(figures.shard.delivered.get(), Instant::now());
                    line.set_message(describe(figures, &reach, rate, now_ms()));
                    line.tick();
                }
            }
        })
    }

    /// Takes the lines away.
    pub(super) fn clear(&self) {
        // A terminal that is gone has nothing to be cleared.
        drop(self.lines.clear());
    }

    fn line(&self) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        let line = self.lines.add(ProgressBar::new_spinner());
        style.map_or(line.clone(), |style| line.with_style(style))
    }
}

/// The terminal. Drawings go the way of the log: a terminal that stands still or is gone stops nobody, and the two never
/// mix. What was drawn is given out as a whole when it is flushed.
#[derive(Debug)]
struct Terminal {
    /// Knows the size alone.
    term: Term,
    drawn: Mutex<String>,
}

impl Terminal {
    fn add(&self, text: impl Display) -> io::Result<()> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        // A `String` takes all.
        write!(drawn, "{text}").map_err(io::Error::other)
    }

    /// An ANSI sequence that moves the cursor.
    fn go(&self, n: usize, letter: char) -> io::Result<()> {
        if n > 0 { self.add(format_args!("\x1b[{n}{letter}")) } else { Ok(()) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.add(format_args!("{line}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        if !drawn.is_empty() {
            output::draw(drawn.as_bytes());
        }
        Ok(())
    }
}

/// One shard's line: events a second, events delivered, lag, duplicates dropped, dead letters, last commit.
pub(super) fn describe(figures: &ShardFigures, reach: &Reach, rate: u64, now_ms: i64) -> String {
    let ago = |since_ms: i64| match since_ms {
        0 => "-".to_owned(),
        _ => format!("{:.1} s", (now_ms - since_ms).max(0) as f64 / 1000.0),
    };
    let shard = &figures.shard;
    let open = match figures.source.connections.get() {
        0 | 1 => String::new(),
        several => format!(" x{several}"),
    };
    // Short enough for a terminal of 80 columns at six-digit figures.
    format!(
        "{} {}{open}  {}/s  {} total  lag {}  {} dup  {} dead  commit {} ago",
        figures.id,
        View::of(&figures.shard, &figures.source, reach).judge().state,
        HumanCount(rate),
        HumanCount(shard.delivered.get()),
        ago(shard.last_processed_ms()),
        HumanCount(shard.duplicates.get()),
        HumanCount(shard.total_dead_letters()),
        ago(shard.last_commit_ms()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::ShardId;

    #[test]
    fn a_line_says_what_operators_ask() {
        let figures = ShardFigures {
            id: ShardId { stream: "mobile".into(), index: 0 },
            source: Default::default(),
            shard: Default::default(),
            kafka: Default::default(),
        };
        figures.shard.delivered.inc_by(1_234_567);
        assert_eq!(
            describe(&figures, &Reach::default(), 4200, 10_000),
            "mobile/0 opening  4,200/s  1,234,567 total  lag -  0 dup  0 dead  commit - ago"
        );
    }
}
