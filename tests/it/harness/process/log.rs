//! The output of a process, line by line, as it comes.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// As much as goes into the message of a failed test.
const TAIL_LINES: usize = 60;

/// The lines so far; more may come.
pub(super) struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    /// Streams that are still open.
    open: usize,
}

impl Log {
    /// Reads the streams that are there to their ends, each by a thread of its own.
    pub(super) fn read(
        stdout: Option<impl Read + Send + 'static>,
        stderr: Option<impl Read + Send + 'static>,
    ) -> Self {
        let open = usize::from(stdout.is_some()) + usize::from(stderr.is_some());
        let log = Self { shared: Arc::new((Mutex::new(Lines { lines: Vec::new(), open }), Condvar::new())) };
        stdout.into_iter().for_each(|stream| log.follow(stream));
        stderr.into_iter().for_each(|stream| log.follow(stream));
        log
    }

    fn follow(&self, stream: impl Read + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                lock(&shared.0).lines.push(text);
                shared.1.notify_all();
                line.clear();
            }
            lock(&shared.0).open -= 1;
            shared.1.notify_all();
        });
    }

    /// Whether both streams have ended, as they do with the process.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.shared.0).open == 0
    }

    pub(super) fn lines(&self) -> Vec<String> {
        lock(&self.shared.0).lines.clone()
    }

    pub(super) fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// The first line that contains `part`; else why there will be none.
    pub(super) fn wait_for(&self, part: &str, limit: Duration) -> Result<String, String> {
        let (lines, news) = &*self.shared;
        let start = Instant::now();
        let mut seen = 0;
        let mut lines = lock(lines);
        loop {
            if let Some(line) = lines.lines[seen..].iter().find(|line| line.contains(part)) {
                return Ok(line.clone());
            }
            seen = lines.lines.len();
            if lines.open == 0 {
                return Err(String::from("the output ended"));
            }
            let Some(left) = limit.checked_sub(start.elapsed()) else {
                return Err(format!("{limit:?} passed"));
            };
            lines = news.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
