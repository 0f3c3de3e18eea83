//! What a check found, how it is shown, and the exit code that it makes. Knows nothing of what was looked at.

use serde_json::{Value, json};

use crate::cli::exit;
use crate::cli::table::table;

/// What a finding belongs to. The order is that of the exit codes: the first class in which something failed counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Class {
    /// The configuration in itself.
    Configuration,
    /// The way to Kafka, and what the cluster as a whole allows.
    Kafka,
    /// The topics, and the rights on them.
    Topics,
    /// The services and senders.
    Streams,
    /// What this machine has.
    Machine,
}

impl Class {
    /// As it is shown.
    fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Kafka => "kafka",
            Self::Topics => "topics",
            Self::Streams => "streams",
            Self::Machine => "machine",
        }
    }

    /// The exit code where something of it failed.
    fn code(self) -> u8 {
        match self {
            Self::Configuration => exit::CONFIG,
            Self::Kafka => exit::KAFKA,
            Self::Topics => exit::TOPICS,
            Self::Streams => exit::STREAMS,
            Self::Machine => exit::MACHINE,
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It is in order.
    Ok,
    /// The connector would run, but somebody should look at it.
    Warning,
    /// The connector, or a part of it, would not run.
    Failed,
    /// It could not be tried, or must not be.
    NotTried,
}

impl Outcome {
    /// As it is shown.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::NotTried => "not tried",
        }
    }

    /// As it stands in JSON.
    fn json(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotTried => "not_tried",
        }
    }
}

/// What one check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    class: Class,
    outcome: Outcome,
    /// What was looked at.
    subject: String,
    /// What was found.
    text: String,
    /// What the operator can do; stands in the text where an error says it itself.
    todo: Option<String>,
}

impl Finding {
    /// It is in order.
    pub(super) fn ok(class: Class, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { class, outcome: Outcome::Ok, subject: subject.into(), text: text.into(), todo: None }
    }

    /// It could not be tried.
    pub(super) fn not_tried(class: Class, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotTried, ..Self::ok(class, subject, text) }
    }

    /// Somebody should look at it.
    pub(super) fn warning(
        class: Class,
        subject: impl Into<String>,
        text: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { outcome: Outcome::Warning, todo: Some(todo.into()), ..Self::ok(class, subject, text) }
    }

    /// It failed.
    pub(super) fn failed(
        class: Class,
        subject: impl Into<String>,
        text: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { outcome: Outcome::Failed, ..Self::warning(class, subject, text, todo) }
    }

    /// Whether it failed.
    pub(super) fn is_failure(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

/// The exit code of all findings together: that of the first class in which something failed.
pub(super) fn code(findings: &[Finding]) -> u8 {
    let failed = findings.iter().filter(|finding| finding.is_failure());
    failed.map(|finding| finding.class).min().map_or(exit::OK, Class::code)
}

/// All of it for people: a table, and below it what is to be done.
pub(super) fn text(findings: &[Finding]) -> String {
    let cells = |finding: &Finding| {
        let (result, class) = (finding.outcome.name().to_owned(), finding.class.name().to_owned());
        [result, class, finding.subject.clone(), finding.text.clone()]
    };
    let rows: Vec<[String; 4]> = findings.iter().map(cells).collect();
    let mut text = table(["RESULT", "CLASS", "CHECK", "FOUND"], &rows);
    let todos: Vec<String> = findings
        .iter()
        .filter_map(|finding| {
            let todo = finding.todo.as_ref()?;
            Some(format!("  {}, {}: {todo}\n", finding.class.name(), finding.subject))
        })
        .collect();
    if !todos.is_empty() {
        text += "\nWhat to do:\n";
        text.extend(todos);
    }
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let [failed, warnings, ok, not_tried] =
        [Outcome::Failed, Outcome::Warning, Outcome::Ok, Outcome::NotTried].map(count);
    text + &format!("\nfailed: {failed}, warnings: {warnings}, ok: {ok}, not tried: {not_tried}\n")
}

/// All of it for programs.
pub(super) fn json(findings: &[Finding]) -> Value {
    let described = |finding: &Finding| {
        json!({
            "result": finding.outcome.json(), "class": finding.class.name(), "check": finding.subject,
            "found": finding.text, "todo": finding.todo,
        })
    };
    let checks: Vec<Value> = findings.iter().map(described).collect();
    json!({ "exit_code": code(findings), "checks": checks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok(Class::Configuration, "file", "no problems"),
            Finding::failed(Class::Streams, "mobile", "401", "check the token"),
            Finding::failed(Class::Topics, "t", "missing", "create it"),
            Finding::warning(Class::Machine, "files", "1024", "raise it"),
            Finding::not_tried(Class::Streams, "web", "it would take hits"),
        ]
    }

    #[test]
    fn the_first_class_that_failed_makes_the_code() {
        assert_eq!(code(&findings()), exit::TOPICS);
        let harmless: Vec<_> = findings().into_iter().filter(|finding| !finding.is_failure()).collect();
        assert_eq!((harmless.len(), code(&harmless)), (3, exit::OK));
        let codes = [Class::Configuration, Class::Kafka, Class::Topics, Class::Streams, Class::Machine];
        assert_eq!(codes.map(Class::code), [3, 7, 8, 9, 10]);
    }

    #[test]
    fn the_table_says_what_to_do() {
        let expected = "\
RESULT     CLASS          CHECK   FOUND
ok         configuration  file    no problems
FAILED     streams        mobile  401
FAILED     topics         t       missing
warning    machine        files   1024
not tried  streams        web     it would take hits

What to do:
  streams, mobile: check the token
  topics, t: create it
  machine, files: raise it

failed: 2, warnings: 1, ok: 1, not tried: 1
";
        assert_eq!(text(&findings()), expected);
    }

    #[test]
    fn json_has_the_same() {
        let json = json(&findings());
        assert_eq!(json["exit_code"], 8);
        assert_eq!(json["checks"][1]["result"], "failed");
        assert_eq!(json["checks"][4]["result"], "not_tried");
        assert_eq!(json["checks"][0]["todo"], Value::Null);
    }
}
