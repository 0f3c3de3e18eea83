//! A line of the log that no filter leaves out: what the log says of itself, and panics.

use serde::Serialize;

/// A line, in the order in which its parts stand in it.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    /// RFC 3339, with microseconds.
    pub(super) timestamp: String,
    pub(super) level: &'static str,
    pub(super) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backtrace: Option<String>,
}

impl<'a> Line<'a> {
    /// A line of now that says this.
    pub(super) fn new(level: &'static str, message: &'a str) -> Self {
        let timestamp = format!("{:.6}", jiff::Timestamp::now());
        Self { timestamp, level, message, lines: None, thread: None, backtrace: None }
    }

    /// Its text, with the line end: as all other lines look.
    pub(super) fn render(&self, is_text: bool) -> String {
        if !is_text && let Ok(json) = serde_json::to_string(self) {
            return json + "\n";
        }
        let Self { timestamp, level, message, .. } = self;
        let mut text = format!("{timestamp} {level:>5} {message}");
        let lines = self.lines.map(|lines| lines.to_string());
        let fields =
            [("lines", lines.as_deref()), ("thread", self.thread), ("backtrace", self.backtrace.as_deref())];
        for (name, value) in fields {
            if let Some(value) = value {
                text.extend([" ", name, "=", value]);
            }
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_looks_like_all_others() {
        let line = Line { lines: Some(6), thread: Some("main"), ..Line::new("WARN", "a \"word\"") };
        let line = Line { timestamp: "T".into(), ..line };
        assert_eq!(
            line.render(false),
            "{\"timestamp\":\"T\",\"level\":\"WARN\",\"message\":\"a \\\"word\\\"\",\"lines\":6,\"thread\":\"main\"}\n"
        );
        assert_eq!(line.render(true), "T  WARN a \"word\" lines=6 thread=main\n");
        let now = Line::new("ERROR", "").timestamp;
        assert_eq!((now.len(), now.ends_with('Z')), ("2026-11-26T14:44:45.931781Z".len(), true), "{now}");
    }
}
